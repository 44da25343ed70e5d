"""The program: what it prints, who it answers, and that nothing of it stays."""

import json
import os
import re
import select
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="pip install 'iconet[view]'")
httpx = pytest.importorskip("httpx2", reason="pip install 'iconet[dev]'")

from iconet import cli  # noqa: E402
from iconet.view import run  # noqa: E402
from iconet.view.app import PAGE  # noqa: E402

PROGRAM = "from iconet.cli import main; main()"
PATIENCE = 180.0


@pytest.fixture
def built(tmp_path, monkeypatch):
    """The page, or what stands for it where it is not built."""
    if (PAGE / "index.html").is_file():
        return None
    pytest.skip("the page is not built: make web")


@contextmanager
def running(folder, *arguments):
    """`iconet view --no-browser` with temporary files below a folder: the process, the address."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "view", "--no-browser", *map(str, arguments)],
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert select.select([process.stdout], [], [], PATIENCE)[0]
        yield process, process.stdout.readline().strip()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@contextmanager
def let_in(address):
    """A client that has the token."""
    base = address.partition("/?")[0]
    with httpx.Client(
        base_url=base, headers={"Origin": base}, follow_redirects=True, timeout=PATIENCE
    ) as client:
        assert client.get(address).status_code == 200
        yield client


def test_it_says_what_is_missing(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(run, "PAGE", tmp_path)
    assert cli.run(["view"]) == 2
    assert "make web" in capsys.readouterr().err
    (tmp_path / "index.html").touch()
    assert cli.run(["view", str(tmp_path / "no.nii")]) == 2
    assert "no such file" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_nothing_stays_however_it_ends(built, nifti, tmp_path, number):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with running(temporary, nifti()) as (process, address):
        match = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\?token=([\w-]{40,})", address)
        assert match
        with let_in(address) as client, client.stream("GET", "/api/events") as events:
            (folder,) = temporary.glob("iconet-view-*")
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            heard = []
            for line in events.iter_lines():
                heard += [json.loads(line[6:])] if line.startswith("data: {") else []
                if heard and heard[-1].get("state") == "ready":
                    break
            assert heard[-1]["name"].endswith("scan_T1w.nii.gz")
            os.kill(process.pid, number)
            assert process.wait(PATIENCE) in (0, 130, 143)
        assert [*temporary.glob("iconet-view-*")] == []
        with pytest.raises(OSError), socket.create_connection(("127.0.0.1", int(match[1])), 5):
            pass


def test_what_a_killed_program_left_is_removed_by_the_next(built, tmp_path):
    with running(tmp_path) as (process, _):
        process.kill()
        process.wait()
    (left,) = tmp_path.glob("iconet-view-*")
    other = tmp_path / f"iconet-view-{os.getpid()}-running"
    other.mkdir()
    with running(tmp_path) as (process, _):
        assert not left.exists() and other.exists()


def test_it_listens_on_this_computer_alone_and_a_closed_tab_disturbs_nobody(built, tmp_path):
    with running(tmp_path) as (_, address):
        port = int(re.search(r":(\d+)/", address)[1])
        for name in {socket.gethostbyname(socket.gethostname()), "127.0.0.2"} - {"127.0.0.1"}:
            with pytest.raises(OSError), socket.create_connection((name, port), 2):
                pass
        with let_in(address) as one, let_in(address) as other:
            files = {"files": [{"name": "a.nii", "size": 10**6}]}
            drop = one.post("/api/drops", json=files).json()["drop"]
            (folder,) = tmp_path.glob("iconet-view-*")
            # A tab that is closed while it sends.
            with socket.create_connection(("127.0.0.1", port)) as tab:
                cookie = "; ".join(f"{name}={value}" for name, value in one.cookies.items())
                tab.sendall(
                    f"PUT /api/drops/{drop}/0 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
                    f"Origin: http://127.0.0.1:{port}\r\nCookie: {cookie}\r\n"
                    "Content-Length: 1000000\r\n\r\nbegun".encode()
                )
                wait_for(lambda: any(path.is_file() for path in folder.rglob("a.nii")))
            wait_for(lambda: not any(folder.rglob("*.nii")))
            assert other.get("/api/offered").status_code == 200
            assert other.post(f"/api/drops/{drop}/done").status_code == 400


def wait_for(holds):
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_browser_gets_a_ticket_for_one_use(monkeypatch, tmp_path, capsys):
    (tmp_path / "index.html").touch()
    monkeypatch.setattr(run, "PAGE", tmp_path)
    opened = []
    monkeypatch.setattr(run.webbrowser, "open", opened.append)
    monkeypatch.setattr(run, "_server", lambda app, desk: Stopped())
    run.view([Path(__file__)])
    printed = capsys.readouterr().out.strip()
    (address,) = opened
    assert address.partition("?")[0] == printed.partition("?")[0] and address != printed


class Stopped:
    """A server that has ended already."""

    def handle_exit(self, number, frame):
        """Nothing to end."""

    def run(self, sockets):
        assert sockets
