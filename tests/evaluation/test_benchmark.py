"""The whole command on a small data set: right numbers, wrong recipes, the page with figures."""

import hashlib

import numpy as np
import pytest
import torch

from iconet.errors import InputError
from iconet.evaluation import benchmark
from iconet.evaluation import interpolations as interpolation
from iconet.evaluation.metrics import psnr, ssim
from iconet.evaluation.sfrc import flagged
from iconet.physics.kspace import crop_kspace

from .conftest import head, rows_of

pytestmark = pytest.mark.usefixtures("no_figures")


def test_a_row_holds_the_metrics_of_the_truth_and_the_cropped_kspace(plain):
    benchmark.run(plain)
    row = next(r for r in rows_of(plain) if (r["path"], r["method"]) == ("c.nii", "linear"))
    truth = np.moveaxis(head(2), 2, 0)[:, :, 1:33].astype(np.float32)
    low = crop_kspace(torch.from_numpy(truth), 2).abs().numpy()
    expected = interpolation.linear(low, 2)
    assert float(row["psnr"]) == pytest.approx(psnr(expected, truth), abs=1e-5)
    assert float(row["ssim"]) == pytest.approx(ssim(expected, truth), abs=1e-5)
    assert float(row["sfrc"]) == pytest.approx(flagged(expected, truth, 2), abs=1e-5)
    assert (row["subject"], row["contrast"], row["slices"]) == ("s2", "T1w", "3")


def test_a_second_run_measures_nothing_and_another_method_joins(plain, calls):
    first = benchmark.run(plain)
    assert len(rows_of(plain)) == len(calls) == 6
    before = (plain.parent / "out" / "results.csv").read_bytes()
    calls.clear()
    assert benchmark.run(plain) == first
    assert calls == []
    assert (plain.parent / "out" / "results.csv").read_bytes() == before
    benchmark.run(plain, ["interpolations=[linear, nearest]"])
    assert calls == [("nearest", 2)] * 3
    assert {row["method"] for row in rows_of(plain, "benchmark")} == {"linear", "nearest"}


def test_the_whole_of_it_with_figures_and_real_training_on_both_tasks(content, write):
    content["conditions"] = [
        {"name": "sr-x2", "scale": 2, "test": ["kspace-crop", "noisy"]},
        {"name": "joint", "scale": 2, "task": "joint", "test": ["joint"]},
        {"name": "samples", "scale": 2, "task": "joint", "known_samples": True, "test": ["joint"]},
    ]
    content["networks"] = content["networks"][:1]
    content["networks"][0]["seeds"] = [1]
    content["training"]["optimisation"]["batch"] = 4
    recipe = write(content)
    text = benchmark.run(recipe)
    rows = rows_of(recipe)
    assert len(rows) == 3 * 4 * 3  # volumes, tests, methods
    samples = {r["condition"]: r for r in rows if r["method"] == "iconet"}["samples"]
    assert float(samples["psnr"]) > 5
    for name in ("sr-x2", "joint", "samples"):
        assert f"## {name}" in text
        for what in ("panel", "time", "subjects"):
            assert (recipe.parent / "out" / "figures" / f"{name}-{what}.png").stat().st_size > 5000
    assert "All tests on toy, T1w" in text
    assert not list(recipe.parent.glob("out/runs/*/checkpoint.safetensors"))
    digests = {row["weights"] for row in rows if row["method"] == "iconet"}
    files = list(recipe.parent.glob("out/runs/*/*.safetensors"))
    assert digests == {hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    steps = {line.split("|")[4].strip() for line in text.splitlines() if "| iconet  |" in line}
    assert steps == {"3"}


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("colour=red", "colour: no such key"),
        ("conditions=[{name: a, scale: 3}]", r"conditions\.0\.scale"),
        ("conditions=[{name: a, scale: 2, test: [rain]}]", "'rain' is none of kspace-crop"),
        ("conditions=[{name: a, scale: 2, known_samples: true}]", "task: joint"),
        ("conditions=[{name: a, scale: 2}, {name: a, scale: 4}]", "appears twice"),
        ("conditions=[{name: a, scale: 2, models: [linear]}]", "a: .* called 'linear'"),
        ("interpolations=[magic]", "'magic' is none of nearest"),
        ("networks=[{name: n, conditions: [b]}]", "no condition is called 'b'"),
        ("budget=90s", "give one"),
        ("conditions=[{name: a, scale: 2, budget: 90s}]", "a: a budget of its own needs"),
        ("conditions=[{name: a, scale: 2, budget: long}]", r"conditions\.0\.budget"),
        ("split=train", "split"),
        ("datasets=[elsewhere]", "'elsewhere'"),
        ("data.root=nowhere", "nowhere"),
        ("data=nowhere", "data: a section"),
        ("networks=[{name: n, network: {architecture: magic}}]", "n under sr-x2: .*architecture"),
        ("training.optimisation.colour=red", "iconet under sr-x2: .*colour"),
    ],
)
def test_a_wrong_key_or_value_names_itself(content, write, override, words):
    recipe = write(content)
    with pytest.raises(InputError, match=words):
        benchmark.run(recipe, [override])
    assert not (recipe.parent / "out").exists()
