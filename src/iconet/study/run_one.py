"""One scan: read, upscaled, written, and what was done to it written down."""

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from iconet.errors import InputError
from iconet.files import write_text
from iconet.images import Scan, bids, check_output, read, slice_axis_of, write
from iconet.images.dicom.derived import check_series, write_series
from iconet.images.dicom.derived_header import Provenance
from iconet.images.kspace.read_kspace import is_kspace_file, read_kspace
from iconet.images.reading import NIFTI, holds_dicom, suffix_of
from iconet.runtime.backends import backend_for, prepare_ahead
from iconet.runtime.device import Compute, choose_compute
from iconet.study.beside import (
    check_beside,
    describe_beside,
    forget_beside,
    named_beside,
    with_bounds,
    write_beside,
    write_bounds,
)
from iconet.study.decide import files_of, read_from, written_files
from iconet.study.find import INDEX, Task, names_series
from iconet.study.label import result_label
from iconet.study.labelled import read_labels, write_labels
from iconet.study.progress import shown_progress
from iconet.study.provenance import provenance_of
from iconet.study.report import Made, make_report
from iconet.study.summary import OUT_OF_RANGE
from iconet.upscaling.apart import SetApart
from iconet.upscaling.input_consistency import residual_map
from iconet.upscaling.models import Models, Step
from iconet.upscaling.options import Options
from iconet.upscaling.out_of_range import Finding, acceptable, inconsistent, out_of_range
from iconet.upscaling.plan import GridPlan, plan_grid, remarks, taking_part
from iconet.upscaling.recovery import Recovery
from iconet.upscaling.regrid import as_stack
from iconet.upscaling.scan_labels import upscale_labels
from iconet.upscaling.slices import Progress
from iconet.upscaling.upscale import upscale_scan
from iconet.upscaling.windows import count_windows, plan_windows
from iconet.zoo.model import open_model

CONSTANT = "the scan is constant: its value was repeated"

if TYPE_CHECKING:
    from iconet.network import ICONet
    from iconet.peers import Peer
    from iconet.upscaling.from_kspace import KspaceModels


