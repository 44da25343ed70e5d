"""Finds the DICOM files in a folder, a zip, a DICOMDIR, or the one file it is given.

What lies among them, is named as they are and cannot be read is found too: an empty file, one that
was cut off, a link or a pointer whose content was not fetched. It may be a slice.

Nothing is unpacked onto the disk and nothing outside the given place is opened, whatever the names
in a zip or a DICOMDIR say.
"""

import contextlib
import functools
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePath, PureWindowsPath
from typing import TYPE_CHECKING, BinaryIO

from iconet.errors import InputError
from iconet.images.content import FETCH, START, why_no_content, why_nothing_in
from iconet.images.folders import below
from iconet.images.one_line import one_line_errors

if TYPE_CHECKING:
    from pydicom import Dataset

dicom_errors = functools.partial(one_line_errors, wrong="damaged or not DICOM")
PREAMBLE = 132  # bytes before the first element, with the mark
MARK, ZIP_MARK = b"DICM", b"PK"
# The first element of files without a preamble: of the file meta information, or of group 8.
FIRST_ELEMENTS = {0x0002: (0x0000, 0x0001, 0x0002, 0x0010), 0x0008: (0, 1, 5, 6, 8, 16, 18, 20, 22)}
FIRST_VRS = (b"UL", b"OB", b"UI", b"CS", b"DA", b"TM", b"SH")
LONGEST_FIRST = 128  # bytes of the first element's value
SLICE_SUFFIXES = (".dcm", ".dicom", ".ima", ".dc3")
# Scans shrink 2 to 10 times. What grows beyond both of these was made to fill the memory, or with
# headers of millions of elements, the time: pydicom reads 300,000 a second.
LARGEST_RATIO = 50
LARGEST_UNCHECKED = 1 << 22  # bytes
MOST_ELEMENTS = 20_000  # real headers have hundreds; sequences count as one
MOST_FILES = 100_000
MOST_NAMED = 5  # in a line
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

    @property
    def place(self) -> str:
        """The folder, on the disk or in the archive."""
        return _place(self.name)

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
        from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

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

            image = read_partial(stream, stop_when=enough, force=True, specific_tags=tags)
            if "TransferSyntaxUID" not in image.file_meta:
                implicit, little = image.original_encoding
                image.file_meta.TransferSyntaxUID = (
                    ImplicitVRLittleEndian
                    if implicit
                    else ExplicitVRLittleEndian
                    if little
                    else ExplicitVRBigEndian
                )
            return image


@dataclass(frozen=True)
class Unread:
    """What lies among DICOM files, may be one of them, and cannot be read.

    Attributes:
        name: As `DicomFile.name`.
        why: What is wrong with it, with a remedy.
    """

    name: str
    why: str

    @property
    def place(self) -> str:
        """The folder, on the disk or in the archive."""
        return _place(self.name)


@dataclass(frozen=True)
class Found:
    """The DICOM files at a place, in the order of their names, and what may have been some."""

    files: list[DicomFile]
    unread: list[Unread]


def _place(name: str) -> str:
    return name.rpartition("/")[0]


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
        return _begins(file.read(PREAMBLE))


def _begins(start: bytes) -> bool:
    """Whether bytes are the first of a DICOM file; older programs wrote no preamble."""
    return start[PREAMBLE - len(MARK) : PREAMBLE] == MARK or _without_preamble(start)


def _without_preamble(start: bytes) -> bool:
    if len(start) < PREAMBLE:
        return False
    group, element, kind, short = struct.unpack_from("<HH2sH", start)
    (long,) = struct.unpack_from("<I", start, 4)
    if element not in FIRST_ELEMENTS.get(group, ()):
        return False
    if kind in FIRST_VRS:
        return bool(short <= LONGEST_FIRST)
    # Implicit: the length of the value, which is a number or text.
    value = start[8 : 8 + long]
    return 0 < long <= LONGEST_FIRST and (element == 0 or value.rstrip(b"\0 ").isascii())


def _why_unread(name: str, start: bytes | None, suffixes: Iterable[str]) -> str | None:
    """Why a file that is not DICOM is missed; None where it is something else than a slice.

    Args:
        name: Of the file, without its folder.
        start: Its first bytes; None: a link to no file.
        suffixes: Those of the DICOM files beside it.
    """
    kind = _suffix(name)
    named = kind in SLICE_SUFFIXES
    if name.startswith(".") or name.upper() == "DICOMDIR" or not (named or kind in suffixes):
        return None
    if start is None:
        return f"a link to a file that is not there; {FETCH}, or copy the data"
    if (why := why_nothing_in(start, text=not named)) is not None:
        return why
    text = start.decode("utf-8", "ignore").replace("\n", "").replace("\r", "").replace("\t", "")
    if text.isprintable() and not named:
        return None  # notes
    return "damaged or cut off, it does not begin as DICOM does; copy or export it again"


