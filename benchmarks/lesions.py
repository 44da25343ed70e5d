"""What happens to lesions of multiple sclerosis that lose resolution and are enlarged again.

    python benchmarks/lesions.py FOLDER [contrast=FLAIR] [models=mri-x2,mri-x4] [picture=lesion.png]

FOLDER holds a folder for each person, with images and a mask of all lesions. The public repository
muschellij2/open_ms_data on GitHub has them (Lesjak et al., Neuroinformatics 2017, CC BY): copy
`cross_sectional/MNI/patientNN/`, of which `FLAIR*.nii.gz` and `GOLD_STANDARD*.nii.gz` are read.
`longitudinal/raw/patientNN/` serves too (lesions that changed between two visits); add the
`brainmask.nii.gz` of `longitudinal/coregistered/patientNN/`. Masks are brought onto the image by
its `*_to_common_space.txt`. `picture` draws the lesion of 10 mm3 or more of which the first model
leaves least.

The truth is the image at the resolution that its spectrum holds. Each model makes it fine again,
beside interpolation, all slices from the first with a lesion to the last.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from iconet import zoo
from iconet.data.acquired import acquired_matrix
from iconet.data.truth import truth_stack
from iconet.evaluation.interpolations import METHODS
from iconet.evaluation.lesions import (
    HALF,
    Foreseen,
    Lesion,
    find_lesions,
    find_spots,
    foreseen,
    raised,
    unmatched,
)
from iconet.evaluation.lowering import lower
from iconet.evaluation.table import markdown
from iconet.evaluation.through_plane import BASELINES
from iconet.images import Scan, read
from iconet.images.geometry import choose_slice_axis
from iconet.physics.slice_profile import thick_slices
from iconet.runtime.device import Compute
from iconet.upscaling.interval import Bounds
from iconet.upscaling.one_axis import enlarge_axis
from iconet.upscaling.slices import predict_stack
from iconet.upscaling.way import find_way, telling
from iconet.zoo.model import Model

CPU = Compute(torch.device("cpu"), "fp32")
WAYS = {"mri-x2": "kspace-crop", "mri-x4": "kspace-crop", "mri-any-x2": "averaged"}
MODELS = [*WAYS, "mri-slice-x2", "mri-slice-x4"]
VISIBLE = 0.1  # contrast of a lesion, as a share of the ring's median
BINS = {"< 10": (0, 10), "10-30": (10, 30), "30-100": (30, 100), "> 100": (100, np.inf)}  # mm3
SPOT = 100.0  # mm3, the largest
SHOWN = 16  # pixels to each side of a lesion in a picture
RIM = 5  # pixels of the brain's edge in which no spots are looked for


class Person(NamedTuple):
    """A true image, its lesions and the brain: (S, H, W), and the voxels' volume in mm3."""

    name: str
    truth: NDArray[np.float32]
    mask: NDArray[np.bool_]
    brain: NDArray[np.bool_]
    voxel: float


class Fate(NamedTuple):
    """What became of a lesion by one method.

    Attributes:
        true: its contrast in the truth, as a share of the ring's median.
        kept: share of that contrast.
        grown: its volume at half of the true contrast, as a share of the true one.
        bounds: what they said; None where there are none.
        wider: width of the interval in it, as a share of that in the ring.
    """

    person: str
    lesion: Lesion
    true: float
    kept: float
    grown: float
    bounds: Foreseen | None
    wider: float


class Result(NamedTuple):
    """All persons by one method.

    Attributes:
        spots: that the detector finds in the results.
        invented: of these, and what bounds said of them.
        known: spots of the truths, and
        missing: of these.
        everywhere: what bounds said of the brain.
    """

    fates: list[Fate]
    spots: int
    invented: list[Foreseen | None]
    known: int
    missing: int
    everywhere: Foreseen | None


