"""Raw data in the HDF5 files of the ISMRM raw data format (ISMRMRD, MRD version 1).

A group holds ``xml``, the header, and ``data``, one record for each readout: a fixed header
(``head``) and the samples of all coils, real and imaginary part in turn. Read by h5py as the
format's description lays it out, https://ismrmrd.readthedocs.io/en/latest/mrd_raw_data.html.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from iconet.errors import InputError
from iconet.images.kspace.hdf5 import dataset, opened
from iconet.images.kspace.mrd_header import Header, parse_header
from iconet.images.kspace.raw_data import (
    RawData,
    default_affine,
    middle,
    pixel_sizes,
    placed_affine,
    shown_part,
)
from iconet.images.memory import require_memory
from iconet.physics.fourier import ifftc

if TYPE_CHECKING:
    import h5py

KIND = "ISMRMRD"
# Flags, counted from 1, of readouts that are no part of the image: noise, navigators, phase
# correction, feedback, dummies, surface coil correction, phase stabilisation.
OTHER = (19, 23, 24, 26, 27, 28, 29, 30, 31)
CALIBRATION = 20  # for parallel imaging alone; 21 is for the image too
REVERSE = 22
SERIES = ("contrast", "phase", "repetition", "set")


class Readouts(NamedTuple):
    """The readouts that make the image, and where they belong.

    Attributes:
        rows: (N,) of ``data``.
        line: (N,) index along the phase axis of the matrix.
        partition: (N,) index along the slice axis of a 3-D matrix, 0 in 2-D.
        number: (N,) of the slice, from 0, in the order of their positions.
        kept: Which samples of a readout count.
        place: Where along the readout axis of the matrix they belong.
    """

    rows: NDArray[np.intp]
    line: NDArray[np.intp]
    partition: NDArray[np.intp]
    number: NDArray[np.intp]
    kept: slice
    place: slice


def mrd_group(file: "h5py.File") -> str | None:
    """The group that holds raw data, ``dataset`` by custom; None if no group does."""
    import h5py

    for name in sorted(file, key=lambda name: name != "dataset"):
        if isinstance(file.get(name), h5py.Group) and {"xml", "data"} <= set(file[name]):
            return str(name)
    return None


def read_raw_mrd(path: Path, file: "h5py.File", group: str) -> RawData:
    """What the file holds; slices are read one by one, a 3-D scan as a whole.

    Lines measured several times are averaged. Noise scans, navigators and the like are left out,
    calibration lines too unless the header says that they are embedded in the scan. No correction
    for noise that coils share, for the ramps of an EPI readout or for motion is made.

    Raises:
        InputError: If the file is damaged, not Cartesian, or holds more than one image.
    """
    heads, rows, header = _of_the_image(path, file[group])
    readouts, matrix = _placed(path, heads, rows, header)
    coils = int(heads["active_channels"][0])
    height, width, depth = matrix
    shown = _shown_slices(header, readouts, depth)
    affine, placed = _affine(path, heads, readouts, header, matrix, shown)
    return RawData(
        path=path,
        slices=shown.stop - shown.start,
        coils=coils,
        matrix=(height, width),
        shown=shown_part(header, (height, width)),
        affine=affine,
        placed=placed,
        load=_loader(path, group, readouts, (coils, height, width, depth), shown),
    )


def _of_the_image(
    path: Path, group: "h5py.Group"
) -> tuple[NDArray[np.void], NDArray[np.intp], Header]:
    """The heads of the readouts of the image, their rows in ``data``, and the file's header."""
    data = dataset(path, group, "data", KIND)
    if data.ndim != 1 or not {"head", "data"} <= set(data.dtype.names or ()):
        raise InputError(f"{path}: its data are not the acquisitions of {KIND}; convert it again")
    require_memory(str(path), (data.size, data.dtype.itemsize // 4))
    heads = data.fields("head")[:]
    if not {"flags", "idx", "center_sample", "read_dir"} <= set(heads.dtype.names or ()):
        raise InputError(f"{path}: its acquisitions have no header of {KIND}; convert it again")
    image = ~np.logical_or.reduce([_flagged(heads["flags"], flag) for flag in OTHER])
    if not image.any():
        raise InputError(f"{path}: holds no readout of an image; convert the scan again")
    references = np.unique(heads["encoding_space_ref"][image])
    if len(references) > 1:
        raise InputError(
            f"{path}: holds {len(references)} encodings; convert them into one file each"
        )
    header = _header(path, group, int(references[0]))
    if header.trajectory != "cartesian":
        raise InputError(
            f"{path}: its trajectory is {header.trajectory or 'not given'}; only Cartesian k-space"
            " can be read, grid it first"
        )
    if header.calibration != "embedded":
        image &= ~_flagged(heads["flags"], CALIBRATION)
    rows = np.flatnonzero(image)
    if not len(rows):
        raise InputError(f"{path}: holds no readout of an image; convert the scan again")
    return heads[rows], rows, header


def _loader(
    path: Path,
    group: str,
    readouts: Readouts,
    shape: tuple[int, int, int, int],
    shown: slice,
) -> Callable[[int], NDArray[np.complex64]]:
    """Reads slices of k-space (C, H, W, D): one by one in 2-D, all of them at the first in 3-D."""
    if shape[-1] == 1:
        return lambda index: _gridded(path, group, readouts, index, shape)[..., 0]
    whole: list[NDArray[np.complex64]] = []

    def load(index: int) -> NDArray[np.complex64]:
        if not whole:
            require_memory(str(path), (2, *shape), 2)
            kspace = _gridded(path, group, readouts, 0, shape)
            whole.append(_across_slices(kspace)[..., shown])
        return whole[0][..., index]

    return load


def _header(path: Path, group: "h5py.Group", encoding: int) -> Header:
    xml = dataset(path, group, "xml", KIND)
    if xml.size != 1:
        raise InputError(f"{path}: holds {xml.size} headers instead of one; convert it again")
    try:
        return parse_header(np.ravel(xml[()])[0], encoding)
    except (ElementTree.ParseError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: its header is not that of {KIND} ({reason}); convert it again"
        ) from None


def _flagged(flags: NDArray[np.uint64], flag: int) -> NDArray[np.bool_]:
    return (flags & np.uint64(1 << (flag - 1))) != 0


def _placed(
    path: Path, heads: NDArray[np.void], rows: NDArray[np.intp], header: Header
) -> tuple[Readouts, tuple[int, int, int]]:
    """Where every readout belongs in the matrix (H, W, D), D 1 for 2-D slices."""
    counters = heads["idx"]
    for name in SERIES:
        if len(found := np.unique(counters[name])) > 1:
            raise InputError(
                f"{path}: holds {len(found)} images of each slice (its readouts differ in"
                f" '{name}'); convert them into one file each"
            )
    if _flagged(heads["flags"], REVERSE).any():
        raise InputError(f"{path}: has readouts in reverse (EPI); reconstruct it first")
    for name in ("number_of_samples", "active_channels", "center_sample"):
        if (heads[name] != heads[name][0]).any():
            raise InputError(f"{path}: its readouts differ in {name}; convert it again")
    # Whole readouts keep what single ones discard.
    before, after = int(heads["discard_pre"].max()), int(heads["discard_post"].max())
    samples = int(heads["number_of_samples"][0])
    kept = slice(before, samples - after)

    height, width, depth = header.encoded.matrix
    steps = counters["kspace_encode_step_2"].astype(np.intp)
    if not steps.any():
        depth = 1  # a 2-D slice, or one partition
    start = height // 2 - int(heads["center_sample"][0]) + before
    place = slice(start, start + kept.stop - kept.start)
    line = _index(counters["kspace_encode_step_1"], header.centre[0], width)
    partition = _index(steps, header.centre[1], depth) if depth > 1 else steps
    inside = kept.start < kept.stop and 0 <= place.start and place.stop <= height
    for index, size in ((line, width), (partition, depth)):
        inside = inside and index.min() >= 0 and index.max() < size
    if not inside or not heads["active_channels"][0]:
        raise InputError(
            f"{path}: its readouts do not fit the encoded matrix of {height} x {width} x {depth}"
            " around its centre; correct the header"
        )

    numbers = counters["slice"]
    if depth > 1:
        if len(np.unique(numbers)) > 1:
            raise InputError(f"{path}: holds several 3-D slabs; convert them into one file each")
        numbers = np.zeros_like(numbers)
    order, first = np.unique(numbers, return_index=True)
    # The scanner's order may be interleaved: along the normal, as far as positions tell.
    normal = heads["slice_dir"][0].astype(np.float64)
    along = heads["position"][first].astype(np.float64) @ normal
    rank = np.argsort(np.argsort(along, kind="stable"))
    ordered = rank[np.searchsorted(order, numbers)]
    return Readouts(rows, line, partition, ordered, kept, place), (height, width, depth)


def _index(counter: NDArray[Any], centre: int | None, size: int) -> NDArray[np.intp]:
    """Index in the matrix, whose centre is at size//2, of a counter whose centre is `centre`."""
    centre = size // 2 if centre is None else centre
    return counter.astype(np.intp) - centre + size // 2


def _gridded(
    path: Path, group: str, readouts: Readouts, number: int, shape: tuple[int, int, int, int]
) -> NDArray[np.complex64]:
    """k-space (C, H, W, D) of a slice or slab, 0 where nothing was measured."""
    chosen = np.flatnonzero(readouts.number == number)
    kspace = np.zeros(shape, np.complex64)
    times = np.zeros(shape[2:], np.float32)
    with opened(path) as file:
        values = dataset(path, file[group], "data", KIND).fields("data")[readouts.rows[chosen]]
    samples = {len(value) for value in values}
    if len(samples) != 1 or samples.pop() % (2 * shape[0]):
        raise InputError(f"{path}: its readouts are cut off; convert it again")
    for value, line, partition in zip(
        values, readouts.line[chosen], readouts.partition[chosen], strict=True
    ):
        readout = value.astype(np.float32).view(np.complex64).reshape(shape[0], -1)
        readout = readout[:, readouts.kept]
        if readout.shape[1] != readouts.place.stop - readouts.place.start:
            raise InputError(f"{path}: its readouts are cut off; convert it again")
        kspace[:, readouts.place, line, partition] += readout
        times[line, partition] += 1
    lines, partitions = times.any(axis=1), times.any(axis=0)
    if not times[np.ix_(lines, partitions)].all() or np.ptp(np.flatnonzero(partitions)) + 1 != (
        partitions.sum()
    ):
        raise InputError(
            f"{path}: which lines were measured differs from partition to partition; only one"
            " pattern for all of them can be reconstructed"
        )
    kspace /= np.maximum(times, 1)
    return kspace


def _across_slices(kspace: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """From partitions to slices: the inverse transform along the last axis, in place."""
    for coil in range(len(kspace)):
        kspace[coil] = ifftc(kspace[coil], (-1,))
    return kspace


def _shown_slices(header: Header, readouts: Readouts, depth: int) -> slice:
    """The slices that the image is to show: all of a 2-D scan, the middle ones of a 3-D one."""
    if depth == 1:
        return slice(0, int(readouts.number.max()) + 1)
    wanted = depth * header.recon.field_of_view[2] / header.encoded.field_of_view[2]
    return middle(depth, min(depth, max(1, round(wanted))))


def _affine(
    path: Path,
    heads: NDArray[np.void],
    readouts: Readouts,
    header: Header,
    matrix: tuple[int, int, int],
    shown: slice,
) -> tuple[NDArray[np.float64], bool]:
    """From voxels to RAS+ millimetres, and whether the file says so."""
    height, width, depth = matrix
    through = header.encoded.field_of_view[2] / depth
    spacing = (*pixel_sizes(header, (height, width)), through)
    first = [
        int(np.argmax(readouts.number == number)) for number in range(readouts.number.max() + 1)
    ]
    positions = heads["position"][first].astype(np.float64)
    directions = np.stack(
        [heads[name][0].astype(np.float64) for name in ("read_dir", "phase_dir", "slice_dir")]
    )
    if not np.isfinite(positions).all() or not np.isfinite(directions).all():
        raise InputError(f"{path}: its positions are not numbers; repair its acquisitions")
    together = len(positions) > 1 and not np.ptp(positions, axis=0).any()
    if together or not directions.any():
        return default_affine(spacing, (height, width, shown.stop - shown.start)), False
    centre = (height // 2, width // 2, depth // 2 - shown.start)
    return placed_affine(path, directions, positions, spacing, centre), True
