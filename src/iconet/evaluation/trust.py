"""What is measured of a trained network before its results may be trusted.

Intervals are calibrated by conformal scaling (Angelopoulos and Bates, arXiv 2107.07511), with
subjects as units: voxels of one person are no independent witnesses. Each side of the interval is
multiplied by what leaves `BEYOND` of the foreground beyond it in the mean over validation subjects,
in which every data set counts alike: users' scans are of others still. The images are those that
users get, after all laws of the result.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from iconet.data.splits import read_splits
from iconet.data.truth import read_truth
from iconet.evaluation.lowering import lower
from iconet.evaluation.metrics import foreground
from iconet.images.geometry import choose_slice_axis
from iconet.intensity import levels_of_slice, robust_scale
from iconet.runtime.device import Compute
from iconet.upscaling.fidelity import is_constant
from iconet.upscaling.interval import Bounds, mean_strengths
from iconet.upscaling.one_axis import enlarge_axis
from iconet.upscaling.out_of_range import SLICES, features, middle_of, properties
from iconet.upscaling.slices import predict_stack
from iconet.upscaling.way import find_way, telling
from iconet.zoo.model import Model

if TYPE_CHECKING:
    from torch import Tensor

    from iconet.network import ICONet, IntervalHead
    from iconet.network.trust import Familiar
    from iconet.training.recipe import Recipe

BEYOND = 0.04
"""Share of the truth below the interval, and above it, that calibration aims at: scanners that were
not seen are covered less than validation subjects, and 90 % were promised."""

SAMPLE = 40_000
"""Foreground voxels of a scan that are looked at; more tell nothing more."""

RIDGE = 1e-3
"""Weight of small coefficients."""

EACH = 8
"""Training scans of a data set that the widening is fitted on; one with many counts no more."""

ALSO = ("hamming", "bicubic")
"""Ways that no mix has, which the widening is fitted on too: users have such scans."""

DRAWS = 2
"""Times that a training scan is looked at: as it is, and degraded by the mix."""

SEED = 29

WAYS = {
    "kspace": "kspace-crop",
    "windowed": "windowed",
    "blurred": "blurred",
    "averaged": "averaged",
    "resampled": "bicubic",
}
"""The fixed degradation of tests (`iconet.evaluation.lowering`) for each way of a training mix."""


class Case(NamedTuple):
    """A scan of a data set as slices, and how a model is to enlarge them.

    Attributes:
        dataset: its data set.
        subject: whom it shows.
        contrast: such as "T1w".
        stack: (S, H, W), true slices on the scale of their robust maximum.
        spacing: mm of a pixel of these; None where the file says nothing.
    """

    dataset: str
    subject: str
    contrast: str
    stack: NDArray[np.float32]
    spacing: float | None

    @property
    def name(self) -> str:
        """For people and for seeds."""
        return f"{self.dataset}/{self.subject}/{self.contrast}"


class Sampled(NamedTuple):
    """Foreground voxels of one enlarged scan: on the truth's scale, of which bright is 1.

    Attributes:
        case: what was enlarged.
        way: how it had lost its resolution.
        truth, image, lower, upper: (N,).
        strengths: (F,), how the slices lost their resolution; None of complex images.
    """

    case: Case
    way: str
    truth: NDArray[np.float32]
    image: NDArray[np.float32]
    lower: NDArray[np.float32]
    upper: NDArray[np.float32]
    strengths: "Tensor | None" = None

    @property
    def coverage(self) -> float:
        """Share of the truth within the bounds."""
        return float(np.mean((self.lower <= self.truth) & (self.truth <= self.upper)))

    @property
    def width(self) -> float:
        """Mean width, as a share of what is bright."""
        return float(np.mean(self.upper - self.lower))


def cases(
    root: Path, tables: Sequence[Path], split: str, contrasts: Sequence[str] = ()
) -> Iterator[Case]:
    """The scans of a split."""
    for row in read_splits(root, tables, split):
        if contrasts and row["contrast"] not in contrasts:
            continue
        path, plane = root / row["path"], row["sharp_plane"]
        stack = read_truth(path, plane, row["contrast"])
        stack = stack / np.float32(robust_scale(stack))
        yield Case(
            *(row["dataset"], row["subject"], row["contrast"]),
            np.ascontiguousarray(stack),
            _spacing(path, plane, stack.shape[1:]),
        )


def _spacing(path: Path, plane: str, shape: tuple[int, ...]) -> float | None:
    """Side of a pixel of the true slices, which were reduced to what was acquired."""
    import nibabel
    from nibabel.affines import voxel_sizes

    if path.suffix == ".h5":
        return None
    image = nibabel.load(path)
    sizes = voxel_sizes(image.affine)
    across = choose_slice_axis(image.shape[:3], tuple(sizes), plane, affine=image.affine)
    fields = [sizes[axis] * image.shape[axis] for axis in range(3) if axis != across]
    return float(np.sqrt(np.prod(fields) / np.prod(shape)))


def ways_of(recipe: "Recipe") -> dict[str, float]:
    """The fixed degradations that stand for a recipe's mix, with their shares of it."""
    if recipe.task.kind == "through-plane":
        return {"thick-slices": 1.0}
    if recipe.task.kind == "joint":
        return {"joint": 1.0}
    mix = recipe.degradation.model_dump()
    shares = {WAYS[name]: mix[name] for name in WAYS if mix[name]}
    whole = sum(shares.values())
    quiet = 1 - mix["noise_probability"]
    found = {way: quiet * share / whole for way, share in shares.items()}
    return {**found, "noisy": mix["noise_probability"]} if mix["noise_probability"] else found


