"""How often the acquired matrix and the k-space window are found in simulations of real scans.

    python benchmarks/acquired_matrix.py --data ../shared/data --split validation --model mri-x2

Every MR scan of the split is first reduced to less than it holds, so that its band is full and has
no window. Then it is acquired again: a smooth phase, a crop of k-space, noise, a window,
zero-filling, noise after it, and the magnitude. Limbs are left out of these: their publisher
resampled them from matrices that are not known.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray

import iconet
from iconet.data.acquired import acquired_matrix
from iconet.data.splits import read_splits
from iconet.data.truth import NEVER_IN_KSPACE, read_truth
from iconet.intensity import robust_scale
from iconet.physics.acquired import Acquired, acquired, recover
from iconet.physics.fourier import fft2c, ifft2c
from iconet.physics.kspace import resize_kspace
from iconet.physics.noise import complex_noise
from iconet.physics.smooth_phase import smooth_phase
from iconet.physics.window import Window, apply_window, window_named

NAMES = ("none", "hamming", "hann", "fermi", "tukey", "elliptical", "radial-hamming")
REDUCED = 1.2  # to less than a scan holds
MOST_SLICES = 24
Stack = NDArray[np.float32]
Enlarge = Callable[[Stack], Stack]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--split", default="validation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most", type=int, default=6, help="scans of a data set")
    parser.add_argument("--cases", type=int, default=6, help="of each kind, for every scan")
    parser.add_argument("--model", help="also the PSNR of its results, such as mri-x2")
    parser.add_argument("--failures", action="store_true", help="print every one")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rates: dict[str, list[float]] = defaultdict(list)
    network = iconet.load(options.model) if options.model else None
    for name, stack in scans(options.data, options.split, options.most):
        random = np.random.default_rng([options.seed, *name.encode()])
        as_it_is = acquired(stack)
        print(f"{name}: {stack.shape}, found {as_it_is}, simple {acquired_matrix(stack)}")
        if name.startswith("limb"):
            continue
        base = reduced(stack, REDUCED)
        for kind, rate, value, case in examine(base, random, options.cases):
            rates[f"{kind}: {rate}"].append(value)
            if options.failures and not value:
                print(f"  {kind}: {rate}: {case}")
        for label, value in gains(base, random, network).items():
            rates[label].append(value)
    print("\n| what | mean | lowest | cases |\n|---|---|---|---|")
    for label, values in sorted(rates.items()):
        print(f"| {label} | {np.mean(values):.3f} | {np.min(values):.3f} | {len(values)} |")


def scans(root: Path, split: str, most: int) -> Iterator[tuple[str, Stack]]:
    """Names and slices of the MR scans of a split, at the matrix they were acquired with."""
    seen: dict[str, int] = defaultdict(int)
    for table in ("splits.csv", "body/body.csv"):
        for row in read_splits(root, table, split):
            if row["contrast"].upper() in NEVER_IN_KSPACE or row["dataset"].startswith("pet"):
                continue
            seen[row["dataset"]] += 1
            if seen[row["dataset"]] > most:
                continue
            stack = read_truth(root / row["path"], row["sharp_plane"], row["contrast"])
            energy = stack.var(axis=(1, 2))
            strong = np.flatnonzero(energy > energy.max() / 4)
            chosen = strong[:: -(-len(strong) // MOST_SLICES)]
            name = " ".join(row[key] for key in ("dataset", "subject", "contrast"))
            yield name, stack[chosen]


def reduced(stack: Stack, by: float) -> Stack:
    size = tuple(2 * round(n / by / 2) for n in stack.shape[1:])
    return resize_kspace(torch.from_numpy(stack), size).abs().numpy()


def acquire(
    stack: Stack,
    matrix: tuple[int, int],
    window: Window | None,
    seed: int,
    *,
    stored: tuple[int, int] | None = None,
    noise: float = 0,
    late_noise: float = 0,
    integers: bool = False,
) -> Stack:
    """Magnitude slices as a console stores them; noise is relative to the robust maximum."""
    generator = torch.Generator().manual_seed(seed)
    scale = float(robust_scale(stack))
    image = torch.from_numpy(np.ascontiguousarray(stack))
    kspace = fft2c(
        resize_kspace(torch.polar(image, smooth_phase(image.shape, generator=generator)), matrix)
    )
    kspace = kspace + complex_noise(kspace, noise * scale, generator)
    image = resize_kspace(ifft2c(apply_window(kspace, window)), stored or stack.shape[1:]).abs()
    if late_noise:
        image = (image + complex_noise(image, late_noise * scale, generator)).abs()
    return (image * (1000 / scale)).round().numpy() if integers else image.numpy()


def examine(
    base: Stack, random: np.random.Generator, cases: int
) -> Iterator[tuple[str, str, float, str]]:
    """Kind of case, what is asked, whether it was right, and the case in words."""
    size = base.shape[1:]
    for number in range(cases * len(NAMES)):
        name = NAMES[number % len(NAMES)]
        window = window_named(name)
        noise, late = random.choice([0, 0.01, 0.02, 0.03]), random.choice([0, 0, 0.003, 0.01])
        integers, seed = bool(random.integers(2)), int(random.integers(2**31))
        factors = random.uniform(1.2, 3, 2)
        factors[: random.integers(2)] = 1
        factors = random.permutation(factors)
        matrix = tuple(2 * round(n / f / 2) for n, f in zip(size, factors, strict=True))
        settings = {"noise": noise, "late_noise": late, "integers": integers}
        start = perf_counter()
        enlarged = acquire(base, matrix, window, seed, **settings)
        found = acquired(enlarged)
        case = f"{name} {matrix} of {size} {settings} -> {found}"
        for got, true, full in zip(found.matrix, matrix, size, strict=True):
            if true < full:
                yield f"zero-filled, {name}", "matrix within 5 %", abs(got / true - 1) <= 0.05, case
            else:
                yield "full axis of zero-filled", "left alone", got >= 0.95 * full, case
        yield f"zero-filled, {name}", "right window", same(found, window), case
        yield "any", "seconds", perf_counter() - start, case
        full = variant(base, random)
        size_full = full.shape[1:]
        stored = acquire(full, size_full, window, seed, **settings)
        found = acquired(stored)
        case = f"{name} {size_full} {settings} -> {found}"
        left = min(g / n for g, n in zip(found.matrix, size_full, strict=True)) >= 0.95
        yield f"full, {name}", "left alone", left, case
        yield f"full, {name}", "right window", same(found, window), case


def same(found: Acquired, window: Window | None) -> bool:
    """Whether the window is right; the elliptical shutter, of gain 1, may go unnoticed."""
    names = [given.name if given else "none" for given in (found.window, window)]
    return names[0] == names[1]


def variant(base: Stack, random: np.random.Generator) -> Stack:
    """A full-band scan of another kind: as it is, smaller, stripped of the skull, or cropped."""
    kind = random.integers(4)
    if kind == 1 and min(base.shape[1:]) > 80:
        return reduced(base, random.uniform(1.2, min(base.shape[1:]) / 64))
    if kind == 2:
        y, x = np.ogrid[-1 : 1 : base.shape[1] * 1j, -1 : 1 : base.shape[2] * 1j]
        return base * (np.hypot(y, x) < 0.6).astype(np.float32)
    if kind == 3:
        return np.ascontiguousarray(base[:, base.shape[1] // 8 : -(base.shape[1] // 8)])
    return base


def gains(base: Stack, random: np.random.Generator, network) -> dict[str, float]:
    """PSNR, in dB, that undoing what was found gains on full-band slices of half the matrix."""
    truth = base[:, : base.shape[1] // 4 * 4, : base.shape[2] // 4 * 4]
    half = (truth.shape[1] // 2, truth.shape[2] // 2)
    result = {}
    for name in NAMES:
        window, seed = window_named(name), int(random.integers(2**31))
        for noise in (0, 0.01):
            low = acquire(truth, half, window, seed, noise=noise, stored=half)
            found = acquired(low)
            undone = recover(torch.from_numpy(low), found).abs().numpy()
            result |= {
                f"dB gained, {method}, {name}, noise {100 * noise:g} %": (
                    psnr(enlarge(undone[::step]), truth[::step])
                    - psnr(enlarge(low[::step]), truth[::step])
                )
                for method, enlarge, step in enlargers(network, name, noise)
            }
    return result


def enlargers(network, name: str, noise: float) -> Iterator[tuple[str, Enlarge, int]]:
    """Ways to enlarge, and of how many slices one is taken: a network takes its time."""
    yield "zero-filling", zero_filled, 1
    if network is not None and name in ("none", "hamming", "hann") and not noise:
        yield "network", lambda low: upscaled(low, network), 4


def zero_filled(low: Stack) -> Stack:
    size = (2 * low.shape[1], 2 * low.shape[2])
    return resize_kspace(torch.from_numpy(low), size).abs().numpy()


def upscaled(low: Stack, network) -> Stack:
    volume = np.ascontiguousarray(np.moveaxis(low, 0, 2))
    return np.moveaxis(iconet.upscale(volume, network, plane="k", backend="torch"), 2, 0)


def psnr(image: Stack, truth: Stack) -> float:
    """Over the foreground, relative to the robust maximum."""
    scale = float(robust_scale(truth))
    inside = truth > 0.05 * scale
    return float(20 * np.log10(scale / np.sqrt(np.mean((image - truth)[inside] ** 2))))


if __name__ == "__main__":
    main()
