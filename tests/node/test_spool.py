import errno
import os
import shutil

import pytest

from iconet.errors import InputError
from iconet.node.audit import Audit
from iconet.node.disk import DiskGuard
from iconet.node.queue import Queue
from iconet.node.settings import Disk
from iconet.node.spool import Spool

from .parts import mr_series


class House:
    """What a node keeps, without a node."""

    def __init__(self, folder):
        self.folder, self.said = folder, []
        self.queue = Queue(folder)
        self.audit = Audit(folder, say=self.said.append)
        self.spool = Spool(folder, self.queue, self.audit)

    def keep(self, image, name="arrived"):
        path = self.spool.arriving / name
        image.save_as(path, enforce_file_format=True)
        return self.spool.keep(path, "SCANNER")

    def files(self):
        return sorted((self.folder / "series").glob("*/*.dcm"))

    def disk(self, **limits):
        return DiskGuard(self.folder, Disk(**limits), self.queue, self.audit)


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    yield made
    made.queue.close()


def test_what_was_not_noted_is_taken_after_a_kill(house, monkeypatch):
    first, second = mr_series(images=2)
    house.keep(first)
    monkeypatch.setattr(house.queue, "add", lambda *_, **__: 1 / 0)  # killed before
    with pytest.raises(ZeroDivisionError):
        house.keep(second)
    monkeypatch.undo()
    (house.spool.arriving / "half").write_bytes(b"half")
    again = House(house.folder)
    again.spool.recover()
    assert {row["uid"] for row in again.queue.rows("SELECT uid FROM images")} == {
        str(first.SOPInstanceUID),
        str(second.SOPInstanceUID),
    }
    assert not list(again.spool.arriving.iterdir())
    again.queue.close()


def test_a_replaced_file_that_a_kill_left_is_removed(house):
    (image, _) = mr_series(images=2)
    house.keep(image)
    (path,) = house.files()
    shutil.copy(path, path.with_name("left-0.dcm"))
    house.spool.recover()
    assert house.files() == [path]


def test_an_image_with_other_contents_replaces_the_file(house):
    (image, _) = mr_series(images=2)
    house.keep(image)
    image.PatientComments = "other"
    house.keep(image)
    assert len(house.files()) == 1
    assert "other contents" in house.said[-1]


def test_one_name_in_two_series_is_refused(house):
    (image, _), (other, _) = mr_series(images=2), mr_series(images=2)
    house.keep(image)
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    with pytest.raises(InputError, match="another series"):
        house.keep(other)
    assert len(house.files()) == 1


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_uids_that_are_paths_stay_in_the_folder(house):
    (image, _) = mr_series(images=2)
    image.SeriesInstanceUID = "../../../../tmp/evil"
    house.keep(image)
    assert len(house.files()) == 1


def test_an_empty_sop_class_is_said(house):
    (image, _) = mr_series(images=2)
    path = house.spool.arriving / "arrived"
    image.save_as(path, enforce_file_format=True)
    data = path.read_bytes()
    tag = b"\x08\x00\x16\x00UI"  # as in some anonymised CT: there, and empty
    at = data.index(tag)
    length = int.from_bytes(data[at + 6 : at + 8], "little")
    path.write_bytes(data[: at + 6] + bytes(2) + data[at + 8 + length :])
    with pytest.raises(InputError, match="no SOPClassUID"):
        house.spool.keep(path, "SCANNER")


def test_a_full_disk_keeps_nothing_and_says_so(house, monkeypatch):
    (image, _) = mr_series(images=2)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        house.keep(image)
    assert house.queue.rows("SELECT * FROM images") == []


def end(house, state="done"):
    house.queue.end(house.queue.take(0), state, "for a reason")


def test_only_what_has_ended_is_deleted(house):
    for image in mr_series(images=2):
        house.keep(image)
    disk = house.disk(keep=0)
    disk.clean()
    assert len(house.files()) == 2
    end(house)
    house.disk(keep=1).clean()
    assert len(house.files()) == 2
    disk.clean()
    assert house.files() == []


def test_what_a_peer_has_not_taken_is_never_deleted(house):
    for image in mr_series(images=2):
        house.keep(image)
    series = house.queue.take(0)
    house.queue.deliver(series, "8", "results/a", [("8.1", "a")], ["pacs"], "made", "mr")
    house.disk(keep=0).clean()
    house.queue.delivered(house.queue.due("pacs"), "failed", "gone")
    house.disk(keep=0).clean()
    assert len(house.files()) == 2


def test_late_images_of_a_deleted_series_are_refused_until_all_come_again(house):
    images = mr_series(images=3)
    for image in images[:2]:
        house.keep(image)
    end(house)
    house.disk(keep=0).clean()
    house.keep(images[2])
    with house.spool.snapshot(house.queue.take(0)) as folder:
        assert folder is None
    house.queue.recover()
    for image in images[:2]:
        house.keep(image)
    with house.spool.snapshot(house.queue.take(0)) as folder:
        assert len(list(folder.iterdir())) == 3


def test_there_is_room_or_not(house):
    assert house.disk(least_free=0).has_room()
    assert not house.disk(least_free=10**9).has_room()


def test_uids_are_shown_where_that_is_asked(tmp_path):
    assert Audit(tmp_path, plain=True).called("1.2.3") == "1.2.3"
    hashed = Audit(tmp_path).called("1.2.3")
    assert hashed != "1.2.3"
    assert Audit(tmp_path).called("1.2.3") == hashed


def test_a_series_whose_run_failed_in_the_node_itself_runs_again(house, monkeypatch):
    import threading

    from iconet.node.settings import Settings
    from iconet.node.upscaling import Upscaling

    house.keep(mr_series(images=2)[0])
    web = {"web": {"url": "http://127.0.0.1:1"}}
    content = {"folder": house.folder, "peers": web, "polls": [{"peer": "web"}], "quiet": 0.001}
    settings = Settings.model_validate(
        {**content, "rules": [{"name": "ct", "match": {"modality": ["CT"]}, "send_to": ["web"]}]}
    )
    stopping = threading.Event()
    upscaling = Upscaling(settings, house.spool, house.queue, house.audit, stopping)
    end = house.queue.end

    def full(*_):
        monkeypatch.setattr(house.queue, "end", lambda *given: (end(*given), stopping.set()))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(house.queue, "end", full)
    with pytest.raises(OSError, match="No space"):
        upscaling.run()
    upscaling.run()
    ((row),) = house.queue.rows("SELECT state FROM series")
    assert row["state"] == "ignored"
