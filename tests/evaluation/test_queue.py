"""The queue: nothing trained or measured twice, the most informative first, shared by workers."""

import hashlib
import json
import subprocess
import sys
from dataclasses import asdict
from types import SimpleNamespace

import nibabel
import pytest
import torch
from safetensors.torch import save_file

from iconet.errors import InputError
from iconet.evaluation import benchmark
from iconet.network import SIZES, ICONet

from .conftest import described, rows_of

pytestmark = pytest.mark.usefixtures("no_figures")


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


def test_after_its_time_nothing_new_begins_and_the_report_says_what_is_missing(
    content, write, trained, monkeypatch
):
    recipe = write(content)
    clock = SimpleNamespace(monotonic=lambda: 100.0 * len(trained))
    for module in ("benchmark", "queue"):
        monkeypatch.setattr(f"iconet.evaluation.{module}.time", clock)
    text = benchmark.run(recipe, max_time="90s")
    assert described(trained) == [("iconet", 1)]
    assert "2 of 3 training runs are left** (sr-x2: peer seed 1; sr-x2: iconet" in text
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
