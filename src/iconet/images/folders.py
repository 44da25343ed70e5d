"""What is below a folder, links to folders included, each folder once."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from iconet.errors import InputError

MOST_FILES = 1_000_000


@dataclass(frozen=True)
class Below:
    """Folders and their files, in a fixed order; hidden ones are not among them.

    Attributes:
        places: Each folder with the sorted names of its files, links to no file included.
        again: Links to folders that are among these already: a circle, or one folder twice.
        closed: Folders that may not be read.
    """

    places: list[tuple[Path, list[str]]] = field(default_factory=list)
    again: list[Path] = field(default_factory=list)
    closed: list[Path] = field(default_factory=list)

    @property
    def files(self) -> list[Path]:
        """All files."""
        return [folder / name for folder, names in self.places for name in names]


def below(
    root: Path, *, enter: Callable[[Path], bool] = lambda folder: True, most: int = MOST_FILES
) -> Below:
    """What is below a folder.

    Studies are shared as links to the folders of subjects, so these are followed. A circle is
    noticed by the device and the number of a folder. A folder that is not a link comes before all
    links to it.

    Args:
        root: The folder.
        enter: Which folders are looked into.
        most: Files that are no mistake.

    Raises:
        InputError: There are more.
    """
    found, seen, count = Below(), set[tuple[int, int]](), 0
    folders, links = [root], list[Path]()
    while folders or links:
        linked = not folders
        folder = links.pop() if linked else folders.pop()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:
                if linked:
                    found.again.append(folder)
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as listed:
                entries = sorted(listed, key=lambda entry: entry.name, reverse=True)
        except OSError:
            found.closed.append(folder)
            continue
        names = []
        for entry in entries:
            path = folder / entry.name
            if entry.name.startswith("."):
                continue
            if not path.is_dir():
                names.append(entry.name)
            elif enter(path):
                (links if entry.is_symlink() else folders).append(path)
        links.sort(reverse=True)
        count += len(names)
        if count > most:
            raise InputError(f"{root}: holds more than {most} files; name a folder inside it")
        found.places.append((folder, names[::-1]))
    found.places.sort(key=lambda place: place[0].parts)
    return found
