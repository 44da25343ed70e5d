"""Files that do not hold what their name says, because it never arrived.

Data sets are shared as links and pointers whose content is fetched later (git-annex, DataLad, Git
LFS), and downloads without a login save the page that asks for one.
"""

from pathlib import Path

START = 512  # bytes that tell
FETCH = "fetch it (datalad get, git annex get)"
ANNEX = (b"/annex/objects/", b"../.git/annex/objects/", b".git/annex/objects/")
LFS = b"version https://git-lfs.github.com/spec/"
PAGES = (b"<!doctype html", b"<html", b"<head", b"<body")
ERRORS = (b"<?xml", b"<error", b'{"')  # of servers of files


def why_no_content(path: Path, *, text: bool = False) -> str | None:
    """Why a path holds nothing to read, with the remedy; None if it may, or there is no such path.

    Args:
        path: Of a file.
        text: Whether it should hold XML or JSON, which are else what servers answer.

    Raises:
        OSError: It cannot be opened.
    """
    if path.is_symlink() and not path.exists():
        return f"a link to a file that is not there; {FETCH}, or copy the data"
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return why_nothing_in(file.read(START), text=text)


def why_nothing_in(start: bytes, *, text: bool = False) -> str | None:
    """The same of a file's first `START` bytes."""
    if not start:
        return "empty (0 bytes); copy or export it again"
    if any(start.startswith(mark) for mark in ANNEX):
        return f"a git-annex pointer, its content was not fetched; {FETCH}"
    if start.startswith(LFS):
        return "a Git LFS pointer, its content was not fetched; fetch it (git lfs pull)"
    begin = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if begin.startswith(PAGES):
        return "a web page (HTML), not the data; download it again, after a login if it asks for it"
    if begin.startswith(ERRORS) and not text:
        return "a text (XML or JSON) such as servers answer, not the data; download it again"
    return None
