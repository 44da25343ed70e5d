"""Who does which scan, where several processes write into one folder: each claims it first."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from iconet.claims import claim
from iconet.errors import InputError
from iconet.study.decide import is_finished, remove_partial
from iconet.study.find import Task
from iconet.study.ledger import Ledger, sizes
from iconet.study.shard import Shard

WAIT = 1.0
"""Seconds between looks at what other processes are doing."""


@dataclass(frozen=True)
class Share:
    """How a run takes part in a study; what can be pickled.

    Attributes:
        overwrite: whether an output that is there is replaced, finished or not made by iconet. What
            another process finishes during the run is not.
        needs_report: whether an output without its report is not finished.
        since: how long the files of the record of each folder of results were when the run began.
        shard: the part of the study that the run does; None for all of it.
        needs_page: whether pages are written too.
    """

    overwrite: bool
    needs_report: bool
    since: Mapping[Path, Mapping[str, int]]
    shard: Shard | None = None
    needs_page: bool = False
    _ledgers: dict[Path, Ledger] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(
        cls,
        tasks: Sequence[Task],
        *,
        overwrite: bool,
        needs_report: bool,
        shard: Shard | None = None,
        needs_page: bool = False,
    ) -> "Share":
        """For a run that begins now."""
        roots = {task.root for task in tasks if task.root is not None}
        since = {root: sizes(root) for root in roots}
        return cls(overwrite, needs_report or needs_page, since, shard, needs_page)

    def __reduce__(self) -> tuple[Any, ...]:
        """Without what was read of the records."""
        given = self.overwrite, self.needs_report, self.since, self.shard, self.needs_page
        return Share, given

    def claimed(self, task: Task) -> AbstractContextManager[bool]:
        """Hold the claim of a task; False where another process does.

        An output given by its name has no folder in which that could be seen. A shard does without
        on a disk that has no locks: no other one has its tasks.
        """
        if task.root is None:
            return nullcontext(True)
        name = hashlib.sha256(task.key.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        path = task.root / f".iconet-{name}.lock"
        instead = "give --shard 1/1, or a part to each of several processes, such as 1/4"
        return claim(path, remove=True, no_locks=instead if self.shard is None else None)

    def ledger(self, root: Path) -> Ledger:
        """The record of a folder of results."""
        if root not in self._ledgers:
            name = "" if self.shard is None else self.shard.name
            since = self.since[root] if self.overwrite else None
            self._ledgers[root] = Ledger(root, name, since)
        return self._ledgers[root]

    def look(self, tasks: Sequence[Task], *, everywhere: bool = False) -> None:
        """Read what the records say now; the files of other shards once, unless asked to."""
        for root in {task.root for task in tasks if task.root is not None}:
            self.ledger(root).look(everywhere=everywhere)

    def is_finished(self, task: Task, how: Mapping[str, Any]) -> bool:
        """Whether there is nothing to do, see `iconet.study.decide.is_finished`.

        Raises:
            InputError: as there, unless whatever is there is replaced.
        """
        for everywhere in (False, True):
            known = [] if task.root is None else self.ledger(task.root).of(task.key)
            try:
                return is_finished(
                    task, known, how, needs_report=self.needs_report, needs_page=self.needs_page
                )
            except InputError:
                if self.overwrite:
                    return False
                if everywhere:
                    raise
                self.look([task], everywhere=True)  # another shard may have made it meanwhile
        raise AssertionError

    def lacks_page(self, task: Task) -> bool:
        """Whether a finished scan is still to get its page."""
        return self.needs_page and not task.page_path.exists()

    def begin(self, task: Task, how: Mapping[str, Any]) -> None:
        """Note that a task whose claim is held is begun; removes what a killed process left."""
        if task.root is not None:
            remove_partial(task)
            self.ledger(task.root).begin(task.key, how)

    def check(self, tasks: Sequence[Task]) -> None:
        """Refuse a disk on which nothing can be claimed, once for all tasks."""
        for task in tasks[:1]:
            self._is_free(task)

    def wait(self, tasks: Sequence[Task]) -> None:
        """Until another process has let go of one of the tasks, done or not."""
        while not any(self._is_free(task) for task in tasks):
            time.sleep(WAIT)

    def _is_free(self, task: Task) -> bool:
        with self.claimed(task) as free:
            return free
