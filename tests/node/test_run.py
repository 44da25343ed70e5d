"""The commands, and what signals do."""

import signal
import subprocess
import sys
import threading
import time

import pytest

from iconet import cli
from iconet.node.worker import Job, Outcome, Work, Worker
from iconet.study.jobs import Died
from iconet.upscaling.options import Options

from ..images.slices import save_all
from .parts import archive, mr_series, node, send, until

OPTIONS = Options(device="cpu", precision="fp32", backend="torch")


def test_a_signal_ends_it_and_what_waits_is_done_later(tmp_path):
    images = mr_series()
    with archive() as pacs, node(tmp_path, peers={"pacs": pacs.peer}, quiet=2) as running:
        send(running.port, images)
        assert running.stop() == 0
        assert "stopped" in running.log.read_text()
        assert running.states() == {"receiving": 1}
        running.start()
        until(lambda: running.states() == {"done": 1})
        assert len(pacs.images) == 4


def test_kills_in_the_middle_of_transfers_lose_nothing_that_was_answered(tmp_path):
    several = [mr_series(images=20, seed=seed) for seed in range(4)]
    taken = set()

    def push(running):
        for images in several:
            for image in images:
                if image.SOPInstanceUID not in taken and send(running.port, [image]) == [0]:
                    taken.add(image.SOPInstanceUID)

    with node(tmp_path, quiet=3600) as running:
        for _ in range(3):
            pushing = threading.Thread(target=push, args=(running,))
            pushing.start()
            time.sleep(1.0)
            running.kill()
            pushing.join()
            running.start()
        before = set(taken)
        push(running)
        assert len(taken) == 80
        assert running.status()["images"] == 80
        assert before  # some had come before a kill
        running.stop()
        from iconet.node.queue import Queue

        queue = Queue(tmp_path / "spool", reading=True)
        rows = queue.rows("SELECT path FROM images")
        queue.close()
        assert all((tmp_path / "spool" / row["path"]).exists() for row in rows)


def test_one_folder_has_one_node(tmp_path):
    with node(tmp_path, quiet=3600) as running:
        command = [sys.executable, "-m", "iconet.cli", "node", "run", str(running.config)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 2
        assert "runs here already" in done.stderr


def test_status_and_check_for_people(tmp_path, capsys):
    with archive() as pacs, node(tmp_path, peers={"pacs": pacs.peer}, quiet=3600) as running:
        send(running.port, mr_series())
        assert cli.run(["node", "status", str(running.config)]) == 0
        shown = capsys.readouterr().out
        assert "ICONET: running" in shown
        assert "1 receiving; 4 images" in shown
        assert cli.run(["node", "check", str(running.config)]) == 0
        assert "peer pacs, C-ECHO: ok" in capsys.readouterr().out
        pacs.close()
        assert cli.run(["node", "check", str(running.config)]) == 2
        assert "does not answer" in capsys.readouterr().out
        pacs._server.ae._servers.append(pacs._server)  # to be closed once more
        running.stop()
        assert cli.run(["node", "status", str(running.config)]) == 0
        assert "ICONET: stopped" in capsys.readouterr().out


def test_retry_of_an_unknown_series_is_said(tmp_path, capsys):
    with node(tmp_path, quiet=3600) as running:
        assert cli.run(["node", "retry", str(running.config), "1.2"]) == 2
        assert "no such series" in capsys.readouterr().err


def test_a_full_disk_is_no_refusal(tmp_path, monkeypatch):
    import errno

    from iconet.study import run_one

    def full(*_, **__):
        from iconet.files import write_errors

        with write_errors(tmp_path / "result"):
            raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(run_one, "write_series", full)
    images = mr_series()
    source = save_all(images, tmp_path / "source")
    job = Job(source, tmp_path / "result", str(images[0].SeriesInstanceUID), OPTIONS)
    outcome = Work()(job)
    assert outcome.state == "later"
    assert "disk is full" in outcome.line


def test_a_process_that_dies_takes_only_its_series_along(tmp_path):
    images = mr_series()
    source = save_all(images, tmp_path / "source")
    job = Job(source, tmp_path / "result", str(images[0].SeriesInstanceUID), OPTIONS)
    worker = Worker()
    try:
        first = worker(job)
        assert isinstance(first, Outcome)
        assert first.state == "made"
        assert len(first.images) == 4
        _, process = worker._held
        process.kill()
        assert worker(job) == Died(-signal.SIGKILL)
        again = worker(job)
        assert (again.state, again.result) == ("made", first.result)
    finally:
        worker.stop()


@pytest.mark.parametrize("command", ["run", "status", "check", "retry"])
def test_a_configuration_that_is_not_there_is_said(tmp_path, capsys, command):
    assert cli.run(["node", command, str(tmp_path / "none.yaml")]) == 2
    assert "no such file" in capsys.readouterr().err


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "node"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(place)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a small disk can be mounted by root on Linux alone")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_fills_up_loses_nothing_that_was_answered(small_disk):
    several = [mr_series(images=20, size=128, seed=seed) for seed in range(8)]
    with (
        archive() as pacs,
        node(small_disk, peers={"pacs": pacs.peer}, disk={"least_free": 0}) as running,
    ):
        answers = [send(running.port, images) for images in several]
        kept = sum((answer or []).count(0) for answer in answers)
        assert 20 <= kept < 160
        assert running.process.poll() is None
        spool = small_disk / "spool"
        # Room again: what was taken is upscaled and sent, and the rest may come.
        (spool / "audit.jsonl").write_text("")
        subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
        again = [until(lambda one=one: good(running, one)) for one in several]
        assert again == [[0] * 20] * 8
        until(lambda: running.states() == {"done": 8}, 180)


def good(running, images):
    answer = send(running.port, images)
    return answer if answer == [0] * len(images) else None
