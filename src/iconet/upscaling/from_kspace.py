"""From raw k-space to a bigger image, by default its magnitude.

Data without a missing line between the outermost ones go to a network of magnitude images: the
joint networks, which learnt to undo aliasing, lose 0.2 dB to zero-filling on them, and those of
images gain 2.2 dB. Others go to a joint network with what was measured, of several coils with all
coils' samples and sensitivities (`iconet.physics.reconstruction`).
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from iconet.errors import InputError
from iconet.images import Scan, require_memory, scaled_affine
from iconet.images.kspace.raw_data import RawData, middle
from iconet.images.own import mark
from iconet.runtime.device import Compute
from iconet.upscaling.interval import Bounds
from iconet.upscaling.kspace_slices import Reconstruction, reconstruct
from iconet.upscaling.models import Models
from iconet.upscaling.options import Options
from iconet.upscaling.out_of_range import Finding, acceptable, out_of_range
from iconet.upscaling.plan import plan_grid
from iconet.upscaling.slices import Progress
from iconet.upscaling.upscale import upscale_scan
from iconet.zoo.model import Model, open_model

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header
    from torch import Tensor

    from iconet.network import Samples
    from iconet.network.iconet import ICONetOutput
    from iconet.physics.residuals import Residuals

UNUSED = ("plane", "axes", "spacing", "isotropic", "series", "volume", "tile", "acquired", "window")
"""Options for images, of which raw k-space has no use."""


class KspaceModels(NamedTuple):
    """The networks that raw k-space may go to; the same one if it was chosen by name.

    Attributes:
        undersampled: Where a line between two measured ones is unknown.
        complete: Where none is.
    """

    undersampled: Model
    complete: Model

    def suited(self, given: Reconstruction) -> Model:
        """The one that is for these data."""
        return self.complete if given.complete else self.undersampled

    @property
    def weights(self) -> list[str | None]:
        """The SHA-256 of all files of weights that may take part."""
        return list(dict.fromkeys(model.sha256 for model in self))


def open_kspace_models(options: Options, *, device: str) -> KspaceModels:
    """Load the model that was chosen, or by default those for the scale, 2 if that is 1.

    Raises:
        InputError: An option that raw k-space has no use for is given; or as `open_model`.
    """
    given = [name for name in UNUSED if getattr(options, name) != getattr(Options, name)]
    if given:
        raise InputError(
            "raw k-space is upscaled in whole slices as measured: omit "
            + ", ".join(f"--{name}" for name in given)
        )
    scale = None if options.scale == 1 else options.scale
    if options.model is not None:
        model = open_model(options.model, scale=scale, device=device, kind="")
        return KspaceModels(model, model)
    return KspaceModels(
        *(open_model(None, scale=scale, device=device, kind=kind) for kind in ("-joint", ""))
    )


def upscale_kspace(
    raw: RawData,
    models: KspaceModels,
    *,
    compute: Compute,
    options: Options | None = None,
    progress: Progress | None = None,
) -> tuple[Scan, Reconstruction]:
    """Reconstruct and upscale.

    Args:
        raw: As read.
        models: Of the same scale, the one for undersampled data of complex images.
        compute: Device and precision.
        options: Of which only a scale of 1, the reconstruction alone, ``complex``,
            ``uncertainty``, ``best`` and ``strict`` count.
        progress: Called with (done, in all) slices.

    Returns:
        The magnitude, float32 on the scale of the root of the sum of squares of the orthonormal
        transforms, cut to the field of view that the header wants, or complex64 if that is asked
        for; and what it was made from.

    Raises:
        InputError: Data that cannot be reconstructed well, or not by this network; with ``strict``
            complete data that are out of range.
    """
    from torch import OutOfMemoryError

    from iconet.physics.residuals import Residuals

    options = Options() if options is None else options
    alone = options.scale == 1
    factor = 1 if alone else models.complete.scale
    height, width = raw.shown[0], raw.matrix[1]
    # The combined slices as they are and magnified, of the latter a copy.
    arrays = 9 if options.uncertainty else 3
    require_memory(str(raw.path), (arrays, raw.slices, height, width), factor)
    try:
        given = reconstruct(raw)
        model, residuals = models.suited(given), Residuals()
        if given.complete and (alone or model.channels == 1):
            scan, findings = _by_images(raw, given, model, compute, options, progress)
            given = given._replace(findings=findings)
            scan = _with_phase(raw, given, scan, residuals, keep=options.complex)
        else:
            _refuse_best(raw, options)
            scan = _by_samples(raw, given, model, compute, options, progress, residuals)
    except (MemoryError, OutOfMemoryError):
        raise InputError(
            f"{raw.path}: the memory of {compute.device} is too small: try the CPU or a larger"
            " machine"
        ) from None
    return scan, given._replace(consistency=residuals.summary())


def _refuse_best(raw: RawData, options: Options) -> None:
    if options.best:
        raise InputError(
            f"{raw.path}: goes to a network with its samples, which is never flipped or turned;"
            " omit --best"
        )


def _by_samples(
    raw: RawData,
    given: Reconstruction,
    model: Model,
    compute: Compute,
    options: Options,
    progress: Progress | None,
    residuals: "Residuals",
) -> Scan:
    """By a network that is told what was measured."""
    import torch

    from iconet.network.kspace.complex_images import to_complex
    from iconet.network.kspace.consistency import measured_of

    if model.channels == 1:
        raise InputError(
            f"{raw.path}: undersampled {given.acceleration:.1f} times, which a model of "
            f"magnitude images cannot undo: choose mri-x{model.scale}-joint"
        )
    factor = 1 if options.scale == 1 else model.scale
    columns = middle(raw.matrix[1], raw.shown[1])
    columns = slice(columns.start * factor, columns.stop * factor)
    shape = (raw.shown[0] * factor, raw.shown[1] * factor, raw.slices)
    out = np.zeros(shape, np.complex64 if options.complex else np.float32, order="F")
    bounds = Bounds.zeros(shape) if options.uncertainty else None
    network = model.running(options.uncertainty).to(compute.device)
    with torch.inference_mode(), compute.autocast():
        for index in range(raw.slices):
            if given.masks[index].any():
                image = torch.from_numpy(given.images[index])[None, None].to(compute.device)
                mask = torch.from_numpy(given.masks[index])[None, None].to(compute.device)
                samples = _samples(raw, given, index, image, mask)
                parts = torch.cat([image.real, image.imag], dim=1)
                # On a scale of its own, whatever other slices hold.
                output = network(parts, samples=samples)
                bigger = _reconstruction(raw, output) if factor == 1 else output.image
                bigger = bigger.float()
                residuals.add(samples.kspace[0], measured_of(bigger, samples)[0], mask[0, 0])
                if options.complex:
                    out[..., index] = to_complex(bigger)[0, 0, :, columns].cpu().numpy()
                else:
                    out[..., index] = bigger.norm(dim=1)[0, :, columns].cpu().numpy()
                if bounds is not None:
                    distances = output.stages[-1].interval[0, :, :, columns].cpu().numpy()
                    bounds.around(index, out[..., index], distances)
            if progress is not None:
                progress(index + 1, raw.slices)
    scan = _scan(raw, out, shown_affine(raw), factor)
    both = None if bounds is None else bounds.both
    return replace(scan, bounds=both, mark=mark(model.name or "weights of a user", factor))


def _samples(
    raw: RawData, given: Reconstruction, index: int, image: "Tensor", mask: "Tensor"
) -> "Samples":
    """What was measured of a slice: of several coils where lines are missing, else combined."""
    import torch

    from iconet.network import Samples
    from iconet.physics.coils import lines_or_samples
    from iconet.physics.fourier import fft2c
    from iconet.physics.reconstruction import reconstruct_slice

    if given.coils > 1 and not given.complete:
        # Read again: the samples of all coils of all slices may not fit into memory.
        found = reconstruct_slice(torch.from_numpy(raw.load(index)), raw.shown[0])
        if found.maps is not None:
            kspace, maps = (part[None].to(image.device) for part in (found.kspace, found.maps))
            return Samples(kspace, lines_or_samples(mask[:, 0]), maps)
    return Samples(torch.where(mask, fft2c(image), 0), mask)


def _reconstruction(raw: RawData, output: "ICONetOutput") -> "Tensor":
    """What the reconstruction branch gives at the size that was measured."""
    if not output.stages:
        raise InputError(
            f"{raw.path}: this network has no reconstruction of its own for --scale 1; choose"
            " mri-x2-joint"
        )
    return output.stages[0].reconstruction


def _by_images(
    raw: RawData,
    given: Reconstruction,
    model: Model,
    compute: Compute,
    options: Options,
    progress: Progress | None,
) -> tuple[Scan, tuple[Finding, ...]]:
    """By a network of magnitude images; or, with a scale of 1, as they were combined."""
    columns = middle(raw.matrix[1], raw.shown[1])
    shown = np.abs(given.images[:, :, columns]).transpose(1, 2, 0)
    low = _scan(raw, np.asfortranarray(shown), shown_affine(raw), 1)
    if options.scale == 1:
        return replace(low, mark=mark("reconstruction", 1)), ()
    # Raw data say themselves what was acquired.
    models, images = Models(model), Options(plane="k", acquired="off", window="none")
    images = replace(images, uncertainty=options.uncertainty, best=options.best)
    plan = plan_grid(low, models, images)
    findings = acceptable(out_of_range(low, plan, models, images), options)
    made = upscale_scan(low, plan, models, compute, images, progress=progress)
    return made, tuple(findings)


def _with_phase(
    raw: RawData, given: Reconstruction, scan: Scan, residuals: "Residuals", *, keep: bool
) -> Scan:
    """Magnitudes with the phase of the images that they were made from, if that is to be kept.

    A network of magnitudes knows no phase: that of the combined image is interpolated.
    """
    import torch

    from iconet.network.kspace.complex_images import resize
    from iconet.physics.fourier import fft2c
    from iconet.physics.reconstruction import nearest_samples

    columns = middle(raw.matrix[1], raw.shown[1])
    lines = nearest_samples(raw.matrix[1], raw.shown[1])
    out = np.zeros(scan.array.shape, np.complex64, order="F") if keep else None
    for index in range(raw.slices):
        image = torch.from_numpy(np.ascontiguousarray(given.images[index][:, columns]))
        mask = torch.from_numpy(given.masks[index])[:, lines]
        magnitude = torch.from_numpy(np.ascontiguousarray(scan.array[..., index]))
        size = (magnitude.shape[0], magnitude.shape[1])
        parts = resize(torch.stack([image.real, image.imag]), size)
        bigger = torch.polar(magnitude, torch.atan2(parts[1], parts[0]))
        if out is not None:
            out[..., index] = bigger.numpy()
        low = resize(torch.stack([bigger.real, bigger.imag]), (image.shape[0], image.shape[1]))
        samples = torch.where(mask, fft2c(image), 0)[None]
        residuals.add(samples, fft2c(torch.complex(low[0], low[1]))[None], mask)
    return scan if out is None else replace(scan, array=out)


def shown_affine(raw: RawData) -> NDArray[np.float64]:
    """Of the part of the field of view that is shown, at the measured resolution."""
    corner = np.eye(4)
    corner[:2, 3] = [
        middle(size, wanted).start for size, wanted in zip(raw.matrix, raw.shown, strict=True)
    ]
    return raw.affine @ corner


def _scan(raw: RawData, array: NDArray[Any], affine: NDArray[np.float64], factor: int) -> Scan:
    affine = scaled_affine(affine, (factor, factor, 1))
    return Scan(array, affine=affine, header=_header(raw, array, affine), path=raw.path)


def _header(raw: RawData, array: NDArray[Any], affine: NDArray[np.float64]) -> "Nifti1Header":
    import nibabel

    header = nibabel.Nifti1Header()
    header.set_data_shape(array.shape)
    header.set_data_dtype(array.dtype)
    header.set_xyzt_units("mm")
    header.set_zooms(np.linalg.norm(affine[:3, :3], axis=0))
    # "scanner" where the file says so; else "aligned", to nothing but itself.
    header.set_sform(affine, code=1 if raw.placed else 2)
    what = "complex" if array.dtype.kind == "c" else "magnitude"
    header["descrip"] = f"{what} in the units of the raw data".encode()
    return header
