"""The benchmark on a small data set made here: right numbers, nothing measured twice."""

import csv
import hashlib
import json

import nibabel
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from iconet.errors import InputError
from iconet.evaluation import benchmark, interpolation
from iconet.evaluation.metrics import psnr, ssim
from iconet.network import SIZES, ICONet
from iconet.physics.kspace import crop_kspace

METHODS = "[linear, zero-filling, bicubic]"


def head(seed, shape=(40, 35, 3)):
    """Smooth random tissue in an ellipse; 35 is not a multiple of 8."""
    from scipy.ndimage import gaussian_filter

    texture = gaussian_filter(np.random.default_rng(seed).normal(size=shape), (1, 1, 0.5))
    x, y = np.ogrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    inside = (x**2 + y**2 < 0.7)[..., None]
    return (inside * (400 + 800 * texture)).clip(0).astype(np.int16)


@pytest.fixture
def data(tmp_path):
    """Two test subjects, one of them with two volumes, and one to train on."""
    folder = tmp_path / "data"
    folder.mkdir()
    lines = []
    for seed, (subject, split, name) in enumerate(
        [("s1", "test", "a"), ("s1", "test", "b"), ("s2", "test", "c"), ("s3", "train", "d")]
    ):
        # Stored sagittally: the axial slices lie across the second voxel axis.
        volume = np.moveaxis(head(seed), 2, 1)
        affine = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, 3, 0, 0], [0, 0, 0, 1.0]])
        nibabel.save(nibabel.Nifti1Image(volume, affine), folder / f"{name}.nii")
        lines.append(f"toy,{subject},{split},{name}.nii,T1w,axial")
    header = "dataset,subject,split,path,contrast,sharp_plane"
    (folder / "splits.csv").write_text("\n".join([header, *lines]) + "\n")
    return folder


@pytest.fixture
def recipe(data, tmp_path):
    path = tmp_path / "recipe.yaml"
    output = tmp_path / "out"
    path.write_text(
        f"data: {{root: {data}}}\ndatasets: [toy]\n"
        f"scales: [2]\nmethods: {METHODS}\noutput: {output}\n"
    )
    return path


@pytest.fixture
def calls(monkeypatch):
    """Counts how often each interpolation runs."""
    seen = []

    def counted(name, enlarge):
        def run(stack, factor):
            seen.append((name, factor))
            return enlarge(stack, factor)

        return run

    for name, enlarge in interpolation.METHODS.items():
        monkeypatch.setitem(interpolation.METHODS, name, counted(name, enlarge))
    return seen


