# ruff: noqa: E501 (Markdown lines)
"""Write the model cards from what was measured: python tools/write_cards.py docs/benchmark

The folder holds the output of `iconet benchmark benchmark-models` as `models`, and that
of `benchmarks/through_plane.py` as `through-plane`. Every number of a card comes from their tables,
from the metadata of the weights or from their recipe, so that no card tells of other weights than
those it lies beside. Prints the same tables for the README.
"""

import csv
import json
import sys
from pathlib import Path
from statistics import fmean

from iconet import zoo
from iconet.evaluation.through_plane import BASELINES
from iconet.network import ICONet

ZOO = Path(zoo.__file__).parent
HARDWARE = "one thread of a busy two-core Intel Xeon (AMX bf16)"  # where the weights do not say
SETS = {
    ("ds002748", "T1w"): "T1w, skull-stripped",
    ("ds000011", "T1w"): "T1w, whole head",
    ("open_ms_data", "T1W"): "T1w, clinical 2-D",
    ("open_ms_data", "FLAIR"): "FLAIR, clinical 2-D",
}
INTERPOLATIONS = {
    "bicubic": "bicubic",
    "cubic-b-spline": "cubic B-spline",
    "zero-filling": "zero-filling",
}

ACQUISITION = "acceleration 4, centre 8 %, 1 % noise"
TASK = """Enlarges the slices of structural MRI scans (T1w, T2w, FLAIR) {scale}x in plane."""
JOINT_TASK = """Reconstructs undersampled Cartesian k-space of structural MRI scans (T1w, T2w, FLAIR) and enlarges
the slices {scale}x in plane: complex images in and out, k-space and mask known."""
SLICE_TASK = """Makes one axis of structural MRI scans (T1w, T2w, FLAIR) {scale}x finer, such as the one across thick slices. It
sees the planes that contain this axis."""

CARD = """# {name}

{task} {stages} of {width} channels,
{exchanges} exchanges of {rec_units} and {sr_units} units; {parameters:.2f} million parameters, stored as float16.

**Research use, not for diagnosis.** The network adds detail that is likely, not detail that was measured.

## Data and licences

It was trained on the train split of three public data sets. Choices were made on the validation subjects. The test subjects
serve only for the numbers below. Splits are by subject.

| Data set | Train / validation / test subjects | What | Licence |
|---|---|---|---|
| OpenNeuro ds002748 v1.0.5 | 52 / 8 / 12 | T1w brains, skull-stripped, 1.09 x 1.09 x 2.0 mm, axial slices | CC0 |
| OpenfMRI ds000011 | 7 / 1 / 3 | T1w whole heads, defaced, 1.33 x 1.33 mm, sagittal slices | PDDL |
| open_ms_data (Lesjak et al., Neuroinformatics 2017) | 4 / 1 / 2 | T1w, T2w, FLAIR whole heads with multiple sclerosis, 0.5-0.9 mm, axial slices | CC BY |

Slices that the scanner had enlarged were first reduced to the acquired matrix. The weights are under the project's
licence, Apache-2.0.

## Degradations

{degradations}

It has seen nothing else in training: no motion, no bias field, no other field strength than the data sets'.

## Numbers

{numbers}

{table}

One training run with one seed, measured with the stored file in bfloat16 on a CPU.

## Bounds

{bounds}

## Limits

- It knows brains from three collections only. In other organs, other contrasts, implants and unseen pathology it may
  soften or invent structure.
{limits}
- Gains are against simulated low-resolution images. A real low-resolution acquisition differs.

## How it was made

At commit {commit} (the recipe, and what it calls `base`, may have changed since){before}:

    OMP_NUM_THREADS=1 iconet train {name} data.root=/path/to/data{devices}
    python tools/publish_weights.py runs/{name}/{name}.safetensors

{steps} steps of {batch} {what} in {minutes} minutes on {hardware}, seed {seed}, PyTorch
{torch}; {patches_per_second} a second, {waiting:.0%} of the time waiting for data. A run under a time limit (`--max-time`)
finishes its schedule on time. A repeat by the number of steps follows the same schedule, but not bit by bit.
Chosen at step {best} on two slices of every validation volume (foreground PSNR of the slices):
{validation}.{folded}

SHA-256 `{sha256}`.
"""