def _suffix(name: str) -> str:
    """Of a file name; what ends in the digits of a number or a UID has none."""
    kind = PurePath(name).suffix.lower()
    return "" if kind[1:].isdigit() else kind


@contextlib.contextmanager
def dicom_files(path: Path) -> Iterator[Found]:
    """The DICOM files at a place; valid inside the `with` block.

    Args:
        path: A folder (searched with its subfolders and those that links lead to; a DICOMDIR in
            it is not needed), a DICOM file, a DICOMDIR file, or a zip of DICOM files.

    Raises:
        InputError: Nothing there, not DICOM; a name in a zip or DICOMDIR that leads out of it; a
            DICOMDIR whose records form a circle; a zip that is encrypted, damaged, or would grow
            beyond reason.
    """
    with contextlib.ExitStack() as opened:
        # The handler ends before the caller's block: what that raises is not this place's damage.
        with dicom_errors(str(path)):
            files, unread = _found(path, opened)
        if not files and unread:
            raise InputError(unread_line(path, unread, len(unread)))
        if not files:
            raise InputError(
                f"{path}: is a folder without DICOM files; name an image, or the folder of a series"
                if path.is_dir()
                else f"{path}: holds no DICOM file; name the folder of the series"
            )
        yield Found(
            sorted(files, key=lambda file: file.name), sorted(unread, key=lambda file: file.name)
        )


def unread_line(path: Path, unread: Sequence[Unread], total: int) -> str:
    """What is said of members that cannot be read: how many, which, why, and what to do.

    Args:
        path: Where they are.
        unread: These, at least one.
        total: How many files there are with them.
    """
    first = unread[0]
    if first.name == str(path):
        return f"{path}: {first.why}"
    remedy = first.why.partition("; ")[2]
    return f"{path}: {len(unread)} of its {total} files cannot be read: {listed(path, unread)}" + (
        f"; {remedy}, or take the others by --allow-missing"
    )


def listed(path: Path, unread: Sequence[Unread]) -> str:
    """Names, each with what is wrong with it where that differs from the one before."""
    parts = list[str]()
    for index, file in enumerate(unread[:MOST_NAMED]):
        reason = file.why.partition("; ")[0]
        following = unread[index + 1 : index + 2]
        same = bool(following) and following[0].why.partition("; ")[0] == reason
        last = not same or index + 1 == MOST_NAMED
        parts.append(_below(path, file.name) + (f" ({reason})" if last else ""))
    rest = len(unread) - MOST_NAMED
    return ", ".join(parts) + (f" and {rest} more" if rest > 0 else "")


def _below(path: Path, name: str) -> str:
    return name.removeprefix(f"{path}/")


def _found(path: Path, opened: contextlib.ExitStack) -> tuple[list[DicomFile], list[Unread]]:
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; check the path")
    if path.is_dir():
        return _in_folder(path)
    if not path.is_file():
        raise InputError(f"{path}: not a regular file; copy the data into one first")
    # A DICOM file may begin with anything, the mark of a zip too.
    if begins_as_dicom(path):
        return _referenced(path) or ([_on_disk(path)], [])
    if is_dicom(path):
        return _in_zip(path, opened.enter_context(zipfile.ZipFile(path)))
    raise InputError(f"{path}: neither DICOM nor a zip; name a DICOM file or a folder")


def _on_disk(path: Path) -> DicomFile:
    return DicomFile(str(path), lambda: path.open("rb"))


def _in_folder(folder: Path) -> tuple[list[DicomFile], list[Unread]]:
    files, unread = list[DicomFile](), list[Unread]()
    everything = below(folder, most=MOST_FILES)
    for place, names in everything.places:
        others = dict[str, bytes | None]()
        begun = len(files)
        for name in names:
            path = place / name
            try:
                start = _start(path)
            except OSError as error:
                unread.append(Unread(str(path), _no_permission(error)))
                continue
            if start is not None and _begins(start):
                files.append(_on_disk(path))
            else:
                others[name] = start
        suffixes = {_suffix(PurePath(file.name).name) for file in files[begun:]}
        for name, start in others.items():
            if (why := _why_unread(name, start, suffixes)) is not None:
                unread.append(Unread(str(place / name), why))
    unread += [
        Unread(str(place), "no permission to look into it; change its mode or owner")
        for place in everything.closed
    ]
    return files, unread


