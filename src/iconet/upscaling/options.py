"""What the user asked for, from the command line or `iconet.upscale` down to the slices."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from iconet.errors import InputError
from iconet.images.kind import KINDS

if TYPE_CHECKING:
    from iconet.network import ICONet

SPACINGS = (1e-3, 1e3)
"""Millimetres that are no typing error."""


@dataclass(frozen=True)
class Options:
    """How to upscale.

    The fields are the arguments of `iconet.upscale`, which documents them, and ``scale``: 2 or 4,
    chooses the model where none is named.

    Raises:
        InputError: An option that no scan could be given, or two that contradict each other.
    """

    model: "str | os.PathLike[str] | ICONet | None" = None
    scale: int | None = None
    plane: str = "auto"
    axes: str = "auto"
    spacing: str | float | Sequence[float] | None = None
    isotropic: bool = False
    device: str = "auto"
    precision: str = "auto"
    backend: str = "auto"
    batch: int | None = None
    tile: int | None = None
    series: str | int | None = None
    acquired: str = "auto"
    window: str = "auto"
    kind: str = "auto"
    volume: int | None = None
    allow_missing: bool = False
    again: bool = False
    complex: bool = False
    uncertainty: bool = False
    best: bool = False
    strict: bool = False

    def __post_init__(self) -> None:
        """Refuse what no scan could be given."""
        self._check_types()
        axes = set(self.axes)
        if self.axes != "auto" and (
            not axes <= set("ijk") or len(axes) != len(self.axes) or not axes
        ):
            raise InputError(f"axes {self.axes}: give auto, or some of i, j and k, such as k or ij")
        if self.isotropic and self.spacing is not None:
            raise InputError("--spacing and --isotropic can't be combined; give one")
        if self.kind != "auto" and self.kind.lower() not in KINDS:
            raise InputError(f"kind {self.kind}: give auto, {', '.join(KINDS)}")
        self.millimetres(3)
        self.matrix  # noqa: B018 - refuses what is none
        if self.window not in ("auto", "none"):
            from iconet.physics.window import window_named

            window_named(self.window)
        if self.scale is not None and self.by_spacing:
            raise InputError(f"scale {self.scale} and a spacing: give only one")
        if self.best and self.scale == 1:
            raise InputError(
                "--best and --scale 1 can't be combined; --best is for networks that enlarge"
            )
        if self.uncertainty and (self.complex or self.scale == 1):
            other = "--complex" if self.complex else "--scale 1"
            raise InputError(
                f"--uncertainty and {other} can't be combined; bounds are those of magnitudes that"
                " a network enlarged"
            )

    @property
    def as_stored(self) -> bool:
        """Whether slices are to be taken as they are."""
        return self.acquired == "off" and self.window == "none"

    def _check_types(self) -> None:
        for name in ("plane", "axes", "device", "precision", "backend", "acquired", "window"):
            if not isinstance(value := getattr(self, name), str):
                raise InputError(f"{name} {value!r}: give a text, see the help of iconet.upscale")
        for name in ("scale", "batch", "tile"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
                raise InputError(f"{name} {value!r}: give a whole number")

    @property
    def by_spacing(self) -> bool:
        """Whether the result is given in millimetres, not in times as many voxels."""
        return self.isotropic or self.spacing is not None

    @property
    def own_grid(self) -> bool:
        """Whether the result is something else than the plane of the slices, enlarged."""
        return self.by_spacing or self.axes != "auto"

    @property
    def deciding(self) -> dict[str, Any]:
        """The options that decide on a result beside its weights; what JSON can hold."""
        names = ("plane", "axes", "spacing", "isotropic", "series", "tile", "precision", "backend")
        given = {name: getattr(self, name) for name in (*names, "acquired", "window", "kind")}
        # Only where they are given: results made before there were these stay finished.
        if self.volume is not None:
            given["volume"] = self.volume
        if self.allow_missing:
            given["allow_missing"] = True
        if self.uncertainty:
            given["uncertainty"] = True
        if self.best:
            given["best"] = True
        if self.scale == 1:
            given["scale"] = 1  # others choose the weights, which decide
        if self.complex:
            given["complex"] = True
        return given

    def refuse_for_images(self) -> None:
        """Refuse what only raw k-space has.

        Raises:
            InputError: It is asked for.
        """
        if self.scale == 1:
            raise InputError(
                "--scale 1 reconstructs raw k-space and an image is reconstructed already; "
                "give 2 or 4"
            )
        if self.complex:
            raise InputError("--complex is for raw k-space; leave it out for an image")

    @property
    def names_acquisition(self) -> bool:
        """Whether the user says what was acquired, or through which window."""
        return self.matrix is not None or self.window not in ("auto", "none")

    @property
    def matrix(self) -> tuple[int, int] | None:
        """The acquired matrix that was given, along the first and the second axis of the plane.

        Raises:
            InputError: Neither auto nor off nor two numbers.
        """
        if self.acquired in ("auto", "off"):
            return None
        found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", self.acquired.lower())
        if found is None or "0" in found.groups():
            raise InputError(
                f"acquired {self.acquired}: give auto, off, or the acquired matrix along the"
                " slices' two axes, such as 192x256"
            )
        return int(found[1]), int(found[2])

    def millimetres(self, axes: int) -> tuple[float, ...] | None:
        """The spacing along each of so many axes; None if none was given.

        Raises:
            InputError: No numbers, too many or too few, or no lengths.
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
