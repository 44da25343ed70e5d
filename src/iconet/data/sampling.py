"""Random batches of patches, each a function of the seed and the step alone."""

from collections.abc import Sequence

import torch
from torch import Tensor

from iconet.data.volumes import Volume
from iconet.errors import InputError
from iconet.physics.degradation import DegradationMix
from iconet.physics.kspace import crop_kspace

JITTER = (0.7, 1.4)  # range of the random factor on a volume's intensities
PATCHES_PER_SLICE = 4


class Sampler:
    """Draws low-resolution patches and the clean images of every stage's size.

    Whole slices are degraded and patches cut afterwards: a Fourier transform of a patch would wrap
    its edges around. Batch ``t`` depends on the seed and ``t`` only, so a run that is cut and
    resumed sees what it would have seen in one piece.

    Args:
        volumes: Where to draw from.
        weights: Relative frequency of each data set; 1 for one that is not named.
        scale: 2, 4 or 8.
        patch: Side of the high-resolution patches in pixels.
        batch: Patches in a batch, a multiple of 4.
        mix: How resolution is lost.
        seed: Any integer.
        device: Where degradation is computed.

    Raises:
        InputError: If no volume is as large as a patch, or all have weight 0.
    """

    def __init__(
        self,
        volumes: Sequence[Volume],
        *,
        weights: dict[str, float],
        scale: int,
        patch: int,
        batch: int,
        mix: DegradationMix,
        seed: int,
        device: torch.device,
    ) -> None:
        self.volumes = [v for v in volumes if len(v.slices) and min(v.slices.shape[1:]) >= patch]
        per_dataset = {
            d: sum(len(v.slices) for v in self.volumes if v.dataset == d)
            for d in {v.dataset for v in self.volumes}
        }
        self.probabilities = torch.tensor(
            [
                weights.get(v.dataset, 1.0) * len(v.slices) / per_dataset[v.dataset]
                for v in self.volumes
            ]
        )
        if not self.volumes:
            raise InputError(
                f"no training scan has slices of {patch} x {patch}; make patch smaller"
            )
        if not self.probabilities.any():
            raise InputError(f"data.weights {weights} leave no training scan; raise one above 0")
        self.scale, self.patch, self.batch, self.mix = scale, patch, batch, mix
        self.seed, self.device = seed, device

    def __call__(self, step: int) -> tuple[Tensor, list[Tensor]]:
        """Batch of a step.

        Returns:
            Low-resolution patches (B, 1, P/scale, P/scale), and the clean patches from that size up
            to (B, 1, P, P), each twice as large as the one before. Intensities are around 0 to 1.
        """
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        chosen = torch.multinomial(
            self.probabilities, self.batch // PATCHES_PER_SLICE, True, generator=generator
        )
        low: list[Tensor] = []
        clean: list[list[Tensor]] = []
        for index in chosen.tolist():
            slices = self.volumes[index].slices
            number = int(torch.randint(len(slices), (), generator=generator))
            pyramid = self._pyramid(slices[number].to(self.device).float()[None, None], generator)
            for _ in range(PATCHES_PER_SLICE):
                patches = self._cut(pyramid, generator)
                low.append(patches[0])
                clean.append(patches[1:])
        return torch.cat(low), [torch.cat(size) for size in zip(*clean, strict=True)]

    def _pyramid(self, image: Tensor, generator: torch.Generator) -> list[Tensor]:
        """The degraded slice, then the clean slice at every size up to the full one."""
        low_jitter, high_jitter = JITTER
        jitter = low_jitter + (high_jitter - low_jitter) * torch.rand((), generator=generator)
        image = image * jitter.to(image)
        degraded = self.mix(image, self.scale, generator, jitter.to(image).view(1, 1, 1, 1))
        sizes, factor = [degraded], self.scale
        while factor > 1:
            sizes.append(crop_kspace(image, factor).abs())
            factor //= 2
        return [*sizes, image]

    def _cut(self, pyramid: list[Tensor], generator: torch.Generator) -> list[Tensor]:
        """The same random window of every size, around anatomy, randomly flipped and turned."""
        coarse, side = pyramid[0], self.patch // self.scale
        anatomy = (pyramid[1][0, 0] > 0.1).nonzero()
        pick = int(torch.randint(max(1, len(anatomy)), (), generator=generator))
        centre = anatomy[pick].tolist() if len(anatomy) else [0, 0]
        top, left = (
            min(max(0, c - side // 2), length - side)
            for c, length in zip(centre, coarse.shape[2:], strict=True)
        )
        turns = int(torch.randint(4, (), generator=generator))
        flip = bool(torch.randint(2, (), generator=generator))
        windows = []
        for image in pyramid:
            ratio = image.shape[-1] // coarse.shape[-1]
            rows = slice(top * ratio, (top + side) * ratio)
            columns = slice(left * ratio, (left + side) * ratio)
            window = torch.rot90(image[..., rows, columns], turns, dims=(2, 3))
            windows.append(window.flip(3) if flip else window)
        return windows
