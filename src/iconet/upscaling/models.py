"""Which network takes which step of a job."""

import json
from typing import TYPE_CHECKING

from iconet.errors import InputError

if TYPE_CHECKING:
    from iconet.network import ICONet
    from iconet.upscaling.plan import Step


def weights_of(network: "ICONet") -> str | None:
    """The SHA-256 of its file of weights; None for a network that was not loaded from one."""
    return getattr(network, "sha256", None)


class Models:
    """The networks of a job: one for everything, or the package's own for each kind of step.

    Args:
        network: the one that was chosen; for every step if `only`, else for slices in their plane
            where its scale fits.
        only: whether the user named it. A network trained for slices in their plane then takes the
            steps along a single axis too, which one trained for these does better.
        device: where to load others.
    """

    def __init__(self, network: "ICONet", *, only: bool = True, device: str = "cpu") -> None:
        self.network, self.only, self.device = network, only, device
        self._loaded: dict[str, ICONet] = {}

    @property
    def weights(self) -> list[str | None]:
        """The SHA-256 of all files of weights that may take part."""
        found = [weights_of(self.network)]
        if not self.only:
            from iconet import zoo

            known = {entry.name: entry.sha256 for entry in zoo.catalogue()}
            names = [name for factor in (2, 4) for axes in (1, 2) for name in _names(axes, factor)]
            found += [known[name] for name in names if name in known]
        return list(dict.fromkeys(found))

    @property
    def one_axis(self) -> bool:
        """Whether the network was trained to enlarge one axis and is of no use for two."""
        recipe = getattr(self.network, "metadata", {}).get("recipe", "{}")
        return bool(json.loads(recipe).get("task", {}).get("kind") == "through-plane")

    def factors(self, axes: int) -> tuple[int, ...]:
        """By how much a step along so many axes, 1 or 2, can enlarge them; the largest first.

        Raises:
            InputError: the user's network enlarges one axis only and two are to be.
        """
        if not self.only:
            return (4, 2)
        if axes == 2 and self.one_axis:
            raise InputError(
                "the model enlarges one axis only, such as that across thick slices: give the axis "
                "by --axes, or another model"
            )
        return (self.network.scale,)

    def __call__(self, step: "Step") -> "ICONet":
        """The network for a step."""
        axes, factor = len(step.axes), step.factor
        if self.only or (axes == 2 and factor == self.network.scale):
            return self.network
        from iconet import zoo

        known = [entry.name for entry in zoo.catalogue()]
        name = next(name for name in _names(axes, factor) if name in known)
        if name not in self._loaded:
            self._loaded[name] = zoo.load(name, device=self.device)
        return self._loaded[name]


def _names(axes: int, factor: int) -> list[str]:
    """The package's networks for a step along so many axes, the best first."""
    return [f"mri-x{factor}"] if axes == 2 else [f"mri-slice-x{factor}", f"mri-x{factor}"]
