"""What has been made in a folder, so that a study can go on where it stopped.

One hidden file a folder of results, `.iconet.jsonl`, gets a line before an output is written and
another one when it is complete. Outputs take their names only when complete, so one of which only
the first line is there is ours, but nothing is known of it: it is made again.

Each shard of a study has such a file of its own, `.iconet.3-of-16.jsonl`: on a network disk two
machines that append to one file overwrite each other's lines. What is known is what all the files
say together; of two lines about one output the later one counts, whichever file has it.
"""

import errno
import json
import os
import time
from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from iconet.errors import InputError
from iconet.files import sha256_of

NAME = ".iconet.jsonl"
RECORDS = ".iconet*.jsonl"


class Ledger:
    """The record of a folder of results.

    Several processes of a machine may write into it: every line is one write at the end of the
    file. What was read once is kept, and only what is new is read again.

    Args:
        folder: The root of the results; need not exist before the first line is written.
        shard: What the shard that writes is called, such as 3-of-16; empty for none.
        since: Bytes of each file that are passed over, see `sizes`.
    """

    def __init__(
        self, folder: Path, shard: str = "", since: Mapping[str, int] | None = None
    ) -> None:
        self.folder = folder
        self.path = folder / (f".iconet.{shard}.jsonl" if shard else NAME)
        self._offsets = dict(since or {})
        # Lines of each output with their time; parsed ones take ten times the memory.
        self._lines: dict[str, list[tuple[float, int, bytes]]] = {}
        self._last: dict[str, float] = {}
        self._everywhere = False

    def look(self, *, everywhere: bool = False) -> None:
        """Read what is new in its own file; the first time, or if asked to, in all others too."""
        with suppress(OSError):
            everywhere = everywhere or not self._everywhere
            for path in _records(self.folder) if everywhere else [self.path]:
                self._follow(path)
            self._everywhere = True

    def of(self, output: str) -> list[dict[str, Any]]:
        """What is known of an output since the last `look`; the latest entry is last."""
        return [json.loads(line) for _, _, line in self._lines.get(output, [])]

    def entries(self) -> dict[str, list[dict[str, Any]]]:
        """What is known of each output now, by its path below the folder.

        Lines that a crash or a full disk has cut off are passed over.
        """
        self.look()
        return {output: self.of(output) for output in self._lines}

    def _follow(self, path: Path) -> None:
        try:
            with path.open("rb") as file:  # on a network disk, opening asks for the latest size
                size = os.fstat(file.fileno()).st_size
                offset = self._offsets.get(path.name, 0)
                if size == offset:
                    return
                offset = offset if size > offset else 0  # it is another file
                file.seek(offset)
                content = file.read()
        except OSError:
            return
        *lines, last = content.split(b"\n")
        self._offsets[path.name] = offset + len(content)
        for line in lines:
            self._keep(path.name, line)
        if last and not self._keep(path.name, last):
            self._offsets[path.name] -= len(last)  # may be complete the next time

    def _keep(self, name: str, line: bytes) -> bool:
        try:
            entry = json.loads(line)
            output = str(entry["output"])
            when = float(entry.get("time", 0))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return False
        # Within a file the order is that of the lines, whatever the clock did.
        when = self._last[name] = max(when, self._last.get(name, 0.0))
        known = self._lines.setdefault(output, [])
        insort(known, (when, len(known), line))
        return True

    def begin(self, output: str, how: Any = None) -> None:
        """Note that an output, named by its path below the folder, is about to be written.

        Args:
            output: Its name.
            how: As in `finish`.
        """
        self._append(
            {"output": output, "pid": os.getpid(), **({} if how is None else {"how": how})}
        )

    def finish(
        self,
        output: str,
        files: Sequence[Mapping[str, Any]],
        inputs: Sequence[Mapping[str, Any]],
        how: Any,
        beside: Sequence[str] = (),
    ) -> None:
        """Note that an output is complete.

        Args:
            output: Its name.
            files: The `fingerprint` of all it consists of.
            inputs: Those of the files it was made from.
            how: The model and options, anything that JSON can hold.
            beside: Files and folders that belong to it.
        """
        entry = {"output": output, "files": [*files], "inputs": [*inputs], "how": how}
        self._append({**entry, **({"beside": [*beside]} if beside else {})})

    def give_up(self, output: str) -> None:
        """Note that what was begun came to nothing: what will be found there is not ours."""
        self._append({"output": output, "files": []})

    def discard_if_unused(self) -> bool:
        """Remove its file if no output in it is complete; whether no file of any shard is left."""
        own = Ledger(self.folder)
        own._follow(self.path)
        if not any(entry.get("files") for output in own._lines for entry in own.of(output)):
            self.path.unlink(missing_ok=True)
        return not _records(self.folder)

    def _append(self, entry: Mapping[str, Any]) -> None:
        # The line break first: after a line that was cut off, the next one is readable again.
        line = b"\n" + json.dumps({**entry, "time": round(time.time(), 3)}).encode()
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                written = os.write(descriptor, line)
            finally:
                os.close(descriptor)
            if written < len(line):
                raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be written ({error.strerror}); free some space, or choose"
                " another --output"
            ) from error


def sizes(folder: Path) -> dict[str, int]:
    """How long the files of a record are: what comes later is in a ledger `since` then."""
    return {path.name: path.stat().st_size for path in _records(folder)}


def _records(folder: Path) -> list[Path]:
    return sorted(folder.glob(RECORDS))


def fingerprint(path: Path) -> dict[str, Any]:
    """Name, size, time of change and content of a file."""
    status = path.stat()
    return {
        "name": path.name,
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "sha256": sha256_of(path),
    }


def unchanged(paths: Iterable[Path], recorded: object) -> bool:
    """Whether files are those of the record: of the same size and time, or else the same content.

    Args:
        paths: Files, in the order of the record.
        recorded: Their fingerprints.
    """
    paths = list(paths)
    if not isinstance(recorded, list) or len(paths) != len(recorded):
        return False
    try:
        return all(_is(path, known) for path, known in zip(paths, recorded, strict=True))
    except (OSError, KeyError, TypeError):
        return False


def _is(path: Path, known: Mapping[str, Any]) -> bool:
    status = path.stat()
    if path.name != known["name"] or status.st_size != known["size"]:
        return False
    return bool(status.st_mtime_ns == known["mtime_ns"] or sha256_of(path) == known["sha256"])
