"""What happened to the scans of a study, for people."""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from iconet.study.find import Task

SAID = {
    "upscaled": "upscaled",
    "finished": "finished before",
    "shared": "made by another process",
    "own": "left out (made by iconet; --again takes them too)",
    "failed": "failed",
    "not begun": "not begun",
}

OUT_OF_RANGE = "OUT OF RANGE"
"""In the line of a scan that is unlike what its network knows; what follows says in what."""


@dataclass(frozen=True)
class Outcome:
    """What became of a scan.

    Attributes:
        status: "upscaled", "finished" (before), "shared" (made by another process), "claimed"
            (being made by one), "own" (a result of iconet, left out), "failed" or "not begun".
        line: what was done, or what is wrong with the scan.
        seconds: it took.
        fault: the traceback, where the fault is ours.
        full: whether there is no place left for results.
    """

    status: str
    line: str
    seconds: float = 0.0
    fault: str | None = None
    full: bool = False


def summarise(outcomes: Sequence[tuple[Task, Outcome]], say: Callable[[str], None]) -> None:
    """Say what became of the scans: a table on a terminal, what failed and the counts elsewhere."""
    if sys.stderr.isatty():
        _table(outcomes)
    else:
        for task, outcome in outcomes:
            if outcome.status in ("failed", "not begun"):
                say(f"{outcome.status}: {_without(task.name, outcome.line)}")
    counts = Counter(outcome.status for _, outcome in outcomes)
    for task, outcome in outcomes:
        _, doubtful, what = outcome.line.partition(OUT_OF_RANGE)
        if doubtful and outcome.status == "upscaled":
            say(f"{OUT_OF_RANGE.lower()}: {task.name}{what}")
    parts = [f"{counts[status]} {said}" for status, said in SAID.items() if counts[status]]
    say(f"{len(outcomes)} scans: {', '.join(parts)}")


def _without(source: str, line: str) -> str:
    return f"{source}: {line.removeprefix(f'{source}: ')}"


def _table(outcomes: Sequence[tuple[Task, Outcome]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("scan", "result", "seconds", "")
    table.columns[2].justify = "right"
    for task, outcome in outcomes:
        bad = outcome.status in ("failed", "not begun")
        table.add_row(
            escape(str(task.source)),
            SAID[outcome.status],
            f"{outcome.seconds:.1f}" if outcome.seconds else "",
            escape(outcome.line.removeprefix(f"{task.source}: ")) if bad else "",
            style="bold red" if bad else None,
        )
    Console(stderr=True).print(table)
