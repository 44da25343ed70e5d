"""Scans as people have them through `iconet.upscale`, beside interpolation.

    python benchmarks/odd_scans.py ../shared/data --output before.csv [--case X] [--dataset X]
    python benchmarks/odd_scans.py --table before.csv [after.csv]
    python benchmarks/odd_scans.py --matrix after.csv

Test subjects are lowered in many ways: other windows and blurs than in training, images that a
console enlarged already, offsets, signed values, dim slices, CT, PET, maps. A row of the CSV is one
scan, case and scale; a run goes on where it stopped. Six slices of the middle half of a volume.

PSNR is that of the foreground, with the peak of the reference volume, as in
`iconet.evaluation.metrics`, with these exceptions:
- CT: the body above -500 HU, holes filled slice by slice; data range 2000 HU.
- Field map: inside the object; data range peak to peak.
- Wild voxels: the foreground farther than 6 input pixels, in its slice, from one.
- Dim slices: the dim slices alone, with their own peak.
`worst` is PSNR of the result above the better one of two interpolations of the same input: zero
filling and cubic B-spline. Images that were enlarged already are compared inside the truth's band:
k-space of the result is cropped to the truth's matrix, and so is that of the interpolations.
`mean_ratio` is the mean of the foreground over the truth's, both above 0 or, for signed values, the
truth's minimum. Minimum and maximum are those of the result, any offset taken off.

Magnitudes are scaled to 1000 at the 99.5th percentile of their positive voxels. CT and PET come
from files whose names end in `_ct` and `_pet`, all others as nibabel images without a name. Nothing
says which network to use unless `--models` does; 4x is asked for by the spacing. fp32, PyTorch.
"""

import argparse
import csv
import io
import itertools
import multiprocessing
import os
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import torch
import torch.nn.functional as F
from numpy.typing import DTypeLike, NDArray
from pydicom.pixels.processing import apply_rescale
from scipy.ndimage import binary_fill_holes, gaussian_filter

import iconet
from iconet.data.truth import MULTIPLE, read_truth
from iconet.evaluation.interpolations import cubic_b_spline, zero_filling
from iconet.evaluation.metrics import foreground
from iconet.files import write_text
from iconet.images import read, slice_axis_of
from iconet.physics.blur import blur_and_resample, gaussian_blur
from iconet.physics.kspace import crop_kspace, resize_kspace
from iconet.physics.noise import rician

SLICES = 6
BRIGHT = 1000.0
SLICE_MM = 8.0  # thicker than any pixel, so that the plane is chosen rightly
SUBJECTS = {"ds002748": 4}  # at most
SERIES = {"ct_head_ge": "CT", "ct_abdomen": "CT", "pet_wholebody": "PT"}
MAPS = "maps"
DEGRADATIONS = (
    "kspace-crop noise-2 tukey fermi hamming hann zero-filled-2 zero-filled-1.5-rows conformed "
    "area-average cubic linear gaussian blurred-means"
).split()
DIM = slice(1, None, 2)
WILD, WILD_PIXELS, FAR = 1e6, 5, 6
COLUMNS = (
    "path dataset subject contrast case scale psnr_result psnr_zero_filling psnr_cubic worst "
    "mean_ratio min max zeros_lost negatives seconds"
).split()
KEY = ("path", "contrast", "case", "scale")
KINDS = {
    "ds002748": "T1w brains",
    "ds000011": "T1w heads",
    "open_ms_data": "T1w, FLAIR heads",
    "prostate": "T2w prostates",
    "limb": "T1w limbs",
    "pet-limb": "PET limbs",
    "pet_wholebody": "PET whole body",
}
Row = dict[str, str]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Scan:
    """A row of a table of scans; for maps, what they are made from."""

    path: str
    dataset: str
    subject: str
    contrast: str
    plane: str = "auto"

    @property
    def kind(self) -> str:
        """MR, CT, PET or the name of a map."""
        if self.dataset == MAPS:
            return self.contrast
        return {"CT": "CT", "PT": "PET"}.get(self.contrast, "MR")