class Upscaler:
    """Upscales one task after the other, with models that are loaded when they are first needed.

    Args:
        options: for all of them.
        reports: write a JSON report beside every output; a BIDS derivative gets one in any case.
        pages: write a page with pictures too, and the report.
        shown: shows how far a scan is, given its name.
        note: called with what was made of a scan, before its report is written.

    Raises:
        InputError: the device, the precision or the backend cannot be had.
    """

    def __init__(
        self,
        options: Options,
        *,
        reports: bool,
        pages: bool = False,
        shown: Callable[[str], AbstractContextManager[Progress]] = shown_progress,
        note: Callable[[Made], None] = lambda made: None,
    ) -> None:
        self.options, self.reports, self.pages = options, reports or pages, pages
        self._shown, self._note = shown, note
        self.say: Callable[[str], None] = _say
        backend = backend_for(options.model, options.backend)
        self.compute = choose_compute(options.device, options.precision, backend)

    @cached_property
    def models(self) -> Models:
        """For images."""
        self.options.refuse_for_images()
        chosen, device = self.options.model, str(self.compute.device)
        model = open_model(chosen, scale=self.options.scale, device=device)
        return Models(model, only=chosen is not None, device=device)

    @cached_property
    def kspace_models(self) -> "KspaceModels":
        """For raw k-space."""
        from iconet.upscaling.from_kspace import open_kspace_models

        return open_kspace_models(self.options, device=str(self.compute.device))

    def label(self) -> str:
        """What tells the results of this run from those of others, in the names of a dataset."""
        return result_label(self.options, self.models.chosen)

    def how(self, task: Task) -> dict[str, Any]:
        """The weights that may take part, and the options that decide; what JSON can hold."""
        how = self.options.deciding
        if is_kspace_file(task.source):
            # One, if it was chosen by name.
            weights = self.kspace_models.weights
        else:
            weights = self.models.weights
            if not self.models.only:
                how["untrained"] = "interpolated"  # what earlier versions gave to a network
            if self.options.uncertainty and (trust := self.models.chosen.trust) is not None:
                how["trust"] = trust.sha256
        return {"weights": weights, **how}

    def __call__(self, task: Task) -> tuple[str, list[Path]]:
        """Write the output of a task; returns a line that says so, and the files that were read.

        Raises:
            InputError: the scan cannot be used, or the output not be written.
        """
        compute = self.compute
        if task.dataset is not None:
            bids.read_json(bids.sidecar(task.source))  # is wanted when all else is done
        if is_kspace_file(task.source):
            compute = replace(compute, backend="torch")  # samples stay in torch
            made = self._kspace(task, compute)
        else:
            made = self._image(task)
        self._note(made)
        if self.reports or task.dataset is not None:
            report = make_report(
                made,
                inputs=[
                    *read_from(task.source, made.scan),
                    *(source for source, _ in task.labels),
                ],
                outputs=[
                    *written_files(task.target),
                    *(target for _, target in task.labels),
                    *([] if task.copy is None else [task.copy]),
                    *(file for path in made.beside for file in written_files(path)),
                ],
                compute=compute,
                options=self.options.deciding,
            )
            describe_beside(task, task.write_report(report))
            if self.pages:
                _write_page(task, None if made.kspace else made.scan, made.bigger, report)
        return made.line, [*task.files] or files_of(task.source, made.scan)

    def draw(self, task: Task) -> None:
        """Write the page of a finished task, from its files and its report.

        Raises:
            InputError: one of them cannot be read, or the page not be written.
        """
        before = None if is_kspace_file(task.source) else self._read(task)
        after = with_bounds(task, read(task.target))
        _write_page(task, before, after, task.read_report())

    def _read(self, task: Task, scale: int = 1) -> Scan:
        return read(
            task.source,
            scale=scale,
            series=task.series or self.options.series,
            volume=self.options.volume,
            allow_missing=self.options.allow_missing,
        )

    def _image(self, task: Task) -> Made:
        clock = _Clock()
        # The plan may want another network for another grid, and none for DICOM that is no MRI.
        sure = self.models.only or not holds_dicom(task.source)
        sure = sure and not self.options.own_grid
        if sure:
            prepare_ahead(self._running, self.compute)
        scan = self._read(task, 1 if self.options.own_grid else self.models.chosen.scale)
        _check_writable(task, scan, beside=self.options.uncertainty)
        clock.note("read")
        if sure:
            self._prepare_for(scan)
        plan = plan_grid(scan, self.models, self.options)
        if plan.kind.labels and _derives(task, scan):
            raise InputError(f"{task.target}: labels become no DICOM series; write .nii.gz")
        labels = read_labels(task, scan)
        models = taking_part(plan, self.models)
        findings = acceptable(out_of_range(scan, plan, self.models, self.options), self.options)
        said = self._said(scan, plan, findings)
        found: list[SetApart] = []
        with self._shown(task.title or task.source.name) as progress:
            bigger = upscale_scan(
                *(scan, plan, self.models, self.compute, self.options),
                progress=progress,
                note=found.append,
            )
        if apart := reduce(SetApart.and_of, found, SetApart()):
            said += self._tell([f"{scan.name}: {apart} kept from the network and put back"])
        bigger_labels = [
            (upscale_labels(each[0], each[1], plan, self.models, self.compute, self.options), each)
            for each in labels
        ]
        clock.note("upscale")
        late = acceptable(inconsistent(scan, bigger, plan), self.options)
        said += self._tell([finding.line for finding in late])
        provenance = provenance_of(models, plan.finest, self.options.deciding)
        bounds = _write_all(task, scan, bigger, plan.acquisition, provenance)
        beside = write_labels(bigger_labels)
        clock.note("write")
        constant = [CONSTANT] * _is_constant(scan)
        line = (
            f"{task.target}: {scan.size} -> {bigger.size}, {plan}, "
            + ("" if plan.interpolated else f"{self.compute}, ")
            + f"{clock.total} s"
            + "".join(f" ({text})" for text in constant)
            + beside
            + named_beside(bounds)
            + out_of_range_in_short(findings := [*findings, *late])
        )
        return Made(
            *(line, scan, bigger, models, clock.seconds),
            findings=findings,
            beside=tuple(bounds),
            interpolated=plan.instead,
            apart=apart,
            acquisition=plan.acquisition,
            kind=plan.kind,
            remarks=[*said, *constant],
        )

    @property
    def _running(self) -> "ICONet | Peer":
        return self.models.chosen.running(self.options.uncertainty)

    def _prepare_for(self, scan: Scan) -> None:
        """Get the network ready for slices like these, while it is found out what they are."""
        network, compute = self._running, self.compute
        count, *size = as_stack(scan.first_volume, slice_axis_of(scan, self.options.plane)).shape
        where, tile = compute.device.type, self.options.tile
        plan = plan_windows(network, *size, device=where, tile=tile)
        windows = count_windows(network, (1, *size), device=where, tile=tile)
        prepare_ahead(network, compute, plan.workers_for(count, windows))

    def _said(self, scan: Scan, plan: GridPlan, findings: Sequence[Finding]) -> list[str]:
        """Say what is to be said before a scan is upscaled, each line once."""
        lines = [*scan.remarks, *remarks(scan, plan, self.models)]
        if self.options.uncertainty and plan.interpolated:
            lines.append(f"{scan.name}: interpolated without a network: there are no bounds")
        if self.options.best and plan.interpolated:
            lines.append(f"{scan.name}: interpolated without a network: --best changes nothing")
        return self._tell(list(dict.fromkeys([*lines, *(each.line for each in findings)])))

    def _tell(self, lines: list[str]) -> list[str]:
        for line in lines:
            self.say(line)
        return lines

    def _kspace(self, task: Task, compute: Compute) -> Made:
        from iconet.upscaling.from_kspace import shown_affine, upscale_kspace

        clock = _Clock()
        check_output(task.target, [task.source])
        if self.options.complex and suffix_of(task.target) not in NIFTI:
            raise InputError(f"{task.target}: complex images are written as .nii or .nii.gz")
        if self.options.uncertainty:
            check_beside(task)
        raw = read_kspace(task.source)
        for line in raw.remarks:
            self.say(line)
        clock.note("read")
        with self._shown(task.title or task.source.name) as progress:
            bigger, found = upscale_kspace(
                *(raw, self.kspace_models),
                compute=compute,
                options=self.options,
                progress=progress,
            )
        clock.note("upscale")
        said = [*raw.remarks, *self._tell([finding.line for finding in found.findings])]
        _forget_former(task)
        write(bigger, task.target, like=bigger)
        bounds = write_bounds(task, bigger, bigger)
        clock.note("write")
        line = (
            f"{task.target}: {raw.coils} coil{'s' * (raw.coils > 1)}, {raw.slices} slices, "
            f"{found} -> {bigger.size}, {'complex' if self.options.complex else 'magnitude'} in "
            f"the raw data's units, {compute}, {clock.total} s"
            + ("" if raw.placed else " (the file does not say where the slices are)")
            + named_beside(bounds)
            + out_of_range_in_short(found.findings)
        )
        # The grid alone: numbers that are all one take no memory.
        grid = np.broadcast_to(np.float32(0), (*raw.shown, raw.slices))
        scan = Scan(grid, affine=shown_affine(raw), path=raw.path)
        kspace = {
            "coils": raw.coils,
            "acceleration": found.acceleration,
            "partial_fourier": found.partial,
            "consistency": found.consistency and found.consistency._asdict(),
        }
        # Complete data need no network to be reconstructed.
        alone = self.options.scale == 1 and found.complete
        models = [] if alone else [self.kspace_models.suited(found)]
        return Made(
            *(line, scan, bigger, models, clock.seconds, kspace),
            findings=found.findings,
            remarks=said,
            beside=tuple(bounds),
        )


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def out_of_range_in_short(findings: Sequence[Finding]) -> str:
    """For the end of a line, such as "; OUT OF RANGE: noise, features"."""
    return f"; {OUT_OF_RANGE}: {', '.join(each.what for each in findings)}" if findings else ""


