"""How well enlarged labels keep boundaries, beside the nearest label, on shapes with a known truth.

Shapes on a fine grid are reduced to a coarse one, by the voxel in the middle of each block or by
what fills most of it, and enlarged again:

    python benchmarks/label_boundaries.py
"""

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from iconet.upscaling.labels import relabel

SHAPE = (96, 96, 32)
FACTORS = [(2, 2, 1), (4, 4, 1), (2, 2, 2), (1, 1, 2), (1, 1, 4)]


def tissues(smooth: float) -> np.ndarray:
    """Six labels that fill the volume; a larger number makes smoother regions."""
    rng = np.random.default_rng(0)
    fields = [gaussian_filter(rng.normal(size=SHAPE), smooth) for _ in range(6)]
    return np.argmax([field / field.std() for field in fields], axis=0)


def ellipsoids() -> np.ndarray:
    """From 80 down to 10 voxels wide."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    found = np.zeros(SHAPE, int)
    bodies = [(0.8, 0.9, 0.9, 0, 0), (0.4, 0.3, 0.6, 0.2, 0.1), (0.2, 0.25, 0.5, -0.4, 0.2)]
    for name, (a, b, c, u, v) in enumerate([*bodies, (0.1, 0.1, 0.3, 0.1, -0.5)], start=1):
        found[((x - u) / a) ** 2 + ((y - v) / b) ** 2 + (z / c) ** 2 < 1] = name
    return found


def sheets() -> np.ndarray:
    """Curved sheets of two or three fine voxels, which are one or less on the coarse grid."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    r = np.sqrt(x**2 + (1.1 * y) ** 2 + z**2 / 2) + 0.05 * np.sin(7 * np.arctan2(y, x))
    return (abs(r - 0.7) < 0.02) + 2 * (abs(r - 0.4) < 0.03)


def reduced(fine: np.ndarray, factors: tuple[int, ...], how: str) -> np.ndarray:
    """The shapes on the coarse grid."""
    if how == "middle":
        return fine[tuple(slice(f // 2, None, f) for f in factors)]
    names = np.unique(fine)
    sizes = [part for n, f in zip(fine.shape, factors, strict=True) for part in (n // f, f)]
    return names[
        np.argmax([(fine == name).reshape(sizes).mean(axis=(1, 3, 5)) for name in names], axis=0)
    ]


def scores(found: np.ndarray, truth: np.ndarray) -> str:
    """Share of voxels with another label, in percent, and the mean Dice of the labels."""
    dice = [
        2 * np.count_nonzero((found == n) & (truth == n)) / np.sum((found == n) * 1 + (truth == n))
        for n in np.unique(truth)
    ]
    return f"{100 * np.mean(found != truth):5.2f} % / {np.mean(dice):.3f}"


def main() -> None:
    """Print a table."""
    shapes = {
        **{f"tissues, smooth by {smooth}": tissues(smooth) for smooth in (2, 4, 8)},
        "ellipsoids": ellipsoids(),
        "thin sheets": sheets(),
    }
    print("| shapes | times finer | reduced to | nearest label | iconet |\n|---|---|---|---|---|")
    for factors in FACTORS:
        for name, truth in shapes.items():
            for how in ("middle", "majority"):
                low = reduced(truth, factors, how)
                out = np.empty(SHAPE, np.float32)
                relabel(
                    low.astype(np.float32), out, {a: 1 / f for a, f in enumerate(factors) if f > 1}
                )
                near = zoom(low, factors, order=0, grid_mode=True, mode="nearest")
                finer = " x ".join(map(str, factors))
                print(
                    f"| {name} | {finer} | {how} | {scores(near, truth)} | {scores(out, truth)} |"
                )


if __name__ == "__main__":
    main()
