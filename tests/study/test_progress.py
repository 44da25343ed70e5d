import pytest

from iconet.study import progress

from .studies import Terminal


def test_a_log_file_gets_a_line_now_and_then(capsys, monkeypatch):
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    with progress.shown_progress("scan [1].nii") as update:
        for now in range(26):
            update(now, 50)
    assert capsys.readouterr().err.splitlines() == [
        "scan [1].nii: 10 of 50, 40 s left",
        "scan [1].nii: 20 of 50, 30 s left",
    ]


def test_a_terminal_gets_a_bar_that_is_cleared(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with progress.shown_progress("scan [1].nii") as update:
        update(20, 50)
    assert "scan [1].nii" in terminal.getvalue()
    assert "20/50" in terminal.getvalue()
    assert terminal.getvalue().endswith("\x1b[2K")


def test_an_error_inside_comes_through(monkeypatch):
    with pytest.raises(KeyboardInterrupt), progress.shown_progress("scan"):
        raise KeyboardInterrupt