def sampled(
    model: Model, network: "ICONet", case: Case, way: str, compute: Compute, *, slices: int = 4
) -> Sampled | None:
    """Degrade a scan, enlarge it with intervals, and take voxels of its foreground.

    Args:
        model: described.
        network: the same with a head.
        case: the scan.
        way: of `iconet.evaluation.lowering`, or "thick-slices".
        compute: where.
        slices: so many of it, evenly spaced.

    Returns:
        None where its slices are too small.
    """
    told: Tensor | None = None
    if model.one_axis:
        truth, image, bounds, told = _enlarged_rows(network, case, compute)
    else:
        every = max(1, len(case.stack) // slices)
        lowered = lower(case.stack, way, network.scale, every=every, name=case.name)
        if lowered is None:
            return None
        truth = lowered.truth
        if lowered.parts is not None:
            image, bounds = _of_complex(network, lowered.parts, lowered.samples)
        else:
            bounds = Bounds.empty(truth.shape)
            stack = lowered.magnitude[:, 0].numpy()
            lost = None if (tells := telling(network)) is None else find_way(tells, stack)
            image = predict_stack(network, stack, compute=compute, way=lost, bounds=bounds)
            told = _strengths(stack)
    inside = np.flatnonzero(foreground(truth))
    if not len(inside):
        return None
    generator = np.random.default_rng(SEED)
    some = np.sort(generator.choice(inside, min(SAMPLE, len(inside)), replace=False))
    truth, image, low, high = (
        np.ravel(each)[some] for each in (truth, image, bounds.lower, bounds.upper)
    )
    return Sampled(case, way, truth, image, low, high, told)


def _strengths(stack: NDArray[np.float32]) -> "Tensor | None":
    """What tells how slices lost their resolution."""
    shown = {number: image for number, image in enumerate(stack) if not is_constant(image)}
    return mean_strengths(stack, {number: levels_of_slice(shown[number]) for number in shown})


def _enlarged_rows(
    network: "ICONet", case: Case, compute: Compute
) -> "tuple[NDArray, NDArray, Bounds, Tensor | None]":
    """Of thick slices along the rows: truth, image, bounds, strengths; the middle of the scan."""
    import torch

    from iconet.physics.slice_profile import thick_slices

    middle = len(case.stack) // 2
    truth = case.stack[max(0, middle - 4) : middle + 4]
    thin = torch.from_numpy(np.ascontiguousarray(truth.transpose(0, 2, 1)))
    thick = thick_slices(thin, network.scale, profile="gaussian").numpy().transpose(0, 2, 1)
    bounds = Bounds.empty(truth.shape)
    image = enlarge_axis(thick, 1, network, compute=compute, bounds=bounds)
    return truth, image, bounds, _strengths(thick)


def _of_complex(
    network: "ICONet", parts: "Tensor", samples: object
) -> tuple[NDArray[np.float32], Bounds]:
    import torch

    from iconet.network import Samples

    assert isinstance(samples, Samples)
    images, distances = [], []
    with torch.inference_mode():
        for index in range(len(parts)):
            one = slice(index, index + 1)
            output = network(parts[one], samples=Samples(samples.kspace[one], samples.mask[one]))
            interval = output.stages[-1].interval
            assert interval is not None
            images.append(output.image.norm(dim=1).numpy())
            distances.append(interval.numpy())
    image, around = np.concatenate(images), np.concatenate(distances)
    bounds = Bounds(np.maximum(image - around[:, 0], 0), image + around[:, 1])
    return image, bounds


def calibrated_factors(measured: Sequence[Sampled], shares: Mapping[str, float]) -> list[float]:
    """What distances below and above must be multiplied by; see the module's text.

    Args:
        measured: scans of validation subjects, enlarged with factors of 1.
        shares: of each way; those that are not named count nothing.
    """
    return [_factor(measured, shares, sign) for sign in (1, -1)]


def _factor(measured: Sequence[Sampled], shares: Mapping[str, float], sign: int) -> float:
    """Of the lower side (1) or of the upper one (-1), by bisection."""
    groups = []
    for one in measured:
        distance = (one.image - one.lower) if sign == 1 else (one.upper - one.image)
        wrong = sign * (one.image - one.truth)
        ratio = np.where(wrong > 0, wrong / np.maximum(distance, 1e-9), 0)
        groups.append((one.way, (one.case.dataset, one.case.subject), ratio))

    def missed(factor: float) -> float:
        total = weight = 0.0
        for way, share in shares.items():
            people: dict[tuple[str, str], list[float]] = {}
            for this, person, ratio in groups:
                if this == way:
                    people.setdefault(person, []).append(float(np.mean(ratio > factor)))
            sets: dict[str, list[float]] = {}
            for (dataset, _), each in people.items():
                sets.setdefault(dataset, []).append(float(np.mean(each)))
            if sets:
                total += share * float(np.mean([np.mean(each) for each in sets.values()]))
                weight += share
        return total / weight if weight else 0.0

    low, high = 0.05, 20.0
    for _ in range(40):
        between = (low * high) ** 0.5
        low, high = (between, high) if missed(between) > BEYOND else (low, between)
    return round(high, 4)


def some_of_each(training: Sequence[Case]) -> list[Case]:
    """At most `EACH` scans of a data set, evenly spaced."""
    groups: dict[str, list[Case]] = {}
    for case in training:
        groups.setdefault(case.dataset, []).append(case)
    return [case for group in groups.values() for case in group[:: -(-len(group) // EACH)]]


def fitted_widening(measured: Sequence[Sampled]) -> "Tensor":
    """How much wider intervals must be by the strengths of a scan, (2, `TERMS`).

    A ridge regression of the logarithms of the factors that each scan alone would need. Every data
    set counts alike in every way of losing resolution.

    Args:
        measured: enlarged without widening, with factors of 1.
    """
    import torch

    from iconet.network.interval import TERMS, terms

    known = [one for one in measured if one.strengths is not None]
    if len(known) < 2 * TERMS:
        return torch.zeros(2, TERMS)
    needed = torch.tensor(
        [[_factor([one], {one.way: 1.0}, sign) for sign in (1, -1)] for one in known],
        dtype=torch.float64,
    )
    given = terms(torch.stack([one.strengths for one in known])).double()  # type: ignore[misc]
    groups = [(one.case.dataset, one.way) for one in known]
    weights = torch.tensor([1 / groups.count(group) for group in groups], dtype=torch.float64)
    weighted = given.T * (weights / weights.sum())
    square = weighted @ given + RIDGE * torch.eye(TERMS, dtype=torch.float64)
    return torch.linalg.solve(square, weighted @ needed.log()).T.float()


def rescaled(one: Sampled, factors: Sequence[float]) -> Sampled:
    """With other factors."""
    below, above = factors
    return one._replace(
        lower=one.image - below * (one.image - one.lower),
        upper=one.image + above * (one.upper - one.image),
    )


def summary(measured: Sequence[Sampled]) -> dict[str, float]:
    """Coverage and width in the mean over subjects, and the worst scan."""
    people: dict[tuple[str, str], list[Sampled]] = {}
    for one in measured:
        people.setdefault((one.case.dataset, one.case.subject), []).append(one)
    means = [np.mean([one.coverage for one in each]) for each in people.values()]
    widths = [np.mean([one.width for one in each]) for each in people.values()]
    return {
        "subjects": len(people),
        "coverage": round(float(np.mean(means)), 4),
        "worst_scan": round(min(one.coverage for one in measured), 4),
        "width": round(float(np.mean(widths)), 4),
    }


def given_slices(case: Case, recipe: "Recipe", draw: int) -> list[NDArray[np.float32]]:
    """Slices of a scan as a network may get them: by the recipe's mix, or (draw 0) as they are."""
    import torch

    from iconet.physics.degradation import DegradationMix
    from iconet.physics.slice_mix import SliceMix

    count = len(case.stack)
    chosen = np.unique(np.rint(np.linspace(0.2, 0.8, SLICES) * (count - 1)).astype(int))
    clean = torch.from_numpy(case.stack[chosen])[:, None]
    if draw == 0:
        return [image for image in clean[:, 0].numpy() if not is_constant(image)]
    through = recipe.task.kind == "through-plane"
    section = recipe.slice_profile if through else recipe.degradation
    mix = SliceMix(**section.model_dump()) if through else DegradationMix(**section.model_dump())
    seed = np.random.SeedSequence([SEED, draw, *case.name.encode()]).generate_state(1)
    generator = torch.Generator().manual_seed(int(seed[0]))
    # One way for a scan: what a scanner does to one slice it does to all.
    state = generator.get_state()
    low = []
    for image in clean:
        generator.set_state(state)
        low.append(mix(image[None], recipe.scale, generator, torch.ones(1, 1, 1, 1))[0, 0].numpy())
    return [image for image in low if not is_constant(image)]


def familiar_with(
    model: Model, recipe: "Recipe", training: Sequence[Case], validation: Sequence[Case]
) -> "tuple[Familiar | None, dict[str, tuple[float, float]]]":
    """What a network knows: its features on training scans, and what these scans are like.

    Args:
        model: of magnitude images; of others there is only the spacing.
        recipe: that it was trained by.
        training: scans of its training.
        validation: others, which say how far is usual: 5 % of them are farther. Scans of other
            scanners are usual too, see `_of_other_sets`.
    """
    import torch

    from iconet.network.trust import Familiar

    known: dict[str, list[Tensor]] = {}
    noises: list[float] = []
    sizes = [case.spacing for case in training if case.spacing]
    for case in training:
        for draw in range(DRAWS):
            given = given_slices(case, recipe, draw)
            vectors = features([middle_of(image) for image in given], model)
            if vectors is None:
                return None, {"spacing": (min(sizes), max(sizes))} if sizes else {}
            known.setdefault(case.dataset, []).append(vectors)
            if (noise := properties(given, model).noise) is not None:
                noises.append(noise)
    familiar = Familiar.of(torch.cat([each for group in known.values() for each in group]))
    far = []
    for case in validation:
        for draw in range(DRAWS + 1):
            vectors = features([middle_of(i) for i in given_slices(case, recipe, draw)], model)
            if vectors is not None:
                far.append(float(np.median(familiar.distance(vectors).numpy())))
    usual = max(float(np.quantile(far, 0.95)), _of_other_sets(known))
    familiar = replace(familiar, furthest=round(usual, 4))
    ranges = {"noise": (round(min(noises), 5), round(max(noises), 5))}
    if sizes:  # as they are, and as coarse as training made them
        coarse = recipe.scale * max(sizes)
        ranges["spacing"] = (round(min(sizes), 3), round(coarse, 3))
    return familiar, ranges


def _of_other_sets(known: "Mapping[str, Sequence[Tensor]]") -> float:
    """How far scans of a scanner are that the network does not know.

    Each data set is left out in turn; of what 5 % of its scans exceed, the median over data sets.

    Args:
        known: vectors (N, F) of each scan, by data set; 0 is the answer for fewer than two.
    """
    import torch

    from iconet.network.trust import Familiar

    far = []
    for left_out, group in known.items() if len(known) > 1 else ():
        others = [each for name, scans in known.items() if name != left_out for each in scans]
        familiar = Familiar.of(torch.cat(others))
        distances = [float(familiar.distance(vectors).median()) for vectors in group]
        far.append(np.quantile(distances, 0.95))
    return float(np.median(far)) if far else 0.0


def with_factors(head: "IntervalHead", factors: Sequence[float]) -> "IntervalHead":
    """A head whose distances are multiplied."""
    import torch

    head.factors.copy_(torch.tensor(factors, dtype=torch.float32))
    return head
