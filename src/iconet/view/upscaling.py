"""The process that upscales, by the same code as `iconet upscale`."""

import io
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from pathlib import Path
from zipfile import ZipFile

from iconet.errors import InputError
from iconet.images import Scan
from iconet.study import report
from iconet.study.beside import LOWER, RESIDUAL, UPPER, beside
from iconet.study.find import Task
from iconet.study.run_one import Upscaler
from iconet.upscaling.options import Options
from iconet.upscaling.slices import Progress
from iconet.view.layers import Looked, layers_of
from iconet.view.process import Telling
from iconet.view.tasks import Made, Refused, Upscale

OFTEN = 0.1  # seconds between two pieces of news
MOST_KEPT = 4  # ways to upscale whose models are kept


class Upscaling:
    """Upscales one scan after the other; weights are loaded once for every way to upscale."""

    def __init__(self, telling: Telling) -> None:
        self._telling = telling
        self._kept: dict[Options, Upscaler] = {}
        self._made: list[report.Made] = []
        with suppress(InputError):  # it is said when a scan is to be upscaled
            _ = self._upscaler(Options()).models

    def __call__(self, task: Upscale) -> Made | Refused:
        """Upscale a scan; whatever goes wrong is an answer."""
        said = io.StringIO()
        self._made.clear()
        try:
            with redirect_stderr(said):
                one = Task(task.source, task.target, copy=task.copy)
                line, _ = self._upscaler(task.options)(one)
        except Exception as error:
            return Refused.by(error)
        made = self._made.pop()
        kspace = made.kspace is not None
        looked = Looked(
            None if kspace else made.scan,
            made.bigger,
            network=bool(made.models),
            named=made.kind is not None and made.kind.labels,
            bounds=_no_bounds if made.beside else None,
        )
        return Made(
            _files(one, made.beside),
            [layer.description() for layer in layers_of(looked)],
            line,
            tuple(said.getvalue().splitlines()),
            json.loads(one.report_path.read_text("utf-8")),
            network=looked.network,
            named=looked.named,
            acquisition=made.acquisition,
        )

    def _upscaler(self, options: Options) -> Upscaler:
        if options not in self._kept:
            self._kept = dict([*self._kept.items()][1 - MOST_KEPT :])
            self._kept[options] = Upscaler(
                options, reports=True, shown=self._shown, note=self._made.append
            )
        return self._kept[options]

    @contextmanager
    def _shown(self, label: str) -> Iterator[Progress]:
        last = 0.0

        def progress(done: int, total: int) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= OFTEN or done == total:
                last = now
                self._telling((done, total))

        yield progress


def _no_bounds() -> tuple[Scan, Scan]:
    """Stands for bounds that are in files: whether layers can be made is all that is asked here."""
    raise AssertionError


def _files(task: Task, bounds: Sequence[Path]) -> dict[str, Path]:
    """What can be downloaded of a result."""
    files = {"image": task.copy or task.target}
    if task.copy is not None:
        files["dicom"] = _zipped(task.target)
    for what in (LOWER, UPPER, RESIDUAL):
        path = beside(task, what)
        if path in bounds:
            files[what] = _zipped(path) if path.is_dir() else path
    return {**files, "report": task.report_path}


def _zipped(folder: Path) -> Path:
    path = folder.with_name(f"{folder.name}.zip")
    # Pixels of DICOM hardly shrink in the time that a user waits.
    with ZipFile(path, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"{folder.name}/{file.name}")
    return path
