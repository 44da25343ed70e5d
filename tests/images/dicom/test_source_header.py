import shutil

import pydicom
from pydicom import Dataset
from pydicom.uid import generate_uid

from iconet.images.dicom.derived import write_series
from iconet.images.dicom.derived_header import SOP_CLASSES

from ...images.scanned import MADE, assert_holds, by_simpleitk, finer, source_of, validator_errors


def test_what_described_the_old_pixels_goes_and_the_headers_stay_as_they_were(tmp_path):
    scan, headers = source_of("CT")
    for header in headers:
        header.private_block(0x0009, "ACME", create=True).add_new(1, "LO", "secret")
        inner = Dataset()
        inner.private_block(0x0009, "ACME", create=True).add_new(1, "LO", "secret")
        inner.ReferencedSOPClassUID, inner.ReferencedSOPInstanceUID = "1.2", "1.2.3"
        header.ReferencedImageSequence = [inner]
        header.IconImageSequence = [Dataset()]
        header.add_new(0x60003000, "OW", b"\0\0")
        header.AcquisitionMatrix = [64, 0, 0, 64]
        header.PixelPaddingValue = 0
        header.LossyImageCompression = "01"
        header.WindowCenter, header.WindowWidth = [40, 300], [300, 1500]
        header.PhotometricInterpretation = "MONOCHROME1"
        header.add_new("SeriesNumber", "LO", "six")  # what no reader could use
    before = [header.to_json() for header in headers]
    write_series(finer(scan), headers, tmp_path / "out", provenance=MADE)
    assert [header.to_json() for header in headers] == before

    image = pydicom.dcmread(tmp_path / "out" / "00002.dcm")
    assert not [element for element in image.iterall() if element.tag.is_private]
    stale = ("IconImageSequence", "AcquisitionMatrix", "PixelPaddingValue", "SpatialResolution")
    assert not [keyword for keyword in stale if keyword in image]
    assert 0x60003000 not in image
    assert image.ReferencedImageSequence[0].ReferencedSOPInstanceUID == "1.2.3"
    assert image.LossyImageCompression == "01"  # once lossy, always lossy
    assert list(image.WindowCenter) == [40, 300]  # of the site, in HU
    assert_holds(*by_simpleitk(tmp_path / "out"), finer(scan), 1)  # which inverts MONOCHROME1
    assert (image.Rows, image.Columns) == (12, 16)
    assert image.SmallestImagePixelValue == image.pixel_array.min()
    assert image.LargestImagePixelValue == image.pixel_array.max()


def test_an_enhanced_source_becomes_a_classic_series(tmp_path):
    scan, headers = source_of("MR")
    enhanced = Dataset()
    enhanced.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4.1"
    enhanced.SOPInstanceUID, enhanced.StudyInstanceUID = generate_uid(), generate_uid()
    enhanced.FrameOfReferenceUID, enhanced.Modality = generate_uid(), "MR"
    enhanced.BodyPartExamined = "HEAD"
    enhanced.ImageType = ["ORIGINAL", "PRIMARY", "T1", "NONE"]
    enhanced.EchoPulseSequence = "GRADIENT"
    shared = Dataset()
    timing, echo, orientation = Dataset(), Dataset(), Dataset()
    timing.RepetitionTime, echo.EffectiveEchoTime = 500, 12.5
    orientation.ImageOrientationPatient = headers[0].ImageOrientationPatient
    shared.MRTimingAndRelatedParametersSequence = [timing]
    shared.MREchoSequence = [echo]
    shared.PlaneOrientationSequence = [orientation]
    enhanced.SharedFunctionalGroupsSequence = [shared]
    enhanced.PerFrameFunctionalGroupsSequence = []
    for header in headers:
        frame, place = Dataset(), Dataset()
        place.ImagePositionPatient = header.ImagePositionPatient
        frame.PlanePositionSequence = [place]
        enhanced.PerFrameFunctionalGroupsSequence.append(frame)
    before = enhanced.to_json()
    files = write_series(finer(scan), [enhanced], tmp_path / "out", provenance=MADE)
    assert enhanced.to_json() == before
    image = pydicom.dcmread(files[1])
    assert image.SOPClassUID == SOP_CLASSES["MR"]
    assert (image.RepetitionTime, image.EchoTime, image.ScanningSequence) == (500, 12.5, "GR")
    assert "PerFrameFunctionalGroupsSequence" not in image and "NumberOfFrames" not in image
    (source,) = image.SourceImageSequence
    assert source.ReferencedSOPInstanceUID == enhanced.SOPInstanceUID
    assert source.ReferencedFrameNumber == 2
    assert_holds(*by_simpleitk(tmp_path / "out"), finer(scan), 0.25)
    if shutil.which("dciodvfy"):
        assert not validator_errors(files[1])
