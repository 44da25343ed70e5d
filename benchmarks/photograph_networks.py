"""`iconet.upscale` beside networks for photographs and classical methods.

    python benchmarks/photograph_networks.py ../shared/data --checkouts ../peers --output peers.csv
    python benchmarks/photograph_networks.py ../shared/data --checkouts ../peers --times
    python benchmarks/photograph_networks.py --table peers.csv

One slice, near the middle, of each test subject and contrast; peers take one subject of each data
set and contrast. README.md says how peers are set up. A row of the CSV is one scan, way, scale and
method; a run goes on where it stopped. Methods that `--methods` names are measured again. PSNR and
SSIM are those of the foreground, see `iconet.evaluation.metrics`; seconds are those of one core, a
slice (ICONet: of six slices, divided by six).

`filtered`: the method was told how the slice lost its resolution, and the slice was filtered first
so that its frequencies are weighed as in one made smaller bicubically. Total variation is told too.
What favours a method (the brightest value it is given, a shift of its result, the weight of total
variation) is chosen on one slice each of two validation subjects, made smaller bicubically.
"""

import argparse
import csv
import io
import itertools
import json
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import odd_scans
import torch
from numpy.typing import NDArray
from odd_scans import Scan
from photograph_peers import PEERS, Enlarge
from photograph_table import COLUMNS, TOTAL_VARIATION, WAYS, Key, Row, markdown, mean, read_rows
from told import TotalVariation, as_bicubic

import iconet
from iconet.evaluation.interpolations import cubic_b_spline, zero_filling
from iconet.evaluation.lowering import lower
from iconet.evaluation.metrics import evaluate
from iconet.files import write_text

SCALES = (2, 4)
ICONET = {
    2: {"ICONet": None, "mri-x2": "mri-x2", "mri-any-x2": "mri-any-x2"},
    4: {"ICONet": None, "mri-x4": "mri-x4"},
}
INTERPOLATIONS = {"zero-filling": zero_filling, "cubic B-spline": cubic_b_spline}
SLOW = "DAT-light"
TOLD = ("IMDN", "PAN", "SPAN", "SRMD")  # also filtered first
KEPT = 2  # of odd_scans.SLICES
MARGIN = 12  # input pixels around the foreground that peers see
BRIGHTEST = (1.0, 0.5)
SHIFTS = (-0.5, -0.25, 0.0, 0.25, 0.5)  # output pixels
TV_WEIGHTS = (3e-5, 1e-4, 3e-4)
VALIDATION = (
    Scan("ds002748/sub-02_T1w.nii.gz", "ds002748", "sub-02", "T1w", "axial"),
    Scan("open_ms_data/patient12_study1_FLAIR.nii.gz", "open_ms_data", "patient12", "FLAIR"),
)
Choice = dict[str, float]


@dataclass(frozen=True)
class Lost:
    """Slices that lost their resolution in a way, and the box of the kept one that peers see."""

    low: NDArray[np.float32]
    truth: NDArray[np.float32]
    way: str
    scale: int

    @classmethod
    @lru_cache(maxsize=1)
    def of(cls, root: Path, scan: Scan, way: str, scale: int) -> "Lost":
        truth = odd_scans.load(root, scan)
        lowered = lower(truth, way, scale)
        assert lowered is not None
        return cls(lowered.magnitude[:, 0].numpy(), truth, way, scale)

    @property
    def box(self) -> tuple[slice, slice]:
        """Of the foreground, in input pixels."""
        mask = odd_scans.foreground(self.truth[KEPT : KEPT + 1])[0]
        found = []
        for axis, side in enumerate(self.low.shape[1:]):
            inside = np.flatnonzero(mask.any(axis=1 - axis)) // self.scale
            found.append(slice(max(0, inside[0] - MARGIN), min(side, inside[-1] + MARGIN + 1)))
        return found[0], found[1]

    def score(self, inside: NDArray) -> tuple[float, float]:
        """Foreground PSNR and SSIM of a kept slice that is right in the box alone."""
        whole = np.zeros(self.truth.shape[1:], np.float32)
        rows, columns = (slice(s.start * self.scale, s.stop * self.scale) for s in self.box)
        whole[rows, columns] = inside
        return self.score_whole(whole)

    def score_whole(self, result: NDArray) -> tuple[float, float]:
        found = evaluate(result[None], self.truth[KEPT : KEPT + 1])
        return found.psnr_foreground, found.ssim_foreground


