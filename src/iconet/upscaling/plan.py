"""The grid that was asked for, and the steps that lead to it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from iconet.errors import InputError
from iconet.images import Scan, check_upscalable, slice_axis_of
from iconet.images.kind import Kind, kind_of
from iconet.images.kind.kinds import MAP, MR, PET, PROBABILITIES, refuse_phase
from iconet.images.own import refuse_own
from iconet.upscaling.models import Models, Step
from iconet.upscaling.one_axis import planes_containing
from iconet.upscaling.options import Options
from iconet.upscaling.recovery import Recovery, find_recovery, finite
from iconet.upscaling.regrid import as_stack
from iconet.upscaling.way import find_way
from iconet.zoo.model import Model, trained_for

SAME = 1e-5
"""Relative difference of two spacings that is rounding of a header."""


IMAGE = Kind("MR", "nothing else is said")
SEEMS = {
    "block means": "its voxels seem to be means over smaller ones",
    "cubic interpolation": "it seems to have been made smaller by cubic interpolation",
    "linear interpolation": "it seems to have been made smaller by linear interpolation",
    "another way": "it seems to have been blurred, filtered or interpolated",
}
"""What is said of the ways of `iconet.network.description.WAYS`, but for crops of k-space."""

SHARED = "block means"
"""The way of PET: what was counted in a voxel is shared among its new voxels, so none is lost."""

LABEL_BY_LABEL = "label by label: no new values, and no label is lost"
LINEARLY = "by means of neighbours, which stay within their range"


@dataclass(frozen=True)
class GridPlan:
    """How a scan comes to the grid that was asked for.

    The steps make every axis at least as fine as wanted, and a resampling ends on the grid. It is
    the last for axes that become coarser too: where their new voxels do not fill the field of view
    the networks would have to continue a cut image.

    Attributes:
        across: the axis across the slices; 2, the missing one, for a 2-D image.
        steps: in order: along single axes first, the coarsest before others, then in the plane.
            None of them where the scan is interpolated.
        shape: voxels of the result, spatial axes.
        ratios: new over old spacing along each.
        kind: of image, see `iconet.images.kind`.
        interpolated: whether no network takes part.
        recovery: how the slices are brought to what was acquired first; None if they are that.
    """

    across: int
    steps: tuple[Step, ...]
    shape: tuple[int, ...]
    ratios: tuple[float, ...]
    kind: Kind = IMAGE
    interpolated: bool = False
    recovery: Recovery | None = None

    @property
    def acquisition(self) -> Recovery | Step | None:
        """How the slices came about, if not as a crop of k-space on their own matrix."""
        if self.recovery is not None:
            return self.recovery
        return next((step for step in self.steps if step.way is not None), None)

    def gain(self, axis: int) -> float:
        """How many times finer an axis is after the steps; less where it was reduced before."""
        share = 1.0 if self.recovery is None else self.recovery.share(axis)
        return share * math.prod(step.factor for step in self.steps if axis in step.axes)

    @property
    def finest(self) -> float:
        """How many times finer the axis becomes that gains most; by the networks, if there are."""
        if self.interpolated or self.recovery is not None:
            return round(1 / min(self.ratios), 2)
        return round(max(self.gain(axis) for axis in range(len(self.shape))), 2)

    @property
    def instead(self) -> str | None:
        """How the scan is enlarged without a network; None where one takes part."""
        if not self.interpolated:
            return None
        kind = self.kind
        if kind.labels:
            return f"{kind.name}: enlarged {LABEL_BY_LABEL}"
        if kind.name == PROBABILITIES:
            return f"{kind.name}: enlarged {LINEARLY}"
        if kind.complex_part:
            return f"{kind.name}: no shipped model was trained for it"
        return f"{kind.name}: no shipped model enlarges it along these axes so many times"

    @property
    def resampled(self) -> list[int]:
        """Axes that the steps do not bring to the wanted spacing."""
        return [
            axis
            for axis, ratio in enumerate(self.ratios)
            if abs(ratio * self.gain(axis) - 1) > SAME
        ]

    def __str__(self) -> str:
        """For people, such as "8x along k, slices across k, i and j resampled"."""
        parts = [
            f"{self._along(axis)}x along {'ijk'[axis]}"
            for axis in range(3)
            if self._along(axis) > 1
        ]
        if any(len(step.axes) == 2 for step in self.steps):
            parts += [
                "one slice" if len(self.shape) == 2 else f"slices across {'ijk'[self.across]}"
            ]
        verb = "interpolated" if self.interpolated else "resampled"
        if self.kind.labels:
            verb = "label by label"
        if resampled := ["ijk"[axis] for axis in self.resampled]:
            parts += [f"{' and '.join(resampled)} {verb}"]
        return ", ".join(parts)

    def _along(self, axis: int) -> int:
        return math.prod(step.factor for step in self.steps if step.axes == (axis,))


def plan_grid(scan: Scan, models: Models, options: Options) -> GridPlan:
    """Decide which networks lead to the grid that was asked for, or that none is suited.

    Args:
        scan: as read.
        models: what enlarges by how much.
        options: the grid, and the plane of the slices; two axes named there are the plane if it is
            "auto".

    Raises:
        InputError: the scan cannot be brought there.
    """
    if not options.again:
        refuse_own(scan)
    sizes = scan.array.shape[:3]
    dimensions = len(sizes)
    across = slice_axis_of(scan, options.plane)
    named = [] if options.axes == "auto" else sorted("ijk".index(axis) for axis in options.axes)
    if named and named[-1] >= dimensions:
        raise InputError(f"{scan.name}: is one slice without an axis k; give axes i, j or both")
    if options.plane == "auto" and dimensions == 3 and len(named) == 2:
        across = 3 - sum(named)
    in_plane = [axis for axis in range(dimensions) if axis != across]
    if options.by_spacing:
        ratios, shape = _by_spacing(scan, named, options)
    else:
        ratios, shape = _by_factor(scan, named or _own_axes(scan, across, models), models)
    kind = kind_of(scan, options.kind)
    refuse_phase(kind, scan.name)
    found = _steps(ratios, scan.spacing, in_plane, models)
    steps = [step._replace(modality=kind.modality) for step in found]
    _check_steps(scan, across, steps)
    grid = across, tuple(shape), tuple(ratios)
    interpolated = models.interpolate(kind, steps)
    in_plane_steps = any(len(step.axes) == 2 for step in steps)
    without = interpolated or not in_plane_steps or not (kind.modality == MR or models.only)
    if options.names_acquisition and without:
        anyway = in_plane_steps and not (kind.labels or kind.name == PROBABILITIES)
        raise InputError(
            f"{scan.name}: --acquired and --window are for slices that a model enlarges in their"
            " plane; " + ("give --model too" if anyway else "omit them")
        )
    if interpolated:
        return GridPlan(grid[0], (), *grid[1:], kind, interpolated=True)
    recovery = None
    if in_plane_steps:
        recovery = find_recovery(scan, across, options, kspace=kind.in_kspace)
    if recovery is not None:
        steps = _steps(ratios, scan.spacing, in_plane, models, recovery)
    elif kind.in_kspace and not options.as_stored:
        steps = _told(scan, across, steps, models)
    elif kind.name == PET:
        steps = [s._replace(way=SHARED) if len(s.axes) == 2 else s for s in steps]
    return GridPlan(grid[0], tuple(steps), *grid[1:], kind, recovery=recovery)


def remarks(scan: Scan, plan: GridPlan, models: Models) -> list[str]:
    """Lines that say what was guessed of a scan, and where the models were not trained for it."""
    kind, what = plan.kind, f"{scan.name}: {plan.kind.noun}"
    if plan.interpolated:
        return [f"{what}{_without_network(kind, models)}"]
    found = [f"{scan.name}: {kind.doubt}"] if kind.doubt else []
    if kind.name == MAP:
        unit = f", in {kind.unit}" if kind.unit else ""
        found.append(f"{what} ({kind.why}){unit}: enlarged as images are, near the values around")
    if plan.recovery is not None:
        found.append(f"{scan.name}: {plan.recovery}")
    for step in plan.steps:
        if step.modality != MR:
            by = models(step).name
            found += [] if models.only else [f"{what} ({kind.why}): enlarged by {by}"]
        elif step.way is not None:
            by = models(step).name or "the model"
            instead = "" if models.only else f" (--model mri-x{step.factor} if it is as acquired)"
            found.append(f"{scan.name}: {SEEMS[step.way]}: enlarged by {by}{instead}")
    return found + unsuited(scan, plan, models)


def unsuited(scan: Scan, plan: GridPlan, models: Models) -> list[str]:
    """Lines that say of which models a scan is no image that they were trained for."""
    kind = plan.kind
    what = f"{scan.name}: {kind.noun}"
    return [
        f"{what}, for which {model.name or 'the model'} was not trained ({model.purpose}): its"
        " result may be worse than interpolation"
        for model in taking_part(plan, models)
        if kind.complex_part or not trained_for(model.purpose, kind.modality)
    ]


def _without_network(kind: Kind, models: Models) -> str:
    """How a kind is enlarged that no network is for, after what it is."""
    if kind.labels:
        return f" ({kind.why}): enlarged {LABEL_BY_LABEL}; --kind mr if it is an image"
    if kind.name == PROBABILITIES:
        return f" ({kind.why}): enlarged {LINEARLY}; --kind mr if it is an image"
    anyway = f"--model {models.chosen.name or 'NAME'} runs one all the same"
    if kind.complex_part:
        return f" ({kind.why}): enlarged by interpolation, as its other part must be; {anyway}"
    return (
        ", which no shipped model enlarges along these axes so many times: enlarged by"
        f" interpolation; {anyway}"
    )


def taking_part(plan: GridPlan, models: Models) -> list[Model]:
    """The models of a plan, in the order in which they run."""
    return list(dict.fromkeys(models(step) for step in plan.steps))


def _by_spacing(
    scan: Scan, named: Sequence[int], options: Options
) -> tuple[list[float], list[int]]:
    """New over old spacing along each axis, and voxels, for a result given in millimetres."""
    if scan.affine is None:
        raise InputError(f"{scan.name}: has no spacing in mm; give a scale and axes instead")
    sizes, spacing = scan.array.shape[:3], scan.spacing
    ratios, shape = [1.0] * len(sizes), list(sizes)
    millimetres = options.millimetres(len(sizes)) or (min(spacing),) * len(sizes)
    # A single slice has no neighbours; it becomes thinner for nobody who did not ask for it.
    for axis in named or [axis for axis, size in enumerate(sizes) if size > 1]:
        ratio = millimetres[axis] / spacing[axis]
        if abs(ratio - 1) > SAME:
            ratios[axis], shape[axis] = ratio, max(1, round(sizes[axis] / ratio))
    if min(ratios) >= 1:
        mm = " x ".join(f"{length:.4g}" for length in spacing)
        raise InputError(
            f"{scan.name}: voxels of {mm} mm have nothing to gain; give a finer spacing"
        )
    return ratios, shape


def _by_factor(scan: Scan, axes: Sequence[int], models: Models) -> tuple[list[float], list[int]]:
    """As `_by_spacing`, for axes that become finer by the chosen model's scale."""
    sizes, factor = scan.array.shape[:3], models.chosen.scale
    ratios, shape = [1.0] * len(sizes), list(sizes)
    for axis in axes:
        ratios[axis], shape[axis] = 1 / factor, sizes[axis] * factor
    return ratios, shape


