from dataclasses import replace

import pydicom

from iconet.images.dicom.derived import write_series

from ...images.scanned import MADE, SHA256, finer, modalities, source_of


@modalities
def test_it_says_what_it_is(tmp_path, modality):
    scan, headers = source_of(modality)
    made = replace(MADE, text="Détails\nhere")
    files = write_series(finer(scan), headers, tmp_path / "out", provenance=made)
    images = [pydicom.dcmread(file) for file in files]
    old, new = headers[0], images[0]

    # The standard allows only PRIMARY for PET.
    assert list(new.ImageType)[:2] == ["DERIVED", "PRIMARY" if modality == "PT" else "SECONDARY"]
    assert list(new.ImageType)[2:] == list(old.ImageType)[2:]
    assert new.StudyInstanceUID == old.StudyInstanceUID
    assert new.FrameOfReferenceUID == old.FrameOfReferenceUID
    assert new.SOPClassUID == old.SOPClassUID
    assert len({image.SeriesInstanceUID for image in images} | {old.SeriesInstanceUID}) == 2
    names = {image.SOPInstanceUID for image in images}
    assert len(names) == 3 and names.isdisjoint(header.SOPInstanceUID for header in headers)
    assert [image.InstanceNumber for image in images] == [1, 2, 3]

    expected = "Head & neck iconet 2x, research use, not for diagnosis"
    assert new.SeriesDescription == expected
    assert new.SeriesNumber == 9000 + old.SeriesNumber
    for text in ("2x", "iconet 1.2.3", "mri-x2", SHA256, "not for diagnosis", "D?tails here"):
        assert text in new.DerivationDescription
    assert new.DerivationCodeSequence[0].CodeValue == "113085"
    equipment = new.ContributingEquipmentSequence[-1]
    assert equipment.Manufacturer == "iconet"
    assert equipment.ManufacturerModelName == "mri-x2"
    assert list(equipment.SoftwareVersions) == [SHA256, "1.2.3"]
    assert new.PatientName == old.PatientName
    if modality == "PT":  # uptake values count from here
        assert (new.SeriesDate, new.SeriesTime) == ("20200102", "030405")
        assert new.Units == "BQML"
        assert [image.ImageIndex for image in images] == [1, 2, 3]


def test_the_same_slices_keep_their_thickness_and_name_one_source(tmp_path):
    scan, headers = source_of("CT")
    for header in headers:
        header.SliceThickness = 2.5  # thinner than the 4 mm from slice to slice
    files = write_series(finer(scan), headers, tmp_path / "out", provenance=MADE)
    for file, header in zip(files, headers, strict=True):
        image = pydicom.dcmread(file)
        assert image.SliceThickness == 2.5
        (source,) = image.SourceImageSequence
        assert source.ReferencedSOPInstanceUID == header.SOPInstanceUID


def test_magnetic_resonance_needs_no_rescale_if_its_range_is_wide(tmp_path):
    scan, headers = source_of("MR")
    wide = replace(scan, array=scan.array * 10)
    (first, *_) = write_series(wide, headers, tmp_path / "wide", provenance=MADE)
    assert "RescaleSlope" not in pydicom.dcmread(first)
    (first, *_) = write_series(scan, headers, tmp_path / "narrow", provenance=MADE)
    assert pydicom.dcmread(first).RescaleSlope == 0.25
