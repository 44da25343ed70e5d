"""Which network takes which step of a job."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from iconet import zoo
from iconet.errors import InputError
from iconet.images.kind import Kind
from iconet.images.kind.kinds import PROBABILITIES
from iconet.upscaling.way import telling
from iconet.zoo.model import Model

if TYPE_CHECKING:
    from iconet.network import ICONet

ANY = "mri-any-x{}"
"""Of slices that lost their resolution in any way, the name."""

OTHERS = {"CT": "ct-x{}", "PET": "pet-x{}"}
"""Of slices that are no MR images, the names. Those that are not shipped are not chosen."""


class Step(NamedTuple):
    """One run of a network: these voxel axes (one, or two together) become so many times finer.

    Attributes:
        axes: one, or the two of a plane.
        factor: how many times finer.
        way: how the slices lost their resolution, if not as a crop of k-space; see
            `iconet.upscaling.way`.
        modality: "MR", "CT" or "PET".
    """

    axes: tuple[int, ...]
    factor: int
    way: str | None = None
    modality: str = "MR"


class Models:
    """The networks of a job: one for everything, or the package's own for each kind of step.

    Args:
        chosen: for every step if `only`, else for slices in their plane where its scale fits.
        only: whether the user named it. A model trained for slices in their plane then takes the
            steps along a single axis too, which one trained for these does better.
        device: where to load others.
    """

    def __init__(self, chosen: Model, *, only: bool = True, device: str = "cpu") -> None:
        self.chosen, self.only, self.device = chosen, only, device
        self._loaded: dict[str, Model] = {}

    @property
    def weights(self) -> list[str | None]:
        """The SHA-256 of all files of weights that may take part."""
        found = [self.chosen.sha256]
        if not self.only:
            known = {entry.name: entry.sha256 for entry in zoo.catalogue()}
            steps = [Step(axes, factor) for factor in (2, 4) for axes in ((0,), (0, 1))]
            names = [name for step in steps for name in _names(step)]
            names += [name.format(factor) for name in (ANY, *OTHERS.values()) for factor in (2, 4)]
            found += [known[name] for name in names if name in known]
        return list(dict.fromkeys(found))

    def interpolate(self, kind: Kind, steps: Sequence[Step]) -> bool:
        """Whether no network is run: the user named none, and none shipped is for one of the steps.

        None is for labels, probabilities, and the parts of complex images, whose magnitude and
        phase would not come out right.
        """
        if kind.labels or kind.name == PROBABILITIES:
            return True
        known = {entry.name for entry in zoo.catalogue()}
        return not self.only and (
            kind.complex_part or not all(known.intersection(_names(step)) for step in steps)
        )

    def factors(self, axes: int) -> tuple[int, ...]:
        """By how much a step along so many axes, 1 or 2, can enlarge them; the largest first.

        Raises:
            InputError: the user's network enlarges one axis only and two are to be.
        """
        if not self.only:
            return (4, 2)
        if axes == 2 and self.chosen.one_axis:
            raise InputError(
                "the model enlarges one axis only, such as that across thick slices: give the axis "
                "by --axes, or another model"
            )
        return (self.chosen.scale,)

    def __call__(self, step: Step) -> Model:
        """The model for a step."""
        plain = len(step.axes) == 2 and step.factor == self.chosen.scale and step.way is None
        if self.only or (plain and step.modality == "MR"):
            return self.chosen
        known = [entry.name for entry in zoo.catalogue()]
        return self._load(next(name for name in _names(step) if name in known))

    def telling(self, step: Step) -> "ICONet | None":
        """What tells how slices lost their resolution before this step; None for nothing."""
        if self.only:
            return telling(self.chosen.network)
        name = ANY.format(step.factor)
        known = name in [entry.name for entry in zoo.catalogue()]
        return telling(self._load(name).network) if known else None

    def _load(self, name: str) -> Model:
        if name not in self._loaded:
            self._loaded[name] = Model.of(zoo.load(name, device=self.device))
        return self._loaded[name]


def _names(step: Step) -> list[str]:
    """The package's models for a step, the best first."""
    if step.modality in OTHERS:
        return [OTHERS[step.modality].format(step.factor)] if len(step.axes) == 2 else []
    plain = f"mri-x{step.factor}"
    if len(step.axes) == 1:
        return [f"mri-slice-x{step.factor}", plain]
    return [plain] if step.way is None else [ANY.format(step.factor), plain]
