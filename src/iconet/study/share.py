"""Who does which scan, where several processes write into one folder: each claims it first."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iconet.claims import claim
from iconet.errors import InputError
from iconet.study.decide import is_finished, remove_partial
from iconet.study.find import Task
from iconet.study.ledger import Ledger

WAIT = 1.0
"""Seconds between looks at what other processes are doing."""


@dataclass(frozen=True)
class Share:
    """How a run takes part in a study; what can be pickled.

    Attributes:
        overwrite: whether an output that is there is replaced, finished or not made by iconet. What
            another process finishes during the run is not.
        needs_report: whether an output without its report is not finished.
        needs_page: whether pages are written too.
        since: how long the record of each folder of results was when the run began.
    """

    overwrite: bool
    needs_report: bool
    needs_page: bool
    since: Mapping[Path, int]

    @classmethod
    def of(
        cls,
        tasks: Sequence[Task],
        *,
        overwrite: bool,
        needs_report: bool,
        needs_page: bool = False,
    ) -> "Share":
        """For a run that begins now."""
        roots = {task.root for task in tasks if task.root is not None}
        since = {root: Ledger(root).size for root in roots}
        return cls(overwrite, needs_report or needs_page, needs_page, since)

    def claimed(self, task: Task) -> AbstractContextManager[bool]:
        """Hold the claim of a task; False where another process does.

        An output given by its name has no folder in which that could be seen.
        """
        if task.root is None:
            return nullcontext(True)
        name = hashlib.sha256(task.key.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        return claim(task.root / f".iconet-{name}.lock", remove=True)

    def known(self, root: Path | None) -> dict[str, list[dict[str, Any]]]:
        """What the record says of outputs that counts for this run."""
        if root is None:
            return {}
        return Ledger(root).entries(self.since[root] if self.overwrite else 0)

    def is_finished(
        self, task: Task, how: Mapping[str, Any], known: Sequence[Mapping[str, Any]]
    ) -> bool:
        """Whether there is nothing to do, see `iconet.study.decide.is_finished`.

        Raises:
            InputError: as there, unless whatever is there is replaced.
        """
        try:
            return is_finished(
                task, known, how, needs_report=self.needs_report, needs_page=self.needs_page
            )
        except InputError:
            if self.overwrite:
                return False
            raise

    def lacks_page(self, task: Task) -> bool:
        """Whether a finished scan is still to get its page."""
        return self.needs_page and not task.page_path.exists()

    def begin(self, task: Task, how: Mapping[str, Any]) -> None:
        """Note that a task whose claim is held is begun; removes what a killed process left."""
        if task.root is not None:
            ledger = Ledger(task.root)
            remove_partial(task, ledger.entries().get(task.key, []))
            ledger.begin(task.key, how)

    def wait(self, tasks: Sequence[Task]) -> None:
        """Until another process has let go of one of the tasks, done or not."""
        while not any(self._is_free(task) for task in tasks):
            time.sleep(WAIT)

    def _is_free(self, task: Task) -> bool:
        with self.claimed(task) as free:
            return free
