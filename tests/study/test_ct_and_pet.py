"""CT and PET through the command line: which model, and what their units owe to physics."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK

from iconet import cli
from iconet.images import read

from ..images.slices import every, save_all, slices_of
from .studies import AFFINE

SIDE = 64
X, Y = (np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2)[..., None] / SIDE * np.ones((1, 1, 1, 3))
RADIUS = np.hypot(X, Y)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def upscale(*arguments):
    return cli.run(["upscale", *arguments, "--backend", "torch", "--precision", "fp32"])


def water():
    """A cylinder of water in air, in the circle of a scanner: 0, -1000 and -1024 HU."""
    return np.where(RADIUS < 0.3, 0, np.where(RADIUS < 0.48, -1000, -1024)).astype(np.int16)


def nifti(array, name):
    nibabel.Nifti1Image(array, np.diag([-0.8, -0.8, 3, 1])).to_filename(name)


def finer(array):
    return array.repeat(2, 0).repeat(2, 1)


def test_the_units_of_dicom_stay_for_an_independent_reader():
    series = slices_of(water() + 1024, AFFINE, intercept=-1024)
    every(series, Modality="CT", RescaleType="HU")
    save_all(series, Path("in"))
    assert upscale("in", "-o", "out") == 0
    names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames("out")
    values = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(names))
    assert values.min() == -1024
    assert np.median(values[:, 54:74, 54:74]) == pytest.approx(0, abs=3)
    assert values.mean() == pytest.approx(water().mean(), abs=3)
    header = pydicom.dcmread(names[0])
    assert header.Modality == "CT" and "Interpolation" in header.DerivationDescription
    assert header.get("RescaleType", "HU") == "HU"


@pytest.mark.parametrize("scale", [1, 4000.0])
def test_the_activity_of_a_pet_phantom_is_kept(scale):
    """In SUV or in Bq/ml: spheres in a warm background, behind a scanner's point spread."""
    from scipy.ndimage import gaussian_filter

    activity = np.where(RADIUS < 0.42, 1.0, 0)
    for place, size in ((-0.2, 0.03), (0.0, 0.05), (0.2, 0.08)):
        activity = np.where(np.hypot(X - place, Y) < size, 8.0, activity)
    seen = scale * gaussian_filter(activity, (1.2, 1.2, 0)).astype(np.float32)
    nifti(seen, "a_pet.nii")
    assert upscale("a_pet.nii", "-o", "b.nii") == 0
    values = nibabel.load("b.nii").get_fdata()
    assert values.min() >= 0
    assert values.sum() / 4 == pytest.approx(seen.sum(), rel=2e-3)
    for place in (-0.2, 0.0, 0.2):
        around = np.hypot(X - place, Y) < 0.14
        assert values[finer(around)].sum() / 4 == pytest.approx(seen[around].sum(), rel=0.02)


def test_the_kind_chooses_the_model_and_a_line_says_so(capfd):
    kind = "pet"
    nifti(water() + np.int16(1024), "scan.nii")
    assert upscale("scan.nii", "-o", "a.nii", "--kind", kind, "--report") == 0
    said = capfd.readouterr().err
    assert f"scan.nii: {kind.upper()} (by --kind): enlarged by {kind}-x2\n" in said
    report = json.loads(Path("a.nii.report.json").read_text())
    assert [model["name"] for model in report["models"]] == [f"{kind}-x2"]
    assert upscale("scan.nii", "-o", "b.nii", "--kind", kind, "--model", f"{kind}-x2") == 0
    assert (read(Path("a.nii")).array == read(Path("b.nii")).array).all()
    assert "enlarged by" not in capfd.readouterr().err
    assert upscale("scan.nii", "-o", "c.nii", "--model", f"{kind}-x2") == 0
    assert f"an MR image, for which {kind}-x2 was not trained" in capfd.readouterr().err
    assert upscale("scan.nii", "-o", "d.nii", "--kind", kind, "--uncertainty") == 0
    bounds = [read(Path(f"d_desc-{side}.nii")).array for side in ("lower", "upper")]
    assert (read(Path("d.nii")).array == read(Path("a.nii")).array).all()
    assert (bounds[0] <= read(Path("a.nii")).array).all()
    assert (read(Path("a.nii")).array <= bounds[1]).all()


@pytest.mark.parametrize("options", [("--scale", "4"), ("--axes", "k"), ("--isotropic",)])
def test_what_no_model_of_the_kind_does_is_interpolated(options, capfd):
    nifti(water() + np.int16(1024), "a_pet.nii")
    assert upscale("a_pet.nii", "-o", "b.nii", *options) == 0
    assert "PET, which no shipped model enlarges along these axes" in capfd.readouterr().err
    assert read(Path("b.nii")).array.min() == 0


def test_a_spacing_in_the_plane_is_reached_from_the_model(capfd):
    nifti(water() + np.int16(1024), "a_pet.nii")
    assert upscale("a_pet.nii", "-o", "b.nii", "--spacing", "0.5x0.5x3") == 0
    assert "enlarged by pet-x2" in capfd.readouterr().err
    made = read(Path("b.nii"))
    assert made.array.shape[2] == 3 and made.array.min() >= 0


def test_an_acquired_matrix_is_of_mr_alone(capfd):
    nifti(water() + np.int16(1024), "a_pet.nii")
    assert upscale("a_pet.nii", "-o", "b.nii", "--acquired", "48x48") == 2
    assert "give --model too" in capfd.readouterr().err
