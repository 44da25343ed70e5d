"""What goes beside an output, as independent readers see it: lower <= image <= upper."""

import json
from dataclasses import replace

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK

from iconet.network.interval import IntervalHead
from iconet.network.trust import Trust
from iconet.study.beside import beside
from iconet.study.find import Task
from iconet.training.checkpoint import write_safetensors
from iconet.zoo.loading import load
from iconet.zoo.trust import trust_content, trust_file

from .studies import files_below, scan, series, upscale

pytestmark = pytest.mark.unlike

TRUST = "model.trust.safetensors"


@pytest.fixture
def trusted(folder):
    """The weights of the folder, with a head for intervals beside them."""
    network = load("model.safetensors")
    head = IntervalHead(network.width)
    trust = Trust(head, None, {}, {"kspace-crop": {"coverage": 0.9}})
    tensors, metadata = trust_content(trust, network.sha256)
    write_safetensors(tensors, trust_file(folder / "model.safetensors"), metadata)
    return folder


def test_names_are_bids_names_in_a_derivative_and_end_with_desc_elsewhere(tmp_path):
    def name(target, what="lower", **rest):
        return beside(Task(tmp_path / "in", tmp_path / target, **rest), what).name

    assert name("a.nii.gz") == "a_desc-lower.nii.gz"
    assert name("a.seg.nrrd", "upper") == "a.seg_desc-upper.nrrd"
    assert name("series 4") == "series 4_desc-lower"
    assert name("series 4", "residual") == "series 4_desc-residual.nii.gz"
    assert name("a.png", "residual") == "a_desc-residual.npy"
    made = name("sub-01_desc-iconetMriX2_T1w.nii.gz", dataset=tmp_path)
    assert made == "sub-01_desc-iconetMriX2Lower_T1w.nii.gz"


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".mgz", ".nhdr"])
def test_bounds_are_files_like_the_output_and_the_output_is_what_it_was(trusted, suffix):
    scan("a.nii")
    assert upscale("a.nii", "-o", f"plain{suffix}") == 0
    assert upscale("a.nii", "-o", f"b{suffix}", "--uncertainty", "--report") == 0

    def values(name):
        if suffix in (".mgz", ".nii", ".nii.gz"):
            image = nibabel.load(f"{name}{suffix}")
            return np.asarray(image.dataobj), image.affine
        image = SimpleITK.ReadImage(f"{name}{suffix}")
        return SimpleITK.GetArrayFromImage(image), np.array(image.GetOrigin())

    (plain, _), (image, place) = values("plain"), values("b")
    np.testing.assert_array_equal(plain, image)
    (lower, lower_place), (upper, upper_place) = values("b_desc-lower"), values("b_desc-upper")
    assert lower.dtype == image.dtype == upper.dtype
    assert (lower <= image).all() and (image <= upper).all() and (lower < upper).any()
    np.testing.assert_allclose(lower_place, place)
    np.testing.assert_allclose(upper_place, place)
    residual, _ = values("b_desc-residual")
    assert residual.dtype.newbyteorder("=") == np.float32
    assert residual.min() < 0 < residual.max()
    said = json.loads((trusted / f"b{suffix}.report.json").read_text())["intervals"]
    assert said["files"][0] == f"b_desc-lower{suffix}" and said["share"] == 0.9
    assert said["calibration"][0]["measured"] == {"kspace-crop": {"coverage": 0.9}}


@pytest.mark.parametrize("modality", ["MR", "PT"])
def test_bounds_of_a_series_are_series_whose_values_keep_the_order(trusted, modality):
    series("in", modality)
    assert upscale("in", "-o", "plain") == 0
    assert upscale("in", "-o", "out", "--uncertainty") == 0

    def values(folder):
        files = [pydicom.dcmread(path) for path in sorted((trusted / folder).glob("*.dcm"))]
        return files[0], np.stack(
            [f.pixel_array * float(f.RescaleSlope) + float(f.RescaleIntercept) for f in files]
        )

    (before, plain), (header, image) = values("plain"), values("out")
    np.testing.assert_array_equal(plain, image)
    assert before.SeriesInstanceUID == header.SeriesInstanceUID
    (low, lower), (high, upper) = values("out_desc-lower"), values("out_desc-upper")
    assert (lower <= image).all() and (image <= upper).all()
    assert len({each.SeriesInstanceUID for each in (header, low, high)}) == 3
    assert low.StudyInstanceUID == header.StudyInstanceUID
    assert "lower bound, research use, not for diagnosis" in low.SeriesDescription
    assert "upper bound" in high.SeriesDescription
    assert (trusted / "out_desc-residual.nii.gz").exists()


def test_a_study_is_finished_only_with_its_bounds(trusted, capsys):
    scan("in/a.nii")
    scan("in/b.nii", seed=1)
    assert upscale("in", "-o", "out", "--uncertainty") == 0
    names = files_below(trusted / "out")
    assert "a_desc-lower.nii" in names and "b_desc-upper.nii" in names
    capsys.readouterr()
    assert upscale("in", "-o", "out", "--uncertainty") == 0
    assert "2 finished before" in capsys.readouterr().err
    (trusted / "out/a_desc-lower.nii").unlink()
    assert upscale("in", "-o", "out", "--uncertainty") == 0
    assert "1 upscaled, 1 finished before" in capsys.readouterr().err
    assert (trusted / "out/a_desc-lower.nii").exists()


