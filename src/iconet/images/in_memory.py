"""What Python programs hold, as scans, and the way back to the same kind of object.

torch and SimpleITK are looked for among what is imported already: an object of theirs can be there
only then.
"""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from iconet.errors import InputError
from iconet.images.geometry import lps_to_ras
from iconet.images.memory import require_memory
from iconet.images.own import says_own
from iconet.images.reading import from_array, from_nibabel, read
from iconet.images.scan import Scan
from iconet.images.writing import to_array, to_nibabel

if TYPE_CHECKING:
    import SimpleITK
    from torch import Tensor

ORDERS = {2: "ij", 3: "ijk", 4: "ijkt"}
"""The axes of an array that says nothing of them: voxel axes as nibabel has them, then volumes."""

APART = "bct"
FEWEST = 5
"""Voxels along the first two axes of a 4-D array; fewer are a batch or channels more likely."""

TAKEN = "a path, a nibabel image, a NumPy array, a torch tensor or a SimpleITK image"
SAID_BY_SIMPLEITK = ("iconet", "ITK_FileNotes", "Comment", "0008|103e", "0008|2111")
"""Where SimpleITK has what `iconet.images.own` writes: descriptions of NIfTI, NRRD and DICOM."""


@dataclass(frozen=True)
class Given:
    """Scans of an object, and what makes an object of that kind of the results.

    Attributes:
        scans: One, or one for each image of a batch.
        back: Called with as many results.
    """

    scans: Sequence[Scan]
    back: Callable[[Sequence[Scan]], Any]

    @property
    def remarks(self) -> list[str]:
        """What was left out, converted or taken for granted, each line once."""
        return list(dict.fromkeys(line for scan in self.scans for line in scan.remarks))


def take(
    given: Any,
    *,
    axes_order: str | None = None,
    scale: int = 1,
    series: str | int | None = None,
    volume: int | None = None,
    allow_missing: bool = False,
) -> Given:
    """Take what Python programs hold.

    Args:
        given: A path, as `read` takes it; a nibabel image; a NumPy array; a torch tensor; a
            SimpleITK image.
        axes_order: Of an array or tensor, a letter an axis: two or three of ``i``, ``j``, ``k`` or
            of ``d``, ``h``, ``w`` (slices, rows, columns), ``t`` for the volumes of a series, ``b``
            and ``c`` for images and channels that have nothing to do with each other. By default
            "ij", "ijk" or "ijkt".
        scale: As in `read`.
        series: As in `read`.
        volume: As in `read`.
        allow_missing: As in `read`.

    Raises:
        InputError: Another kind of object, an order that does not fit it, or as `read`.
    """
    torch, simpleitk = sys.modules.get("torch"), sys.modules.get("SimpleITK")
    array = isinstance(given, np.ndarray) or (torch is not None and torch.is_tensor(given))
    path = isinstance(given, str | os.PathLike)
    if axes_order is not None and not array:
        raise InputError("axes_order is for arrays and tensors; other scans say it themselves")
    if series is not None and not path:
        raise InputError("a series is chosen from DICOM files; omit it, or give their path")
    if volume is not None and not path:
        raise InputError("a volume is chosen from a file; index the given image instead")
    if path and not os.fspath(given):
        raise InputError("the given path is empty; name a scan")
    if path:
        scan = read(given, scale=scale, series=series, volume=volume, allow_missing=allow_missing)
        return Given([scan], _to_nibabel_or_array)
    if isinstance(given, np.ma.MaskedArray):
        raise InputError(
            "the given array is a masked one; fill it first, for example"
            " array.astype(float).filled(numpy.nan)"
        )
    if isinstance(given, np.ndarray):
        return _take_array(given, axes_order, scale)
    if array:
        return _take_tensor(given, axes_order, scale)
    if simpleitk is not None and isinstance(given, simpleitk.Image):
        return _take_simpleitk(given, scale)
    return Given([_of_nibabel(given, scale)], _to_nibabel_or_array)


def _to_nibabel_or_array(made: Sequence[Scan]) -> Any:
    (scan,) = made
    return to_array(scan) if scan.affine is None else to_nibabel(scan)


def _of_nibabel(given: Any, scale: int) -> Scan:
    from nibabel.filebasedimages import FileBasedImage
    from nibabel.spatialimages import SpatialImage

    if isinstance(given, SpatialImage):
        return from_nibabel(given, scale=scale)
    kind = type(given)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    what = f"the given object is of type {name}"
    if isinstance(given, FileBasedImage):
        raise InputError(
            f"{what}, which has no grid of voxels (surfaces, CIFTI and the like); give the volume"
            " that it was made from"
        )
    convertible = isinstance(given, list | tuple) or hasattr(given, "__array_interface__")
    if convertible or hasattr(given, "__array__"):
        raise InputError(f"{what}; give {TAKEN}, such as numpy.asarray makes of it")
    raise InputError(f"{what}; give {TAKEN}")