def main(folder: Path) -> None:
    """Write every card of the catalogue."""
    rows = read(folder / "models" / "benchmark.csv")
    thick = read(folder / "through-plane" / "through-plane.csv")
    for entry in zoo.catalogue():
        model = zoo.load(entry.name)
        metadata, recipe = model.metadata, json.loads(model.metadata["recipe"])
        kind = recipe["task"]["kind"]
        known = thick if kind == "through-plane" else rows
        if all(r["method"] != entry.name for r in known):
            print(f"{entry.name}: not in {folder}; its card is written by hand")
            continue
        own = [r for r in known if r["method"] == entry.name and r["weights"] == entry.sha256]
        if not own:
            sys.exit(f"{folder}: has no row of the present weights of {entry.name}; run it again")
        if kind == "through-plane":
            text = slice_table([r for r in thick if r["factor"] == str(entry.scale)], entry.name)
        else:
            condition = own[0]["condition"]
            text = table([r for r in rows if r["condition"] == condition], entry.name)
        task, limits, numbers = {
            "super-resolution": (TASK, LIMITS, NUMBERS.format(condition="k-space crop")),
            "joint": (JOINT_TASK, JOINT_LIMITS, NUMBERS.format(condition=ACQUISITION)),
            "through-plane": (SLICE_TASK, SLICE_LIMITS, SLICE_NUMBERS.format(scale=entry.scale)),
        }[kind]
        best = json.loads(metadata["validation"])
        scores = ", ".join(
            f"{name} {value:.2f} dB" for name, value in best.items() if name not in ("mean", "step")
        )
        start, processes = recipe["start_from"], metadata.get("processes", "1")
        card = CARD.format(
            name=entry.name,
            task=task.format(scale=entry.scale),
            stages={2: "One stage", 4: "Two stages"}[entry.scale],
            **{
                name: getattr(model.config, name)
                for name in ("width", "exchanges", "rec_units", "sr_units")
            },
            parameters=sum(p.numel() for p in model.parameters()) / 1e6,
            degradations=degradations(recipe),
            numbers=numbers,
            table=text,
            bounds=bounds(model),
            limits=limits,
            before=""
            if start is None
            else f";\nit began from the weights of `{start}` there"
            f"{', both stages as its only stage' if entry.scale == 4 else ''}",
            steps=metadata["trained_steps"],
            batch=recipe["optimisation"]["batch"],
            what="whole slices" if kind == "joint" else "patches",
            hardware=f"{metadata['device']}, processes: {processes}"
            if "processes" in metadata
            else HARDWARE,
            devices="" if processes == "1" else f" --devices {processes}",
            minutes=round(int(metadata["trained_seconds"]) / 60),
            seed=recipe["seed"],
            torch=metadata["torch"],
            commit=metadata["commit"],
            patches_per_second=metadata["patches_per_second"],
            waiting=float(metadata["waiting"]),
            best=best["step"],
            validation=scores,
            folded=folded(metadata),
            sha256=entry.sha256,
        )
        (ZOO / f"{entry.name}.md").write_text(card, encoding="utf-8")
        print(f"**`{entry.name}`**\n\n{text}\n")


def bounds(model: ICONet) -> str:
    """How much its bounds cover."""
    if model.trust is None:
        return "It has none yet: `python tools/publish_trust.py` makes them."
    rows = [
        f"| {way} | {one['subjects']:.0f} | {one['coverage']:.1%} | {one['worst_scan']:.1%} |"
        f" {one['width']:.3f} |"
        for way, one in model.trust.calibration.items()
    ]
    head = "| low resolution by | subjects | covered | worst scan | mean width |\n" + 5 * "|---"
    return "\n".join([BOUNDS, head + "|", *rows])


def folded(metadata: dict[str, str]) -> str:
    """What was folded into the weights afterwards."""
    if "folded" not in metadata:
        return ""
    # The log of experiments was one page when the weights were written.
    what = metadata["folded"].replace("docs/experiments.md", "docs/experiments")
    return f" Afterwards folded: {what}."


BOUNDS = """`--uncertainty` gives bounds that are to hold 90 % of the true values in the foreground. They were calibrated on these
validation subjects, who count alike by data set; the width is a share of what is bright. [How far to trust
it](../../../docs/trust.md) has the test subjects.
"""
LIMITS = """- It was trained on three T2w scans and tested on none. FLAIR and clinical T1w are tested on two subjects each.
- Slices are enlarged in their plane, one by one. Slice thickness stays.
- A scan with more than 1 % noise, or more blur than a voxel, gains less. If the scanner interpolated a scan, the network
  has nothing to add to it."""
JOINT_LIMITS = """- It was trained on three T2w scans and tested on none. FLAIR and clinical T1w are tested on two subjects each.
- Slices are enlarged in their plane, one by one. Slice thickness stays.
- It is for k-space with missing lines. If none is missing, zero-filling is better: use a model of images.
- It needs the samples. They are put back into every image, so the network itself never learned to keep them. Without
  `samples` its output means nothing.
- It was trained on one coil-combined image with missing lines along one axis. It was not trained on other trajectories,
  acceleration above 6, less than 8 % of the centre, or more than 2 % noise."""