def test_what_others_wrote_beside_an_output_stays(trusted, capsys):
    scan("a.nii")
    (trusted / "b_desc-lower.nii").write_text("mine")
    assert upscale("a.nii", "-o", "b.nii", "--uncertainty") == 2
    assert "b_desc-lower.nii: is there already" in capsys.readouterr().err
    assert not (trusted / "b.nii").exists()
    assert upscale("a.nii", "-o", "b.nii", "--uncertainty", "--overwrite") == 0


def test_bounds_of_a_former_result_do_not_stay_beside_another(trusted):
    scan("a.nii")
    assert upscale("a.nii", "-o", "b.nii", "--uncertainty") == 0
    assert upscale("a.nii", "-o", "b.nii", "--overwrite") == 0
    assert files_below(trusted) == ["a.nii", "b.nii", "model.safetensors", TRUST]
    series("in")
    assert upscale("in", "-o", "out", "--uncertainty") == 0
    assert upscale("in", "-o", "out", "--overwrite") == 0
    assert not list(trusted.glob("out_desc*"))


def test_a_page_shows_how_wide_intervals_are(trusted):
    scan("in/a.nii")
    assert upscale("in", "-o", "out", "--html") == 0
    assert "Width of the interval" not in (trusted / "out/a.nii.report.html").read_text()
    assert upscale("in", "-o", "bounded", "--uncertainty", "--html") == 0
    page = trusted / "bounded/a.nii.report.html"
    assert "Width of the interval" in page.read_text()
    page.unlink()
    assert upscale("in", "-o", "bounded", "--uncertainty", "--html") == 0
    assert "Width of the interval" in page.read_text()


def test_an_input_is_never_replaced_by_a_bound(trusted, capsys):
    scan("b_desc-lower.nii")
    code = upscale("b_desc-lower.nii", "-o", "b.nii", "--uncertainty", "--overwrite")
    assert code == 2 and "the output is the input" in capsys.readouterr().err


def test_a_dataset_gets_bounds_with_sidecars(trusted):
    (trusted / "set/sub-01/anat").mkdir(parents=True)
    scan("set/sub-01/anat/sub-01_T1w.nii.gz")
    description = {"Name": "a", "BIDSVersion": "1.10.0"}
    (trusted / "set/dataset_description.json").write_text(json.dumps(description))
    assert upscale("set", "--uncertainty") == 0
    there = files_below(trusted / "set/derivatives/iconet/sub-01/anat")
    for what, words in (("Lower", "below this"), ("Upper", "above this"), ("Residual", "degraded")):
        [name] = [n for n in there if n.endswith(f"{what}_T1w.json")]
        path = trusted / "set/derivatives/iconet/sub-01/anat" / name
        content = json.loads(path.read_text())
        assert words in content["Description"] and content["Sources"]
        assert path.with_name(name.replace(".json", ".nii.gz")).exists()


def test_without_such_weights_the_option_is_refused(folder, capsys):
    scan("a.nii")
    assert upscale("a.nii", "-o", "b.nii", "--uncertainty") == 2
    assert "omit --uncertainty" in capsys.readouterr().err
    assert not list(folder.glob("b*"))


def test_what_is_interpolated_has_no_bounds_and_this_is_said(trusted, capsys):
    labels = np.zeros((20, 24, 3), np.uint8)
    labels[5:15, 5:15] = 2
    nibabel.Nifti1Image(labels, np.eye(4)).to_filename("a_seg.nii")
    assert upscale("a_seg.nii", "-o", "b.nii", "--uncertainty") == 0
    assert "there are no bounds" in capsys.readouterr().err
    assert not list(trusted.glob("b_desc*"))


def test_strict_refuses_what_is_out_of_range_and_writes_nothing(trusted, capsys):
    network = load("model.safetensors")
    trust = replace(network.trust, ranges={"spacing": (8.0, 9.0)})
    tensors, metadata = trust_content(trust, network.sha256)
    write_safetensors(tensors, trust_file(trusted / "model.safetensors"), metadata)
    scan("a.nii")
    assert upscale("a.nii", "-o", "b.nii", "--strict") == 2
    assert "pixels of 1 mm" in capsys.readouterr().err and not (trusted / "b.nii").exists()
    assert upscale("a.nii", "-o", "b.nii", "--report") == 0
    assert "OUT OF RANGE: spacing" in capsys.readouterr().err
    report = json.loads((trusted / "b.nii.report.json").read_text())
    assert [each["what"] for each in report["out_of_range"]] == ["spacing"]
    scan("in/a.nii")
    scan("in/b.nii")
    assert upscale("in", "-o", "out") == 0
    said = capsys.readouterr().err.splitlines()
    assert sum(line.startswith("out of range: ") for line in said) == 2
