"""What people read at the end of a study: a table on a terminal, lines elsewhere."""

from pathlib import Path

import pytest

from iconet.study.find import Task
from iconet.study.summary import Outcome, summarise

from .studies import Terminal

OUTCOMES = [
    (Task(Path("in/a.nii"), Path("out/a.nii")), Outcome("upscaled", "out/a.nii: 2x", 12.34)),
    (Task(Path("in/[b].nii"), Path("out/[b].nii")), Outcome("finished", "is finished already")),
    (
        Task(Path("in/c.nii"), Path("out/c.nii")),
        Outcome("failed", "in/c.nii: truncated; copy it again", 0.1),
    ),
    (Task(Path("in/d.nii"), Path("out/d.nii")), Outcome("not begun", "the disk is full")),
]
COUNTS = "4 scans: 1 upscaled, 1 finished before, 1 failed, 1 not begun"


@pytest.fixture
def said():
    return []


def test_a_log_gets_what_failed_and_the_counts(said, capsys):
    summarise(OUTCOMES, said.append)
    assert said == [
        "failed: in/c.nii: truncated; copy it again",
        "not begun: in/d.nii: the disk is full",
        COUNTS,
    ]
    assert capsys.readouterr() == ("", "")


def test_only_what_happened_is_counted(said):
    summarise(OUTCOMES[:1], said.append)
    assert said == ["1 scans: 1 upscaled"]


def test_a_terminal_gets_a_table(said, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("NO_COLOR", "1")
    summarise(OUTCOMES, said.append)
    assert said == [COUNTS]
    text = terminal.getvalue()
    rows = {line.split()[1]: line for line in text.splitlines() if "in/" in line}
    assert list(rows) == ["in/a.nii", "in/[b].nii", "in/c.nii", "in/d.nii"]
    assert "12.3" in rows["in/a.nii"] and "2x" not in rows["in/a.nii"]
    assert "finished before" in rows["in/[b].nii"]
    assert "truncated; copy it again" in rows["in/c.nii"] and text.count("in/c.nii") == 1
    assert "the disk is full" in rows["in/d.nii"]