def enlarge(peer: Enlarge, lost: Lost, choice: Choice, filtered: bool) -> NDArray[np.float32]:
    """A peer's box of the kept slice, in the scan's values."""
    low = lost.low[KEPT]
    if filtered:
        low = as_bicubic(low, lost.way, lost.scale)
    box = low[lost.box]
    unit = choice["brightest"] / box.max()
    result = peer(np.repeat(box[None] * np.float32(unit), 3, axis=0)).mean(axis=0) / unit
    return moved(result, choice["shift"])


def moved(image: NDArray[np.float32], pixels: float) -> NDArray[np.float32]:
    """By so many pixels along rows and columns, in k-space."""
    if pixels == 0:
        return image
    phases = (np.exp(-2j * np.pi * pixels * np.fft.fftfreq(side)) for side in image.shape)
    ramp = np.multiply.outer(*phases)
    return np.fft.ifft2(np.fft.fft2(image) * ramp).real.astype(np.float32)


def total_variation(lost: Lost, weight: float) -> NDArray[np.float32]:
    """The box, told the way."""
    box = lost.low[KEPT][lost.box]
    peak = box.max()
    start = cubic_b_spline(box[None] / peak, lost.scale)[0]
    return TotalVariation(lost.way, lost.scale, weight)(box / peak, start) * peak


def choose(root: Path, scale: int, peers: dict[str, Enlarge]) -> dict[str, Choice]:
    """What favours each method, of a few values, by the mean PSNR of validation slices."""
    warnings.simplefilter("ignore")
    bicubic = [Lost.of(root, scan, "bicubic", scale) for scan in VALIDATION]
    found: dict[str, Choice] = {}
    for name, peer in peers.items():
        slices = bicubic[: 1 if name == SLOW else 2]
        scores = {}
        for brightest in BRIGHTEST:
            plain = {"brightest": brightest, "shift": 0.0}
            results = [enlarge(peer, lost, plain, filtered=False) for lost in slices]
            for shift in SHIFTS:
                pairs = zip(slices, results, strict=True)
                scores[brightest, shift] = mean(
                    lost.score(moved(result, shift))[0] for lost, result in pairs
                )
        brightest, shift = max(scores, key=scores.__getitem__)
        found[name] = {"brightest": brightest, "shift": shift}
    for way in WAYS:
        lowered = [Lost.of(root, scan, way, scale) for scan in VALIDATION]
        scores = {
            weight: mean(lost.score(total_variation(lost, weight))[0] for lost in lowered)
            for weight in TV_WEIGHTS
        }
        found[f"{TOTAL_VARIATION}, {way}"] = {"weight": max(scores, key=scores.__getitem__)}
    return found


def scans(root: Path) -> list[Scan]:
    """One scan of each test subject and contrast."""
    found: dict[tuple[str, ...], Scan] = {}
    for scan in odd_scans.scans(root):
        if scan.kind == "MR":
            found.setdefault((scan.dataset, scan.subject, scan.contrast), scan)
    return list(found.values())


def measure(lost: Lost, method: str, peer: Enlarge | None, choices: dict, filtered: bool) -> Row:
    """Numbers of one method."""
    start = time.process_time()
    if method in INTERPOLATIONS:
        result = INTERPOLATIONS[method](lost.low[KEPT : KEPT + 1], lost.scale)[0]
    elif method in ICONET[lost.scale]:
        made = odd_scans.trial(lost.low, lost.truth, lost.scale)
        model = ICONET[lost.scale][method]
        result = odd_scans.enlarged(made, lost.scale, "MR", model)[1][KEPT]
    elif peer is None:
        weight = choices[f"{TOTAL_VARIATION}, {lost.way}"]["weight"]
        result = total_variation(lost, weight)
    else:
        result = enlarge(peer, lost, choices[method], filtered)
    seconds = time.process_time() - start
    whole = method in INTERPOLATIONS or method in ICONET[lost.scale]
    psnr, ssim = lost.score_whole(result) if whole else lost.score(result)
    seconds /= len(lost.low) if method in ICONET[lost.scale] else 1
    return {"psnr": f"{psnr:.4f}", "ssim": f"{ssim:.5f}", "seconds": f"{seconds:.3f}"}


@dataclass(frozen=True)
class Job:
    """A row of the table to come."""

    scan: Scan
    way: str
    scale: int
    method: str
    told: bool

    @property
    def key(self) -> Key:
        return (self.scan.path, self.way, str(self.scale), self.method, str(int(self.told)))

    @property
    def about(self) -> list[str]:
        scan = self.scan
        return [scan.path, scan.dataset, scan.subject, scan.contrast, *self.key[1:]]


