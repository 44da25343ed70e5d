"""From raw k-space to a bigger magnitude image.

Data without a missing line, or with none once SENSE has filled them in, go to a network of
magnitude images: the joint networks, which learnt to undo aliasing, lose 0.2 dB to zero-filling
on them, and those of images gain 2.2 dB. Others go to the joint network with the lines that count
as measured (`iconet.physics.reconstruction`).
"""

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from iconet.errors import InputError
from iconet.images import Scan, require_memory, scaled_affine
from iconet.images.kspace.raw_data import RawData, middle
from iconet.images.own import mark
from iconet.runtime.device import Compute
from iconet.upscaling.interval import Bounds
from iconet.upscaling.models import Models
from iconet.upscaling.options import Options
from iconet.upscaling.plan import plan_grid
from iconet.upscaling.slices import Progress
from iconet.upscaling.upscale import upscale_scan
from iconet.zoo.model import SMALLEST, Model, open_model

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

    from iconet.network import ICONet
    from iconet.peers import Peer

UNUSED = ("plane", "axes", "spacing", "isotropic", "series", "volume", "tile", "acquired", "window")
"""Options for images, of which raw k-space has no use."""


class Reconstruction(NamedTuple):
    """The slices of a file; see `iconet.physics.reconstruction.SliceReconstruction`.

    Attributes:
        images: (S, h, W) complex64.
        masks: (S, h, W) bool.
        acceleration: The most of all slices; 1 if no line is missing.
        complete: Whether it is so of all slices.
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

    undersampled: Model
    complete: Model

    def suited(self, given: Reconstruction) -> Model:
        """The one that is for these data."""
        return self.complete if given.complete else self.undersampled


def open_kspace_models(options: Options, *, device: str) -> KspaceModels:
    """Load the model that was chosen, or by default mri-x2-joint and mri-x2 (or those of 4x).

    Raises:
        InputError: An option that raw k-space has no use for is given; or as `open_model`.
    """
    given = [name for name in UNUSED if getattr(options, name) != getattr(Options, name)]
    if given:
        raise InputError(
            "raw k-space is taken in whole slices as measured: no "
            + ", no ".join(f"--{name}" for name in given)
        )
    if options.model is not None:
        model = open_model(options.model, scale=options.scale, device=device, kind="")
        return KspaceModels(model, model)
    return KspaceModels(
        *(
            open_model(None, scale=options.scale, device=device, kind=kind)
            for kind in ("-joint", "")
        )
    )


def upscale_kspace(
    raw: RawData,
    models: KspaceModels,
    *,
    compute: Compute,
    progress: Progress | None = None,
    uncertainty: bool = False,
) -> tuple[Scan, Reconstruction]:
    """Reconstruct and upscale.

    Args:
        raw: As read.
        models: Of the same scale, the one for undersampled data of complex images.
        compute: Device and precision.
        progress: Called with (done, in all) slices.
        uncertainty: Whether the result is to have bounds.

    Returns:
        The magnitude, float32 on the scale of the root of the sum of squares of the orthonormal
        transforms, cut to the field of view that the header wants; and what it was made from.

    Raises:
        InputError: Data that cannot be reconstructed well, or not by this network.
    """
    from torch import OutOfMemoryError

    factor = models.complete.scale
    height, width = raw.shown[0], raw.matrix[1]
    # The combined slices as they are and magnified, of the latter a copy.
    arrays = 9 if uncertainty else 3
    require_memory(str(raw.path), (arrays, raw.slices, height, width), factor)
    try:
        given = reconstruct(raw)
        model = models.suited(given)
        if model.channels == 1:
            scan = _upscaled_magnitude(raw, given, model, compute, progress, uncertainty)
        else:
            network = model.running(uncertainty)
            bigger, bounds = _predict(raw, given, network, compute, progress, uncertainty)
            scan = _scan(raw, bigger, shown_affine(raw), factor)
            both = None if bounds is None else bounds.both
            scan = replace(scan, bounds=both, mark=mark(model.name or "weights of a user", factor))
    except (MemoryError, OutOfMemoryError):
        raise InputError(
            f"{raw.path}: the memory of {compute.device} is too small: try the CPU or a larger"
            " machine"
        ) from None
    return scan, given


def reconstruct(raw: RawData) -> Reconstruction:
    """One complex image a slice, and which samples of its k-space count as measured.

    Raises:
        InputError: Samples that are no numbers, slices too small, or too few lines: more than 6
            times accelerated, more than there are coils for several, or no full centre.
    """
    import torch

    from iconet.physics.reconstruction import reconstruct_slice

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
        try:
            found = reconstruct_slice(torch.from_numpy(kspace), height)
        except InputError as error:
            raise InputError(f"{raw.path}: {error}") from None
        images[index], masks[index] = found.image.numpy(), found.mask.numpy()
        most, complete = max(most, found.acceleration), complete and found.complete
    if not masks.any():
        raise InputError(f"{raw.path}: its k-space is zero everywhere; convert it again")
    return Reconstruction(images, masks, most, complete)


def _upscaled_magnitude(
    raw: RawData,
    given: Reconstruction,
    model: Model,
    compute: Compute,
    progress: Progress | None,
    uncertainty: bool,
) -> Scan:
    if not given.complete:
        raise InputError(
            f"{raw.path}: undersampled {given.acceleration:.1f} times, which a model of "
            f"magnitude images cannot undo: choose mri-x{model.scale}-joint"
        )
    columns = middle(raw.matrix[1], raw.shown[1])
    shown = np.abs(given.images[:, :, columns]).transpose(1, 2, 0)
    low = _scan(raw, np.asfortranarray(shown), shown_affine(raw), 1)
    # Raw data say themselves what was acquired.
    models, options = Models(model), Options(plane="k", acquired="off", window="none")
    options = replace(options, uncertainty=uncertainty)
    plan = plan_grid(low, models, options)
    return upscale_scan(low, plan, models, compute, options, progress=progress)


def _predict(
    raw: RawData,
    given: Reconstruction,
    network: "ICONet | Peer",
    compute: Compute,
    progress: Progress | None,
    uncertainty: bool,
) -> tuple[NDArray[np.float32], Bounds | None]:
    """(s h, s w, S) magnitudes, cut to the wanted field of view, and their bounds."""
    import torch

    from iconet.network import Samples
    from iconet.physics.fourier import fft2c

    factor, count = network.scale, raw.slices
    columns = middle(raw.matrix[1], raw.shown[1])
    columns = slice(columns.start * factor, columns.stop * factor)
    shape = (raw.shown[0] * factor, raw.shown[1] * factor, count)
    out = np.zeros(shape, np.float32, order="F")
    bounds = (
        Bounds(*(np.zeros(shape, np.float32, order="F") for _ in "lu")) if uncertainty else None
    )
    network = network.to(compute.device)
    with torch.inference_mode(), compute.autocast():
        for index in range(count):
            if given.masks[index].any():
                image = torch.from_numpy(given.images[index])[None, None].to(compute.device)
                mask = torch.from_numpy(given.masks[index])[None, None].to(compute.device)
                samples = Samples(torch.where(mask, fft2c(image), 0), mask)
                parts = torch.cat([image.real, image.imag], dim=1)
                # On a scale of its own, whatever other slices hold.
                output = network(parts, samples=samples)
                magnitude = output.image.float().norm(dim=1)[0, :, columns].cpu().numpy()
                out[..., index] = magnitude
                if bounds is not None:
                    below, above = output.stages[-1].interval[0, :, :, columns].cpu().numpy()
                    bounds.lower[..., index] = np.maximum(magnitude - below, 0)
                    bounds.upper[..., index] = magnitude + above
            if progress is not None:
                progress(index + 1, count)
    return out, bounds


def shown_affine(raw: RawData) -> NDArray[np.float64]:
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