def rows_of(recipe):
    with (recipe.parent / "out" / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_holds_the_metrics_of_the_truth_and_the_cropped_kspace(recipe, data):
    benchmark.run(recipe)
    row = next(r for r in rows_of(recipe) if (r["path"], r["method"]) == ("c.nii", "linear"))
    truth = np.moveaxis(head(2), 2, 0)[:, :, 1:33].astype(np.float32)
    low = crop_kspace(torch.from_numpy(truth), 2).abs().numpy()
    expected = interpolation.linear(low, 2)
    assert float(row["psnr"]) == pytest.approx(psnr(expected, truth), abs=1e-5)
    assert float(row["ssim"]) == pytest.approx(ssim(expected, truth), abs=1e-5)
    assert (row["subject"], row["contrast"], row["slices"]) == ("s2", "T1w", "3")


def test_only_the_asked_split_is_measured_once_per_method(recipe, calls):
    benchmark.run(recipe)
    rows = rows_of(recipe)
    assert {row["path"] for row in rows} == {"a.nii", "b.nii", "c.nii"}
    assert len(rows) == len(calls) == 9


def test_more_methods_join_without_measuring_the_others_again(recipe, calls):
    benchmark.run(recipe)
    calls.clear()
    text = benchmark.run(recipe, ["methods=[linear, nearest, zero-filling, bicubic]"])
    assert calls == [("nearest", 2)] * 3
    with (recipe.parent / "out" / "benchmark.csv").open(newline="") as file:
        shown = list(csv.DictReader(file))
    assert sorted(shown, key=str) == sorted(rows_of(recipe), key=str)
    order = [line.split("|")[2].strip() for line in text.splitlines() if line.startswith("| 2x")]
    assert order == ["linear", "nearest", "zero-filling", "bicubic"]


def test_another_truth_is_measured_again_and_the_old_rows_are_not_shown(recipe, data, calls):
    benchmark.run(recipe)
    scan = nibabel.load(data / "c.nii")
    nibabel.save(nibabel.Nifti1Image(2 * scan.get_fdata(), scan.affine), data / "c.nii")
    calls.clear()
    benchmark.run(recipe)
    assert len(calls) == 3
    assert len(rows_of(recipe)) == 12
    with (recipe.parent / "out" / "benchmark.csv").open(newline="") as file:
        assert [row["path"] for row in csv.DictReader(file)] == [
            name for name in ("a.nii", "b.nii", "c.nii") for _ in range(3)
        ]


def test_a_second_run_measures_nothing_and_prints_the_same_table(recipe, calls):
    first = benchmark.run(recipe)
    before = (recipe.parent / "out" / "results.csv").read_bytes()
    calls.clear()
    assert benchmark.run(recipe) == first
    assert calls == []
    assert (recipe.parent / "out" / "results.csv").read_bytes() == before


def test_a_stopped_run_goes_on_where_it_stopped(recipe, calls):
    whole = benchmark.run(recipe)
    results = recipe.parent / "out" / "results.csv"
    lines = results.read_text().splitlines(keepends=True)
    results.write_text("".join(lines[:6]) + lines[6][:20])  # five rows and a torn one
    calls.clear()
    again = benchmark.run(recipe)
    assert len(calls) == 4
    assert len(rows_of(recipe)) == 9

    def numbers(text):  # all but the time, which is the last column
        return [line.split("|")[:-2] for line in text.splitlines() if line.startswith("| ")]

    assert numbers(again) == numbers(whole)


def test_rows_under_another_convention_are_measured_again(recipe, calls):
    benchmark.run(recipe)
    results = recipe.parent / "out" / "results.csv"
    results.write_text(results.read_text().replace(benchmark.CONVENTION_ID, "older"))
    calls.clear()
    benchmark.run(recipe)
    assert len(calls) == 9


def cells_of(text, start):
    """The cells of the lines that begin so: of the means, then of the gains."""
    lines = [line for line in text.splitlines() if line.startswith(start)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_table_averages_over_subjects(recipe):
    text = benchmark.run(recipe, ["scales=[2, 4]"])
    assert (recipe.parent / "out" / "benchmark.md").read_text() == text
    assert "## toy, T1w: 2 subjects, 3 volumes" in text
    values = {}
    for row in rows_of(recipe):
        if row["scale"] == "4":
            values[row["method"], row["path"]] = float(row["psnr_foreground"])

    def mean(method):  # s1 counts once, by the mean of its two volumes
        a, b, c = (values[method, f"{name}.nii"] for name in "abc")
        return ((a + b) / 2 + c) / 2

    (cells,) = cells_of(text, "| 4x    | bicubic")
    assert cells[2] == f"{mean('bicubic'):.2f}"
    assert benchmark.CONVENTION in text
    assert "iconet benchmark" in text


def save_model(path, seed):
    torch.manual_seed(seed)
    model = ICONet(scale=2, **SIZES["tiny"])
    metadata = {"format": "iconet", "config": json.dumps(model.config)}
    save_file(model.state_dict(), path, metadata)


def test_a_model_takes_part_at_its_scale_and_again_once_retrained(recipe):
    weights = recipe.parent / "my model.safetensors"
    save_model(weights, seed=0)
    methods = f"[bicubic, cubic-b-spline, zero-filling, '{weights}']"
    overrides = [f"methods={methods}", "scales=[2, 4]"]
    text = benchmark.run(recipe, overrides)
    rows = [row for row in rows_of(recipe) if row["weights"]]
    assert {(row["method"], row["scale"]) for row in rows} == {(str(weights), "2")}
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert digest in text
    assert {row["compute"] for row in rows} <= {"cpu, fp32", "cpu, bf16", "cuda, bf16"}

    save_model(weights, seed=1)
    text = benchmark.run(recipe, overrides)
    again = [row for row in rows_of(recipe) if row["weights"]]
    assert len(again) == 2 * len(rows) == 6
    assert digest not in text


def test_gains_and_wins_are_counted_by_subject(recipe):
    weights = recipe.parent / "model.safetensors"
    save_model(weights, seed=0)
    interpolations = ["zero-filling", "bicubic", "cubic-b-spline"]
    text = benchmark.run(recipe, [f"methods=[{', '.join(interpolations)}, '{weights}']"])
    rows = {(row["method"], row["path"]): row for row in rows_of(recipe)}

    def of_subjects(method, name):
        a, b, c = (float(rows[method, f"{scan}.nii"][name]) for scan in "abc")
        return np.array([(a + b) / 2, c])

    _, gains = cells_of(text, f"| 2x    | **{weights}**")
    for method, cell in zip(interpolations, gains[2:8:2], strict=True):
        own, other = (of_subjects(m, "psnr_foreground") for m in (str(weights), method))
        low, high = sorted(own - other)  # of two subjects, resampling often takes one twice
        assert cell == f"{(own - other).mean():+.2f} [{low:+.2f}, {high:+.2f}]"
    names = ("psnr_foreground", "ssim_foreground", "psnr", "ssim")
    for name, cell in zip(names, gains[8:], strict=True):
        best = np.max([of_subjects(method, name) for method in interpolations], axis=0)
        assert cell == f"{(of_subjects(str(weights), name) > best).sum()} of 2"


def test_an_unknown_model_is_refused_before_anything_is_measured(recipe):
    with pytest.raises(InputError, match="mri-x3"):
        benchmark.run(recipe, ["methods=[linear, mri-x3]"])
    assert not (recipe.parent / "out").exists()


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("colour=red", "unknown key 'colour'"),
        ("scales=[3]", "'scales.0'.*3"),
        ("methods=[]", "'methods'"),
        ("degradation=blur", "'degradation'"),
        ("output", "write key=value"),
        ("split=holdout", "'holdout'"),
        ("datasets=[elsewhere]", "'elsewhere'"),
        ("data.root=nowhere", "nowhere"),
        ("data.colour=red", "unknown key 'data.colour': use one of root"),
        ("data=nowhere", "'data'.*root"),
        ("output: [", "write key=value"),
        ("scales=[2", "as in YAML"),
    ],
)
def test_a_wrong_key_or_value_names_itself(recipe, override, words):
    with pytest.raises(InputError, match=words):
        benchmark.run(recipe, [override])
    assert not (recipe.parent / "out").exists()


def test_a_recipe_that_is_none_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot read the recipe"):
        benchmark.run(tmp_path / "absent.yaml")
    for content in ("- a\n- b\n", "a: [", "\x00"):
        path = tmp_path / "bad.yaml"
        path.write_text(content)
        with pytest.raises(InputError, match="not"):
            benchmark.run(path)
    path.write_text("datasets: [toy]\nscales: [2]\nmethods: [linear]\noutput: out\n")
    with pytest.raises(InputError, match="'data' is missing"):
        benchmark.run(path)


def test_a_table_of_another_version_is_not_overwritten(recipe):
    benchmark.run(recipe)
    results = recipe.parent / "out" / "results.csv"
    results.write_text("something,else\n1,2\n")
    with pytest.raises(InputError, match="move it away"):
        benchmark.run(recipe)
    assert results.read_text() == "something,else\n1,2\n"
