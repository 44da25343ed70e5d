"""One stage: an artifact-free image at the input's size and an image twice as large.

The paper: two branches side by side, the reconstruction prior guiding super-resolution, exchanging
several times. Ours: the grids they work on, and an image written at every exchange.
"""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from iconet.network.config import ICONetConfig
from iconet.network.fusion import SRRecFusion
from iconet.network.grids import to_half_grid, to_pixels, whole_cells
from iconet.network.interpolation import SincInterpolation
from iconet.network.kspace.consistency import DataConsistency, EnforceConsistency
from iconet.network.rscfl import RSCFL


class StageOutput(NamedTuple):
    """What a stage of the cascade returns.

    Attributes:
        reconstruction: (B, c, H, W), the artifact-free image at the stage's input size (the prior).
        super_resolution: (B, c, 2H, 2W).
        interval: (B, 2, 2H, 2W), distances from the magnitude of that image down to the 5 % and up
            to the 95 % quantile of the truth; None but in the last stage of a network with an
            `iconet.network.interval.IntervalHead`.
    """

    reconstruction: Tensor
    super_resolution: Tensor
    interval: Tensor | None = None

    def each(self, change: Callable[[Tensor], Tensor]) -> "StageOutput":
        """Both images changed alike."""
        return self._replace(
            reconstruction=change(self.reconstruction),
            super_resolution=change(self.super_resolution),
        )


class Stage(nn.Module):
    """Reconstruction branch and super-resolution branch side by side, talking several times.

    What makes an image artifact-free is not fine detail but where things are, far and near. So the
    reconstruction branch works on a grid of half as many pixels per axis, at a quarter of the cost
    and seeing twice as far; the detail is the other branch's.

    Where samples may be known (complex images) every exchange ends with a reconstructed image. It
    is made consistent with the samples and goes back into the branch's features: the iterations of
    the collaboration are those of an unrolled reconstruction.

    Args:
        config: Settings of the network.
        number: Which stage of the cascade, counted from 0.
    """

    def __init__(self, config: ICONetConfig, number: int) -> None:
        super().__init__()
        channels, width = config.channels, config.width
        exchanges, span = config.exchanges_of(number), config.span_of(number)

        def blocks(units: int) -> nn.ModuleList:
            first = config.spatial_first
            return nn.ModuleList(
                RSCFL(width, units, span, described=config.described, spatial_first=first)
                for _ in range(exchanges)
            )

        self.head_rec = nn.Conv2d(4 * channels, width, 3, padding=1)
        self.head_sr = nn.Conv2d(channels, width, 3, padding=1)
        self.rec_blocks = blocks(config.rec_units)
        self.sr_blocks = blocks(config.sr_units)
        self.fusions = nn.ModuleList(SRRecFusion(width) for _ in range(exchanges))
        # One image at the end is enough where no samples can be known.
        images = exchanges if channels == 2 else 1
        self.rec_to_image = nn.ModuleList(
            nn.Conv2d(width, 4 * channels, 3, padding=1) for _ in range(images)
        )
        self.image_to_rec = nn.ModuleList(
            nn.Conv2d(4 * channels, width, 3, padding=1) for _ in range(images - 1)
        )
        self.sr_to_image = nn.Conv2d(width, 4 * channels, 3, padding=1)
        for tail in (*self.rec_to_image, self.sr_to_image):
            # Training starts near plain interpolation, with small weights, not zeros: a stage that
            # is zero at its end and in its blocks learns slowly at first (docs/experiments).
            bound = 0.17 * (9 * width) ** -0.5
            nn.init.uniform_(tail.weight, -bound, bound)
            nn.init.zeros_(tail.bias)
        self.interpolate = SincInterpolation()
        self.consistency = nn.ModuleList(
            DataConsistency() for _ in range(images + 1 if channels == 2 else 0)
        )

    def forward(
        self,
        image: Tensor,
        earlier: Tensor | None,
        enforce: EnforceConsistency | None,
        description: Tensor | None = None,
    ) -> tuple[StageOutput, Tensor]:
        """Run the stage.

        Args:
            image: (B, c, H, W).
            earlier: (B, C, H', W') features of the stage before, H' and W' the next multiples of 8;
                None in the first.
            enforce: Makes an image consistent with measured samples, by a layer for it; None where
                there are none.
            description: (B, described) of the first stage's image; None in networks without.

        Returns:
            The two images, and the super-resolution features (B, C, H', W') for the next stage.
        """
        rec, sr = self.head_rec(to_half_grid(image)), self.head_sr(whole_cells(image))
        if earlier is not None:
            sr = sr + earlier
        shallow, reconstruction = sr, image
        for i, (rec_block, sr_block, fuse) in enumerate(
            zip(self.rec_blocks, self.sr_blocks, self.fusions, strict=True)
        ):
            rec, sr = fuse(rec_block(rec, description), sr_block(sr, description))
            last = i == len(self.fusions) - 1
            if last or self.image_to_rec:
                correction = self.rec_to_image[-1 if last else i](rec)
                reconstruction = reconstruction + to_pixels(correction, like=image)
                if enforce is not None:
                    reconstruction = enforce(reconstruction, self.consistency[i])
            if not last and self.image_to_rec:
                rec = rec + self.image_to_rec[i](to_half_grid(reconstruction))
        sr = sr + shallow
        return StageOutput(reconstruction, self.upscale(reconstruction, sr, enforce)), sr

    def first_exchange(self, image: Tensor, description: Tensor | None) -> tuple[Tensor, Tensor]:
        """Reconstruction and SR features of an image (B, c, H, W) once the branches have talked."""
        rec, sr = self.head_rec(to_half_grid(image)), self.head_sr(whole_cells(image))
        rec, sr = self.rec_blocks[0](rec, description), self.sr_blocks[0](sr, description)
        fused: tuple[Tensor, Tensor] = self.fusions[0](rec, sr)
        return fused

    def upscale(
        self, reconstruction: Tensor, sr: Tensor, enforce: EnforceConsistency | None
    ) -> Tensor:
        """Add to the enlarged reconstruction what the SR features (B, C, H', W') know beyond it.

        Interpolating the reconstruction, not the input, makes the prior carry the SR image.
        """
        enlarged = self.interpolate(reconstruction)
        image: Tensor = enlarged + to_pixels(self.sr_to_image(sr), like=enlarged)
        return image if enforce is None else enforce(image, self.consistency[-1])
