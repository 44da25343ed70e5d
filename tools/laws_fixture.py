"""Writes `web/test/laws.json`: what Python's laws make of small images, for the same in TypeScript.

    python tools/laws_fixture.py

`web/test/laws.test.ts` compares the laws of the static page with it, and `tests/view/test_laws.py`
finds out when it is out of date.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from iconet.demo import SCAN
from iconet.images.geometry import choose_slice_axis
from iconet.intensity import SPIKE, levels_of_slice
from iconet.network.description import WAYS, strengths
from iconet.physics.acquired import acquired, is_periodic
from iconet.physics.cosines import cosines2, from_cosines2
from iconet.physics.kspace import resize_kspace
from iconet.physics.point_spread import misfits
from iconet.physics.window import apply_window, window_named
from iconet.upscaling.apart import Apart
from iconet.upscaling.background import frame_of_object, is_noise
from iconet.upscaling.fidelity import (
    flat_background,
    keep_to_line,
    keep_to_slice,
    spikes,
)
from iconet.upscaling.recovery import Recovery
from iconet.upscaling.resampling import resample_axis

EVERY = 11
"""Values of results that are kept: one of so many."""

ACQUIRED = (
    ((72, 96), "none"),
    ((72, 96), "hann"),
    ((50, 96), "none"),
    ((54, 72), "hamming"),
    ((60, 60), "radial-fermi"),
)
"""Acquired matrices, and windows over them, of slices stored as 72 x 96."""

GRIDS = (
    ((192, 256, 48), (0.9, 0.94, 0.94)),
    ((40, 256, 256), (4, 1, 1)),
    ((256, 160, 256), (1, 1, 1)),
    ((20, 30, 1), (1, 1, 9)),
    ((90, 80, 70), (0.7, 1, 1.02)),
)
"""Sizes and spacings of scans."""

FIXTURE = Path(__file__).parents[1] / "web" / "test" / "laws.json"


def images() -> dict[str, NDArray[np.float32]]:
    """Slices of the demo scan, cut, masked, spiked, of odd sizes."""
    import nibabel

    demo = Path(__file__).parents[1] / "src" / "iconet" / "demo_scan" / SCAN
    scan = np.asarray(nibabel.load(demo).dataobj, np.float32)
    tissue = scan[60:101, 90:136, 20]  # 41 x 46, cut at tissue
    around = scan[40:152:3, 20:244:6, 24]  # air all around
    masked = around.copy()
    masked[masked < 60] = 0
    spiked = around.copy()
    spiked[17, 18] = 3000
    return {
        "tissue": tissue,
        "air": around,
        "masked": masked,
        "spiked": spiked,
        "negative": around - 200,
        "small": tissue[:9, :12],
    }


def wave(count: int) -> NDArray[np.float64]:
    """Numbers that look random and that TypeScript has too."""
    i = np.arange(count, dtype=np.float64)
    return np.asarray(np.sin(1.7 * i + 0.013 * i * i))


def answer(image: NDArray, scale: int) -> NDArray[np.float32]:
    """What stands for the answer of a network."""
    high = np.repeat(np.repeat(image, scale, 0), scale, 1)
    return (high + 0.05 * wave(high.size).reshape(high.shape)).astype(np.float32)


def some(array: NDArray) -> list[float]:
    """A part of the values, to seven digits of the largest one."""
    digits = 7 - int(np.ceil(np.log10(np.abs(array).max())))
    return np.asarray(array, np.float64).ravel()[::EVERY].round(digits).tolist()


def laws() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each case by its name: what goes in and what comes out."""
    for name, image in images().items():
        dark, bright = levels_of_slice(image)
        low = ((image - np.float32(dark)) / np.float32(bright - dark)).astype(np.float32)
        beyond, clipped = spikes(low), low.clip(*SPIKE)
        frame = frame_of_object([clipped], clipped.shape, multiple=8)
        mask = flat_background(image)
        case: dict[str, Any] = {
            "image": image,
            "levels": [dark, bright],
            "frame": None if frame is None else [[side.start, side.stop] for side in frame],
            "noise": is_noise(image),
            "background": None if mask is None else int(mask.sum()),
            "cosines": some(cosines2(torch.from_numpy(clipped), (7, 9)).numpy()),
            "back": some(from_cosines2(torch.from_numpy(clipped), (82, 93)).numpy()),
            "kept": [],
        }
        for scale, periodic in ((2, False), (2, True), (4, False)):
            high = answer(clipped, scale)
            kept = keep_to_slice(
                torch.from_numpy(clipped),
                torch.from_numpy(high),
                None if mask is None else torch.from_numpy(mask),
                None if beyond is None else torch.from_numpy(beyond),
                periodic=periodic,
            )
            case["kept"].append({"scale": scale, "periodic": periodic, "is": some(kept.numpy())})
        yield name, case