def people(folder: Path, contrast: str) -> Iterator[Person]:
    """Every image of that contrast, from its first slice with a lesion to the last."""
    for own in sorted(path for path in folder.iterdir() if path.is_dir()):
        given = next(path for name in ("GOLD*", "gt.*") for path in own.glob(name))
        masks = [read(path) for path in (given, *own.glob("brainmask*"))]
        paths = {*own.glob(f"{contrast}*.nii.gz"), *own.glob(f"*_{contrast}.nii.gz")}
        for path in sorted(path for path in paths if path.stat().st_size):
            scan = read(path)
            truth = truth_stack(scan, "axial")
            places, pixels = places_of(scan, truth.shape)
            moved = own / f"{path.name.split('.')[0]}_to_common_space.txt"
            if moved.exists():
                places = to_common_space(moved, places)
            lesions, *brains = (at(mask, places) for mask in masks)
            brain = brains[0] if brains else truth > 0
            shown = np.flatnonzero(lesions.any((1, 2)))
            kept = slice(shown[0], shown[-1] + 1)
            voxel = float(np.prod(scan.spacing)) * pixels
            name = f"{own.name} {path.name.split('_')[0]}"
            print(f"{name}: {scan.array.shape} {np.round(scan.spacing, 2)} mm,", end=" ")
            print(f"truth {truth.shape}, {shown[-1] - shown[0] + 1} slices with lesions")
            yield Person(name, truth[kept], lesions[kept], brain[kept], voxel)


def places_of(scan: Scan, shape: tuple[int, ...]) -> tuple[NDArray, float]:
    """Where the voxels of the truth are (mm, RAS), and how many of the file's pixels one is."""
    assert scan.affine is not None
    axis = choose_slice_axis(scan.array.shape, scan.spacing, "axial", affine=scan.affine)
    stack = np.moveaxis(scan.array, axis, 0)
    indices = [np.arange(shape[0], dtype=float)]
    pixels = 1.0
    acquired = acquired_matrix(np.ascontiguousarray(stack, np.float32))
    for size, held, kept in zip(stack.shape[1:], acquired, shape[1:], strict=True):
        start = (held - kept) // 2
        indices.append((np.arange(kept) + start + 0.5) * size / held - 0.5)
        pixels *= size / held
    voxels = np.moveaxis(np.stack(np.meshgrid(*indices, indexing="ij"), -1), -1, 0)
    voxels = np.moveaxis(np.insert(voxels[1:], axis, voxels[0], axis=0), 0, -1)
    return voxels @ scan.affine[:3, :3].T + scan.affine[:3, 3], pixels


def to_common_space(path: Path, places: NDArray) -> NDArray:
    """By an affine transform of ITK, which goes from the common space (LPS) to the image's own."""
    text = dict(line.split(": ") for line in path.read_text().splitlines() if ": " in line)
    numbers = np.array(text["Parameters"].split(), float)
    matrix, shift = numbers[:9].reshape(3, 3), numbers[9:]
    centre = np.array(text["FixedParameters"].split(), float)
    flip = np.array([-1, -1, 1])
    return flip * ((flip * places - centre - shift) @ np.linalg.inv(matrix).T + centre)


def at(mask: Scan, places: NDArray) -> NDArray[np.bool_]:
    """A mask at these places, by the nearest voxel."""
    assert mask.affine is not None
    back = np.linalg.inv(mask.affine)
    voxels = np.rint(places @ back[:3, :3].T + back[:3, 3]).astype(int)
    inside = ((voxels >= 0) & (voxels < mask.array.shape)).all(-1)
    found = np.zeros(inside.shape, bool)
    found[inside] = mask.array[tuple(voxels[inside].T)] > 0
    return found


Images = dict[str, tuple[NDArray, Bounds | None]]
"""By method, with bounds where there are any."""


def made(model: Model, person: Person) -> tuple[Person, Images]:
    """Degrade a person's slices and enlarge them; with the part that is measured against."""
    bounded = model.trust is not None
    network, factor = model.running(bounded), model.scale
    if model.one_axis:
        count = len(person.truth) // factor * factor
        person = Person(person.name, *(each[:count] for each in person[1:4]), person.voxel)
        thin = torch.from_numpy(np.ascontiguousarray(person.truth.transpose(1, 2, 0)))
        thick = thick_slices(thin, factor, profile="gaussian").permute(2, 0, 1).numpy()
        images: Images = {n: (make(thick, 0, factor), None) for n, make in BASELINES.items()}
        bounds = Bounds.empty(person.truth.shape) if bounded else None
        image = enlarge_axis(thick, 0, network, compute=CPU, bounds=bounds)
    else:
        lowered = lower(person.truth, WAYS[str(model.name)], factor, name=person.name)
        assert lowered is not None
        stack = lowered.magnitude[:, 0].numpy()
        images = {name: (METHODS[name](stack, factor), None) for name in BASELINES}
        bounds = Bounds.empty(person.truth.shape) if bounded else None
        way = None if (tells := telling(network)) is None else find_way(tells, stack)
        image = predict_stack(network, stack, compute=CPU, way=way, bounds=bounds)
    return person, {**images, str(model.name): (image, bounds)}