def _own_axes(scan: Scan, across: int, models: Models) -> list[int]:
    """The axes that become finer where none are named."""
    dimensions = len(scan.array.shape[:3])
    if not (models.only and models.chosen.one_axis):
        return [axis for axis in range(dimensions) if axis != across]
    if dimensions == 2:
        raise InputError(f"{scan.name}: is one slice; give axes i or j, or another model")
    return [across]


def _check_steps(scan: Scan, across: int, steps: Sequence[Step]) -> None:
    """Refuse steps along an axis, or in a plane, that has too few voxels."""
    sizes = scan.array.shape[:3]
    if any(len(step.axes) == 2 for step in steps):
        check_upscalable(scan, across)
    for step in steps:
        if len(step.axes) == 1 and (
            sizes[step.axes[0]] < 2 or not planes_containing(step.axes[0], sizes)
        ):
            raise InputError(
                f"{scan.name}: too narrow to become finer along {'ijk'[step.axes[0]]}; give 2 or "
                "more voxels along it and another axis, or other --axes"
            )


def _steps(
    ratios: Sequence[float],
    spacing: Sequence[float],
    in_plane: Sequence[int],
    models: Models,
    recovery: Recovery | None = None,
) -> list[Step]:
    """Both axes of the plane together as far as both need it; what is missing along single axes.

    Single axes come first: the network for them was trained on voxels longer along its axis.
    From slices that were reduced to what was acquired the plane comes by whole stages as near to
    the grid as it can, and a resampling does the rest.
    """
    missing = [1 / ratio for ratio in ratios]
    if recovery is not None:
        missing = [times / recovery.share(axis) for axis, times in enumerate(missing)]
    plane: list[Step] = []
    if len(in_plane) == 2 and min(missing[axis] for axis in in_plane) > 1:
        both = min(missing[axis] for axis in in_plane)
        if recovery is not None:
            both = 2 ** max(1, round(math.log2(both)))
        factors = models.factors(2)
        if recovery is not None and any(recovery.share(axis) < 1 for axis in in_plane):
            # One by one, so that the band of the scan as it was stored is made by the first alone,
            # as it is where nothing was interpolated.
            factors = tuple(sorted(factors))
        plane = [Step(tuple(in_plane), factor) for factor in _cascade(both, factors)]
        for axis in in_plane:
            missing[axis] /= math.prod(step.factor for step in plane)
    single = [
        Step((axis,), factor)
        for axis in sorted(range(len(ratios)), key=lambda axis: -spacing[axis])
        if missing[axis] > 1 + SAME and not (recovery is not None and axis in in_plane)
        for factor in _cascade(missing[axis], models.factors(1))
    ]
    return single + plane


def _told(scan: Scan, across: int, steps: Sequence[Step], models: Models) -> list[Step]:
    """The steps, of which the first in the slices' plane knows how these lost their resolution."""
    told = list(steps)
    first = next((index for index, step in enumerate(steps) if len(step.axes) == 2), None)
    if first is not None and (network := models.telling(steps[first])) is not None:
        stack = finite(as_stack(scan.first_volume, across))
        told[first] = steps[first]._replace(way=find_way(network, stack, named=models.only))
    return told


def _cascade(times: float, factors: Sequence[int]) -> list[int]:
    """Factors whose product is the least that is enough, the largest first."""
    chosen = []
    left = 2 ** math.ceil(math.log2(times) - SAME)
    while left > 1:
        chosen.append(next((factor for factor in factors if factor <= left), factors[-1]))
        left = -(-left // chosen[-1])
    return chosen