def _derives(task: Task, scan: Scan) -> bool:
    """Whether the output is a derived DICOM series."""
    return bool(scan.dicom) and names_series(task.target)


def _check_writable(task: Task, scan: Scan, *, beside: bool) -> None:
    if _derives(task, scan):
        check_series(scan, scan.dicom, task.target, replace=True)
    else:
        check_output(task.target, [task.source], like=scan)
    if beside:
        check_beside(task)


def _forget_former(task: Task) -> None:
    task.forget_former()
    forget_beside(task)


def _write_all(
    task: Task,
    scan: Scan,
    bigger: Scan,
    acquisition: Recovery | Step | None,
    provenance: Provenance,
) -> list[Path]:
    """Write the output, then what goes beside it, as of `write_beside`."""
    if bigger.bounds is None:
        _write(task, scan, bigger, provenance)
        return []
    with ThreadPoolExecutor(1) as meanwhile:  # the cores are idle while files are written
        residual = meanwhile.submit(residual_map, scan, bigger, acquisition)
        _write(task, scan, bigger, provenance)
        return write_beside(task, scan, bigger, residual, provenance)


def _write(task: Task, scan: Scan, bigger: Scan, provenance: Provenance) -> None:
    _forget_former(task)
    if _derives(task, scan):
        write_series(bigger, scan.dicom, task.target, provenance=provenance, replace=True)
    else:
        write(bigger, task.target, like=scan)
    if task.copy is not None:
        write(bigger, task.copy, like=scan)


def _write_page(task: Task, before: Scan | None, after: Scan, report: Mapping[str, Any]) -> None:
    from iconet.study.pages.scan_page import scan_page

    index = None if task.root is None else Path(os.path.relpath(task.root, task.page_path.parent))
    page = scan_page(
        *(task.target.name, before, after, report), index=None if index is None else index / INDEX
    )
    write_text(page, task.page_path)


def _is_constant(scan: Scan) -> bool:
    return bool(np.fmin.reduce(scan.array, axis=None) == np.fmax.reduce(scan.array, axis=None))


class _Clock:
    """Seconds that the parts of a task take."""

    def __init__(self) -> None:
        self.start = self.last = time.monotonic()
        self.seconds: dict[str, float] = {}

    def note(self, part: str) -> None:
        """A part has ended."""
        now = time.monotonic()
        self.seconds[part], self.last = now - self.last, now

    @property
    def total(self) -> str:
        """All parts so far, for people."""
        return f"{self.last - self.start:.1f}"
