"""Upscaling files: what `iconet upscale` does."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from iconet.errors import InputError
from iconet.images import Scan, check_output, read, write
from iconet.images.dicom_writing import check_series, write_series
from iconet.images.reading import holds_dicom
from iconet.upscaling.derived import names_series, provenance_of, untrained_for
from iconet.upscaling.device import Compute, choose_compute
from iconet.upscaling.grid import Wanted, plan_grid
from iconet.upscaling.models import Models
from iconet.upscaling.progress import shown_progress
from iconet.upscaling.upscale import open_model, upscale_scan

PLAIN = Wanted()


def upscale_files(
    inputs: Sequence[Path],
    output: Path,
    *,
    model: str | None = None,
    scale: int | None = None,
    plane: str = "auto",
    wanted: Wanted = PLAIN,
    device: str = "auto",
    precision: str = "auto",
    tile: int | None = None,
    series: str | None = None,
    report: Callable[[str], None],
    complain: Callable[[InputError], object],
) -> int:
    """Upscale scans one after the other; a scan that cannot be used does not stop the others.

    Args:
        inputs: paths of scans.
        output: a file for one scan, or a folder, made when missing, for files of the same names.
            For one DICOM series, unless it has the suffix of an image: the folder of the derived
            series, new or empty; for several inputs it gets a folder of its own inside.
        model: name of a trained model or path of weights; by default the one of `scale`.
        scale: 2 or 4; must be the model's when both are given.
        plane: as in `iconet.upscale`, like those after the next one.
        wanted: the grid of the results.
        device: see there.
        precision: see there.
        tile: see there.
        series: see there.
        report: called with a line about each scan that was written, and about what it may lack.
        complain: called with the error of each scan that could not be used.

    Returns:
        How many scans could not be used.

    Raises:
        InputError: what concerns all of them: the model, an option, the folder.
    """
    if scale is not None and wanted.by_spacing:
        raise InputError(f"scale {scale} and a spacing: give only one of them")
    outputs = _outputs(inputs, output)
    compute = choose_compute(device, precision)
    failed = 0
    with nullcontext() if outputs == [output] else _folder(output):
        network = open_model(model, scale=scale, device=str(compute.device))
        models = Models(network, only=model is not None, device=str(compute.device))
        options: dict[str, Any] = {
            "plane": plane,
            "wanted": wanted,
            "compute": compute,
            "tile": tile,
        }
        for path, target in zip(inputs, outputs, strict=True):
            try:
                report(upscale_file(path, target, models, series=series, warn=report, **options))
            except InputError as error:
                complain(error)
                failed += 1
    return failed


def upscale_file(
    path: str | os.PathLike,
    output: str | os.PathLike,
    models: Models,
    *,
    plane: str = "auto",
    wanted: Wanted = PLAIN,
    compute: Compute,
    tile: int | None = None,
    series: str | None = None,
    warn: Callable[[str], None] | None = None,
) -> str:
    """Read, upscale, write; returns a line that says what was done."""
    start = time.monotonic()
    scan = read(path, scale=models.network.scale if wanted == PLAIN else 1, series=series)
    derived = bool(scan.dicom) and names_series(Path(output))
    if derived:
        check_series(scan, scan.dicom, output)
    else:
        check_output(output, [path], like=scan)
    if warn is not None and (line := untrained_for(scan, models.network)) is not None:
        warn(line)
    with shown_progress(Path(path).name) as progress:
        bigger = upscale_scan(
            scan,
            models,
            plane=plane,
            wanted=wanted,
            compute=compute,
            tile=tile,
            progress=progress,
        )
    plan = plan_grid(scan, models, plane=plane, wanted=wanted)
    if derived:
        networks = list(dict.fromkeys(models(step) for step in plan.steps))
        scale = max(plan.gain(axis) for axis in range(len(plan.shape)))
        write_series(bigger, scan.dicom, output, provenance=provenance_of(networks, scale))
    else:
        write(bigger, output, like=scan)
    constant = scan.array.min() == scan.array.max()
    return (
        f"{output}: {sizes(scan)} -> {sizes(bigger)}, {plan}, {compute}, "
        f"{time.monotonic() - start:.1f} s"
        + (" (the scan is constant: its value was repeated)" if constant else "")
    )


def sizes(scan: Scan) -> str:
    """Shape and spacing, such as "256 x 256 x 150 voxels of 1 x 1 x 1.2 mm"."""
    shape = " x ".join(map(str, scan.array.shape))
    if scan.affine is None:
        return f"{shape} pixels"
    return f"{shape} voxels of {' x '.join(f'{mm:.4g}' for mm in scan.spacing)} mm"


def _outputs(inputs: Sequence[Path], output: Path) -> list[Path]:
    one = len(inputs) == 1
    if one and ((output.suffix and not output.is_dir()) or _is_series(inputs[0])):
        return [output]
    if output.suffix and not output.is_dir():
        raise InputError(f"{output} names one file for {len(inputs)} scans: name a folder")
    names = [_series_name(path) if _is_series(path) else path.name for path in inputs]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two inputs are called {name}: upscale them into different folders")
    return [output / name for name in names]


def _is_series(path: Path) -> bool:
    try:
        return holds_dicom(path)
    except OSError:  # to be said when it is read
        return False


def _series_name(path: Path) -> str:
    name = path.resolve().name  # of "." too
    return path.stem if path.suffix.lower() in (".dcm", ".zip") else name


@contextmanager
def _folder(path: Path) -> Iterator[None]:
    """A folder for results, which is gone again if there were none and it is new."""
    new = not path.exists()
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{path} cannot be made: {error.strerror}: choose another folder"
        ) from None
    try:
        yield
    finally:
        if new:
            with suppress(OSError):  # it holds results
                path.rmdir()