SLICE_LIMITS = """- Finer slices show more of what is likely, not more of what was measured. A lesion thinner than a slice was averaged with
  its surroundings. It does not come back.
- It was not trained on gaps above a fifth of the slice distance, motion between slices, or more than 1 % noise.
- It was tested on three whole heads, each thickened along each of its axes. No collection here has thin slices in other
  contrasts."""
NUMBERS = """Mean over test subjects, {condition}, inside the foreground: PSNR in dB / SSIM. [The
benchmark](../../../docs/benchmark/models/benchmark.md) has the convention, confidence intervals and each subject's values."""
SLICE_NUMBERS = """Test subjects of ds000011, whole heads of 1 x 1.33 x 1.33 mm, made {scale}x thicker along each axis in turn (Gaussian
profile) and thin again. [Thick slices](../../../docs/through-plane.md) explains the columns and has each volume's values."""


def degradations(recipe: dict) -> str:
    """What the recipe simulated, in words."""
    task, mix = recipe["task"], recipe["degradation"]
    if task["kind"] == "through-plane":
        mix = recipe["slice_profile"]
        return (
            f"Thick slices were simulated. Profiles were Gaussian ({mix['gaussian']:.0%}), rectangular ({mix['rect']:.0%}), or a k-space crop as in 3-D acquisitions\n"
            f"({mix['kspace']:.0%}). Gaps were up to {mix['gap_max']:.0%} of the slice distance. {mix['noise_probability']:.0%} of the slices got "
            f"Rician noise of up to {mix['noise_max']:.0%} of the bright tissue."
        )
    if task["kind"] == "joint":
        low, high = task["acceleration"]
        return (
            f"Inputs were simulated: a smooth random phase, a centred k-space crop, acceleration {low:g} to {high:g} with random or equispaced\n"
            f"Cartesian masks, the central {task['centre_fraction']:.0%} of the lines full, and complex noise of up to {task['noise_max']:.0%} of the bright tissue."
        )
    return (
        f"Low-resolution inputs were simulated: {mix['kspace']:.0%} by a centred k-space crop, {mix['windowed']:.0%} with a tapered k-space window (less Gibbs\n"
        f"ringing), {mix['blurred']:.0%} by Gaussian blur, {mix['averaged']:.0%} by block means. {mix['noise_probability']:.0%} of the slices got "
        f"Rician noise of up to {mix['noise_max']:.0%} of the bright tissue."
    )


def table(rows: list[dict[str, str]], model: str) -> str:
    """Means over subjects, a line a data set."""
    head = [
        "Test data (subjects)",
        *INTERPOLATIONS.values(),
        "**ICONet**",
        "gain over zero-filling",
    ]
    lines = [head, ["---"] * len(head)]
    for (dataset, contrast), words in SETS.items():
        chosen = [r for r in rows if (r["dataset"], r["contrast"]) == (dataset, contrast)]
        psnr = {m: mean(chosen, m, "psnr_foreground") for m in (*INTERPOLATIONS, model)}
        ssim = {m: mean(chosen, m, "ssim_foreground") for m in (*INTERPOLATIONS, model)}
        subjects = len({r["subject"] for r in chosen})
        cells = [f"{psnr[m]:.2f} / {ssim[m]:.4f}" for m in (*INTERPOLATIONS, model)]
        gain = f"{psnr[model] - psnr['zero-filling']:+.2f} dB"
        lines.append([f"{words} ({dataset}, {subjects})", *cells, gain])
    return (
        "\n".join("| " + " | ".join(line) + " |" for line in lines)
        .replace("| --- ", "|---")
        .replace("--- |", "---|")
    )


def slice_table(rows: list[dict[str, str]], model: str) -> str:
    """Means over subjects and axes, a line a method."""
    lines = [
        "| Method | PSNR | SSIM | sharpness (1 is right) | flicker (0 is right) |",
        "|---|---|---|---|---|",
    ]
    for method in (*BASELINES, model):
        own = [r for r in rows if r["method"] == method]
        psnr, ssim, sharp, flicker = (
            fmean(float(r[key]) for r in own)
            for key in ("psnr", "ssim", "sharpness", "flicker_axis")
        )
        name = f"**{method}**" if method == model else method
        lines.append(f"| {name} | {psnr:.2f} dB | {ssim:.4f} | {sharp:.3f} | {flicker:.3f} |")
    return "\n".join(lines)


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a table."""
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def mean(rows: list[dict[str, str]], method: str, measure: str) -> float:
    """A subject with several volumes counts once."""
    subjects: dict[str, list[float]] = {}
    for row in rows:
        if row["method"] == method:
            subjects.setdefault(row["subject"], []).append(float(row[measure]))
    return fmean(map(fmean, subjects.values()))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
