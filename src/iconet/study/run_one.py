"""Upscaling files: what `iconet upscale` does."""

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from iconet.errors import InputError
from iconet.images import Scan, check_output, read, write
from iconet.images.dicom.derived import check_series, write_series
from iconet.images.kspace.read_kspace import is_kspace_file
from iconet.runtime.backends import prepare_ahead
from iconet.runtime.device import Compute, choose_compute
from iconet.study.progress import shown_progress
from iconet.study.provenance import names_series, provenance_of, untrained_for
from iconet.upscaling.models import Models, weights_of
from iconet.upscaling.plan import Wanted, plan_grid
from iconet.upscaling.upscale import open_model, upscale_scan

if TYPE_CHECKING:
    from iconet.network import ICONet
    from iconet.study.study import Task
    from iconet.upscaling.from_kspace import KspaceModels

PLAIN = Wanted()


class Made(NamedTuple):
    """What was made of a scan.

    Attributes:
        line: says so to people.
        scan: as read; of raw k-space only the grid.
        bigger: as written.
        networks: that took part.
        seconds: each part took.
        kspace: coils and acceleration of raw k-space.
    """

    line: str
    scan: Scan
    bigger: Scan
    networks: Sequence["ICONet"]
    seconds: Mapping[str, float]
    kspace: Mapping[str, Any] | None = None


def upscale_files(
    inputs: Sequence[Path],
    output: Path | None,
    *,
    model: str | None = None,
    scale: int | None = None,
    plane: str = "auto",
    wanted: Wanted = PLAIN,
    device: str = "auto",
    precision: str = "auto",
    backend: str = "auto",
    tile: int | None = None,
    series: str | None = None,
    jobs: int = 1,
    overwrite: bool = False,
    reports: bool = False,
    report: Callable[[str], None],
    complain: Callable[[InputError], object],
) -> int:
    """Upscale scans; one that cannot be used does not stop the others.

    Args:
        inputs: scans, raw k-space, folders or BIDS datasets; see `iconet.study.study.plan`.
        output: a file for one scan, or a folder, made when missing; None for BIDS datasets.
            For one DICOM series, unless it has the suffix of an image: the folder of the derived
            series.
        model: name of a trained model or path of weights; by default the one of `scale`.
        scale: 2 or 4; must be the model's when both are given.
        plane: as in `iconet.upscale`, like those after the next one.
        wanted: the grid of the results.
        device: see there.
        precision: see there.
        backend: see there.
        tile: see there.
        series: see there.
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
    from iconet.study.study import plan, run

    if scale is not None and wanted.by_spacing:
        raise InputError(f"scale {scale} and a spacing: give only one of them")
    options = {
        "plane": plane,
        **asdict(wanted),
        "series": series,
        "tile": tile,
        "precision": precision,
        "backend": backend,
    }
    return run(
        plan(inputs, output),
        partial(Upscaler, model, scale, device, options, reports=reports),
        jobs=jobs,
        overwrite=overwrite,
        needs_report=reports,
        report=report,
        complain=complain,
    )


class Upscaler:
    """Upscales one task after the other, with models that are loaded when they are first needed.

    Args:
        model: as in `upscale_files`, like the next two.
        scale: see there.
        device: see there.
        options: all others that change the result; what JSON can hold.
        reports: see there.
    """

    def __init__(
        self,
        model: str | None,
        scale: int | None,
        device: str,
        options: dict[str, Any],
        *,
        reports: bool,
    ) -> None:
        self.model, self.scale, self.options, self.reports = model, scale, options, reports
        self.compute = choose_compute(device, options["precision"], options["backend"])

    @cached_property
    def models(self) -> Models:
        """For images."""
        device = str(self.compute.device)
        network = open_model(self.model, scale=self.scale, device=device)
        return Models(network, only=self.model is not None, device=device)

    @cached_property
    def kspace_models(self) -> "KspaceModels":
        """For raw k-space."""
        from iconet.upscaling.from_kspace import check_options, open_kspace_models

        check_options(self.options)
        return open_kspace_models(self.model, scale=self.scale, device=str(self.compute.device))

    def how(self, task: "Task") -> dict[str, Any]:
        """The weights that may take part, and the options."""
        if is_kspace_file(task.source):
            # One network, if it was chosen by name.
            weights = [weights_of(network) for network in dict.fromkeys(self.kspace_models)]
        else:
            weights = self.models.weights
        return {"weights": weights, **self.options}

    def __call__(self, task: "Task") -> tuple[str, list[Path]]:
        """Write the output of a task; returns a line that says so, and the files that were read."""
        from iconet.study.report import files_of, make_report, read_from, written_files

        if is_kspace_file(task.source):
            from iconet.upscaling.from_kspace import upscale_kspace_file

            # Samples stay in torch.
            compute = replace(self.compute, backend="torch")
            models = self.kspace_models
            made = upscale_kspace_file(task.source, task.target, models, compute=compute)
        else:
            compute = self.compute
            names = ("plane", "series", "tile")
            made = upscale_file(
                task.source,
                task.target,
                self.models,
                wanted=Wanted(*(self.options[name] for name in ("axes", "spacing", "isotropic"))),
                compute=compute,
                replace=True,
                **{name: self.options[name] for name in names},
            )
        if self.reports or task.dataset is not None:
            task.write_report(
                make_report(
                    made.scan,
                    made.bigger,
                    inputs=read_from(task.source, made.scan),
                    outputs=written_files(task.target),
                    networks=made.networks,
                    compute=compute,
                    options=self.options,
                    seconds=made.seconds,
                    kspace=made.kspace,
                )
            )
        return made.line, files_of(task.source, made.scan)


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
    replace: bool = False,
) -> Made:
    """Read, upscale, write.

    Args:
        path: of the scan.
        output: a file, or the folder of a derived DICOM series.
        models: the networks.
        plane: as in `iconet.upscale`, like the next four.
        wanted: see there.
        compute: see there.
        tile: see there.
        series: see there.
        replace: whether a derived series may take the place of an earlier one.
    """
    start = time.monotonic()
    if wanted == PLAIN:  # else the plan may want another network
        prepare_ahead(models.network, compute)
    scan = read(path, scale=models.network.scale if wanted == PLAIN else 1, series=series)
    was_read = time.monotonic()
    derived = bool(scan.dicom) and names_series(Path(output))
    if derived:
        check_series(scan, scan.dicom, output, replace=replace)
    else:
        check_output(output, [path], like=scan)
    plan = plan_grid(scan, models, plane=plane, wanted=wanted)
    networks = list(dict.fromkeys(models(step) for step in plan.steps))
    for network in networks:
        if (line := untrained_for(scan, network)) is not None:
            print(line, file=sys.stderr)
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
    was_upscaled = time.monotonic()
    if derived:
        scale = max(plan.gain(axis) for axis in range(len(plan.shape)))
        provenance = provenance_of(networks, scale)
        write_series(bigger, scan.dicom, output, provenance=provenance, replace=replace)
    else:
        write(bigger, output, like=scan)
    end = time.monotonic()
    constant = scan.array.min() == scan.array.max()
    line = f"{output}: {scan.size} -> {bigger.size}, {plan}, {compute}, {end - start:.1f} s" + (
        " (the scan is constant: its value was repeated)" if constant else ""
    )
    seconds = {
        "read": was_read - start,
        "upscale": was_upscaled - was_read,
        "write": end - was_upscaled,
    }
    return Made(line, scan, bigger, networks, seconds)