@dataclass(frozen=True)
class _Order:
    """Which axes of an array are which.

    Attributes:
        alone: Along which images have nothing to do with each other.
        image: The axes of one image or series, as a scan has them.
    """

    alone: tuple[int, ...]
    image: tuple[int, ...]

    @classmethod
    def of(cls, shape: tuple[int, ...], text: str | None) -> "_Order":
        if text is None:
            text = _usual(shape)
        if not isinstance(text, str):
            raise InputError(f"axes_order {text!r}: give one letter for each axis, such as bchw")
        letters = text.lower()
        space = [letter for letter in letters if letter not in APART]
        known = set(space) <= set("ijk") or set(space) <= set("dhw")
        if not known or len(set(letters)) < len(letters) or len(space) not in (2, 3):
            raise InputError(
                f"axes_order {text}: give two or three of i, j, k or of d, h, w, and b, c or t for"
                " the others, such as bchw or ijkt"
            )
        if len(letters) != len(shape):
            raise InputError(
                f"axes_order {text}: the array has {len(shape)} axes, {_listed(shape)}; give a"
                " letter for each"
            )
        series = len(space) == 3  # slices that stand alone are no volumes of a series
        image = [letters.index(letter) for letter in space]
        image += [letters.index("t")] if series and "t" in letters else []
        return cls(tuple(axis for axis in range(len(shape)) if axis not in image), tuple(image))


def _usual(shape: tuple[int, ...]) -> str:
    """The order of an array that says nothing.

    Raises:
        InputError: It could be another one.
    """
    order = ORDERS.get(len(shape))
    if order is None:
        raise InputError(
            f"the given array: {len(shape)}-D; give a 2-D, 3-D or 4-D image, or say what its axes"
            " are by axes_order, such as bcdhw"
        )
    if len(shape) == 4 and min(shape[:2]) < FEWEST:
        raise InputError(
            f"the given array: {_listed(shape)} may be a batch, channels or a series of volumes;"
            " say which by axes_order: bchw, cdhw, ijkt, ..."
        )
    return order


def _listed(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _take_array(array: np.ndarray, text: str | None, scale: int) -> Given:
    order = _Order.of(array.shape, text)
    require_memory("the given array", array.shape, scale)
    ordered = array.transpose(*order.alone, *order.image)
    alone = ordered.shape[: len(order.alone)]
    scans = [from_array(ordered[index], scale=scale) for index in np.ndindex(alone)]
    if not scans:
        raise InputError(f"the given array: no voxels (its size is {array.shape})")

    def back(made: Sequence[Scan]) -> np.ndarray:
        images = [to_array(scan) for scan in made]
        whole = images[0] if not alone else np.stack(images).reshape(*alone, *images[0].shape)
        return whole.transpose(np.argsort((*order.alone, *order.image)))

    return Given(scans, back)


def _take_tensor(tensor: "Tensor", text: str | None, scale: int) -> Given:
    import torch

    plain = tensor.detach()
    try:
        array = (plain.float() if plain.is_floating_point() else plain).cpu().numpy()
    except (TypeError, RuntimeError, NotImplementedError):
        raise InputError(
            f"the given tensor of {tensor.dtype} has no values that NumPy could hold; give a dense"
            " one of numbers"
        ) from None
    taken = _take_array(array, text, scale)

    def back(made: Sequence[Scan]) -> "Tensor":
        return torch.from_numpy(np.ascontiguousarray(taken.back(made))).to(tensor.device)

    return Given(taken.scans, back)


def _take_simpleitk(image: "SimpleITK.Image", scale: int) -> Given:
    from nibabel import Nifti2Image

    simpleitk = sys.modules["SimpleITK"]
    name = "the given SimpleITK image"
    count, kind = image.GetDimension(), image.GetPixelIDTypeAsString().lower()
    if "label" in kind:  # SimpleITK ends the program where it is asked for more
        raise InputError(f"{name}: a label map; give it as an image (SimpleITK.LabelMapToLabel)")
    if image.GetNumberOfComponentsPerPixel() > 1:
        raise InputError(f"{name}: several numbers in each voxel; extract one first")
    if count not in ORDERS or "complex" in kind:
        raise InputError(f"{name}: give 2 to 4 dimensions of real numbers")
    array = np.asarray(simpleitk.GetArrayFromImage(image)).T
    spatial = min(count, 3)
    directions = np.reshape(image.GetDirection(), (count, count))
    if count == 4 and (directions[3, :3].any() or directions[:3, 3].any()):
        raise InputError(f"{name}: an axis mixes space and time; resample the series")
    affine = np.eye(4)
    affine[:spatial, :spatial] = (directions * image.GetSpacing())[:spatial, :spatial]
    affine[:spatial, 3] = image.GetOrigin()[:spatial]
    # In NIfTI-2 an affine has double precision, as SimpleITK's has.
    held = Nifti2Image(array, lps_to_ras(affine), dtype=array.dtype)
    held.header.set_xyzt_units("mm")
    said = " ".join(image.GetMetaData(k) for k in SAID_BY_SIMPLEITK if image.HasMetaDataKey(k))
    scan = replace(from_nibabel(held, scale=scale), mark=said if says_own(said) else None)

    def back(made: Sequence[Scan]) -> "SimpleITK.Image":
        (result,) = made
        new = simpleitk.GetImageFromArray(to_array(result).T, isVector=False)
        lps = lps_to_ras(np.asarray(result.affine))
        steps = np.linalg.norm(lps[:spatial, :spatial], axis=0)
        spacing, origin = np.array(image.GetSpacing()), np.array(image.GetOrigin())
        spacing[:spatial], origin[:spatial] = steps, lps[:spatial, 3]
        new.SetSpacing(spacing.tolist())
        new.SetOrigin(origin.tolist())
        new.SetDirection(image.GetDirection())
        if result.mark is not None:  # what NRRD and MetaImage write of it is found again
            new.SetMetaData("iconet", result.mark)
        return new

    return Given([scan], back)


def is_path(given: Any) -> bool:
    """Whether `take` reads a file."""
    return isinstance(given, str | os.PathLike)


def name_of(given: Any) -> Path | str:
    """What to call what was given."""
    return Path(given) if is_path(given) else "the given image"
