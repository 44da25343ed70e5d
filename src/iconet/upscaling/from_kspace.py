"""From raw k-space to a bigger magnitude image.

Data without a missing line, or with none once SENSE has filled them in, go to a network of
magnitude images: the joint networks, which learnt to undo aliasing, lose 0.2 dB to zero-filling
on them, and those of images gain 2.2 dB.

Single-coil data go to the joint network with the lines that were measured. Coils of fully sampled
data are combined with their sensitivities; every line of the combined image counts as measured.
Coils of undersampled data are first brought to one image by SENSE: in the sum over coils that
vary in space no line is a measured one any more. What SENSE found counts as measured on the lines
that were, and in gaps between them of up to 3 lines, or in all up to 2 times accelerated with
twice as many coils; wider gaps, and what lies outside of the outermost lines (partial Fourier, low
phase resolution), are left to the joint network. Eight simulated coils around three slices of a
brain, 1 % noise, and what the other network would have given: 2, 3 and 4 times evenly accelerated
31.2, 29.4 and 27.2 dB (joint network 29.0, 28.1, 26.7); at random 28.6 (filling gaps of up to 3
lines 27.8), 27.2 and 25.8 (filling all 26.2 and 23.8); docs/experiments.md, row 72.
"""

import os
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from iconet.errors import InputError
from iconet.images import Scan, check_output, require_memory, scaled_affine, write
from iconet.images.kspace.raw_data import RawData, middle
from iconet.images.kspace.read_kspace import read_kspace
from iconet.runtime.device import Compute
from iconet.study.progress import shown_progress
from iconet.upscaling.models import Models
from iconet.upscaling.slices import SMALLEST, Progress, robust_scale
from iconet.upscaling.upscale import load_model, upscale_scan

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

    from iconet.network import ICONet
    from iconet.study.run_one import Made

FASTEST = 6.0  # acceleration, the largest that joint networks were trained for
GAP = 3  # lines between two measured ones that SENSE fills in as good as measured
MODERATE = 2.0  # acceleration up to which it so fills in any gap, with twice as many coils
WHOLE_LINES = 1.02  # how far a mask, of whole lines, may lie above the acceleration meant
UNUSED = {
    "plane": "auto",
    "axes": "auto",
    "spacing": None,
    "isotropic": False,
    "series": None,
    "tile": None,
}
"""Options for images, with the values they have when they are not given."""
CENTRE_LINES = 8  # fewest lines around the centre that sensitivities can be taken from


class Measured(NamedTuple):
    """Slices of one coil, or combined from several.

    Attributes:
        images: (S, h, W) complex64, zero-filled or by SENSE; readout oversampling is removed.
        masks: (S, h, W) bool, True for the samples of k-space that count as measured.
        acceleration: Lines between the outermost measured ones over measured lines, the most of
            all slices; 1 if none between them is missing.
        complete: Whether between them no line is unknown, be it by SENSE.
    """

    images: NDArray[np.complex64]
    masks: NDArray[np.bool_]
    acceleration: float
    complete: bool


class KspaceModels(NamedTuple):
    """The networks that raw k-space may go to; the same one twice if it was chosen by name.

    Attributes:
        undersampled: Where a line between two measured ones is unknown.
        complete: Where none is.
    """

    undersampled: "ICONet"
    complete: "ICONet"

    def suited(self, measured: Measured) -> "ICONet":
        """The one that is for these data."""
        return self.complete if measured.complete else self.undersampled


def check_options(options: Mapping[str, Any]) -> None:
    """Refuses options that raw k-space has no use for.

    Args:
        options: As `iconet upscale` has them.

    Raises:
        InputError: One of them is given.
    """
    given = [name for name, default in UNUSED.items() if options[name] != default]
    if given:
        raise InputError(
            "raw k-space is taken in whole slices as measured: no "
            + ", no ".join(f"--{name}" for name in given)
        )


def upscale_kspace_file(
    path: str | os.PathLike, output: str | os.PathLike, models: KspaceModels, *, compute: Compute
) -> "Made":
    """Read, reconstruct, upscale, write."""
    from iconet.study.run_one import Made

    start = time.monotonic()
    check_output(output, [path])
    raw = read_kspace(path)
    was_read = time.monotonic()
    with shown_progress(Path(path).name) as progress:
        bigger, measured = upscale_kspace(raw, models, compute=compute, progress=progress)
    was_upscaled = time.monotonic()
    write(bigger, output, like=bigger)
    end = time.monotonic()
    line = (
        f"{output}: {raw.coils} coil{'s' * (raw.coils > 1)}, {raw.slices} slices, "
        f"{measured.acceleration:.1f}x accelerated -> {bigger.size}, magnitude in the raw data's "
        f"units, {compute}, {end - start:.1f} s"
        + ("" if raw.placed else " (the file does not say where the slices are)")
    )
    # The grid alone: numbers that are all one take no memory.
    grid = np.broadcast_to(np.float32(0), (*raw.shown, raw.slices))
    seconds = {
        "read": was_read - start,
        "upscale": was_upscaled - was_read,
        "write": end - was_upscaled,
    }
    return Made(
        line,
        Scan(grid, affine=_shown_affine(raw), path=raw.path),
        bigger,
        [models.suited(measured)],
        seconds,
        {"coils": raw.coils, "acceleration": measured.acceleration},
    )


