"""What a folder of a study holds: files to upscale, folders of DICOM series, and what is neither.

Nothing is left out in silence. What is no scan and belongs beside scans (sidecars, tables, notes)
is not counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from iconet.errors import InputError
from iconet.images.dicom.series import series_in
from iconet.images.dicom.sources import begins_as_dicom
from iconet.images.folders import below
from iconet.images.kspace.read_kspace import SUFFIXES as KSPACE
from iconet.images.own import is_own
from iconet.images.reading import PAIR, SUFFIXES

PICTURES = (".png", ".tif", ".tiff")
BESIDE = (
    *(".json", ".bval", ".bvec", ".tsv", ".csv", ".txt", ".md", ".rst", ".log", ".pdf", ".mat"),
    *(".html", ".htm", ".xml", ".yaml", ".yml", ".toml", ".ini", ".py", ".sh", ".m"),
)
NOTES = ("readme", "changes", "license", "licence", "dicomdir")
RAW = (".raw", ".zraw", ".raw.gz")  # voxels of a header beside them
MOST_NAMED = 5  # in a line


@dataclass(frozen=True)
class Contents:
    """What is below a folder, in a fixed order.

    Attributes:
        scans: Files.
        series: Folders, each of one DICOM series, or of several of which one has to be chosen.
        left_out: Files and folders that are neither, and why where that is not their format.
    """

    scans: list[Path]
    series: list[Path]
    left_out: list[tuple[Path, str]]


def contents(folder: Path, results: Path) -> Contents:
    """What is below a folder.

    A folder that holds DICOM files stands for all DICOM below it. Pictures are no scans where there
    is DICOM, but previews.

    Args:
        folder: To look into, links to folders included.
        results: Of earlier work, which are no scans.

    Raises:
        InputError: One series is spread over folders that hold others too.
    """
    found = below(folder, enter=lambda place: not same_place(place, results))
    scans, pictures, series = list[Path](), list[Path](), list[Path]()
    left_out = [(link, "the same folder again") for link in found.again]
    left_out += [(place, "no permission") for place in found.closed]
    for place, names in found.places:
        paths = [place / name for name in names if not same_place(place / name, results)]
        dicom = {path for path in paths if _is_dicom(path)}
        if dicom and not any(one in place.parents for one in series):
            series.append(place)
        inside = dicom or any(one in place.parents for one in series)
        for path in paths:
            if path in dicom:
                continue
            name = path.name.lower()
            if name.endswith(PAIR):
                if why := _why_half(path):
                    left_out.append((path, why))
                elif path.suffix.lower() == ".img":
                    scans.append(path)
            elif name.endswith(PICTURES):
                pictures += [] if inside else [path]
            elif name.endswith((*SUFFIXES, *KSPACE)):
                scans.append(path)
            elif not inside and not _belongs_beside(path, names):
                left_out.append((path, ""))
    if series:
        left_out += [(path, "a picture beside DICOM") for path in pictures]
    else:
        scans = sorted([*scans, *pictures], key=lambda path: path.parts)
    together, without = _together(folder, series, others=bool(scans))
    left_out += [(place, "DICOM without a scan") for place in without]
    return Contents(scans, together, sorted(left_out))


def named(left_out: Sequence[tuple[Path, str]], folder: Path) -> str:
    """How many and which, such as "2 files left out: a.mnc, b/c.par"."""
    parts = [
        _below(path, folder) + (f" ({why})" if why else "") for path, why in left_out[:MOST_NAMED]
    ]
    rest = len(left_out) - MOST_NAMED
    more = f" and {rest} more" if rest > 0 else ""
    count = f"{len(left_out)} file{'s' * (len(left_out) != 1)}"
    return f"{count} left out: {', '.join(parts)}{more}"


def _below(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def same_place(one: Path, other: Path) -> bool:
    """Whether two paths, which may be links, are one file or folder that is there."""
    return one.exists() and other.exists() and one.samefile(other)


def _is_dicom(path: Path) -> bool:
    try:
        return not path.name.lower().endswith((*SUFFIXES, *KSPACE)) and begins_as_dicom(path)
    except OSError:  # to be said when it is read
        return False


def _why_half(path: Path) -> str:
    """What is missing of an image in two files."""
    suffix = ".hdr" if path.suffix.lower() == ".img" else ".img"
    other = path.with_suffix(suffix.upper() if path.suffix.isupper() else suffix)
    return "" if other.exists() or other.is_symlink() else f"without its {suffix}"


def _belongs_beside(path: Path, names: Sequence[str]) -> bool:
    name = path.name.lower()
    if name.endswith(RAW):
        return any(other.lower().endswith((".mhd", ".nhdr")) for other in names)
    return name.endswith(BESIDE) or name.split(".")[0] in NOTES


def _together(folder: Path, places: list[Path], *, others: bool) -> tuple[list[Path], list[Path]]:
    """Folders of one series each, and those without any scan.

    Several folders of one series become the folder above them, if that holds no other series.
    """
    if len(places) < 2 and not others:
        return places, []
    uids = {place: series_in(place) for place in places}
    without = [place for place in places if uids[place] is not None and not uids[place]]
    places = [place for place in places if place not in without]
    # The same result may have come back several times: those are no parts of a series.
    results = [place for place in places if is_own(place)]
    places = [place for place in places if place not in results]
    for one, other in combinations(places, 2):
        shared = (uids[one] or set()) & (uids[other] or set())
        if not shared:
            continue
        above = next(parent for parent in one.parents if parent in other.parents)
        inside = [place for place in places if above in place.parents]
        if any((uids[place] or set()) - shared for place in inside) or folder not in (
            above,
            *above.parents,
        ):
            raise InputError(
                f"{one} and {other}: hold parts of one series; name the folder above them alone,"
                " and choose by --series"
            )
        kept = [place for place in places if place not in inside]
        whole = _together(folder, sorted([*kept, above]), others=others)[0]
        return sorted([*whole, *results]), without
    return sorted([*places, *results]), without
