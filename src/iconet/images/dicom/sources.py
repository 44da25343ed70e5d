"""Finds the DICOM files in a folder, a zip, a DICOMDIR, or the one file it is given.

Nothing is unpacked onto the disk and nothing outside the given place is opened, whatever the names
in a zip or a DICOMDIR say.
"""

import contextlib
import functools
import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, BinaryIO

from iconet.errors import InputError
from iconet.images.one_line import one_line_errors

if TYPE_CHECKING:
    from pydicom import Dataset

dicom_errors = functools.partial(one_line_errors, wrong="damaged or not DICOM")
PREAMBLE = 132  # bytes before the first element, with the mark
MARK, ZIP_MARK = b"DICM", b"PK"
# Scans shrink 2 to 10 times. What grows beyond both of these was made to fill the memory, or with
# headers of millions of elements, the time: pydicom reads 300,000 a second.
LARGEST_RATIO = 50
LARGEST_UNCHECKED = 1 << 22  # bytes
MOST_ELEMENTS = 20_000  # real headers have hundreds; sequences count as one
MOST_FILES = 100_000
INFLATED_AT_A_TIME = 1 << 20  # bytes
PIXELS = {0x7FE00008, 0x7FE00009, 0x7FE00010}  # float, double, integers
DIRECTORY_ELEMENTS = [
    "OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity",
    "DirectoryRecordSequence",
]


@dataclass(frozen=True)
class DicomFile:
    """A file that begins as DICOM files do.

    Attributes:
        name: What error messages call it; a member of a zip is named `archive.zip/member`.
        open: Opens it for reading; seekable.
    """

    name: str
    open: Callable[[], BinaryIO]

    def read(self, *, pixels: bool, only: Sequence[str | int] | None = None) -> "Dataset":
        """Its elements; their values are decoded, and can fail, when they are asked for.

        Args:
            pixels: Whether to go on to the pixel data and what follows it.
            only: Keywords or tags of the elements to keep; None keeps all.

        Raises:
            InputError: Not the encoding its header claims, cut off in its header, or it inflates
                to far more than a scan would.
        """
        from pydicom.filereader import read_partial
        from pydicom.tag import BaseTag, Tag

        tags: list[BaseTag | int] | None = None if only is None else [*map(Tag, only)]
        with dicom_errors(self.name), self.open() as stream:
            _check_inflated_size(self.name, stream)
            stream.seek(0)
            seen = 0

            def enough(tag: int, vr: str | None, length: int) -> bool:
                nonlocal seen
                seen += 1
                if seen > MOST_ELEMENTS:
                    raise InputError(
                        f"{self.name}: a header of more than {MOST_ELEMENTS} elements; export it"
                        " again"
                    )
                return not pixels and tag in PIXELS

            return read_partial(stream, stop_when=enough, specific_tags=tags)


def is_dicom(path: Path) -> bool:
    """Whether a path is for `dicom_files`: a folder, a DICOM file or a zip, by its first bytes.

    Raises:
        OSError: It cannot be opened.
    """
    if not path.is_file():
        return path.is_dir()
    with path.open("rb") as file:
        zipped = file.read(2) == ZIP_MARK
    return zipped or begins_as_dicom(path)


def begins_as_dicom(path: Path) -> bool:
    """Whether a path is a file with the mark of DICOM files.

    Raises:
        OSError: It cannot be opened.
    """
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(PREAMBLE)
    return len(start) == PREAMBLE and start.endswith(MARK)


@contextlib.contextmanager
def dicom_files(path: Path) -> Iterator[list[DicomFile]]:
    """The DICOM files at a place, in the order of their names; valid inside the `with` block.

    Args:
        path: A folder (searched with its subfolders; a DICOMDIR in it is not needed), a DICOM
            file, a DICOMDIR file, or a zip of DICOM files.

    Raises:
        InputError: Nothing there, not DICOM; a name in a zip or DICOMDIR that leads out of it; a
            DICOMDIR whose records form a circle or whose files are missing; a zip that is
            encrypted, damaged, or would grow beyond reason.
    """
    with contextlib.ExitStack() as opened:
        # The handler ends before the caller's block: what that raises is not this place's damage.
        with dicom_errors(str(path)):
            found = _found(path, opened)
        if not found:
            raise InputError(
                f"{path}: is a folder without DICOM files; name an image, or the folder of a series"
                if path.is_dir()
                else f"{path}: holds no DICOM file; name the folder of the series"
            )
        yield sorted(found, key=lambda file: file.name)


def _found(path: Path, opened: contextlib.ExitStack) -> list[DicomFile]:
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; check the path")
    if path.is_dir():
        return _in_folder(path)
    if not path.is_file():
        raise InputError(f"{path}: not a regular file; copy the data into one first")
    # A DICOM file may begin with anything, the mark of a zip too.
    if begins_as_dicom(path):
        return _referenced(path) or [_on_disk(path)]
    if is_dicom(path):
        return _in_zip(path, opened.enter_context(zipfile.ZipFile(path)))
    raise InputError(f"{path}: neither DICOM nor a zip; name a DICOM file or a folder")


def _on_disk(path: Path) -> DicomFile:
    return DicomFile(str(path), lambda: path.open("rb"))


