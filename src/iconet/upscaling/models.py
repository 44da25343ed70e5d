"""Which network takes which step of a job."""

from typing import NamedTuple

from iconet import zoo
from iconet.errors import InputError
from iconet.images.kind import Kind
from iconet.images.kind.kinds import PROBABILITIES
from iconet.zoo.model import Model, trained_for


class Step(NamedTuple):
    """One run of a network: these voxel axes (one, or two together) become so many times finer."""

    axes: tuple[int, ...]
    factor: int


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
            names = [name for factor in (2, 4) for axes in (1, 2) for name in _names(axes, factor)]
            found += [known[name] for name in names if name in known]
        return list(dict.fromkeys(found))

    def interpolate(self, kind: Kind) -> bool:
        """Whether no network is run: the user named none, and none shipped is for this kind.

        None is for labels, probabilities, and the parts of complex images, whose magnitude and
        phase would not come out right.
        """
        if kind.labels or kind.name == PROBABILITIES:
            return True
        return not self.only and (
            kind.complex_part
            or not any(trained_for(entry.purpose, kind.modality) for entry in zoo.catalogue())
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
        axes, factor = len(step.axes), step.factor
        if self.only or (axes == 2 and factor == self.chosen.scale):
            return self.chosen
        known = [entry.name for entry in zoo.catalogue()]
        name = next(name for name in _names(axes, factor) if name in known)
        if name not in self._loaded:
            self._loaded[name] = Model.of(zoo.load(name, device=self.device))
        return self._loaded[name]


def _names(axes: int, factor: int) -> list[str]:
    """The package's models for a step along so many axes, the best first."""
    return [f"mri-x{factor}"] if axes == 2 else [f"mri-slice-x{factor}", f"mri-x{factor}"]
