"""Files that are dropped on the page: claimed first, then sent one by one, whole or not at all."""

import re
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from iconet.errors import InputError
from iconet.view.folder import check_room

if TYPE_CHECKING:
    from starlette.requests import Request

LARGEST = 4 * 10**9  # bytes of one drop
MOST_FILES = 20_000  # in one drop
LONGEST_NAME = 150  # characters that are kept
PATIENCE = 20.0  # seconds without a byte
SLOWEST = 10_000  # bytes a second, after the first seconds
LOOK_AGAIN = 1 << 26  # bytes between two looks at the disk


@dataclass
class Drop:
    """One drop: where its files go, and which are there.

    Attributes:
        folder: Of this drop alone.
        names: What each file was called, for people.
        paths: Where each goes.
        sizes: Bytes that were claimed for each.
        there: Numbers of those that are complete.
        active: When something of it came last.
    """

    folder: Path
    names: list[str]
    paths: list[Path]
    sizes: list[int]
    there: set[int] = field(default_factory=set)
    active: float = field(default_factory=time.monotonic)

    @property
    def complete(self) -> bool:
        """Whether all files are there."""
        return len(self.there) == len(self.names)

    def discard(self) -> None:
        """Remove what came."""
        shutil.rmtree(self.folder, ignore_errors=True)


def claim(content: Any, folder: Path) -> Drop:
    """Make a place for files that are to come.

    Args:
        content: As the page says it: `{"files": [{"name": ..., "size": ...}]}`.
        folder: New, for this drop alone.

    Raises:
        InputError: A name that leads elsewhere, too much, or no room.
    """
    files = content.get("files") if isinstance(content, dict) else None
    if not isinstance(files, list) or not files:
        raise InputError("nothing was dropped; drop a scan, or the folder of a DICOM series")
    if len(files) > MOST_FILES:
        raise InputError(f"{len(files)} files; drop at most {MOST_FILES}, or one series alone")
    names, sizes = list[str](), list[int]()
    for file in files:
        name, size = (
            (file.get(key) for key in ("name", "size")) if isinstance(file, dict) else 2 * (None,)
        )
        if not isinstance(name, str) or type(size) is not int or size < 0:
            raise InputError("a file without a name or a size; drop it again")
        names.append(_checked(name))
        sizes.append(size)
    if sum(sizes) > LARGEST:
        raise InputError(
            f"{sum(sizes) / 1e9:.1f} GB; the page takes at most {LARGEST / 1e9:.0f} GB: use iconet"
            " upscale on the command line, or iconet view PATH"
        )
    check_room(folder.parent, sum(sizes))
    folder.mkdir()
    return Drop(folder, names, _places(names, folder), sizes)


async def take(request: "Request", drop: Drop, number: int) -> None:
    """Write one file of a drop as it comes.

    Raises:
        InputError: More or less than was claimed, too slow, or no room.
    """
    import asyncio

    name, path, size = drop.names[number], drop.paths[number], drop.sizes[number]
    path.parent.mkdir(exist_ok=True)
    chunks = request.stream().__aiter__()
    began, written, looked = time.monotonic(), 0, 0
    try:
        file = path.open("xb")
    except FileExistsError:
        raise InputError(f"{name}: came twice; drop it again") from None
    with file:
        while True:
            try:
                chunk = await asyncio.wait_for(anext(chunks), PATIENCE)
            except StopAsyncIteration:
                break
            except TimeoutError:
                raise InputError(
                    f"{name}: nothing came for {PATIENCE:.0f} s; drop it again"
                ) from None
            drop.active = time.monotonic()
            written += len(chunk)
            if written > size:
                raise InputError(f"{name}: is longer than the page said; drop it again")
            seconds = drop.active - began - PATIENCE
            if seconds > 0 and written < SLOWEST * seconds:
                raise InputError(f"{name}: comes too slowly; drop it again")
            if written - looked > LOOK_AGAIN:
                check_room(drop.folder, size - written)
                looked = written
            file.write(chunk)
    if written != size:
        raise InputError(f"{name}: was cut off after {written} of {size} bytes; drop it again")
    drop.there.add(number)


def _checked(name: str) -> str:
    """A name as a browser has it: of a file, or of its place below a folder that was dropped."""
    parts = name.split("/")
    wrong = any(part in ("", ".", "..") or "\\" in part or len(part) > 255 for part in parts)
    if wrong or len(parts) > 64 or not name.isprintable() or re.match("[A-Za-z]:", name):
        shown = "".join(c if c.isprintable() else "?" for c in name[:80])
        raise InputError(f"{shown}: is not the name of a file that can be dropped; rename it")
    return name


def _places(names: list[str], folder: Path) -> list[Path]:
    """Where files go: a name is never a path.

    Of it only its last part is kept, of plain characters: its ending says the format, and what a
    scan is called may say what it shows. Folders get numbers.
    """
    folders: dict[PurePosixPath, Path] = {}
    taken, places = set[Path](), list[Path]()
    for index, name in enumerate(names):
        inside = folders.setdefault(PurePosixPath(name).parent, folder / str(len(folders)))
        plain = re.sub(r"[^\w.+ -]", "_", PurePosixPath(name).name, flags=re.ASCII).lstrip(". ")
        # The ending stays.
        plain = plain[-LONGEST_NAME:].lstrip(". ") or f"file{index}"
        place = inside / plain
        if place in taken:
            place = inside / f"{index}-{plain}"
        taken.add(place)
        places.append(place)
    return places
