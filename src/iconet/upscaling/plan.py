"""The grid that was asked for, and the steps that lead to it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from iconet.errors import InputError
from iconet.images import Scan, check_upscalable, slice_axis_of
from iconet.upscaling.models import Models
from iconet.upscaling.one_axis import planes_containing

SAME = 1e-5
"""Relative difference of two spacings that is rounding of a header."""

SPACINGS = (1e-3, 1e3)
"""Millimetres that are no typing error."""


@dataclass(frozen=True)
class Wanted:
    """What the user asked for beside the plane of the slices; by default the model's scale there.

    Attributes:
        axes: the voxel axes that change, some of "ijk", or "auto": the two of the slices' plane
            (with a model for one axis: the one across the slices), and all where a spacing is
            given.
        spacing: millimetres, one number or one for each voxel axis, "0.5x0.5x1.0" or a sequence.
        isotropic: take the smallest spacing of the scan for all axes; of thick slices it is the
            one in their plane.
    """

    axes: str = "auto"
    spacing: str | float | Sequence[float] | None = None
    isotropic: bool = False

    def __post_init__(self) -> None:
        """Refuses what no scan could be given."""
        axes = set(self.axes)
        if self.axes != "auto" and (
            not axes <= set("ijk") or len(axes) != len(self.axes) or not axes
        ):
            raise InputError(f"axes {self.axes}: give auto, or some of i, j and k, such as k or ij")
        if self.isotropic and self.spacing is not None:
            raise InputError("a spacing and isotropic are two wishes: give one of them")
        self.millimetres(3)

    @property
    def by_spacing(self) -> bool:
        """Whether the result is given in millimetres, not in times as many voxels."""
        return self.isotropic or self.spacing is not None

    def millimetres(self, axes: int) -> tuple[float, ...] | None:
        """The spacing along each of so many axes; None if none was given.

        Raises:
            InputError: no numbers, too many or too few, or no lengths.
        """
        if self.spacing is None:
            return None
        try:
            if isinstance(self.spacing, str):
                given = [float(number) for number in self.spacing.lower().split("x")]
            elif isinstance(self.spacing, Sequence):
                given = [float(number) for number in self.spacing]
            else:
                given = [float(self.spacing)]
        except (TypeError, ValueError):
            raise InputError(
                f"spacing {self.spacing}: give millimetres, such as 1.0 or 0.5x0.5x1.0"
            ) from None
        low, high = SPACINGS
        if not all(low <= number <= high for number in given):
            raise InputError(f"spacing {self.spacing}: give {low:g} to {high:g} mm for each axis")
        if len(given) == 1:
            return (given[0],) * axes
        if len(given) < axes or len(given) > 3:
            raise InputError(f"spacing {self.spacing}: give one number, or one for each axis")
        return tuple(given[:axes])


class Step(NamedTuple):
    """One run of a network: these voxel axes (one, or two together) become so many times finer."""

    axes: tuple[int, ...]
    factor: int


@dataclass(frozen=True)
class Plan:
    """How a scan comes to the grid that was asked for.

    The steps make every axis at least as fine as wanted, and a resampling ends on the grid. It is
    the last for axes that become coarser too: where their new voxels do not fill the field of view
    the networks would have to continue a cut image.

    Attributes:
        across: the axis across the slices; 2, the missing one, for a 2-D image.
        steps: in order: along single axes first, the coarsest before others, then in the plane.
        shape: voxels of the result, spatial axes.
        ratios: new over old spacing along each.
    """

    across: int
    steps: tuple[Step, ...]
    shape: tuple[int, ...]
    ratios: tuple[float, ...]

    def gain(self, axis: int) -> int:
        """How many times finer the steps make an axis."""
        return math.prod(step.factor for step in self.steps if axis in step.axes)

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
        if resampled := ["ijk"[axis] for axis in self.resampled]:
            parts += [f"{' and '.join(resampled)} resampled"]
        return ", ".join(parts)

    def _along(self, axis: int) -> int:
        return math.prod(step.factor for step in self.steps if step.axes == (axis,))


def plan_grid(scan: Scan, models: Models, *, plane: str = "auto", wanted: Wanted) -> Plan:
    """Decide which networks lead to the grid that was asked for.

    Args:
        scan: as read.
        models: what enlarges by how much.
        plane: of the slices, see `iconet.images.slice_axis_of`. Two axes named in `wanted`
            are the plane if it is "auto".
        wanted: the grid.

    Raises:
        InputError: the scan cannot be brought there.
    """
    sizes, spacing = scan.array.shape[:3], scan.spacing
    dimensions = len(sizes)
    across = slice_axis_of(scan, plane)
    named = [] if wanted.axes == "auto" else sorted("ijk".index(axis) for axis in wanted.axes)
    if named and named[-1] >= dimensions:
        raise InputError(f"{scan.name}: is one slice without an axis k; give axes i, j or both")
    if plane == "auto" and dimensions == 3 and len(named) == 2:
        across = 3 - sum(named)
    in_plane = [axis for axis in range(dimensions) if axis != across]

    ratios, shape = [1.0] * dimensions, list(sizes)
    if wanted.by_spacing:
        if scan.affine is None:
            raise InputError(f"{scan.name}: has no spacing in mm; give a scale and axes instead")
        millimetres = wanted.millimetres(dimensions) or (min(spacing),) * dimensions
        # A single slice has no neighbours; it becomes thinner for nobody who did not ask for it.
        for axis in named or [axis for axis in range(dimensions) if sizes[axis] > 1]:
            ratio = millimetres[axis] / spacing[axis]
            if abs(ratio - 1) > SAME:
                ratios[axis], shape[axis] = ratio, max(1, round(sizes[axis] / ratio))
        if min(ratios) >= 1:
            mm = " x ".join(f"{length:.4g}" for length in spacing)
            raise InputError(
                f"{scan.name}: voxels of {mm} mm have nothing to gain; give a finer spacing"
            )
    else:
        factor = models.network.scale
        auto = in_plane
        if models.only and models.one_axis:
            if dimensions == 2 and not named:
                raise InputError(f"{scan.name}: is one slice; give axes i or j, or another model")
            auto = [across]
        for axis in named or auto:
            ratios[axis], shape[axis] = 1 / factor, sizes[axis] * factor

    steps = _steps(ratios, spacing, in_plane, models)
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
    return Plan(across, tuple(steps), tuple(shape), tuple(ratios))


def _steps(
    ratios: Sequence[float], spacing: Sequence[float], in_plane: Sequence[int], models: Models
) -> list[Step]:
    """Both axes of the plane together as far as both need it; what is missing along single axes.

    Single axes come first: the network for them was trained on voxels longer along its axis.
    """
    missing = [1 / ratio for ratio in ratios]
    plane: list[Step] = []
    if len(in_plane) == 2 and min(missing[axis] for axis in in_plane) > 1:
        both = min(missing[axis] for axis in in_plane)
        plane = [Step(tuple(in_plane), factor) for factor in _cascade(both, models.factors(2))]
        for axis in in_plane:
            missing[axis] /= math.prod(step.factor for step in plane)
    single = [
        Step((axis,), factor)
        for axis in sorted(range(len(ratios)), key=lambda axis: -spacing[axis])
        if missing[axis] > 1 + SAME
        for factor in _cascade(missing[axis], models.factors(1))
    ]
    return single + plane


def _cascade(times: float, factors: Sequence[int]) -> list[int]:
    """Factors whose product is the least that is enough, the largest first."""
    chosen = []
    left = 2 ** math.ceil(math.log2(times) - SAME)
    while left > 1:
        chosen.append(next((factor for factor in factors if factor <= left), factors[-1]))
        left = -(-left // chosen[-1])
    return chosen