def measured(person: Person, images: Images) -> dict[str, Result]:
    """Fates of the lesions that are visible in the truth, and spots."""
    lesions = find_lesions(person.mask, person.brain, person.voxel)
    levels = [float(np.median(person.truth[x.box][x.ring])) for x in lesions]
    seen = [
        (lesion, contrast / level, contrast)
        for lesion, level in zip(lesions, levels, strict=True)
        if (contrast := lesion.contrast(person.truth)) > VISIBLE * level > 0
    ]
    inner = np.stack([binary_erosion(each, iterations=RIM) for each in person.brain])
    least = HALF * float(np.median([contrast for *_, contrast in seen]))
    largest = int(SPOT / person.voxel)
    true = raised(person.truth)
    known = find_spots(true, inner, least, largest)
    found = {}
    for method, (image, bounds) in images.items():
        fates = [fate(person, image, bounds, *each) for each in seen]
        above = raised(image)
        spots = find_spots(above, inner, least, largest)
        invented = [
            foreseen(person.truth, bounds, spot) if bounds else None
            for spot in unmatched(above, true, spots)
        ]
        missing = len(unmatched(true, above, known))
        everywhere = None
        if bounds is not None:
            everywhere = foreseen(person.truth, bounds, np.flatnonzero(person.brain))
        found[method] = Result(fates, len(spots), invented, len(known), missing, everywhere)
    return found


def fate(
    person: Person,
    image: NDArray,
    bounds: Bounds | None,
    lesion: Lesion,
    true: float,
    contrast: float,
) -> Fate:
    """Of a lesion in an image."""
    level = HALF * contrast
    grown = lesion.extent(image, level) / max(lesion.extent(person.truth, level), person.voxel)
    said, wider = None, float("nan")
    if bounds is not None:
        numbers = np.arange(person.truth.size).reshape(person.truth.shape)[lesion.box]
        said = foreseen(person.truth, bounds, numbers[lesion.inside])
        wider = said.width / foreseen(person.truth, bounds, numbers[lesion.ring]).width
    return Fate(person.name, lesion, true, lesion.contrast(image) / contrast, grown, said, wider)


def tables(of: dict[str, list[Result]]) -> str:
    """Of one model: methods down; the worst lesions of the last method, which is the model."""
    heads = ["method", "lesions", "contrast kept", "worst tenth", "volume"]
    heads += [f"lost, {size} mm3" for size in BINS]
    heads += ["spots in result", "invented", "spots in truth", "missing"]
    lines = [heads]
    for method, results in of.items():
        fates = [each for result in results for each in result.fates]
        kept = [each.kept for each in fates]
        cells = [str(len(fates)), f"{np.median(kept):.0%}", f"{np.quantile(kept, 0.1):.0%}"]
        cells.append(f"{np.median([each.grown for each in fates]):.0%}")
        for low, high in BINS.values():
            sized = [each for each in fates if low <= each.lesion.volume < high]
            cells.append(f"{sum(each.kept < HALF for each in sized)} of {len(sized)}")
        cells += [str(sum(result.spots for result in results))]
        cells += [str(sum(len(result.invented) for result in results))]
        cells += [str(sum(getattr(result, n) for result in results)) for n in ("known", "missing")]
        lines.append([method, *cells])
    results = list(of.values())[-1]
    return "\n\n".join([markdown(lines), by_person(of), said(results), worst(results)])


def by_person(of: dict[str, list[Result]]) -> str:
    """Lesions lost, of each person."""
    names = [result.fates[0].person for result in next(iter(of.values()))]
    lines = [["lost", *names]]
    for method, results in of.items():
        counts = [sum(each.kept < HALF for each in result.fates) for result in results]
        cells = [f"{n} of {len(r.fates)}" for n, r in zip(counts, results, strict=True)]
        lines.append([f"{method}", *cells])
        lines.append([f"{method}, invented", *(str(len(r.invented)) for r in results)])
    return markdown(lines)


