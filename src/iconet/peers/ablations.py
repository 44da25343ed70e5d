"""ICONet with one part taken out, to see what the part is worth."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from iconet.network import ICONet, StageOutput
from iconet.network.fusion import SRRecFusion
from iconet.network.grids import whole_cells
from iconet.network.interpolation import SincInterpolation
from iconet.network.kspace.consistency import EnforceConsistency
from iconet.network.rscfl import RSCFL, ChannelPath
from iconet.network.stage import Stage

Part = TypeVar("Part", bound=nn.Module)


def without_reconstruction_branch(network: ICONet) -> None:
    """The super-resolution branch alone; the reconstruction is the input itself."""
    for stage in _stages(network):
        stage.__class__ = _OneBranch
        for part in ("rec_blocks", "fusions", "rec_to_image", "image_to_rec", "head_rec"):
            delattr(stage, part)


def without_fusion(network: ICONet) -> None:
    """Two branches that never talk; the images still meet at the end."""
    for stage in _stages(network):
        stage.fusions = nn.ModuleList(_Silence() for _ in stage.fusions)


def with_one_way_fusion(network: ICONet) -> None:
    """The prior guides super-resolution and learns nothing from it, as in T2Net."""
    for fusion in _parts(network, SRRecFusion):
        fusion.to_reconstruction = _Nothing()  # type: ignore[assignment]


def without_gates(network: ICONet) -> None:
    """Fusion by the same weights everywhere."""
    for fusion in _parts(network, SRRecFusion):
        fusion.gates = _Certain(fusion.gates.out_channels)  # type: ignore[assignment]


def spatial_path_only(network: ICONet) -> None:
    """RSCFL without its dense convolutions: the coarse grid alone."""
    for block in _parts(network, RSCFL):
        block.channel = ChannelPath()


def channel_path_only(network: ICONet) -> None:
    """RSCFL without its coarse grid: dense convolutions alone."""
    for block in _parts(network, RSCFL):
        block.spatial = None


def direct(network: ICONet) -> None:
    """Scale 4 in one stage instead of twice 2x."""
    if network.scale != 4:
        raise ValueError("direct upscaling differs from the cascade at scale 4 only")
    stage = _stages(network)[0]
    channels, width = 4 * stage.sr_to_image.out_channels, stage.sr_to_image.in_channels
    tail = nn.Conv2d(width, channels, 3, padding=1)
    nn.init.normal_(tail.weight, std=0.1 * (9 * width) ** -0.5)
    nn.init.zeros_(tail.bias)  # type: ignore[arg-type]
    # The first of the two shuffles is here, the second the stage's own.
    stage.sr_to_image = nn.Sequential(tail, nn.PixelShuffle(2))  # type: ignore[assignment]
    stage.interpolate = nn.Sequential(SincInterpolation(), SincInterpolation())  # type: ignore[assignment]
    network.stages = nn.ModuleList([stage])
    network.handovers = nn.ModuleList()


def consistency_at_the_end_only(network: ICONet) -> None:
    """Samples enter at the final image of each stage, as they do for every peer."""
    for stage in _stages(network):
        stage.consistency = nn.ModuleList(
            [*(_Indifferent() for _ in stage.consistency[:-1]), stage.consistency[-1]]
        )


def without_consistency(network: ICONet) -> None:
    """Complex images, their samples ignored."""
    for stage in _stages(network):
        stage.consistency = nn.ModuleList(_Indifferent() for _ in stage.consistency)


ABLATIONS: dict[str, Callable[[ICONet], None]] = {
    "iconet-without-reconstruction": without_reconstruction_branch,
    "iconet-without-fusion": without_fusion,
    "iconet-one-way-fusion": with_one_way_fusion,
    "iconet-without-gates": without_gates,
    "iconet-spatial-path-only": spatial_path_only,
    "iconet-channel-path-only": channel_path_only,
    "iconet-direct": direct,
    "iconet-consistency-at-the-end": consistency_at_the_end_only,
    "iconet-without-consistency": without_consistency,
}
"""Names under which recipes ask for them."""


def build_ablation(name: str, scale: int, channels: int = 1) -> ICONet:
    """Make an untrained ICONet of the default size without a part.

    Raises:
        ValueError: If the part is none of a network of that scale.
    """
    network = ICONet(scale, channels=channels)
    ABLATIONS[name](network)
    return network


def _stages(network: ICONet) -> list[Stage]:
    return [stage for stage in network.stages if isinstance(stage, Stage)]


def _parts(network: ICONet, kind: type[Part]) -> list[Part]:
    return [module for module in network.modules() if isinstance(module, kind)]


class _OneBranch(Stage):
    def forward(
        self,
        image: Tensor,
        earlier: Tensor | None,
        enforce: EnforceConsistency | None,
        description: Tensor | None = None,
    ) -> tuple[StageOutput, Tensor]:
        sr = self.head_sr(whole_cells(image))
        if earlier is not None:
            sr = sr + earlier
        shallow = sr
        for block in self.sr_blocks:
            sr = block(sr, description)
        sr = sr + shallow
        return StageOutput(image, self.upscale(image, sr, enforce)), sr


class _Silence(nn.Module):
    def forward(self, rec: Tensor, sr: Tensor) -> tuple[Tensor, Tensor]:
        return rec, sr


class _Nothing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


class _Certain(nn.Module):
    """Gates that are all but open."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        return x.new_full((1, self.channels, 1, 1), 20.0).expand(-1, -1, *x.shape[-2:])


class _Indifferent(nn.Module):
    def forward(self, image: Tensor, samples: object) -> Tensor:
        return image
