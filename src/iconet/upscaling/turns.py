"""The flips and turns in which a network may see a slice, and its answers brought back.

A network answers a slice and its mirror image a little differently. The mean of its answers to all
of them is nearer to the truth than one of them (Lim et al., Enhanced deep residual networks, CVPR
Workshops 2017: self-ensemble).
"""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class Turn(NamedTuple):
    """A slice's axes reversed, and then exchanged.

    Attributes:
        reversed: which of the last two axes, as torch counts them.
        exchanged: whether rows become columns.
    """

    reversed: tuple[int, ...] = ()
    exchanged: bool = False

    def there(self, slices: "Tensor") -> "Tensor":
        """Slices (..., H, W) as the network gets them."""
        turned = slices.flip(self.reversed) if self.reversed else slices
        return turned.mT if self.exchanged else turned

    def back(self, slices: "Tensor") -> "Tensor":
        """The reverse of `there`."""
        turned = slices.mT if self.exchanged else slices
        return turned.flip(self.reversed) if self.reversed else turned


AS_THEY_ARE = (Turn(),)
KEEPING_AXES = tuple(Turn(axes) for axes in ((), (-1,), (-2,), (-2, -1)))
"""For networks that make one axis finer, which must stay where they expect it."""

ALL = (*KEEPING_AXES, *(Turn(turn.reversed, exchanged=True) for turn in KEEPING_AXES))


def turns_of(best: bool, *, both_axes: bool) -> tuple[Turn, ...]:
    """Those that count.

    Args:
        best: whether more than one does.
        both_axes: whether the network treats rows and columns alike.
    """
    if not best:
        return AS_THEY_ARE
    return ALL if both_axes else KEEPING_AXES