@dataclass(frozen=True)
class Trial:
    """An image as its owner has it, and what it should become.

    Attributes:
        low: Slices (S, h, w) in the owner's values.
        truth: Slices (S, H, W).
        mask: Where they are compared.
        peak: Data range of the PSNR.
        pixel: Millimetres between rows and between columns of `low`.
        gain: The owner's values are gain x values + offset.
        kept: Slices that are compared.
        stored: Type of the owner's values.
        zeros: Whether zeros of the input should stay.
    """

    low: NDArray
    truth: NDArray
    mask: Mask
    peak: float
    pixel: tuple[float, float]
    gain: float = 1.0
    offset: float = 0.0
    kept: slice = field(default_factory=lambda: slice(None))
    stored: DTypeLike = np.float32
    zeros: bool = False


Make = Callable[[NDArray, int], Trial]


def crop(truth: NDArray, factor: int) -> NDArray:
    """The middle of k-space, signed."""
    return crop_kspace(torch.from_numpy(truth), factor).numpy()


def resized(stack: NDArray, size: tuple[int, int]) -> NDArray:
    """Another matrix with the same k-space."""
    tensor = torch.from_numpy(np.ascontiguousarray(stack, np.float32))
    return resize_kspace(tensor, size).numpy()


def means(truth: NDArray, factor: int) -> NDArray:
    """Means of blocks."""
    slices, height, width = truth.shape
    blocks = truth.reshape(slices, height // factor, factor, width // factor, factor)
    return blocks.mean((2, 4))


def trial(low: NDArray, truth: NDArray, scale: int) -> Trial:
    """A magnitude image without anything odd."""
    pixel = (float(scale), float(scale))
    return Trial(low, truth, foreground(truth), float(truth.max()), pixel)


def kspace_crop(truth: NDArray, scale: int) -> Trial:
    """As in training."""
    return trial(np.abs(crop(truth, scale)), truth, scale)


def area_average(truth: NDArray, scale: int) -> Trial:
    """As many programs make small images."""
    return trial(means(truth, scale), truth, scale)


def console(rows: float, columns: float) -> Make:
    """Zero-filled on the console, by so much along rows and columns, after a crop."""

    def make(truth: NDArray, scale: int) -> Trial:
        small = crop(truth, scale)
        size = (round(small.shape[1] * rows), round(small.shape[2] * columns))
        made = trial(np.abs(resized(small, size)), truth, scale)
        return replace(made, pixel=(scale / rows, scale / columns))

    return make


def windowed(window: Callable[[NDArray], NDArray]) -> Make:
    """A crop of k-space under a window, of the distance from the centre (1: edge of the band)."""

    def make(truth: NDArray, scale: int) -> Trial:
        spectrum = np.fft.fft2(crop(truth, scale))
        rows, columns = (window(2 * np.abs(np.fft.fftfreq(n))) for n in spectrum.shape[1:])
        low = np.abs(np.fft.ifft2(spectrum * rows[:, None] * columns).real)
        return trial(low.astype(np.float32), truth, scale)

    return make


def hamming(radius: NDArray) -> NDArray:
    return 0.54 + 0.46 * np.cos(np.pi * radius)


def hann(radius: NDArray) -> NDArray:
    return 0.5 + 0.5 * np.cos(np.pi * radius)


def tukey(radius: NDArray) -> NDArray:
    """Flat over the inner half."""
    return hann(np.clip(2 * radius - 1, 0, 1))


def fermi(radius: NDArray) -> NDArray:
    """Half at 0.9 of the band."""
    return 1 / (1 + np.exp((radius - 0.9) / 0.05))


def gaussian(truth: NDArray, scale: int) -> Trial:
    """A Gaussian of 1.2 input pixels FWHM, at the middle of every block."""
    low = blur_and_resample(torch.from_numpy(truth), scale, 1.2 * scale)
    return trial(low.numpy(), truth, scale)


def interpolated(mode: str) -> Make:
    """As programs make images smaller: widened against aliasing."""

    def make(truth: NDArray, scale: int) -> Trial:
        size = [side // scale for side in truth.shape[1:]]
        image = torch.from_numpy(truth)[:, None]
        low = F.interpolate(image, size, mode=mode, align_corners=False, antialias=True)
        return trial(low[:, 0].clamp(min=0).numpy(), truth, scale)

    return make


def blurred_means(truth: NDArray, scale: int) -> Trial:
    """A Gaussian of 0.7 input pixels FWHM, then means of blocks."""
    blurred = gaussian_blur(torch.from_numpy(truth), 0.7 * scale)
    return trial(means(blurred.numpy(), scale), truth, scale)


def conformed(truth: NDArray, scale: int) -> Trial:
    """Three quarters of the matrix were acquired; a registration brought them onto it."""
    size = tuple(side // scale for side in truth.shape[1:])
    acquired = tuple(round(0.75 * side) for side in size)
    small = torch.from_numpy(resized(truth, (acquired[0], acquired[1])))[:, None]
    low = F.interpolate(small, size, mode="bicubic", align_corners=False, antialias=True)
    return trial(low[:, 0].abs().numpy(), truth, scale)


def offset(value: float) -> Make:
    """Values of uint16 above a constant."""
    return lambda truth, scale: replace(kspace_crop(truth, scale), offset=value, stored=np.uint16)


def z_scored(truth: NDArray, scale: int) -> Trial:
    """Mean 0 and deviation 1 over the volume."""
    made = kspace_crop(truth, scale)
    mean, deviation = float(made.low.mean()), float(made.low.std())
    return replace(made, gain=1 / deviation, offset=-mean / deviation)


def brain_only(truth: NDArray, scale: int) -> Trial:
    """Integers, exactly 0 around the brain."""
    return replace(area_average(truth, scale), stored=np.int16, zeros=True)


def dim_slices(truth: NDArray, scale: int) -> Trial:
    """Every second slice at 1 %."""
    dimmed = truth.copy()
    dimmed[DIM] *= 0.01
    mask, peak = foreground(dimmed[DIM]), float(dimmed[DIM].max())
    whole = np.zeros(truth.shape, bool)
    whole[DIM] = mask
    return replace(kspace_crop(dimmed, scale), mask=whole, peak=peak, kept=DIM)


def noisy(truth: NDArray, scale: int) -> Trial:
    """Rician noise of 2 %."""
    low = torch.from_numpy(crop(truth, scale))
    noise = rician(low, 0.02 * BRIGHT, torch.Generator().manual_seed(0))
    return trial(noise.numpy(), truth, scale)


def wild_voxels(truth: NDArray, scale: int) -> Trial:
    """Five voxels of a map where its fit failed."""
    made = area_average(truth, scale)
    inside = np.argwhere(means(made.mask, scale) == 1)
    places = np.random.default_rng(0).choice(inside, WILD_PIXELS, replace=False)
    low, mask = made.low.copy(), made.mask.copy()
    rows, columns = (np.arange(n) // scale for n in truth.shape[1:])
    for index, row, column in places:
        low[index, row, column] = WILD
        mask[index] &= np.hypot(rows[:, None] - row, columns - column) > FAR
    return replace(made, low=low, mask=mask)


def field_map(truth: NDArray, scale: int) -> Trial:
    """Signed, in Hz."""
    made = trial(means(truth, scale), truth, scale)
    return replace(made, mask=truth != 0, peak=float(np.ptp(truth)))


def signed(make: Make) -> Make:
    """The same for CT: HU as integers, no magnitude."""
    lower = crop if make is kspace_crop else means

    def made(truth: NDArray, scale: int) -> Trial:
        body = np.stack([binary_fill_holes(section > -500) for section in truth])
        simple = trial(lower(truth, scale), truth, scale)
        return replace(simple, mask=body, peak=2000.0, stored=np.int16)

    return made


CASES: dict[str, tuple[Make, tuple[int, ...]]] = {
    "kspace-crop": (kspace_crop, (2, 4)),
    "area-average": (area_average, (2, 4)),
    "zero-filled-2": (console(2, 2), (2,)),
    "zero-filled-1.5-rows": (console(1.5, 1), (2,)),
    "hamming": (windowed(hamming), (2,)),
    "hann": (windowed(hann), (2,)),
    "tukey": (windowed(tukey), (2,)),
    "fermi": (windowed(fermi), (2,)),
    "gaussian": (gaussian, (2,)),
    "cubic": (interpolated("bicubic"), (2, 4)),
    "linear": (interpolated("bilinear"), (2, 4)),
    "blurred-means": (blurred_means, (2,)),
    "conformed": (conformed, (2,)),
    "offset-500": (offset(500), (2,)),
    "offset-32768": (offset(32768), (2,)),
    "z-scored": (z_scored, (2,)),
    "brain-only": (brain_only, (2,)),
    "dim-slices": (dim_slices, (2,)),
    "noise-2": (noisy, (2,)),
    "wild-voxels": (wild_voxels, (2, 4)),
    "field-map": (field_map, (2, 4)),
}


def cases_of(scan: Scan) -> list[str]:
    """What is done to a scan."""
    special = {"T1map": ["wild-voxels"], "fieldmap": ["field-map"]}
    if scan.kind in special:
        return special[scan.kind]
    if scan.kind != "MR":
        return ["kspace-crop", "area-average"]
    brain = scan.dataset == "ds002748"
    return [
        case
        for case in CASES
        if case not in ("wild-voxels", "field-map") and (brain or case != "brain-only")
    ]


def scans(root: Path) -> list[Scan]:
    """Test subjects, DICOM series and maps."""
    found: list[Scan] = []
    for table in ("splits.csv", "body/body.csv"):
        rows = csv.DictReader((root / table).read_text("utf-8").splitlines())
        for row in rows:
            there = sum(scan.dataset == row["dataset"] for scan in found)
            if row["split"] == "test" and there < SUBJECTS.get(row["dataset"], 1000):
                names = ("path", "dataset", "subject", "contrast", "sharp_plane")
                found.append(Scan(*(row[name] for name in names)))
    heads = [scan for scan in found if scan.dataset == "ds000011"]
    found += [Scan(f"dicom/{name}", name, name, kind) for name, kind in SERIES.items()]
    found += [replace(scan, dataset=MAPS, contrast="T1map") for scan in heads]
    return [*found, Scan("", MAPS, "analytic", "fieldmap")]


@lru_cache(maxsize=2)
def load(root: Path, scan: Scan) -> NDArray[np.float32]:
    """The truth: slices (S, H, W) of the middle of a volume."""
    if scan.kind == "fieldmap":
        return analytic_field()
    if scan.dataset in SERIES:
        stack = series(root / scan.path)
    elif scan.kind == "CT":  # `read_truth` puts the background at 0
        volume = read(root / scan.path)
        stack = np.moveaxis(volume.array, slice_axis_of(volume, scan.plane), 0)
    else:
        stack = read_truth(root / scan.path, scan.plane, scan.contrast)
    last = len(stack) - 1
    places = np.unique(np.linspace(0.25 * last, 0.75 * last, SLICES).round().astype(int))
    rows, columns = (middle(size) for size in stack.shape[1:])
    stack = np.ascontiguousarray(stack[places, rows, columns], np.float32)
    if scan.kind == "CT":
        return stack
    stack = stack * np.float32(BRIGHT / np.percentile(stack[stack > 0], 99.5))
    if scan.kind == "T1map":
        smooth = gaussian_filter(stack, (0, 1, 1))
        return np.clip(smooth * (4000 / smooth.max()), 0, 4000)
    return stack


def series(folder: Path) -> NDArray:
    """Slices of a DICOM series. `iconet.images.read` refuses a tilted gantry, which moves none."""
    images = [pydicom.dcmread(path) for path in sorted(folder.iterdir())]
    images.sort(key=lambda image: float(image.ImagePositionPatient[2]))
    return np.stack([apply_rescale(image.pixel_array, image).T for image in images])


def middle(size: int) -> slice:
    """The most that every scale divides."""
    start = size % MULTIPLE // 2
    return slice(start, start + size - size % MULTIPLE)


def analytic_field() -> NDArray[np.float32]:
    """An off-resonance of three strengths in an ellipse, -78 to 78 Hz and weaker."""
    x = np.linspace(-1, 1, 256)
    rows, columns = np.meshgrid(x, x, indexing="ij")
    lobe = 80 * np.exp(-((rows - 0.4) ** 2 + columns**2) / 0.02)
    inside = (rows / 0.8) ** 2 + (columns / 0.7) ** 2 < 1
    values = np.where(inside, 150 * rows * columns + lobe - 60 * rows, 0)
    return np.stack([values, 0.8 * values, 0.6 * values]).astype(np.float32)


def enlarged(made: Trial, scale: int, kind: str, model: str | None) -> tuple[NDArray, NDArray]:
    """The input as stored, and the result of `iconet.upscale`; both (S, H, W), as values."""
    low = made.low * made.gain + made.offset
    if np.issubdtype(made.stored, np.integer):
        limits = np.iinfo(made.stored)
        low = low.round().clip(limits.min, limits.max)
    low = low.astype(made.stored)
    affine = np.diag([-made.pixel[0], made.pixel[1], SLICE_MM, 1.0])
    image = nibabel.Nifti1Image(np.moveaxis(low, 0, 2), affine)
    options: dict = {"plane": "k", "precision": "fp32", "backend": "torch", "model": model}
    if model is None and scale != 2:
        options["spacing"] = (*(length / scale for length in made.pixel), SLICE_MM)
    with tempfile.TemporaryDirectory() as folder:
        source: Path | nibabel.Nifti1Image = image
        if kind in ("CT", "PET"):
            source = Path(folder, f"sub-01_{kind.lower()}.nii")
            nibabel.save(image, source)
        bigger = iconet.upscale(source, **options)  # type: ignore[operator]
    result = np.moveaxis(np.asarray(bigger.dataobj), 2, 0)
    return values(low, made), values(result, made)


def values(stack: NDArray, made: Trial) -> NDArray[np.float32]:
    """Without the owner's gain and offset."""
    return ((stack.astype(np.float64) - made.offset) / made.gain).astype(np.float32)


def decibels(stack: NDArray, made: Trial) -> float:
    """PSNR of the foreground, on the truth's grid."""
    if stack.shape != made.truth.shape:
        stack = resized(stack, made.truth.shape[1:])
    error = stack[made.mask].astype(np.float64) - made.truth[made.mask]
    return float(10 * np.log10(made.peak**2 / np.mean(error**2)))


def ratio(stack: NDArray, made: Trial) -> float:
    """Mean of the foreground over the truth's."""
    if stack.shape != made.truth.shape:
        stack = resized(stack, made.truth.shape[1:])
    floor = min(0.0, float(made.truth.min()))
    means = (np.mean(image[made.mask], dtype=np.float64) - floor for image in (stack, made.truth))
    return float(next(means) / next(means))


def measure(root: Path, scan: Scan, case: str, scale: int, model: str | None) -> Row:
    """A row of the table."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    make = CASES[case][0]
    made = (signed(make) if scan.kind == "CT" else make)(load(root, scan), scale)
    start = time.perf_counter()
    low, result = enlarged(made, scale, scan.kind, model)
    seconds = time.perf_counter() - start
    ours, zero_filled, cubic = (
        decibels(stack, made)
        for stack in (result, zero_filling(low, scale), cubic_b_spline(low, scale))
    )
    kept = result[made.kept]
    numbers = [ours, zero_filled, cubic, ours - max(zero_filled, cubic), ratio(result, made)]
    numbers += [float(kept.min()), float(kept.max())]
    cells = [f"{number:.6g}" for number in numbers]
    cells += [f"{share:.6f}" for share in shares(low, result, scale)] if made.zeros else ["", ""]
    about = [scan.path, scan.dataset, scan.subject, scan.contrast, case, str(scale)]
    return dict(zip(COLUMNS, [*about, *cells, f"{seconds:.2f}"], strict=True))


def shares(low: NDArray, result: NDArray, scale: int) -> tuple[float, float]:
    """Zeros of the input whose block is not zero in the result; negative values of the result."""
    lost = means(result != 0, scale)[low == 0] > 0
    return float(lost.mean()), float((result < 0).mean())


def run(options: argparse.Namespace) -> None:
    """Measure what is missing in the table."""
    table = options.output
    rows = read_rows(table) if table.exists() else {}
    jobs = [
        (scan, case, scale)
        for scan in scans(options.data)
        for case in cases_of(scan)
        for scale in CASES[case][1]
        if (scan.path, scan.contrast, case, str(scale)) not in rows
        and case in (options.case or CASES)
        and scan.dataset in (options.dataset or [scan.dataset])
    ]
    table.parent.mkdir(parents=True, exist_ok=True)
    models = dict(zip((2, 4), options.models or (None, None), strict=True))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.workers, mp_context=spawn) as pool:
        futures = [pool.submit(measure, options.data, *job, models[job[2]]) for job in jobs]
        for job, future in zip(jobs, futures, strict=True):
            try:
                row = future.result()
            except iconet.InputError as error:  # no row, so the next run tries again
                print(job[0].path, *job[1:], error, flush=True)
                continue
            rows[key(row)] = row
            write(rows, table)
            print(*row.values(), flush=True)


def key(row: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(row[name] for name in KEY)


def read_rows(table: Path) -> dict[tuple[str, ...], Row]:
    return {key(row): row for row in csv.DictReader(table.read_text("utf-8").splitlines())}


def write(rows: Mapping[tuple[str, ...], Row], table: Path) -> None:
    """By a temporary name, so that an interrupted run loses nothing."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows.values())
    write_text(text.getvalue(), table)


def kind_of(row: Row) -> str:
    """How the table calls a kind of scan."""
    if row["dataset"] == MAPS:
        return row["contrast"]
    return KINDS.get(row["dataset"], row["contrast"])


def markdown(columns: list[dict[tuple[str, ...], Row]]) -> Iterator[str]:
    """Lines of the table, of the scans that every column has."""
    names = ("before", "after")[: len(columns)]
    groups: dict[tuple[str, ...], list[tuple[str, ...]]] = defaultdict(list)
    for place, row in columns[0].items():
        if all(place in column for column in columns):
            groups[row["case"], row["scale"], kind_of(row)].append(place)
    heads = ["case", "scale", "scans", "number"]
    heads += [f"{what} {name}" for what in ("mean", "worst", "mean ratio") for name in names]
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for group in sorted(groups, key=lambda group: (list(CASES).index(group[0]), group[1])):
        found = [[column[place] for place in groups[group]] for column in columns]
        cells = [group[0], f"{group[1]}x", group[2], str(len(found[0]))]
        cells += [f"{mean(rows, 'worst'):+.2f}" for rows in found]
        cells += [worst(rows) for rows in found]
        cells += [f"{mean(rows, 'mean_ratio'):.3f}" for rows in found]
        yield "| " + " | ".join(cells) + " |"
    for name, column in zip(names, columns, strict=True):
        rows = [row for row in column.values() if row["zeros_lost"]]
        if rows:
            lost, negative = (100 * mean(rows, what) for what in ("zeros_lost", "negatives"))
            yield f"\nbrain-only {name}: {lost:.2f} % of the zeros are lost, {negative:.2f} % of"
            yield "the result is negative."


def matrix(rows: Iterable[Row]) -> Iterator[str]:
    """Degradations down, kinds of scans across: mean gain, and that of the worst scan."""
    cells: dict[tuple[str, str], list[float]] = defaultdict(list)
    numbers: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in rows:
        if row["dataset"] != MAPS:
            cells[f"{row['case']} {row['scale']}x", kind_of(row)].append(float(row["worst"]))
            numbers[kind_of(row)].add((row["path"], row["contrast"]))
    kinds = list(numbers)
    yield "| | " + " | ".join(f"{kind} ({len(numbers[kind])})" for kind in kinds) + " |"
    yield "|---|" + "--:|" * len(kinds)
    for scale, case in itertools.product((2, 4), DEGRADATIONS):
        found = [cells.get((f"{case} {scale}x", kind), []) for kind in kinds]
        if any(found):
            yield f"| {case} {scale}x | " + " | ".join(map(mean_and_least, found)) + " |"


def mean_and_least(gains: list[float]) -> str:
    """Bold where a scan comes out behind."""
    if not gains:
        return ""
    text = f"{np.mean(gains):+.2f} ({min(gains):+.2f})"
    return f"**{text}**" if min(gains) < 0 else text


def mean(rows: list[Row], name: str) -> float:
    return float(np.mean([float(row[name]) for row in rows]))


def worst(rows: list[Row]) -> str:
    """The least gain, and whose it is."""
    row = min(rows, key=lambda row: float(row["worst"]))
    return f"{float(row['worst']):+.2f} ({row['subject']} {row['contrast']})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?", help="folder of splits.csv, body and dicom")
    parser.add_argument("--output", type=Path, default=Path("docs/benchmark/odd-scans/after.csv"))
    parser.add_argument("--case", nargs="+", choices=list(CASES))
    parser.add_argument("--dataset", nargs="+")
    parser.add_argument("--models", nargs=2, help="for 2x and 4x; by default iconet chooses")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--table", type=Path, nargs="+", help="print one or two CSVs as Markdown")
    parser.add_argument("--matrix", type=Path, help="print one CSV, kinds of scans across")
    options = parser.parse_args()
    if options.matrix:
        print(*matrix(read_rows(options.matrix).values()), sep="\n")
    elif options.table:
        print(*markdown([read_rows(path) for path in options.table]), sep="\n")
    elif options.data is None:
        parser.error("give the folder of the data, --table or --matrix")
    else:
        run(options)


if __name__ == "__main__":
    main()
