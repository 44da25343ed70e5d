"""Upscaling files: what `iconet upscale` does."""

import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iconet.errors import InputError
from iconet.images import Scan, check_output, choose_slice_axis, read, write
from iconet.upscaling.device import Compute, choose_compute
from iconet.upscaling.progress import shown_progress
from iconet.upscaling.upscale import open_model, upscale_scan

if TYPE_CHECKING:
    from iconet.network import ICONet
    from iconet.upscaling.study import Task


Written = Callable[[Scan, Scan, dict[str, float]], None]
"""Called with a scan before and after, once it is written, and the seconds each part took."""


def upscale_files(
    inputs: Sequence[Path],
    output: Path | None,
    *,
    model: str | None = None,
    scale: int | None = None,
    plane: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    tile: int | None = None,
    jobs: int = 1,
    overwrite: bool = False,
    reports: bool = False,
    report: Callable[[str], None],
    complain: Callable[[InputError], object],
) -> int:
    """Upscale scans; one that cannot be used does not stop the others.

    Args:
        inputs: scans, folders or BIDS datasets; see `iconet.upscaling.study.plan`.
        output: a file for one scan, or a folder, made when missing; None for BIDS datasets.
        model: name of a trained model or path of weights; by default the one of `scale`.
        scale: 2 or 4; must be the model's when both are given.
        plane: as in `iconet.upscale`, like the next three.
        device: see there.
        precision: see there.
        tile: see there.
        jobs: how many scans at the same time.
        overwrite: replace what is there already.
        reports: write a JSON report beside every output.
        report: called with a line about each scan that was written.
        complain: called with the error of each scan that could not be used.

    Returns:
        How many scans could not be used.

    Raises:
        InputError: what concerns all of them: the model, an option, the folder.
    """
    from iconet.upscaling.study import plan, run

    return run(
        plan(inputs, output),
        partial(_Upscaler, model, scale, device, precision, tile, reports, {"plane": plane}),
        jobs=jobs,
        overwrite=overwrite,
        needs_report=reports,
        report=report,
        complain=complain,
    )


class _Upscaler:
    """A loaded model with the options for it; `options` are those that change the result."""

    def __init__(
        self,
        model: str | None,
        scale: int | None,
        device: str,
        precision: str,
        tile: int | None,
        reports: bool,
        options: dict[str, Any],
    ) -> None:
        self.compute = choose_compute(device, precision)
        self.network = open_model(model, scale=scale, device=str(self.compute.device))
        self.tile, self.reports, self.options = tile, reports, options
        weights = getattr(self.network, "sha256", None)
        self.how = {"weights": weights, "precision": precision, **options}

    def __call__(self, task: "Task") -> tuple[str, list[Path]]:
        from iconet.upscaling.report import files_of, make_report, written_files

        inputs = files_of(task.source)

        def written(scan: Scan, bigger: Scan, seconds: dict[str, float]) -> None:
            inputs[:] = files_of(task.source, scan)
            if self.reports or task.dataset is not None:
                task.write_report(
                    make_report(
                        scan,
                        bigger,
                        inputs=inputs,
                        outputs=written_files(task.target),
                        network=self.network,
                        compute=self.compute,
                        options=self.options,
                        seconds=seconds,
                    )
                )

        line = upscale_file(
            task.source,
            task.target,
            self.network,
            compute=self.compute,
            tile=self.tile,
            written=written,
            **self.options,
        )
        return line, inputs


def upscale_file(
    path: str | os.PathLike,
    output: str | os.PathLike,
    network: "ICONet",
    *,
    plane: str = "auto",
    compute: Compute,
    tile: int | None = None,
    written: Written | None = None,
) -> str:
    """Read, upscale, write; returns a line that says what was done."""
    start = time.monotonic()
    scan = read(path, scale=network.scale)
    was_read = time.monotonic()
    check_output(output, [path], like=scan)
    with shown_progress(Path(path).name) as progress:
        bigger = upscale_scan(
            scan, network, plane=plane, compute=compute, tile=tile, progress=progress
        )
    was_upscaled = time.monotonic()
    write(bigger, output, like=scan)
    if written is not None:
        parts = (was_read - start, was_upscaled - was_read, time.monotonic() - was_upscaled)
        written(scan, bigger, dict(zip(("read", "upscale", "write"), parts, strict=True)))
    axis = choose_slice_axis(scan.array.shape, scan.spacing, plane, affine=scan.affine)
    slices = "one slice" if scan.array.ndim == 2 else f"slices across {'ijk'[axis]}"
    constant = scan.array.min() == scan.array.max()
    return (
        f"{output}: {sizes(scan)} -> {sizes(bigger)}, {slices}, {compute}, "
        f"{time.monotonic() - start:.1f} s"
        + (" (the scan is constant: its value was repeated)" if constant else "")
    )


def sizes(scan: Scan) -> str:
    """Shape and spacing, such as "256 x 256 x 150 voxels of 1 x 1 x 1.2 mm"."""
    shape = " x ".join(map(str, scan.array.shape))
    if scan.affine is None:
        return f"{shape} pixels"
    return f"{shape} voxels of {' x '.join(f'{mm:.4g}' for mm in scan.spacing)} mm"