def said(results: Sequence[Result]) -> str:
    """What the bounds said."""
    fates = [each for result in results for each in result.fates]
    if fates[0].bounds is None:
        return "No bounds."
    groups = {
        "brains": [(result.everywhere, np.nan) for result in results],
        "lesions": [(each.bounds, each.wider) for each in fates],
        **{
            f"{size} mm3": [
                (each.bounds, each.wider) for each in fates if low <= each.lesion.volume < high
            ]
            for size, (low, high) in BINS.items()
        },
        "lost lesions": [(each.bounds, each.wider) for each in fates if each.kept < HALF],
        "invented spots": [(each, np.nan) for result in results for each in result.invented],
    }
    lines = [["", "number", "true mean within", "true voxels within", "width over the ring's"]]
    for name, group in groups.items():
        if group:
            within = np.mean([bounds.mean for bounds, _ in group])
            voxels = np.mean([bounds.voxels for bounds, _ in group])
            wider = np.median([each for _, each in group])
            cells = [str(len(group)), f"{within:.0%}", f"{voxels:.0%}", f"{wider:.2f}"]
            lines.append([name, *cells])
    return markdown(lines)


def worst(results: Sequence[Result], count: int = 5) -> str:
    """The lesions of which least is left."""
    fates = sorted((each for r in results for each in r.fates), key=lambda each: each.kept)
    lines = [["worst", "place", "mm3", "true contrast", "kept", "true mean within"]]
    for each in fates[:count]:
        place = " ".join(str((side.start + side.stop) // 2) for side in each.lesion.box)
        cells = [place, f"{each.lesion.volume:.0f}", f"{each.true:.0%}", f"{each.kept:.0%}"]
        within = "" if each.bounds is None else "yes" if each.bounds.mean else "no"
        lines.append([each.person, *cells, within])
    return markdown(lines)


def picture(path: Path, person: Person, images: Images, lesion: Lesion) -> None:
    """A lesion in the truth, interpolated and by the model, and how wide the interval is."""
    from matplotlib.figure import Figure

    fullest = int(lesion.inside.sum((1, 2)).argmax())
    middles = [(side.start + side.stop) // 2 for side in lesion.box[1:]]
    sides = [slice(max(0, middle - SHOWN), middle + SHOWN) for middle in middles]
    box = (lesion.box[0].start + fullest, *sides)
    model, (image, bounds) = list(images.items())[-1]
    beside = images["zero-filling"][0]
    shown = {"truth": person.truth, "zero-filling": beside, model: image}
    if bounds is not None:
        shown["width of the interval"] = bounds.upper - bounds.lower
    darkest, brightest = np.percentile(person.truth[box], [1, 99.8])
    figure = Figure(figsize=(2 * len(shown), 2.3), dpi=100, layout="constrained")
    for axes, (name, each) in zip(figure.subplots(1, len(shown)), shown.items(), strict=True):
        least = 0 if name.startswith("width") else darkest
        most = brightest - (darkest - least)  # all panels have one contrast
        axes.imshow(np.rot90(each[box]), cmap="gray", vmin=least, vmax=most)
        if name == "truth":
            outline = np.rot90(person.mask[box])
            axes.contour(outline, [0.5], colors="tab:orange", linewidths=0.8)
        axes.set_title(name, fontsize=9)
        axes.set_axis_off()
    figure.savefig(path)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    given = dict(argument.split("=", 1) for argument in sys.argv[2:])
    everyone = list(people(Path(sys.argv[1]), given.get("contrast", "FLAIR")))
    chosen = given["models"].split(",") if "models" in given else MODELS
    for name in chosen:
        model, collected = Model.of(zoo.load(name)), dict[str, list[Result]]()
        least: tuple[float, tuple[Person, Images, Lesion]] | None = None
        for one in everyone:
            cut, images = made(model, one)
            for method, result in measured(cut, images).items():
                collected.setdefault(method, []).append(result)
            for each in collected[name][-1].fates:
                if each.lesion.volume >= 10 and (least is None or each.kept < least[0]):
                    least = each.kept, (cut, images, each.lesion)
        print(f"\n### {name}\n\n{tables(collected)}", flush=True)
        if "picture" in given and name == chosen[0] and least is not None:
            picture(Path(given["picture"]), *least[1])
