"""Received images come to lie on the disk, and in the queue, before anyone hears of success."""

import hashlib
import os
import secrets
import shutil
import sqlite3
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from iconet.errors import InputError
from iconet.node.audit import Audit
from iconet.node.facts import Facts, facts_of
from iconet.node.queue import Queue

META_LENGTH = 140  # of the file meta information, in a file that begins with 128 bytes and DICM
META = 144
LOCKS = 64


class Spool:
    """The images of a node: a folder a series, named by hashes of their UIDs.

    Args:
        folder: Of the node.
        queue: Of the node.
        audit: Of the node.
        trust_count: Whether a series has as many images as its headers say of the acquisition.
    """

    def __init__(
        self, folder: Path, queue: Queue, audit: Audit, *, trust_count: bool = False
    ) -> None:
        self.folder, self._queue, self._audit = folder, queue, audit
        self._trust_count = trust_count
        self.arriving, self._series = folder / "arriving", folder / "series"
        for place in (self.arriving, self._series):
            place.mkdir(parents=True, exist_ok=True)
        self._locks = [threading.Lock() for _ in range(LOCKS)]

    def keep(self, arrived: Path, source: str, *, expected: int | None = None) -> Facts:
        """Take a file that has arrived on this disk; it is kept whatever happens from then on.

        Args:
            arrived: The file, in `arriving`; it is moved.
            source: Who sent it, for the audit.
            expected: How many images its series has, where that is known.

        Returns:
            What it is.

        Raises:
            InputError: It is damaged, or names no image, series or study.
            OSError: The disk is full or fails.
        """
        facts = facts_of(arrived, "the image")
        if expected is None and self._trust_count:
            expected = facts.expected
        sha256 = _sync_and_hash(arrived)
        name = hashed(facts.sop_uid)
        with self._locks[int(name, 16) % LOCKS]:
            place = self._series / hashed(facts.series_uid)
            # A name that was never used: what is deleted meanwhile is not this file.
            target = place / f"{name}-{secrets.token_hex(4)}.dcm"
            before = self._queue.image(facts.sop_uid)
            there = None if before is None or not before["path"] else self.folder / before["path"]
            if before is not None and before["series"] != facts.series_uid:
                raise InputError("the image came before in another series; its UID is not unique")
            if before is not None and before["sha256"] == sha256 and there and there.exists():
                arrived.unlink()
                self._audit("duplicate", source=source, **_uids(facts))
                return facts
            if not place.exists():
                place.mkdir(exist_ok=True)
                sync(self._series)
            os.replace(arrived, target)
            sync(place)
            path = target.relative_to(self.folder).as_posix()
            self._queue.add(facts, sha256, path, expected=expected)
            if there is not None:
                there.unlink(missing_ok=True)
        line = None
        if before is not None and before["sha256"] != sha256:
            line = "an image came again with other contents; the series runs again"
        self._audit("received", line, source=source, modality=facts.modality, **_uids(facts))
        return facts

    @contextmanager
    def snapshot(self, series: sqlite3.Row) -> Iterator[Path | None]:
        """A folder of a series' images as they are now; None where some have been deleted.

        Links, which take no room: images that come later, or again, are not among them.
        """
        folder = self.folder / "running" / f"{hashed(series['uid'])}-{series['runs']}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            paths = [row["path"] for row in self._queue.images(series["uid"])]
            if None in paths:
                yield None
                return
            for path in paths:
                os.link(self.folder / path, folder / Path(path).name)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def recover(self) -> None:
        """Bring in order what a killed node left.

        What had not arrived whole is removed: its sender has not heard of success. What had, and
        is not in the queue, is taken. What was being deleted or replaced is removed.
        """
        for path in self.arriving.iterdir():
            path.unlink()
        shutil.rmtree(self.folder / "running", ignore_errors=True)
        known = {row["path"] for row in self._queue.rows("SELECT path FROM images")}
        for path in self._series.glob("*/*.dcm"):
            if path.relative_to(self.folder).as_posix() in known:
                continue
            try:
                facts = facts_of(path, "the image")
            except InputError as error:
                self._audit("left", f"{path}: is not in the queue and cannot be read ({error})")
                continue
            if self._queue.image(facts.sop_uid) is not None:
                path.unlink()
                continue
            self._queue.add(facts, _sync_and_hash(path), path.relative_to(self.folder).as_posix())
            self._audit("recovered", **_uids(facts))


def hashed(uid: str) -> str:
    """A UID as the name of a file: what a careless or hostile sender calls a UID may be a path."""
    return hashlib.sha256(uid.encode()).hexdigest()[:32]


def sync(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_and_hash(path: Path) -> str:
    """SHA-256 of the data set: the file meta information before it says who wrote the file."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        file.seek(META_LENGTH)
        (length,) = struct.unpack("<I", file.read(4))
        file.seek(META + length)
        return hashlib.file_digest(file, "sha256").hexdigest()


def _uids(facts: Facts) -> dict[str, str]:
    return {"study": facts.study_uid, "series": facts.series_uid, "image": facts.sop_uid}
