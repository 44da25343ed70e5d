"""How far an image is from the truth, under one convention that is printed with every number.

Conventions move a PSNR by 15 dB, so this module fixes them once: a volume is a stack of slices
``(S, H, W)``, everything is computed in float64, and the data range is the maximum of the
reference *volume* (not of a slice, not of the data type), as fastMRI does.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONVENTION = (
    "Data range: maximum of the reference volume. PSNR and NMSE over all voxels of the volume; "
    "SSIM with a 7x7 uniform window, K1=0.01, K2=0.03, sample covariance, on the windows that lie "
    "wholly inside a slice, mean over slices (as fastMRI and scikit-image). HaarPSI with the "
    "medical parameters C=5, alpha=4.9 on means of 2x2 blocks of intensities scaled to 0-255, "
    "mean over slices. "
    "Foreground: reference above 10 % of the 99.5th percentile of its positive voxels, holes "
    "filled slice by slice; PSNR, NMSE and the SSIM map are averaged over its voxels, with the "
    "same data range. Images are measured as they are: negative values, which zero-filling and "
    "splines leave beside sharp edges, are neither clipped nor made positive."
)

WINDOW = 7
FOREGROUND_FRACTION = 0.10
HAARPSI_C = 5.0
HAARPSI_ALPHA = 4.9

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Metrics:
    """All measures of one volume. Decibels for PSNR; the others have no unit."""

    psnr: float
    ssim: float
    nmse: float
    haarpsi: float
    psnr_foreground: float
    ssim_foreground: float
    nmse_foreground: float


def evaluate(prediction: NDArray, reference: NDArray) -> Metrics:
    """Measure a predicted volume against the true one.

    Args:
        prediction: Stack of slices ``(S, H, W)``, real, on the reference's intensity scale.
        reference: The truth, same shape, H and W at least 7, maximum above zero.

    Raises:
        ValueError: Shapes differ or are not ``(S, H, W)``, a slice is smaller than the SSIM window,
            a value is not finite, or the reference has no positive voxel.
    """
    prediction, reference = _checked(prediction, reference)
    mask = foreground(reference)
    data_range = float(reference.max())
    whole, inside = _ssim_means(prediction, reference, mask, data_range)
    return Metrics(
        psnr=psnr(prediction, reference),
        ssim=whole,
        nmse=nmse(prediction, reference),
        haarpsi=haarpsi(prediction, reference),
        psnr_foreground=psnr(prediction, reference, mask),
        ssim_foreground=inside,
        nmse_foreground=nmse(prediction, reference, mask),
    )


def foreground(reference: NDArray) -> NDArray[np.bool_]:
    """Mask of the voxels that show the subject, from the reference alone.

    A voxel belongs to it if it is above 10 % of the 99.5th percentile of the positive voxels, or
    lies in a hole (of its slice) enclosed by such voxels: dark fluid inside the head counts, air
    and the zero background of a skull-stripped brain do not.
    """
    from scipy.ndimage import binary_fill_holes

    reference = np.asarray(reference)
    positive = reference[reference > 0]
    if positive.size == 0:
        return np.zeros(reference.shape, dtype=bool)
    bright = reference > FOREGROUND_FRACTION * np.percentile(positive, 99.5)
    return np.stack([binary_fill_holes(section) for section in bright])


def psnr(prediction: NDArray, reference: NDArray, mask: NDArray[np.bool_] | None = None) -> float:
    """Peak signal-to-noise ratio in dB; infinite where nothing differs.

    The peak is the maximum of the whole reference volume, with or without a mask.
    """
    prediction, reference = _checked(prediction, reference)
    squared = (prediction - reference) ** 2
    error = _mean(squared, mask)
    if error == 0:
        return float("inf")
    return float(10 * np.log10(reference.max() ** 2 / error))


def nmse(prediction: NDArray, reference: NDArray, mask: NDArray[np.bool_] | None = None) -> float:
    """Squared error over squared reference: ``||prediction - reference||^2 / ||reference||^2``."""
    prediction, reference = _checked(prediction, reference)
    return float(_mean((prediction - reference) ** 2, mask) / _mean(reference**2, mask))


def ssim(prediction: NDArray, reference: NDArray, mask: NDArray[np.bool_] | None = None) -> float:
    """Structural similarity: mean over slices, or over the voxels of a mask ``(S, H, W)``.

    Source: Wang et al., IEEE Trans. Image Processing 13(4), 2004, with scikit-image's defaults.
    Only windows that lie wholly inside the slice count, so a border of 3 voxels has no value, not
    even where the mask covers it.
    """
    prediction, reference = _checked(prediction, reference)
    whole, inside = _ssim_means(prediction, reference, mask, float(reference.max()))
    return whole if mask is None else inside


def haarpsi(prediction: NDArray, reference: NDArray) -> float:
    """Haar-wavelet perceptual similarity index with medical parameters, mean over slices.

    Sources: Reisenhofer et al., Signal Processing: Image Communication 61, 2018; parameters C=5,
    alpha=4.9 (HaarPSI_MED) from Karner et al., arXiv 2410.24098. 1 where nothing differs. A slice
    without any structure in either image has nothing to compare and counts as 1.
    """
    prediction, reference = _checked(prediction, reference)
    scale = 255.0 / reference.max()
    values = [
        _haarpsi_slice(scale * predicted, scale * true)
        for predicted, true in zip(prediction, reference, strict=True)
    ]
    return float(np.mean(values))


def _checked(prediction: NDArray, reference: NDArray) -> tuple[Array, Array]:
    prediction = np.asarray(prediction, dtype=np.float64)
    reference = np.asarray(reference, dtype=np.float64)
    if prediction.shape != reference.shape:
        raise ValueError(f"shapes differ: {prediction.shape} and {reference.shape}")
    if reference.ndim != 3:
        raise ValueError(f"expected a stack of slices (S, H, W), got shape {reference.shape}")
    if min(reference.shape[1:]) < WINDOW:
        raise ValueError(f"slices of {reference.shape[1:]} are smaller than the 7x7 SSIM window")
    if not (np.isfinite(prediction).all() and np.isfinite(reference).all()):
        raise ValueError("some values are not finite")
    if reference.max() <= 0:
        raise ValueError("the reference has no value above zero, so the data range is undefined")
    return prediction, reference


def _mean(values: Array, mask: NDArray[np.bool_] | None) -> float:
    return float(values.mean() if mask is None else values[mask].mean())


def _ssim_means(
    prediction: Array, reference: Array, mask: NDArray[np.bool_] | None, data_range: float
) -> tuple[float, float]:
    """Mean over slices and mean over the mask (NaN without one), slice by slice to save memory."""
    border = WINDOW // 2
    valid = (slice(border, -border), slice(border, -border))
    slice_means, inside = [], []
    for index, (predicted, true) in enumerate(zip(prediction, reference, strict=True)):
        similarity = _ssim_map(predicted, true, data_range)[valid]
        slice_means.append(similarity.mean())
        if mask is not None:
            inside.append(similarity[mask[index][valid]])
    voxels = np.concatenate(inside) if inside else np.empty(0)
    return float(np.mean(slice_means)), float(voxels.mean()) if voxels.size else float("nan")


def _ssim_map(x: Array, y: Array, data_range: float) -> Array:
    from scipy.ndimage import uniform_filter

    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    sample = WINDOW**2 / (WINDOW**2 - 1)  # unbiased covariance, as scikit-image
    mean_x, mean_y = uniform_filter(x, WINDOW), uniform_filter(y, WINDOW)
    variance_x = sample * (uniform_filter(x * x, WINDOW) - mean_x**2)
    variance_y = sample * (uniform_filter(y * y, WINDOW) - mean_y**2)
    covariance = sample * (uniform_filter(x * y, WINDOW) - mean_x * mean_y)
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return luminance * structure


def _haarpsi_slice(x: Array, y: Array) -> float:
    """HaarPSI of two images on the 0-255 scale: similarity of fine detail, weighted by coarse."""
    x, y = _halved(x), _halved(y)
    total = weight_sum = 0.0
    for axis in (0, 1):
        similarity = np.zeros_like(x)
        for level in (1, 2):
            a, b = np.abs(_haar(x, level, axis)), np.abs(_haar(y, level, axis))
            similarity += (2 * a * b + HAARPSI_C) / (a * a + b * b + HAARPSI_C) / 2
        weight = np.maximum(np.abs(_haar(x, 3, axis)), np.abs(_haar(y, 3, axis)))
        total += float((weight / (1 + np.exp(-HAARPSI_ALPHA * similarity))).sum())
        weight_sum += float(weight.sum())
    if weight_sum == 0:
        return 1.0
    mean = total / weight_sum
    return float((np.log(mean / (1 - mean)) / HAARPSI_ALPHA) ** 2)


def _halved(image: Array) -> Array:
    """Means of 2x2 blocks: HaarPSI's model of the viewing distance."""
    from scipy.ndimage import convolve1d

    for axis in (0, 1):
        image = convolve1d(image, [0.5, 0.5], axis=axis, mode="constant")
    return image[::2, ::2]


def _haar(image: Array, level: int, axis: int) -> Array:
    """Haar detail coefficients at a level: step filter along ``axis``, box along the other."""
    from scipy.ndimage import convolve1d

    width = 2**level
    step = np.ones(width)
    step[: width // 2] = -1
    image = convolve1d(image, step / width, axis=axis, mode="constant")
    return convolve1d(image, np.ones(width), axis=1 - axis, mode="constant")
