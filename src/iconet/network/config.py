"""The settings of the architecture, all of them and nothing else."""

import math
from dataclasses import dataclass
from typing import Any

SIZES: dict[str, dict[str, int]] = {
    "tiny": {"width": 32, "exchanges": 2, "rec_units": 2, "sr_units": 3},
    "base": {"width": 32, "exchanges": 3, "rec_units": 2, "sr_units": 4},
    "large": {"width": 64, "exchanges": 3, "rec_units": 2, "sr_units": 4},
}

NEAREST = 3  # cells of a row: a cell itself and one to each side
WIDE = 17


@dataclass(frozen=True)
class ICONetConfig:
    """What an ICONet is made of.

    Attributes:
        scale: 2, 4 or 8: one, two or three stages, each 2x.
        channels: 1 for magnitude images, 2 for complex ones as real and imaginary part.
        width: Channels of each branch.
        exchanges: How often the branches talk in the first stage. Before each exchange both run one
            RSCFL block. Later stages have four times the pixels each and start from the features of
            the stage before: they talk half as often, rounded up.
        rec_units: Local units in each block of the reconstruction branch.
        sr_units: Local units in each block of the super-resolution branch.
        span: Cells of the coarse grid that the spatial path relates along the last axis, the
            phase-encoding direction; an odd number. Undersampling folds the image along that axis:
            with every fourth line, aliased copies lie a quarter of the field of view apart.
        spatial_first: Whether the spatial path comes before the channel path in a block. Aliased
            copies must be in view before local convolutions can separate them.
        described: How many numbers describe how an image lost its resolution; channel paths weigh
            their channels by them, and both paths of a block are side by side. With 0 the network
            is told nothing and the paths follow one another: enough for one way of losing it.
        spatial_in_later_stages: Whether stages after the first have a spatial path. An image that
            the first stage has unfolded needs none.

    Raises:
        ValueError: If ``scale`` is not 2, 4 or 8, or ``span`` is not odd.
    """

    scale: int = 2
    channels: int = 1
    width: int = 32
    exchanges: int = 3
    rec_units: int = 2
    sr_units: int = 4
    span: int = NEAREST
    spatial_first: bool = False
    spatial_in_later_stages: bool = True
    described: int = 0

    def __post_init__(self) -> None:
        stages_for(self.scale)
        if self.span < 1 or self.span % 2 == 0:
            raise ValueError(f"span {self.span} is not an odd number of cells")
        if self.described < 0:
            raise ValueError(f"described {self.described} is not a count of numbers")
        if self.described and (self.channels == 2 or self.spatial_first):
            raise ValueError("described is for magnitude images, whose paths are side by side")

    @classmethod
    def default(cls, scale: int = 2, channels: int = 1, **settings: Any) -> "ICONetConfig":
        """The settings for a kind of image, but for those given.

        Complex images get a wide span, magnitudes the nearest cells. Where the span is wide the
        spatial path comes first, and in the first stage only.
        """
        span = settings.setdefault("span", WIDE if channels == 2 else NEAREST)
        settings.setdefault("spatial_first", span > NEAREST)
        settings.setdefault("spatial_in_later_stages", span <= NEAREST)
        return cls(scale, channels, **settings)

    @property
    def stages(self) -> int:
        """Number of stages."""
        return stages_for(self.scale)

    def exchanges_of(self, stage: int) -> int:
        """How often the branches talk in a stage, counted from 0."""
        return (self.exchanges + 1) // 2 if stage else self.exchanges

    def span_of(self, stage: int) -> int | None:
        """Span of the spatial paths of a stage, counted from 0; None where there are none."""
        return self.span if stage == 0 or self.spatial_in_later_stages else None


def stages_for(scale: int) -> int:
    """Number of 2x stages for a scale of 2, 4 or 8.

    Raises:
        ValueError: For any other scale.
    """
    if scale not in (2, 4, 8):
        raise ValueError(f"scale {scale} is not one of 2, 4, 8")
    return int(math.log2(scale))