def open_kspace_models(
    model: str | None = None, *, scale: int | None = None, device: str = "cpu"
) -> KspaceModels:
    """Load the model of that name, or by default mri-x2-joint and mri-x2.

    Raises:
        InputError: as `open_model`.
    """
    if model is not None:
        network = load_model(model, scale=scale, device=device)
        return KspaceModels(network, network)
    return KspaceModels(
        *(load_model(None, scale=scale, device=device, kind=kind) for kind in ("-joint", ""))
    )


def upscale_kspace(
    raw: RawData, models: KspaceModels, *, compute: Compute, progress: Progress | None = None
) -> tuple[Scan, Measured]:
    """Reconstruct and upscale.

    Args:
        raw: As read.
        models: Of the same scale, the one for undersampled data of complex images.
        compute: Device and precision.
        progress: Called with (done, in all) slices.

    Returns:
        The magnitude, float32 on the scale of the root of the sum of squares of the orthonormal
        transforms, cut to the field of view that the header wants; and what it was made from.

    Raises:
        InputError: data that cannot be reconstructed well, or not by this network.
    """
    from torch import OutOfMemoryError

    factor = models.complete.scale
    height, width = raw.shown[0], raw.matrix[1]
    # The combined slices as they are and magnified, of the latter a copy.
    require_memory(str(raw.path), (3, raw.slices, height, width), factor)
    try:
        measured = reconstruct(raw)
        network = models.suited(measured)
        if not measured.complete and network.channels == 1:
            raise InputError(
                f"{raw.path}: undersampled {measured.acceleration:.1f} times, which a model of "
                f"magnitude images cannot undo: choose mri-x{factor}-joint"
            )
        if network.channels == 1:
            columns = middle(width, raw.shown[1])
            shown = np.abs(measured.images[:, :, columns]).transpose(1, 2, 0)
            low = _scan(raw, np.asfortranarray(shown), _shown_affine(raw), 1)
            scan = upscale_scan(low, Models(network), plane="k", compute=compute, progress=progress)
        else:
            bigger = _predict(raw, measured, network, compute, progress)
            scan = _scan(raw, bigger, _shown_affine(raw), factor)
    except (MemoryError, OutOfMemoryError):
        raise InputError(
            f"{raw.path}: the memory of {compute.device} is too small: try the CPU or a larger"
            " machine"
        ) from None
    return scan, measured


def reconstruct(raw: RawData) -> Measured:
    """One complex image a slice, and which samples of its k-space count as measured.

    Raises:
        InputError: samples that are no numbers, slices too small, or too few lines: more than 6
            times accelerated, more than there are coils for several, or no full centre.
    """
    height, width = raw.shown[0], raw.matrix[1]
    if min(height, width) < SMALLEST:
        raise InputError(
            f"{raw.path}: slices of {height} x {width} are too small: 16 x 16 at least"
        )
    images = np.zeros((raw.slices, height, width), np.complex64)
    masks = np.zeros(images.shape, np.bool_)
    most, complete = 1.0, True
    for index in range(raw.slices):
        # Its images and those of the conjugate gradients.
        require_memory(str(raw.path), (8, 2, raw.coils, *raw.matrix))
        kspace = raw.load(index)
        if not np.isfinite(kspace).all():
            raise InputError(f"{raw.path}: its k-space holds NaN or Inf; convert it again")
        if not kspace.any():
            continue  # an empty slice stays empty
        images[index], masks[index], acceleration, whole = _slice(raw.path, kspace, height)
        most, complete = max(most, acceleration), complete and whole
    if not masks.any():
        raise InputError(f"{raw.path}: its k-space is zero everywhere; convert it again")
    return Measured(images, masks, most, complete)


