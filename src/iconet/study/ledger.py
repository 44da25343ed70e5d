"""What has been made in a folder, so that a study can go on where it stopped.

One hidden file a folder of results, `.iconet.jsonl`, gets a line before an output is written and
another one when it is complete. Outputs take their names only when complete, so one of which only
the first line is there is ours, but nothing is known of it: it is made again.
"""

import errno
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from iconet.errors import InputError
from iconet.files import sha256_of

NAME = ".iconet.jsonl"


class Ledger:
    """The record of a folder of results.

    Several processes may write into it: every line is one write at the end of the file.

    Args:
        folder: The root of the results; need not exist before the first line is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / NAME

    def entries(self, since: int = 0) -> dict[str, list[dict[str, Any]]]:
        """What is known of each output, by its path below the folder; the latest entry is last.

        Lines that a crash or a full disk has cut off are passed over.

        Args:
            since: Bytes of the record that are passed over.
        """
        found: dict[str, list[dict[str, Any]]] = {}
        try:
            lines = self.path.read_bytes()[since:].splitlines()
        except OSError:
            return found
        for line in lines:
            try:
                entry = json.loads(line)
                found.setdefault(str(entry["output"]), []).append(entry)
            except (ValueError, TypeError, KeyError, RecursionError):
                continue
        return found

    def begin(self, output: str, how: Any = None) -> None:
        """Note that an output, named by its path below the folder, is about to be written.

        Args:
            output: Its name.
            how: As in `finish`.
        """
        self._append(
            {"output": output, "pid": os.getpid(), **({} if how is None else {"how": how})}
        )

    @property
    def size(self) -> int:
        """Bytes so far: what comes later is in `entries` of this `since`."""
        return self.path.stat().st_size if self.path.exists() else 0

    def finish(
        self,
        output: str,
        files: Iterable[Path],
        inputs: Iterable[Path],
        how: Any,
        beside: Iterable[Path] = (),
    ) -> None:
        """Note that an output is complete.

        Args:
            output: Its name.
            files: All it consists of.
            inputs: The files it was made from.
            how: The model and options, anything that JSON can hold.
            beside: Files and folders that belong to it.
        """
        names = [path.name for path in beside]
        self._append(
            {
                "output": output,
                "files": [fingerprint(path) for path in files],
                "inputs": [fingerprint(path) for path in inputs],
                "how": how,
                **({"beside": names} if names else {}),
            }
        )

    def give_up(self, output: str) -> None:
        """Note that what was begun came to nothing: what will be found there is not ours."""
        self._append({"output": output, "files": []})

    def discard_if_unused(self) -> bool:
        """Remove a record that says of no output that it is complete; whether it is gone."""
        if any(entry.get("files") for known in self.entries().values() for entry in known):
            return False
        self.path.unlink(missing_ok=True)
        return True

    def _append(self, entry: Mapping[str, Any]) -> None:
        # The line break first: after a line that was cut off, the next one is readable again.
        line = b"\n" + json.dumps(entry).encode()
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