def _in_folder(folder: Path) -> list[DicomFile]:
    found, seen = [], 0
    # Links to folders are not followed, so a circle of them cannot be entered.
    for where, _, names in os.walk(folder):
        for path in sorted(Path(where, name) for name in names):
            seen += 1
            if seen > MOST_FILES:
                raise InputError(
                    f"{folder}: holds more than {MOST_FILES} files; name the folder of one series"
                )
            if begins_as_dicom(path):
                found.append(_on_disk(path))
    return found


def _in_zip(path: Path, archive: zipfile.ZipFile) -> list[DicomFile]:
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) > MOST_FILES:
        raise InputError(f"{path}: holds more than {MOST_FILES} files; zip one series alone")
    total, size = sum(member.file_size for member in members), path.stat().st_size
    if total > max(LARGEST_UNCHECKED, LARGEST_RATIO * size):
        raise InputError(
            f"{path}: {size} bytes would unpack to {total}, which no scan does; unpack it and"
            " name the folder if it is one"
        )
    found = []
    for member in members:
        if _leads_out(member.orig_filename.replace("\\", "/").split("/")):
            raise InputError(f"{path}: a name in it leads out of it; zip the series again")
        if member.flag_bits & 1:
            raise InputError(f"{path}: encrypted; unpack it and name the folder")
        if stat.S_ISLNK(member.external_attr >> 16):
            continue
        with archive.open(member) as stream:
            if stream.read(PREAMBLE)[-4:] == MARK:
                found.append(_in_archive(path, archive, member))
    return found


def _in_archive(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> DicomFile:
    # Whole in memory (its size is bounded above): seeking in a deflated stream starts it over.
    printable = member.filename if member.filename.isprintable() else "?"

    def unpacked() -> BytesIO:
        with archive.open(member) as stream:
            # Without a number it would unpack all there is, whatever size the directory claims.
            return BytesIO(stream.read(member.file_size + 1))

    return DicomFile(f"{path}/{printable}", unpacked)


def _leads_out(parts: list[str]) -> bool:
    """Whether a name's parts are absolute, climb, or name a drive."""
    return (
        parts[0] == ""
        or any(part == ".." for part in parts)
        or any("\0" in part for part in parts)
        or PureWindowsPath(parts[0]).drive != ""
    )


def _referenced(path: Path) -> list[DicomFile]:
    """The files that a DICOMDIR lists; none if this is no DICOMDIR.

    The records are read as the flat list they are stored as. Their links, which lay a tree over
    that list, are only checked: following them could go round for ever.
    """
    import pydicom

    with path.open("rb") as stream:
        _check_inflated_size(str(path), stream)
        stream.seek(0)
        directory = pydicom.dcmread(stream, specific_tags=DIRECTORY_ELEMENTS)
    if "DirectoryRecordSequence" not in directory:
        return []
    records = list(directory.DirectoryRecordSequence)
    links = [directory.get("OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity")]
    for record in records:
        links.append(record.get("OffsetOfTheNextDirectoryRecord"))
        links.append(record.get("OffsetOfReferencedLowerLevelDirectoryEntity"))
    taken = [link for link in links if link]
    # In a tree one link leads to a record. Two do where a branch comes back to an earlier record.
    if len(set(taken)) < len(taken):
        raise InputError(
            f"{path}: its records refer to one another in a circle; name the folder instead"
        )
    root, found, missing = path.parent.resolve(), [], 0
    for record in records:
        reference = record.get("ReferencedFileID")
        if not reference or record.get("RecordInUseFlag") == 0:
            continue
        parts = [reference] if isinstance(reference, str) else [str(part) for part in reference]
        inside = "/".join(parts).replace("\\", "/").split("/")
        target = path.parent.joinpath(*inside)
        if _leads_out(inside) or not target.resolve().is_relative_to(root):
            raise InputError(
                f"{path}: a record names a file outside of its folder; name the folder instead"
            )
        if not target.is_file():
            missing += 1
            continue
        if not begins_as_dicom(target):
            raise InputError(f"{target}: listed in {path.name}, not DICOM; copy it again")
        found.append(_on_disk(target))
    if missing:
        raise InputError(
            f"{path}: {missing} of the files that it lists are missing; copy the whole medium"
        )
    return found


def _check_inflated_size(name: str, stream: BinaryIO) -> None:
    """Refuses a deflated data set that is a bomb: pydicom inflates it whole, however large."""
    from pydicom.filereader import read_dataset, read_preamble
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    read_preamble(stream, False)
    # As pydicom reads it: up to the first element of another group, whatever length is claimed.
    meta = read_dataset(stream, False, True, stop_when=lambda tag, vr, length: tag >> 16 != 2)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return
    deflated = stream.read()
    most = max(LARGEST_UNCHECKED, LARGEST_RATIO * len(deflated))
    inflater, inflated = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while deflated and not inflater.eof:
        inflated += len(inflater.decompress(deflated, INFLATED_AT_A_TIME))
        deflated = inflater.unconsumed_tail
        if inflated > most:
            raise InputError(
                f"{name}: inflates to more than {most} bytes, which no scan does; export it without"
                " deflating if it is one"
            )