def _slice(
    path: Path, kspace: NDArray[np.complex64], height: int
) -> tuple[NDArray[np.complex64], NDArray[np.bool_], float, bool]:
    import torch

    from iconet.physics.coils import centre_lines, combine, sense, sensitivities
    from iconet.physics.kspace import fft2c, ifft2c

    coils, full, width = kspace.shape
    there = kspace != 0
    lines: NDArray[np.bool_] = np.asarray(there.any(axis=(0, 1)))
    samples: NDArray[np.bool_] = np.asarray(there.any(axis=(0, 2)))
    measured = np.flatnonzero(lines)
    acceleration = (measured[-1] + 1 - measured[0]) / len(measured)
    centre = centre_lines(torch.from_numpy(lines))
    _check_lines(path, coils, acceleration, centre, width)

    image = ifft2c(torch.from_numpy(kspace))[:, middle(full, height)]
    if coils == 1:
        combined, known = image[0], lines
    else:
        coil_kspace = fft2c(image)
        maps = sensitivities(coil_kspace, centre)
        easy = acceleration <= MODERATE * WHOLE_LINES and coils >= 2 * acceleration
        known = lines.copy()
        for left, right in pairwise(measured):
            known[left:right] |= easy or right - left <= GAP + 1
        if acceleration > 1:
            solved = fft2c(sense(coil_kspace, torch.from_numpy(lines), maps))
            combined = ifft2c(torch.where(torch.from_numpy(known), solved, 0))
        else:
            combined = combine(image, maps)
    # Samples of the readout, once the oversampling is gone, at the nearest that there were.
    place = np.rint((np.arange(height) - height // 2) * (full / height)).astype(int) + full // 2
    rows = samples[place.clip(0, full - 1)]
    whole = bool(known[measured[0] : measured[-1] + 1].all())
    return combined.numpy(), rows[:, None] & known, float(acceleration), whole


def _check_lines(path: Path, coils: int, acceleration: float, centre: int, width: int) -> None:
    fastest = min(FASTEST, coils) if coils > 1 else FASTEST
    if acceleration > fastest * WHOLE_LINES:
        raise InputError(
            f"{path}: {acceleration:.1f} times accelerated; more than {fastest:g} cannot be "
            f"reconstructed well from {coils} coil{'s' * (coils > 1)}"
        )
    if centre < min(CENTRE_LINES, width // 4):
        raise InputError(
            f"{path}: only {centre} lines of the centre of k-space are complete; {CENTRE_LINES} are"
            " needed: include the calibration lines"
        )


def _predict(
    raw: RawData,
    measured: Measured,
    network: "ICONet",
    compute: Compute,
    progress: Progress | None,
) -> NDArray[np.float32]:
    """(s h, s w, S) magnitudes, cut to the wanted field of view."""
    import torch

    from iconet.network import Samples
    from iconet.physics.kspace import fft2c

    factor, count = network.scale, raw.slices
    columns = middle(raw.matrix[1], raw.shown[1])
    columns = slice(columns.start * factor, columns.stop * factor)
    shape = (raw.shown[0] * factor, raw.shown[1] * factor, count)
    out = np.zeros(shape, np.float32, order="F")
    intensity = torch.full((1, 1, 1, 1), robust_scale(measured.images), device=compute.device)
    network = network.to(compute.device)
    with torch.inference_mode(), compute.autocast():
        for index in range(count):
            if measured.masks[index].any():
                image = torch.from_numpy(measured.images[index])[None, None].to(compute.device)
                mask = torch.from_numpy(measured.masks[index])[None, None].to(compute.device)
                samples = Samples(torch.where(mask, fft2c(image), 0), mask)
                given = torch.cat([image.real, image.imag], dim=1)
                bigger = network(given, intensity=intensity, samples=samples).image.float()
                out[..., index] = bigger.norm(dim=1)[0, :, columns].cpu().numpy()
            if progress is not None:
                progress(index + 1, count)
    return out


def _shown_affine(raw: RawData) -> NDArray[np.float64]:
    """Of the part of the field of view that is shown, at the measured resolution."""
    corner = np.eye(4)
    corner[:2, 3] = [
        middle(size, wanted).start for size, wanted in zip(raw.matrix, raw.shown, strict=True)
    ]
    return raw.affine @ corner


def _scan(
    raw: RawData, array: NDArray[np.float32], affine: NDArray[np.float64], factor: int
) -> Scan:
    affine = scaled_affine(affine, (factor, factor, 1))
    return Scan(array, affine=affine, header=_header(raw, array, affine), path=raw.path)


def _header(
    raw: RawData, array: NDArray[np.float32], affine: NDArray[np.float64]
) -> "Nifti1Header":
    import nibabel

    header = nibabel.Nifti1Header()
    header.set_data_shape(array.shape)
    header.set_data_dtype(np.float32)
    header.set_xyzt_units("mm")
    header.set_zooms(np.linalg.norm(affine[:3, :3], axis=0))
    # "scanner" where the file says so; else "aligned", to nothing but itself.
    header.set_sform(affine, code=1 if raw.placed else 2)
    header["descrip"] = b"magnitude in the units of the raw data"
    return header
