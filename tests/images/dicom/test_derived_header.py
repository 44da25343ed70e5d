from dataclasses import replace

import numpy as np
import pydicom
import pytest

from iconet.images.dicom.derived import write_series
from iconet.images.dicom.series import read_series

from ...images.scanned import MADE, SHA256, finer, modalities, source_of
from ...images.slices import AFFINE, enhanced_of, items, save


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


def written(tmp_path, name, scan, headers, made=MADE):
    return [
        pydicom.dcmread(f) for f in write_series(scan, headers, tmp_path / name, provenance=made)
    ]


def windowed(headers, **elements):
    for header in headers:
        for keyword in ("WindowCenter", "WindowWidth", "VOILUTFunction"):
            if keyword in header:
                delattr(header, keyword)
        for keyword, value in elements.items():
            setattr(header, keyword, value)


@modalities
def test_it_is_shown_as_its_source_is(tmp_path, modality):
    """Each slice with the window of the source slice beside it, as scanners set one a slice."""
    scan, headers = source_of(modality)
    windowed(headers)
    for k, header in enumerate(headers):
        header.WindowCenter, header.WindowWidth = [400 + k, 40.5], [350 + k, 400]
        header.WindowCenterWidthExplanation = ["SOFT", "LUNG"]
        header.VOILUTFunction = "SIGMOID"
    for image, header in zip(written(tmp_path, "out", finer(scan), headers), headers, strict=True):
        for keyword in ("WindowCenter", "WindowWidth", "VOILUTFunction"):
            assert image[keyword].value == header[keyword].value
        assert list(image.WindowCenterWidthExplanation) == ["SOFT", "LUNG"]


@modalities
@pytest.mark.parametrize(
    ("window", "kept"),
    [
        ({"WindowCenter": 0, "WindowWidth": 80}, True),  # soft tissue: a centre of 0 is one
        ({"WindowCenter": -0.25, "WindowWidth": 0.5, "VOILUTFunction": "LINEAR_EXACT"}, True),
        ({"WindowCenter": 0.25, "WindowWidth": 0.5}, False),  # narrower than LINEAR allows
        ({"WindowCenter": 40, "WindowWidth": 0}, False),
        ({"WindowCenter": 40}, False),
        ({"WindowCenter": [40, 50], "WindowWidth": 400}, False),
        ({}, False),
    ],
)
def test_a_window_that_is_none_is_replaced_by_one_for_the_series(tmp_path, modality, window, kept):
    scan, headers = source_of(modality)
    windowed(headers, **window)
    images = written(tmp_path, "out", finer(scan), headers)
    shown = {(image.WindowCenter, image.WindowWidth) for image in images}
    assert len(shown) == 1
    if kept:
        assert shown == {(window["WindowCenter"], window["WindowWidth"])}
        assert images[0].get("VOILUTFunction") == window.get("VOILUTFunction")
    else:
        ((center, width),) = shown
        values = finer(scan).array
        assert values.min() <= center - width / 2 and center + width / 2 <= values.max()
        assert width > 0.9 * np.ptp(values)


def test_every_frame_of_an_enhanced_image_has_its_own_window(tmp_path):
    stored = np.random.default_rng(0).integers(0, 1000, (5, 7, 4)).astype(np.int16)
    made = enhanced_of(stored, AFFINE, slopes=[1, 1, 1, 1], order=[2, 0, 3, 1])
    for frame, k in zip(made.PerFrameFunctionalGroupsSequence, [2, 0, 3, 1], strict=True):
        frame.FrameVOILUTSequence = items(
            WindowCenter=100 + k, WindowWidth=200 + k, VOILUTFunction="LINEAR_EXACT"
        )
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID
    save(made, tmp_path / "a.dcm")
    scan = read_series(tmp_path / "a.dcm")
    images = written(tmp_path, "out", finer(scan, (2, 2, 1)), scan.dicom)
    assert [(i.WindowCenter, i.WindowWidth) for i in images] == [
        (100 + k, 200 + k) for k in range(4)
    ]
    assert {image.VOILUTFunction for image in images} == {"LINEAR_EXACT"}


UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")


def uids(images):
    return [[image[keyword].value for keyword in UIDS] for image in images]


@modalities
def test_a_repeat_is_the_same_series(tmp_path, modality):
    scan, headers = source_of(modality)
    first = written(tmp_path, "first", finer(scan), headers)
    again = written(tmp_path, "again", finer(scan), headers[::-1])
    assert uids(first) == uids(again)
    assert len({uid for image in uids(first) for uid in image}) == 2 + 1 + len(first)
    for image in first:
        assert image.file_meta.MediaStorageSOPInstanceUID == image.SOPInstanceUID
        assert all(image[keyword].value.is_valid for keyword in UIDS)
        assert image.FrameOfReferenceUID == headers[0].FrameOfReferenceUID
    assert all(a.PixelData == b.PixelData for a, b in zip(first, again, strict=True))


def test_another_source_model_option_or_grid_is_another_series(tmp_path):
    scan, headers = source_of("MR")
    made = [
        (finer(scan), headers, MADE),
        (finer(scan), headers, replace(MADE, weights_sha256="ab" * 32)),
        (finer(scan), headers, replace(MADE, model="mri-x4")),
        (finer(scan), headers, replace(MADE, version="1.2.4")),
        (finer(scan), headers, replace(MADE, settings='{"plane": "k"}')),
        (finer(scan, (2, 2, 2)), headers, MADE),
        (finer(scan), source_of("MR")[1], MADE),  # other images, of the same series
    ]
    found = [uids(written(tmp_path, str(n), *one)) for n, one in enumerate(made)]
    assert len({images[0][1] for images in found}) == len(made)
    assert len({image[2] for images in found for image in images}) == sum(map(len, found))


def test_sources_that_have_lost_their_names_are_told_apart_by_their_values(tmp_path):
    found = []
    for n, factor in enumerate((1, 1, 2)):
        scan, headers = source_of("CT")
        for header in headers:
            header.file_meta = None
            for keyword in UIDS:
                setattr(header, keyword, "")
        bigger = finer(replace(scan, array=scan.array * factor))
        found.append(uids(written(tmp_path, str(n), bigger, headers)))
    assert found[0] == found[1]
    assert {u for image in found[0] for u in image}.isdisjoint(u for i in found[2] for u in i)
