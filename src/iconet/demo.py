"""`iconet demo`: the main job on a real scan that comes with the package.

The scan is made smaller as a shorter acquisition would have made it, upscaled by files exactly as
`iconet upscale` does, and compared with interpolation and with the truth.
"""

import shutil
import sys
import time
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

from numpy.typing import NDArray

from iconet.errors import InputError

if TYPE_CHECKING:
    from iconet.evaluation.compare import Comparison
    from iconet.images.scan import Scan

SCAN = "sub-01_T1w_slab.nii.gz"
FACTOR = 2
ICONET = "ICONet"
INTERPOLATIONS = {"Nearest": "nearest", "Bicubic": "bicubic", "Zero-filling": "zero-filling"}


def run(output: Path, *, model: str = "mri-x2") -> "dict[str, Comparison]":
    """Run the demonstration and print what it shows.

    Args:
        output: Folder, made if missing, for the scans (``.nii.gz``) and the picture ``demo.png``.
        model: Name of a trained 2x model or a ``.safetensors`` file.

    Returns:
        The measured numbers by method.

    Raises:
        InputError: The folder cannot be written to, or the model is not there or not a 2x model.
    """
    import scipy  # noqa: F401  # where it is missing this is said before anything is written

    from iconet.evaluation.compare import compare_files
    from iconet.images import read, write
    from iconet.study.study import upscale_study
    from iconet.upscaling.degrade import degrade_scan
    from iconet.upscaling.options import Options

    output = Path(output)
    try:
        output.mkdir(parents=True, exist_ok=True)
        truth = output / "truth.nii.gz"
        with as_file(files("iconet") / "demo_scan" / SCAN) as bundled:
            shutil.copyfile(bundled, truth)
    except OSError as error:
        raise InputError(
            f"cannot write to the folder {output}: {error.strerror}; choose another with --output"
        ) from error

    low = output / "low-resolution.nii.gz"
    original = read(truth)
    write(degrade_scan(original, FACTOR), low, like=original)

    paths, seconds = {}, {}
    for name, method in INTERPOLATIONS.items():
        paths[name] = output / f"{method}.nii.gz"
        start = time.perf_counter()
        _interpolate(low, paths[name], method)
        seconds[name] = time.perf_counter() - start
    paths[ICONET] = output / "iconet.nii.gz"
    start = time.perf_counter()
    upscale_study(
        *([low], paths[ICONET], Options(model, FACTOR)),
        overwrite=True,
        say=lambda line: print(line, file=sys.stderr),
        complain=_fail,
    )
    seconds[ICONET] = time.perf_counter() - start

    results = {name: compare_files(path, truth) for name, path in paths.items()}
    picture = output / "demo.png"
    _draw(picture, {name: read(path) for name, path in paths.items()}, original, results)
    _explain(original, read(low), results, seconds, picture)
    return results


def _fail(error: InputError) -> None:
    raise error


def _interpolate(low: Path, output: Path, method: str) -> None:
    from iconet.evaluation.interpolations import METHODS
    from iconet.images import read, slice_axis_of, write
    from iconet.upscaling.regrid import resize_in_plane

    def fill(stack: NDArray, out: NDArray) -> None:
        out[:] = METHODS[method](stack, FACTOR)

    scan = read(low)
    axis = slice_axis_of(scan)
    write(resize_in_plane(scan, axis, (FACTOR, 1), fill), output, like=scan)


def _draw(
    picture: Path, scans: "dict[str, Scan]", truth: "Scan", results: "dict[str, Comparison]"
) -> None:
    from iconet.evaluation.panel import panel
    from iconet.pictures.view import upright

    axis = results[ICONET].slice_axis
    index = truth.array.shape[axis] // 3

    def shown(scan: "Scan") -> tuple[NDArray, float]:
        assert scan.affine is not None
        return upright(scan.array, scan.affine, axis, index)

    image, aspect = shown(truth)
    images, captions = {}, {}
    for name, scan in scans.items():
        shown_as = "Low resolution" if name == "Nearest" else name
        measured = results[name].metrics
        images[shown_as] = shown(scan)[0]
        captions[shown_as] = (
            f"{measured.psnr_foreground:.2f} dB   SSIM {measured.ssim_foreground:.4f}"
        )
    title = f"T1w brain, {FACTOR}x in plane. PSNR and SSIM inside the head, all slices."
    try:
        panel(picture, images, image, captions=captions, title=title, pixel_aspect=aspect)
    except OSError as error:
        raise InputError(
            f"cannot write {picture}: {error.strerror}; choose another folder with --output"
        ) from error


def _explain(
    truth: "Scan",
    low: "Scan",
    results: "dict[str, Comparison]",
    seconds: dict[str, float],
    picture: Path,
) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table()
    table.add_column("method", no_wrap=True)
    for heading in ("PSNR fg", "SSIM fg", "PSNR", "SSIM", "HaarPSI", "seconds"):
        table.add_column(heading, justify="right", no_wrap=True)
    best = max(results, key=lambda name: results[name].metrics.psnr_foreground)
    for name, result in results.items():
        m = result.metrics
        table.add_row(
            name,
            f"{m.psnr_foreground:.2f}",
            f"{m.ssim_foreground:.4f}",
            f"{m.psnr:.2f}",
            f"{m.ssim:.4f}",
            f"{m.haarpsi:.4f}",
            f"{seconds[name]:.1f}",
            style="bold" if name == best else None,
        )
    console = Console()
    console.print(f"Truth: {truth.size}\nInput: {low.size}", highlight=False)
    console.print(table)
    console.print(
        f"PSNR in dB; fg: foreground. {results[ICONET].convention}", style="dim", highlight=False
    )
    console.print(
        f"\n{picture} shows one of {truth.array.shape[results[ICONET].slice_axis]} slices: the "
        "low-resolution scan as it is, three ways to enlarge it, and the truth; below, the framed "
        "detail; below that, what each got wrong (brighter: more).",
        highlight=False,
    )
    console.print(f"The scans are beside it, as NIfTI: {picture.parent}", highlight=False)
    console.print("Research use, not for diagnosis.", highlight=False)
