"""Random batches for training, each a function of the seed and the step alone."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from iconet.data.volumes import Volume
from iconet.errors import InputError
from iconet.network import Samples
from iconet.physics.acquisition import Acquisition
from iconet.physics.degradation import DegradationMix
from iconet.physics.kspace import crop_kspace, resize_kspace
from iconet.physics.slice_mix import SliceMix

JITTER = (0.7, 1.4)  # range of the random factor on a volume's intensities
PATCHES_PER_SLICE = 4


class Batch(NamedTuple):
    """What a network learns from in one step. Intensities are around 0 to 1.

    Attributes:
        low: (B, c, h, w), the network's input.
        clean: (B, c, h 2^i, w 2^i), from the input's size to the full one, each twice as large as
            the one before.
        samples: What was measured, of networks that are told; None for those that are not.
    """

    low: Tensor
    clean: list[Tensor]
    samples: Samples | None


class Sampler:
    """Draws patches for super-resolution: magnitudes, c = 1, without samples.

    Whole slices are degraded and patches cut afterwards: a Fourier transform of a patch would wrap
    its edges around. Each item of a batch, a slice with its 4 patches, depends on the seed, the
    step and its place in the batch only. So a run that is cut and resumed, or that shares its
    batches among processes, sees what it would have seen in one piece. Calls change nothing, so
    several threads may draw at once.

    Args:
        volumes: Where to draw from.
        weights: Relative frequency of each data set; 1 for one that is not named.
        scale: 2, 4 or 8.
        patch: Side of the high-resolution patches in pixels.
        batch: Patches in a batch of all processes together, a multiple of 4 for each.
        mix: How resolution is lost.
        seed: Any integer, 0 or more.
        device: Where degradation is computed.
        rank: Number of this process, from 0; it draws its share of every batch.
        world: Number of processes.

    Raises:
        InputError: If no volume is as large as a patch, all have weight 0, or the batch does not
            split evenly.
    """

    def __init__(
        self,
        volumes: Sequence[Volume],
        *,
        weights: dict[str, float],
        scale: int,
        patch: int,
        batch: int,
        mix: DegradationMix | SliceMix,
        seed: int,
        device: torch.device,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.volumes = [v for v in volumes if len(v.slices) and min(v.slices.shape[1:]) >= patch]
        if not self.volumes:
            raise InputError(
                f"no training scan has slices of {patch} x {patch}; make patch smaller"
            )
        self.probabilities = _probabilities(self.volumes, weights)
        self.items = _share(batch, PATCHES_PER_SLICE, rank, world)
        self.scale, self.patch, self.mix = scale, patch, mix
        self.seed, self.device = seed, device

    def __call__(self, step: int) -> Batch:
        """This process's share of the batch of a step."""
        cut: list[list[Tensor]] = []
        for item in self.items:
            generator = _generator(self.seed, step, item)
            image = _draw(self.volumes, self.probabilities, generator).to(self.device)
            pyramid = self._pyramid(image, generator)
            anatomy = _anatomy(pyramid[1])
            for _ in range(PATCHES_PER_SLICE):
                windows = self._cut(pyramid, anatomy, generator)
                cut.append(self._turn(windows, generator))
        low, *clean = (torch.cat(size) for size in zip(*cut, strict=True))
        return Batch(low, clean, None)

    def _pyramid(self, image: Tensor, generator: torch.Generator) -> list[Tensor]:
        """The degraded slice, then the clean slice at every size up to the full one."""
        jitter = _jitter(generator)
        image = image * jitter.to(image)
        degraded = self.mix(image, self.scale, generator, jitter.to(image))
        return [degraded, *(size.abs() for size in _sizes(image, self.scale))]

    def _cut(
        self, pyramid: list[Tensor], anatomy: Tensor, generator: torch.Generator
    ) -> list[Tensor]:
        """The same random window of every size, around anatomy."""
        coarse, side = pyramid[0], self.patch // self.scale
        top, left = _corner(anatomy, coarse, side, generator)
        ratios = [image.shape[-1] // coarse.shape[-1] for image in pyramid]
        return [
            image[..., top * r : (top + side) * r, left * r : (left + side) * r]
            for image, r in zip(pyramid, ratios, strict=True)
        ]

    def _turn(self, windows: list[Tensor], generator: torch.Generator) -> list[Tensor]:
        return _turned(windows, generator)


class ThroughPlaneSampler(Sampler):
    """Draws patches of slices whose rows were merged into thick ones; else as `Sampler`.

    A slice is turned first, so that either of its axes may be the thick one, and always lies along
    the rows: the network must know which axis to enlarge. It enlarges both; so that the columns
    gain nothing but interpolation, clean images have them zero-filled. See
    `iconet.upscaling.one_axis` for how such a network is used.
    """

    def _pyramid(self, image: Tensor, generator: torch.Generator) -> list[Tensor]:
        """The thick slices, then the clean image with as many more columns as rows each time."""
        jitter = _jitter(generator)
        [image] = _turned([image * jitter.to(image)], generator)
        thick = self.mix(image, self.scale, generator, jitter.to(image))
        height, width = thick.shape[-2:]
        times = [2**i for i in range(self.scale.bit_length())]
        return [thick, *(resize_kspace(image, (height * t, width * t)).abs() for t in times)]

    def _turn(self, windows: list[Tensor], generator: torch.Generator) -> list[Tensor]:
        return windows


class JointSampler:
    """Draws simulated acquisitions for reconstruction and super-resolution together.

    An item is a window of a slice, padded with zeros or cut around anatomy, flipped and turned. The
    window is the field of view of the acquisition: k-space of a batch is whole and consistent.
    Items, processes and threads: as `Sampler`.

    Args:
        volumes: Where to draw from, slices of any size.
        weights: Relative frequency of each data set; 1 for one that is not named.
        scale: 2, 4 or 8.
        patch: Side of the windows in pixels, a multiple of `scale`.
        batch: Windows in a batch of all processes together, as many for each.
        acquisition: What is measured of them.
        known_samples: Whether the network is told what was measured. If so images are complex,
            c = 2, real and imaginary part; if not they are magnitudes, c = 1.
        seed: Any integer, 0 or more.
        device: Where acquisitions are computed.
        rank: Number of this process, from 0; it draws its share of every batch.
        world: Number of processes.

    Raises:
        InputError: If there is no slice, all have weight 0, the batch does not split evenly, or
            the window not into low-resolution pixels.
    """

    def __init__(
        self,
        volumes: Sequence[Volume],
        *,
        weights: dict[str, float],
        scale: int,
        batch: int,
        acquisition: Acquisition,
        known_samples: bool,
        seed: int,
        device: torch.device,
        patch: int = 192,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.volumes = [v for v in volumes if len(v.slices)]
        if not self.volumes:
            raise InputError("no training scan has a slice; give others")
        if patch % scale:
            raise InputError(f"patch {patch} is not a multiple of the scale {scale}; make it one")
        self.probabilities = _probabilities(self.volumes, weights)
        self.items = _share(batch, 1, rank, world)
        self.scale, self.patch, self.acquisition = scale, patch, acquisition
        self.known_samples, self.seed, self.device = known_samples, seed, device

    def __call__(self, step: int) -> Batch:
        """This process's share of the batch of a step."""
        items = [self._item(_generator(self.seed, step, item)) for item in self.items]
        low, clean, samples = zip(*items, strict=True)
        return Batch(
            torch.cat(low),
            [torch.cat(size) for size in zip(*clean, strict=True)],
            _together(samples) if self.known_samples else None,
        )

    def _item(self, generator: torch.Generator) -> tuple[Tensor, list[Tensor], Samples]:
        image = _draw(self.volumes, self.probabilities, generator)
        [window] = _turned([self._window(image, generator)], generator)
        jitter = _jitter(generator).to(self.device)
        window = window.to(self.device) * jitter
        measured = self.acquisition(window, self.scale, generator, jitter)
        view = real_and_imaginary if self.known_samples else torch.abs
        clean = _sizes(torch.polar(window, measured.phase), self.scale)
        samples = Samples(measured.kspace, measured.mask, measured.maps)
        return view(measured.image), [view(size) for size in clean], samples

    def _window(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """The field of view (1, 1, P, P): what is missing is added evenly around the slice."""
        rows, columns = (max(0, self.patch - length) for length in image.shape[2:])
        around = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
        image = F.pad(image, around)
        anatomy = 4 * _anatomy(image[..., ::4, ::4])  # fine enough for a centre, and quick
        top, left = _corner(anatomy, image, self.patch, generator)
        return image[..., top : top + self.patch, left : left + self.patch]


def _together(samples: Sequence[Samples]) -> Samples:
    kspace, mask, maps = zip(*samples, strict=True)
    coils = None if maps[0] is None else torch.cat(maps)
    return Samples(torch.cat(kspace), torch.cat(mask), coils)


def real_and_imaginary(image: Tensor) -> Tensor:
    """A complex image (B, 1, H, W) as a real one of two channels, (B, 2, H, W)."""
    return torch.cat((image.real, image.imag), dim=1)


def _probabilities(volumes: list[Volume], weights: dict[str, float]) -> Tensor:
    """How often each volume is drawn: data sets by their weights, their slices alike."""
    slices = {
        d: sum(len(v.slices) for v in volumes if v.dataset == d)
        for d in {v.dataset for v in volumes}
    }
    probabilities = torch.tensor(
        [weights.get(v.dataset, 1.0) * len(v.slices) / slices[v.dataset] for v in volumes]
    )
    if not probabilities.any():
        raise InputError(f"data.weights {weights} leave no training scan; raise one above 0")
    return probabilities


def _share(batch: int, per_item: int, rank: int, world: int) -> range:
    """Which items of a batch are this process's."""
    if batch < 1 or batch % (per_item * world):
        shared = f", so that {world} processes can share it" if world > 1 else ""
        raise InputError(
            f"optimisation.batch={batch}: give a multiple of {per_item * world}{shared}"
        )
    if not 0 <= rank < world:
        raise InputError(f"there is no process {rank} of {world}: they count from 0")
    count = batch // (per_item * world)
    return range(rank * count, (rank + 1) * count)


def _generator(seed: int, step: int, item: int) -> torch.Generator:
    """Random numbers of one item of one batch, unlike those of any other."""
    mixed = np.random.SeedSequence((seed, step, item)).generate_state(1)
    return torch.Generator().manual_seed(int(mixed[0]))


def _draw(volumes: list[Volume], probabilities: Tensor, generator: torch.Generator) -> Tensor:
    """A random slice (1, 1, H, W) of a random volume."""
    slices = volumes[int(torch.multinomial(probabilities, 1, generator=generator))].slices
    number = int(torch.randint(len(slices), (), generator=generator))
    return slices[number].float()[None, None]


def _jitter(generator: torch.Generator) -> Tensor:
    """A random factor on intensities, (1, 1, 1, 1)."""
    low, high = JITTER
    return low + (high - low) * torch.rand(1, 1, 1, 1, generator=generator)


def _sizes(image: Tensor, scale: int) -> list[Tensor]:
    """An image at every size from the low resolution up to its own."""
    sizes = [image]
    while scale > 1:
        # A crop of a crop is the crop at once, of fewer pixels.
        sizes.insert(0, crop_kspace(sizes[0], 2))
        scale //= 2
    return sizes


def _anatomy(image: Tensor) -> Tensor:
    """Rows and columns (N, 2) of the pixels of an image (1, 1, H, W) that show some."""
    return (image[0, 0] > 0.1).nonzero()


def _corner(
    anatomy: Tensor, image: Tensor, side: int, generator: torch.Generator
) -> tuple[int, int]:
    """Top left of a random window around anatomy, and within the image (1, 1, H, W)."""
    pick = int(torch.randint(max(1, len(anatomy)), (), generator=generator))
    centre = anatomy[pick].tolist() if len(anatomy) else [0, 0]
    top, left = (
        min(max(0, c - side // 2), length - side)
        for c, length in zip(centre, image.shape[2:], strict=True)
    )
    return top, left


def _turned(images: list[Tensor], generator: torch.Generator) -> list[Tensor]:
    """Images randomly flipped and turned, all alike."""
    turns = int(torch.randint(4, (), generator=generator))
    flip = bool(torch.randint(2, (), generator=generator))
    turned = [torch.rot90(image, turns, dims=(2, 3)) for image in images]
    return [image.flip(3) for image in turned] if flip else turned
