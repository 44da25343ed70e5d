"""`--labels`: the labels of a scan on exactly the grid of its result."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from iconet.images import read

from .studies import AFFINE, files_below, series, upscale
from .studies import scan as plain_scan

pytestmark = pytest.mark.usefixtures("folder")
GRID = np.array([[-1.0, 0.02, 0, 3], [0.02, 1, 0, -7], [0, 0, 3, 11], [0, 0, 0, 1]])


def scan(path, affine=GRID, shape=(20, 24, 3)):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(0).gamma(2, 50, shape).astype(np.int16)
    nibabel.Nifti1Image(values, affine).to_filename(path)


def labels(path, affine=GRID, shape=(20, 24, 3), dtype=np.uint8):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    values = np.zeros(shape, dtype)
    values[5:12, 4:15], values[8:10, 8:10] = 3, 200
    nibabel.Nifti1Image(values, affine).to_filename(path)


GRIDS = [[], ["--scale", "4"], ["--axes", "k"], ["--spacing", "0.7x0.5x1.5"], ["--isotropic"]]


@pytest.mark.parametrize("options", GRIDS, ids=" ".join)
def test_they_come_to_the_very_grid_of_the_result(options):
    scan("scan.nii.gz")
    labels("seg.nii.gz")
    model = "model.safetensors" if "--scale" not in options else None
    assert upscale("scan.nii.gz", "--labels", "seg.nii.gz", "-o", "out", *options, model=model) == 0
    assert [name for name in files_below("out") if name[0] != "."] == ["scan.nii.gz", "seg.nii.gz"]
    image, seg = nibabel.load("out/scan.nii.gz"), nibabel.load("out/seg.nii.gz")
    assert image.shape == seg.shape
    np.testing.assert_array_equal(image.affine, seg.affine)
    assert seg.get_data_dtype() == np.uint8
    assert set(np.unique(seg.dataobj)) == {0, 3, 200}


def test_an_output_by_name_has_the_labels_beside_it(capsys):
    scan("scan.nii.gz", shape=(20, 24, 3, 2))
    labels("a/seg.nii.gz")
    labels("b/mask.nrrd.nii", dtype=np.float32)
    call = ["scan.nii.gz", "-o", "big.nii.gz", "--labels", "a/seg.nii.gz", "--report"]
    assert upscale(*call, "--labels", "b/mask.nrrd.nii") == 0
    assert "; its labels: big_seg.nii.gz; its labels: big_mask.nrrd.nii" in capsys.readouterr().err
    assert nibabel.load("big_seg.nii.gz").shape == (40, 48, 3)
    report = json.loads(Path("big.nii.gz.report.json").read_text())
    assert [file["name"] for file in report["output"]["files"]] == [
        *("big.nii.gz", "big_seg.nii.gz", "big_mask.nrrd.nii")
    ]
    assert upscale(*call) == 2
    assert "big.nii.gz: is there already; give --overwrite" in capsys.readouterr().err
    Path("big.nii.gz").unlink()
    assert upscale(*call) == 2
    assert "big_seg.nii.gz: is there already; give --overwrite" in capsys.readouterr().err
    assert not Path("big.nii.gz").exists()
    assert upscale(*call, "--overwrite") == 0


def test_a_series_has_its_labels_on_its_grid():
    series("in", "MR")
    labels("seg.nii.gz", AFFINE)
    assert upscale("in", "-o", "out", "--labels", "seg.nii.gz") == 0
    made, seg = read("out"), nibabel.load("out_seg.nii.gz")
    np.testing.assert_allclose(seg.affine, made.affine, atol=1e-4)
    assert seg.shape == made.array.shape


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"shape": (20, 24, 4)}, "20 x 24 x 4 voxels, where scan.nii.gz has 20 x 24 x 3"),
        ({"affine": GRID + 0.01 * np.eye(4)[:, [3]]}, "mm from where scan.nii.gz has it"),
        ({"dtype": None}, "holds fractions"),
    ],
)
def test_what_are_no_labels_of_the_scan_is_refused_in_one_line(change, said, capsys):
    scan("scan.nii.gz")
    if change.get("dtype", 0) is None:
        values = np.random.default_rng(0).normal(size=(20, 24, 3)).astype(np.float32)
        nibabel.Nifti1Image(values, GRID).to_filename("seg.nii.gz")
    else:
        if "affine" in change:
            change = {"affine": GRID + 0.01 * np.eye(4, k=3)}
        labels("seg.nii.gz", **change)
    before = files_below(".")
    assert upscale("scan.nii.gz", "--labels", "seg.nii.gz", "-o", "out") == 2
    err = capsys.readouterr().err
    assert said in err and err.count("iconet: error") == 1
    assert files_below(".") == before


def test_labels_are_of_one_scan_and_no_output_is_an_input(capsys):
    plain_scan("in/a.nii")
    plain_scan("in/b.nii")
    labels("seg.nii")
    assert upscale("in", "-o", "out", "--labels", "seg.nii") == 2
    assert "--labels are those of one scan, not of 2" in capsys.readouterr().err
    scan("scan.nii")
    assert upscale("scan.nii", "-o", ".", "--labels", "seg.nii", "--overwrite") == 2
    assert "the output is the input" in capsys.readouterr().err


def test_probabilities_may_be_labels_of_a_scan():
    scan("scan.nii.gz")
    share = np.random.default_rng(0).uniform(size=(20, 24, 3)).astype(np.float32)
    nibabel.Nifti1Image(share, GRID).to_filename("a_probseg.nii.gz")
    assert upscale("scan.nii.gz", "--labels", "a_probseg.nii.gz", "-o", "out") == 0
    made = nibabel.load("out/a_probseg.nii.gz").get_fdata()
    assert made.shape == (40, 48, 3) and 0 <= made.min() and made.max() <= 1