def jobs(root: Path, scales: Iterable[int], only: list[str]) -> list[Job]:
    """What to measure. Peers take the first scan of each data set and contrast."""
    firsts, slow, others = [], [], []
    seen: set[tuple[str, str]] = set()
    for scan in scans(root):
        first = (scan.dataset, scan.contrast) not in seen
        seen.add((scan.dataset, scan.contrast))
        for scale, way in itertools.product(scales, WAYS):
            names = [(name, False) for name in (*ICONET[scale], *INTERPOLATIONS)]
            names += [(TOTAL_VARIATION, True)]
            (firsts if first else others).extend(Job(scan, way, scale, *name) for name in names)
            if first:
                slow.append(Job(scan, way, scale, SLOW, False))
                told = TOLD if way != "bicubic" else ()
                names = [(name, False) for name in PEERS if name != SLOW]
                names += [(name, True) for name in told]
                firsts += [Job(scan, way, scale, *name) for name in names]
    ordered = [*firsts, *slow, *others]
    return [job for job in ordered if not only or job.method in only]


def load_peers(scale: int, checkouts: Path) -> dict[str, Enlarge]:
    """Those that are installed here."""
    found = {}
    for name, load in PEERS.items():
        try:
            found[name] = load(scale, checkouts)
        except (ImportError, FileNotFoundError) as error:
            print(f"{name} {scale}x is left out: {error}", flush=True)
    return found


def run(options: argparse.Namespace) -> None:
    """Measure what is missing in the table."""
    torch.set_num_threads(int(os.environ.setdefault("OMP_NUM_THREADS", "1")))
    warnings.simplefilter("ignore")
    rows = read_rows(options.output) if options.output.exists() else {}
    only = options.methods or []
    rows = {key: row for key, row in rows.items() if row["method"] not in only}
    peers = {scale: load_peers(scale, options.checkouts) for scale in options.scales}
    notes = options.output.with_suffix(".json")
    choices = json.loads(notes.read_text("utf-8")) if notes.exists() else {}
    for job in jobs(options.data, options.scales, only):
        scale, peer = str(job.scale), peers[job.scale].get(job.method)
        if job.key in rows or (job.method in PEERS and peer is None):
            continue
        if scale not in choices and (job.method in PEERS or job.told):
            choices[scale] = choose(options.data, job.scale, peers[job.scale])
            write_text(json.dumps(choices, indent=1), notes)
        lost = Lost.of(options.data, job.scan, job.way, job.scale)
        found = measure(lost, job.method, peer, choices.get(scale, {}), job.told)
        rows[job.key] = dict(zip(COLUMNS, job.about, strict=False)) | found
        write(rows, options.output)
        print(*rows[job.key].values(), flush=True)


def times(options: argparse.Namespace) -> Iterator[str]:
    """Seconds of one core for a slice of 256 x 256 pixels, the least of three; networks alone."""
    torch.set_num_threads(1)
    for scale in options.scales:
        image = odd_scans.load(options.data, VALIDATION[0])[KEPT, :256, :256] / odd_scans.BRIGHT
        side = 256 // scale
        low = np.resize(image, (side, side)).astype(np.float32)
        colours = np.repeat(low[None], 3, axis=0)
        peers = load_peers(scale, options.checkouts)
        calls: dict[str, Callable[[], object]] = {}
        calls |= {name: partial(peer, colours) for name, peer in peers.items()}
        variation = TotalVariation("bicubic", scale, 1e-4)
        calls[TOTAL_VARIATION] = partial(variation, low, cubic_b_spline(low[None], scale)[0])
        network = iconet.load(f"mri-x{scale}")
        calls["ICONet, fp32"] = partial(network, torch.from_numpy(low)[None, None])
        for name, call in calls.items():
            taken = []
            for _ in range(3):
                start = time.process_time()
                with torch.inference_mode():
                    call()
                taken.append(time.process_time() - start)
            yield f"| {name} | {scale}x | {min(taken):.2f} |"


def write(rows: dict[Key, Row], table: Path) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows.values())
    write_text(text.getvalue(), table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?", help="folder of splits.csv and body")
    parser.add_argument("--checkouts", type=Path, default=Path("."), help="folder of IMDN and PAN")
    parser.add_argument("--output", type=Path, default=Path("photograph-networks.csv"))
    parser.add_argument("--scales", type=int, nargs="+", default=SCALES)
    parser.add_argument("--methods", nargs="+", help="measure these alone, again")
    parser.add_argument("--table", type=Path, help="print a CSV as Markdown")
    parser.add_argument("--times", action="store_true", help="print seconds a slice")
    options = parser.parse_args()
    if options.table:
        print(*markdown(read_rows(options.table)), sep="\n")
    elif options.data is None:
        parser.error("give the folder of the data, or --table")
    elif options.times:
        for line in times(options):
            print(line, flush=True)
    else:
        run(options)


if __name__ == "__main__":
    main()