def ways() -> list[dict[str, Any]]:
    """What tells how an image lost its resolution, and what a result owes one that did."""
    image = images()["tissue"]
    dark, bright = levels_of_slice(image)
    low = torch.from_numpy((image - dark) / (bright - dark)).clamp(*SPIKE).float()
    high = torch.from_numpy(answer(low.numpy(), 2))
    told = strengths(low[None, None])[0].tolist()
    found: list[dict[str, Any]] = [{"strengths": told, "misfits": misfits(low, high).tolist()}]
    for way in WAYS[1:]:
        kept = keep_to_slice(low, high.clone(), way=way)
        found.append({"way": way, "is": some(kept.numpy())})
    return found


def sizes() -> list[dict[str, Any]]:
    """Resized in k-space and by cosines, from even and odd sizes to both."""
    image = images()["tissue"]
    found = []
    for size in ((41, 46), (30, 60), (33, 45), (80, 31)):
        resized = resize_kspace(torch.from_numpy(image), size).numpy()
        step = len(image) / size[0] * 1.02
        lines = resample_axis(image, 0, size[0], step)
        keep_to_line(image, lines, 0, step)
        found.append(
            {"size": list(size), "resized": some(resized), "step": step, "lines": some(lines)}
        )
    return found


def recoveries() -> list[dict[str, Any]]:
    """Slices as consoles store them, and what is found of them."""
    import nibabel

    demo = Path(__file__).parents[1] / "src" / "iconet" / "demo_scan" / SCAN
    scan = np.asarray(nibabel.load(demo).dataobj, np.float32)
    stack = torch.from_numpy(np.ascontiguousarray(np.moveaxis(scan[..., 10:40:15], 2, 0)))
    small = resize_kspace(stack, (72, 96))
    found = []
    for matrix, word in ACQUIRED:
        band = torch.fft.fftshift(torch.fft.fft2(resize_kspace(small, matrix)), (-2, -1))
        band = apply_window(band, window_named(word))
        image = torch.fft.ifft2(torch.fft.ifftshift(band, (-2, -1))).real
        slices = np.rint(resize_kspace(image, (72, 96)).abs().numpy()).astype(np.float32)
        told = acquired(slices)
        recovery = Recovery(2, (72, 96), told, periodic=is_periodic(slices, told))
        out = np.empty((2, *told.matrix), np.float32)
        recovery.recover(np.moveaxis(slices, 0, 2), np.moveaxis(out, 0, 2))
        found.append(
            {
                "stack": slices,
                "matrix": list(told.matrix),
                "window": None if told.window is None else list(told.window),
                "snr": told.snr,
                "slope": told.slope,
                "periodic": recovery.periodic,
                "recovered": some(out[1]),
            }
        )
    return found


def choices() -> dict[str, Any]:
    """Axes across slices, and voxels set apart."""
    axes = [[*grid, choose_slice_axis(*grid)] for grid in GRIDS]
    volume = (300 + 40 * wave(20 * 24 * 6)).round().astype(np.float32).reshape(20, 24, 6)
    wild, padded = volume.copy(), volume.copy()
    wild[9, 9, 3] = 30000
    padded[:3], padded[-3:] = -3000, -3000
    apart = [Apart.of(one, None) is not None for one in (volume, wild, padded)]
    return {"axes": axes, "volumes": [volume, wild, padded], "apart": apart}


def content() -> dict[str, Any]:
    """All of it."""
    with torch.inference_mode():
        return {
            "laws": dict(laws()),
            "ways": ways(),
            "sizes": sizes(),
            "recoveries": recoveries(),
            "choices": choices(),
        }


def packed(value: Any) -> Any:
    """Images, whose values are whole, as their shape and int16 in base64."""
    if isinstance(value, np.ndarray):
        data = np.ascontiguousarray(value).astype("<i2").tobytes()
        return {"shape": list(value.shape), "data": base64.b64encode(data).decode()}
    if isinstance(value, dict):
        return {key: packed(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [packed(one) for one in value]
    return value.item() if isinstance(value, np.generic) else value


if __name__ == "__main__":
    FIXTURE.write_text(json.dumps(packed(content()), separators=(",", ":")) + "\n", "utf-8")
    print(f"{FIXTURE}: {FIXTURE.stat().st_size / 1e3:.0f} kB")
