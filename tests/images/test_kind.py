"""What kind of image a scan is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from iconet.images import from_array
from iconet.images.kind import kind_of

RNG = np.random.default_rng(0)
SHAPE = (48, 48, 12)
INSIDE = np.hypot(*np.ogrid[-1:1:48j, -1:1:48j])[..., None] < np.full(SHAPE, 0.7)


def of(values, path=None, modality=None):
    scan = from_array(np.asarray(values, np.float32))
    headers = []
    if modality is not None:
        headers = [Dataset()]
        headers[0].Modality = modality
    return kind_of(replace(scan, path=path and Path(path), dicom=tuple(headers))).modality


def ct(air=-1000.0, noise=10):
    body = RNG.normal(40, 20, SHAPE)
    body[20:24, 20:24] = 700  # bone
    return np.where(INSIDE, body, np.maximum(RNG.normal(air, noise, SHAPE), -1024))


def mri():
    return np.abs(np.where(INSIDE, RNG.normal(800, 150, SHAPE), RNG.normal(0, 20, SHAPE)))


@pytest.mark.parametrize(("modality", "kind"), [("MR", "MR"), ("CT", "CT"), ("PT", "PET")])
def test_dicom_says_it_whatever_name_and_values(modality, kind):
    assert of(mri(), "in/x_ct", modality) == kind
    assert of(ct(), "in/pet", modality) == kind


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("sub-01/anat/sub-01_ct.nii.gz", "CT"),
        ("STS_002_CT.nii.gz", "CT"),
        ("1.2.840_ct.nrrd", "CT"),
        ("sub-01/pet/sub-01_trc-FDG_pet.nii.gz", "PET"),
        ("sub-01/pet/sub-01_trc-FDG_mean.nii.gz", "PET"),
        ("CHUM-001__PT.nii.gz", "PET"),
        ("sub-01/pet/sub-01_T1w.nii.gz", "MR"),
        ("sub-01_space-ct_T1w.nii.gz", "MR"),
        ("ct.nii.gz", "MR"),
        ("head_1.nii.gz", "MR"),
    ],
)
def test_names_say_it_where_dicom_does_not(path, kind):
    assert of(mri(), path) == kind


def test_a_name_of_mri_goes_before_values():
    assert of(ct(), "sub-01_T2w.nii.gz") == "MR"
    assert of(ct(), "sub-01/fmap/sub-01_fieldmap.nii.gz") == "MR"
    assert of(ct(), "head_1.nii.gz") == "CT"


@pytest.mark.parametrize("air", [-1000, -1024])
def test_hounsfield_units_are_recognised(air):
    assert of(ct(air)) == of(ct(air)[..., 5]) == "CT"
    assert of(np.where(np.hypot(*np.ogrid[-1:1:48j, -1:1:48j])[..., None] < 1, ct(), -3024)) == "CT"


def z_scored():
    return (mri() - mri().mean()) / mri().std()


def ringing():
    return mri() + np.where(INSIDE, 0, 60 * np.cos(np.pi * np.arange(48))[:, None, None])


@pytest.mark.parametrize(
    "values",
    [
        z_scored(),
        1000 * z_scored(),
        ringing(),
        RNG.normal(0, 30, SHAPE),  # ASL difference
        RNG.normal(0, 400, SHAPE),  # field map
        RNG.uniform(-4096, 4094, SHAPE),  # phase
        np.clip(RNG.normal(0, 900, SHAPE), -1000, 1000),  # a field map that saturates
        ct()[16:32, 16:32],  # nothing but body
        mri() * 0,
    ],
)
def test_what_may_be_something_else_is_not_ct(values):
    assert of(values) == "MR"


def kind(values, path=None, **more):
    scan = replace(from_array(np.asarray(values)), path=path and Path(path), **more)
    return kind_of(scan)


LABELS = np.where(INSIDE, 1 + (np.arange(48) // 12)[:, None, None], 0) * 1000


@pytest.mark.parametrize(
    "path",
    [
        "scan_image.nii.gz",
        "head_phantom.nii.gz",
        "sub-01_part-mag_bold.nii.gz",
        "fid_phMag.nii.gz",
        "roi.nii.gz",
        "photo_graph.nii",
        "T1_brainmask.nii.gz",
    ],
)
def test_names_that_only_resemble_others_say_nothing(path):
    assert kind(mri(), path).name == "MR"


@pytest.mark.parametrize(
    ("values", "path", "name"),
    [
        (LABELS > 0, "a_mask.nii", "mask"),
        (LABELS, "a_mask.nii", "labels"),
        (LABELS, "a_seg.nii", "labels"),
        (LABELS, "wmparc.mgz", "labels"),
        (LABELS * 1.0001, "a_dseg.nii", "MR"),
        (np.where(LABELS > 0, np.nan, 1.0), "a_mask.nii", "mask"),
        (RNG.uniform(size=SHAPE), "a_seg.nii", "probabilities"),
        (mri().round(), "T1_mask.nii", "MR"),
    ],
)
def test_labels_by_name_are_labels_by_their_values_too(values, path, name):
    found = kind(np.asarray(values, np.float32), path)
    assert found.name == name
    assert bool(found.doubt) == (name == "MR")


def test_images_do_not_look_like_labels():
    coarse = np.round(mri() / 8)  # of 8 bits
    sparse = np.where(RNG.uniform(size=SHAPE) > 0.95, 1, 0)  # counts
    for values in (mri(), coarse, sparse, ct(), np.full(SHAPE, 7), mri().round()):
        assert not kind(values.astype(np.int16)).doubt
    assert "5 values" in kind(LABELS.astype(np.int16)).doubt


def test_smooth_images_do_not_look_like_a_phase():
    ramp = np.linspace(-np.pi, np.pi, 48)[:, None, None] * np.ones(SHAPE)
    assert not kind(ramp).doubt
    wrapped = np.angle(np.exp(3j * ramp))
    for values in (wrapped, wrapped % (2 * np.pi), np.round(wrapped / np.pi * 2047.5 + 2047.5)):
        assert "a phase" in kind(values).doubt


def test_an_unwrapped_phase_is_no_phase():
    import nibabel

    for text, name in ((b"unwrapped phase map", "signed MR"), (b"wrapped phase", "phase")):
        header = nibabel.Nifti1Header()
        header["descrip"] = text
        assert kind(z_scored(), header=header).name == name


@pytest.mark.parametrize(
    ("types", "name"),
    [
        (["M", "ND", "NORM"], "MR"),
        (["M_FFE", "M", "FFE"], "MR"),
        (["PHASE MAP", "P", "FFE"], "phase"),
        (["R", "ND"], "real"),
        (["T2_STAR MAP"], "map"),
        (["DIFFUSION", "TRACEW"], "MR"),
        (["DIFFUSION", "ADC"], "map"),
        (["MPR", "OTHER"], "MR"),
    ],
)
def test_image_types_of_scanners(types, name):
    header = Dataset()
    header.Modality, header.ImageType = "MR", ["ORIGINAL", "PRIMARY", *types]
    assert kind(mri(), dicom=(header,)).name == name


def test_a_malformed_image_type_says_nothing():
    for image_type in (None, "", "P", ["ORIGINAL"]):
        header = Dataset()
        header.Modality, header.ImageType = "MR", image_type
        assert kind(mri(), dicom=(header,)).name == "MR"
