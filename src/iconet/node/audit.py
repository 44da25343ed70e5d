"""What happened, for people in a log and for auditors as JSON lines: without names."""

import hashlib
import hmac
import json
import secrets
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from iconet.files import complete_file

SHOWN = 16  # hexadecimal digits of a hash
UIDS = ("study", "series", "image", "result")


class Audit:
    """Writes `audit.jsonl`, one line an event, and says what people should know.

    UIDs are hashed with a key that stays in the folder, so that events of one series belong
    together and nobody outside can tell which series it was.

    Args:
        folder: Of the node.
        plain: Whether UIDs are shown as they are.
        say: Is given the lines for people.
    """

    def __init__(
        self,
        folder: Path,
        *,
        plain: bool = False,
        say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
    ) -> None:
        self.path, self._plain, self._say = folder / "audit.jsonl", plain, say
        self._key, self._lock = _key(folder / "audit.key"), threading.Lock()

    def called(self, uid: str) -> str:
        """What log and audit call a study, series or image."""
        if self._plain:
            return uid
        return hmac.new(self._key, uid.encode(), hashlib.sha256).hexdigest()[:SHOWN]

    def __call__(self, event: str, line: str | None = None, **facts: Any) -> None:
        """Note an event.

        Args:
            event: Its kind.
            line: For people; None where they need not know.
            facts: What JSON can hold; those named in `UIDS` are UIDs.
        """
        shown = {
            name: self.called(value) if name in UIDS else value
            for name, value in facts.items()
            if value is not None
        }
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        said = {"line": line} if line else {}
        entry = json.dumps({"time": now, "event": event, **shown, **said})
        with self._lock:
            try:
                # Opened for every line, so that log rotation may take the file away.
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(entry + "\n")
            except OSError as error:  # a full disk must not end the node
                self._say(f"{self.path}: cannot be written ({error.strerror})")
            if line:
                about = shown.get("series") or shown.get("peer")
                self._say(f"{event}: {about}: {line}" if about else f"{event}: {line}")


def _key(path: Path) -> bytes:
    if not path.exists():
        with complete_file(path) as file:
            file.write(secrets.token_bytes(32))
    return path.read_bytes()