def _start(path: Path) -> bytes | None:
    """The first bytes of a file; None of a link to no file. Devices and pipes begin with nothing.

    Raises:
        OSError: It cannot be opened.
    """
    if not path.exists():
        return None
    if not path.is_file():
        return b"-"
    with path.open("rb") as file:
        return file.read(START)


def _no_permission(error: OSError) -> str:
    return f"cannot be opened ({error.strerror}); change its mode or owner, or copy it again"


def _in_zip(path: Path, archive: zipfile.ZipFile) -> tuple[list[DicomFile], list[Unread]]:
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) > MOST_FILES:
        raise InputError(f"{path}: holds more than {MOST_FILES} files; zip one series alone")
    total, size = sum(member.file_size for member in members), path.stat().st_size
    if total > max(LARGEST_UNCHECKED, LARGEST_RATIO * size):
        raise InputError(
            f"{path}: {size} bytes would unpack to {total}, which no scan does; unpack it and"
            " name the folder if it is one"
        )
    files, others = list[DicomFile](), list[tuple[str, bytes | None]]()
    for member in members:
        if _leads_out(member.orig_filename.replace("\\", "/").split("/")):
            raise InputError(f"{path}: a name in it leads out of it; zip the series again")
        if member.flag_bits & 1:
            raise InputError(f"{path}: encrypted; unpack it and name the folder")
        start: bytes | None = None
        if not stat.S_ISLNK(member.external_attr >> 16):
            with archive.open(member) as stream:
                start = stream.read(START)
        if start is not None and _begins(start):
            files.append(_in_archive(path, archive, member))
        else:
            others.append((f"{path}/{_printable(member)}", start))
    suffixes: dict[str, set[str]] = {}
    for file in files:
        suffixes.setdefault(file.place, set()).add(_suffix(PurePath(file.name).name))
    unread = []
    for name, start in others:
        beside = suffixes.get(_place(name), set())
        if (why := _why_unread(PurePath(name).name, start, beside)) is not None:
            unread.append(Unread(name, why))
    return files, unread


def _printable(member: zipfile.ZipInfo) -> str:
    return member.filename if member.filename.isprintable() else "?"


def _in_archive(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> DicomFile:
    # Whole in memory (its size is bounded above): seeking in a deflated stream starts it over.
    def unpacked() -> BytesIO:
        with archive.open(member) as stream:
            # Without a number it would unpack all there is, whatever size the directory claims.
            return BytesIO(stream.read(member.file_size + 1))

    return DicomFile(f"{path}/{_printable(member)}", unpacked)


def _leads_out(parts: list[str]) -> bool:
    """Whether a name's parts are absolute, climb, or name a drive."""
    return (
        parts[0] == ""
        or any(part == ".." for part in parts)
        or any("\0" in part for part in parts)
        or PureWindowsPath(parts[0]).drive != ""
    )


def _referenced(path: Path) -> tuple[list[DicomFile], list[Unread]] | None:
    """The files that a DICOMDIR lists; None if this is no DICOMDIR.

    The records are read as the flat list they are stored as. Their links, which lay a tree over
    that list, are only checked: following them could go round for ever.
    """
    import pydicom

    with path.open("rb") as stream:
        _check_inflated_size(str(path), stream)
        stream.seek(0)
        directory = pydicom.dcmread(stream, force=True, specific_tags=DIRECTORY_ELEMENTS)
    if "DirectoryRecordSequence" not in directory:
        return None
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
    root, found, unread = path.parent.resolve(), list[DicomFile](), list[Unread]()
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
        if (why := why_no_content(target)) is not None:
            unread.append(Unread(str(target), why))
        elif not target.is_file():
            unread.append(Unread(str(target), "missing; copy the whole medium"))
        elif not begins_as_dicom(target):
            unread.append(Unread(str(target), "not DICOM; copy it again"))
        else:
            found.append(_on_disk(target))
    return found, unread


def _check_inflated_size(name: str, stream: BinaryIO) -> None:
    """Refuses a deflated data set that is a bomb: pydicom inflates it whole, however large."""
    from pydicom.filereader import read_dataset, read_preamble
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    read_preamble(stream, True)
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
