"""The queue on a small data set: right numbers, nothing trained or measured twice."""

import csv
import hashlib
import json
import subprocess
import sys
from dataclasses import asdict
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from iconet.errors import InputError
from iconet.evaluation import benchmark
from iconet.evaluation import interpolations as interpolation
from iconet.evaluation.metrics import psnr, ssim
from iconet.network import SIZES, ICONet
from iconet.physics.kspace import crop_kspace

from .conftest import head


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


@pytest.fixture(autouse=True)
def no_figures(request, monkeypatch):
    """Drawing takes longer than all else; one test draws."""
    if "figures" not in request.node.name:
        monkeypatch.setattr("iconet.evaluation.page._figures", lambda queue, found: [])


@pytest.fixture
def plain(content, write):
    """A recipe of interpolations alone."""
    del content["networks"], content["steps"], content["training"]
    return write(content)


def rows_of(recipe, name="results"):
    with (recipe.parent / "out" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def described(recipes):
    return [(r.name, r.seed) for r in recipes]


def test_a_row_holds_the_metrics_of_the_truth_and_the_cropped_kspace(plain):
    benchmark.run(plain)
    row = next(r for r in rows_of(plain) if (r["path"], r["method"]) == ("c.nii", "linear"))
    truth = np.moveaxis(head(2), 2, 0)[:, :, 1:33].astype(np.float32)
    low = crop_kspace(torch.from_numpy(truth), 2).abs().numpy()
    expected = interpolation.linear(low, 2)
    assert float(row["psnr"]) == pytest.approx(psnr(expected, truth), abs=1e-5)
    assert float(row["ssim"]) == pytest.approx(ssim(expected, truth), abs=1e-5)
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


@pytest.mark.parametrize("change", ["truth", "every", "convention"])
def test_what_is_no_longer_the_same_measurement_is_made_again(plain, data, calls, change):
    benchmark.run(plain)
    calls.clear()
    results = plain.parent / "out" / "results.csv"
    again = 6
    if change == "truth":
        scan = nibabel.load(data / "c.nii")
        nibabel.save(nibabel.Nifti1Image(2 * scan.get_fdata(), scan.affine), data / "c.nii")
        again = 2
    if change == "convention":
        line = rows_of(plain)[0]["convention"]
        results.write_text(results.read_text().replace(line, "older"))
    benchmark.run(plain, ["every=2"] if change == "every" else [])
    assert len(calls) == again
    assert len(rows_of(plain)) == 6 + again
    assert len(rows_of(plain, "benchmark")) == 6


def test_a_stopped_run_goes_on_where_it_stopped(plain, calls):
    whole = benchmark.run(plain)
    results = plain.parent / "out" / "results.csv"
    lines = results.read_text().splitlines(keepends=True)
    results.write_text("".join(lines[:4]) + lines[4][:20])  # three rows and a torn one
    calls.clear()
    assert benchmark.run(plain) == whole
    assert len(calls) == 3


def test_every_network_is_trained_once_before_any_is_trained_twice(content, write, trained):
    content["conditions"].append(
        {"name": "sr-x4", "scale": 4, "training": {"optimisation": {"patch": 64}}}
    )
    recipe = write(content)
    text = benchmark.run(recipe)
    assert [(r.scale, r.name, r.seed) for r in trained] == [
        (2, "iconet", 1),
        (2, "peer", 1),
        (4, "iconet", 1),
        (4, "peer", 1),
        (2, "iconet", 2),
        (4, "iconet", 2),
    ]
    assert trained[1].loss.early == 0.1
    assert trained[2].optimisation.patch == 64
    assert "Unfinished" not in text
    # 4x of 40 x 32 pixels would be smaller than what networks take.
    assert {row["scale"] for row in rows_of(recipe)} == {"2"}


def test_what_has_weights_is_not_trained_again(content, write, trained):
    recipe = write(content)
    first = benchmark.run(recipe)
    assert described(trained) == [("iconet", 1), ("peer", 1), ("iconet", 2)]
    trained.clear()
    assert benchmark.run(recipe) == first
    assert trained == []
    content["networks"][1]["seeds"] = [1, 2]
    content["networks"][0]["training"] = {"loss": {"early": 0.2}}
    benchmark.run(write(content))
    # Another recipe is another run, and a seed more is one more.
    assert described(trained) == [("iconet", 1), ("iconet", 2), ("peer", 2)]
    shown = {(row["method"], row["seed"]) for row in rows_of(recipe, "benchmark") if row["seed"]}
    assert shown == {("iconet", "1"), ("iconet", "2"), ("peer", "1"), ("peer", "2")}


def test_an_interrupted_run_is_neither_lost_nor_taken_for_finished(
    content, write, trained, monkeypatch
):
    from iconet import training

    finish = training.fit

    def interrupted(recipe, volumes, validation_volumes, *, output, device):
        finish(recipe, volumes, validation_volumes, output=output, device=device)
        (output / "checkpoint.safetensors").touch()
        if recipe.name == "peer":
            raise KeyboardInterrupt
        return output / f"{recipe.name}.safetensors"

    recipe = write(content)
    monkeypatch.setattr("iconet.training.fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        benchmark.run(recipe)
    kept = [path.parent.name for path in recipe.parent.glob("out/runs/*/checkpoint.safetensors")]
    assert [name.rsplit("_", 1)[0] for name in kept] == ["sr-x2_peer_seed1"]
    trained.clear()
    monkeypatch.setattr("iconet.training.fit", finish)
    benchmark.run(recipe)
    assert described(trained) == [("peer", 1), ("iconet", 2)]


def test_after_its_time_nothing_new_begins_and_the_report_says_what_is_missing(
    content, write, trained, monkeypatch
):
    recipe = write(content)
    clock = SimpleNamespace(monotonic=lambda: 100.0 * len(trained))
    for module in ("benchmark", "queue"):
        monkeypatch.setattr(f"iconet.evaluation.{module}.time", clock)
    text = benchmark.run(recipe, max_time="90s")
    assert described(trained) == [("iconet", 1)]
    assert "2 of 3 training runs are still to come** (sr-x2: peer seed 1; sr-x2: iconet" in text
    assert len(rows_of(recipe)) == 9  # what was begun is measured


def test_another_worker_s_run_is_left_to_it_until_it_ends(content, write, trained, monkeypatch):
    recipe = write(content)
    folder = recipe.parent / "out" / "locks"
    folder.mkdir(parents=True)
    names = []
    monkeypatch.setattr("iconet.evaluation.queue._say", names.append)
    benchmark.run(recipe)
    first = names[6].split()[1].rstrip(",")  # after the six rows of the interpolations
    assert first.startswith("sr-x2_iconet_seed1_")
    for path in recipe.parent.glob("out/runs/*/finished.json"):
        path.unlink()
    trained.clear()

    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, filelock\n"
            "with filelock.FileLock(sys.argv[1]):\n"
            "    print('held', flush=True); sys.stdin.read()",
            str(folder / f"{first}.lock"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout.readline() == b"held\n"

        def waiting(seconds):
            assert described(trained) == [("peer", 1), ("iconet", 2)]
            holder.kill()  # it dies without a word
            holder.wait()

        clock = SimpleNamespace(monotonic=lambda: 0.0, sleep=waiting)
        monkeypatch.setattr("iconet.evaluation.queue.time", clock)
        benchmark.run(recipe)
    finally:
        holder.kill()
        holder.communicate()
    assert described(trained) == [("peer", 1), ("iconet", 2), ("iconet", 1)]


def test_each_network_s_learning_rate_is_chosen_by_validation_alone(content, write, trained):
    content |= {"learning_rates": [0.001, 0.002, 0.004], "steps": 50}
    text = benchmark.run(write(content))
    tried = [r for r in trained if r.optimisation.steps == 5]
    assert [(r.name, r.seed, r.optimisation.learning_rate) for r in tried] == [
        (name, 1, rate) for name in ("iconet", "peer") for rate in (0.001, 0.002, 0.004)
    ]
    final = [r for r in trained if r.optimisation.steps == 50]
    assert described(final) == [("iconet", 1), ("peer", 1), ("iconet", 2)]
    assert {r.optimisation.learning_rate for r in final} == {0.002}
    assert "each tried for 10% of the steps" in text


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


def save_model(path, seed):
    torch.manual_seed(seed)
    model = ICONet(scale=2, **SIZES["tiny"])
    metadata = {"format": "iconet", "config": json.dumps(asdict(model.config))}
    save_file(model.state_dict(), path, metadata)


def test_a_trained_model_takes_part_and_again_once_retrained(plain, content, write):
    weights = plain.parent / "my model.safetensors"
    save_model(weights, seed=0)
    content["conditions"][0]["models"] = [str(weights)]
    recipe = write(content)
    text = benchmark.run(recipe)
    rows = [row for row in rows_of(recipe) if row["weights"]]
    assert [(row["method"], row["compute"]) for row in rows] == [("my model", "cpu, fp32")] * 3
    assert rows[0]["weights"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    costs = rows_of(recipe, "costs")
    assert [(row["network"], row["scale"]) for row in costs] == [("my model", "2")]
    assert int(costs[0]["parameters"]) == sum(
        p.numel() for p in ICONet(2, **SIZES["tiny"]).parameters()
    )
    assert f"{int(costs[0]['parameters']) / 1e6:.2f} M" in text

    save_model(weights, seed=1)
    benchmark.run(recipe)
    assert len([row for row in rows_of(recipe) if row["weights"]]) == 6
    assert len([row for row in rows_of(recipe, "benchmark") if row["weights"]]) == 3


def test_a_model_that_does_not_fit_is_refused_before_anything_is_measured(plain, content, write):
    with pytest.raises(InputError, match="mri-x3"):
        benchmark.run(plain, ["conditions=[{name: a, scale: 2, models: [mri-x3]}]"])
    weights = plain.parent / "double.safetensors"
    save_model(weights, seed=0)
    with pytest.raises(InputError, match=r"conditions\.a\.models.*double"):
        benchmark.run(plain, [f"conditions=[{{name: a, scale: 4, models: ['{weights}']}}]"])
    assert not (plain.parent / "out").exists()


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("colour=red", "colour: no such key"),
        ("conditions=[{name: a, scale: 3}]", r"conditions\.0\.scale"),
        ("conditions=[{name: a, scale: 2, test: [rain]}]", "'rain' is none of kspace-crop"),
        ("conditions=[{name: a, scale: 2, known_samples: true}]", "task: joint"),
        ("conditions=[{name: a, scale: 2}, {name: a, scale: 4}]", "stands twice"),
        ("conditions=[{name: a, scale: 2, models: [linear]}]", "a: .* called 'linear'"),
        ("interpolations=[magic]", "'magic' is none of nearest"),
        ("networks=[{name: n, conditions: [b]}]", "no condition is called 'b'"),
        ("budget=90s", "give one of the two"),
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


def test_a_table_of_another_version_is_not_overwritten(plain):
    benchmark.run(plain)
    results = plain.parent / "out" / "results.csv"
    results.write_text("something,else\n1,2\n")
    with pytest.raises(InputError, match="move it away"):
        benchmark.run(plain)
    assert results.read_text() == "something,else\n1,2\n"
