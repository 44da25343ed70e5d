"""Results of iconet are no scans: how files are marked as such, and how the mark is found again.

A program that polls an archive would otherwise enlarge its own results without end. The mark is one
line, such as "iconet 0.1.0 mri-x2 2x", where each format has a place for it: NIfTI's description or
a comment extension, a NRRD key, a MetaImage comment, the software of a PNG or TIFF. DICOM has the
contributing equipment (`iconet.images.dicom.derived_header`), BIDS its sidecar. Arrays (`.npy`)
have no place.
"""

import contextlib
import gzip
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from iconet.errors import InputError
from iconet.images.bids import read_json, sidecar
from iconet.images.dicom.derived_header import is_derived
from iconet.images.dicom.sources import dicom_files
from iconet.images.geometry import COMMENT
from iconet.images.reading import METAIMAGE, NIFTI, NRRD, holds_dicom, read_nifti_header
from iconet.images.scan import Scan
from iconet.images.text_headers.layout import header_lines

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

MARK = re.compile(r"\biconet \d[\w.+]* (?:[^;\n]* )?\d[\d.]*x\b")
SERIES = re.compile(r"\biconet \d[\d.]*x.* research use, not for diagnosis")
"""The description of a derived series, which converters put into a sidecar."""

DICOM_ELEMENTS = ["ContributingEquipmentSequence", "DerivationDescription", "SeriesDescription"]
LONGEST_DESCRIPTION = 79  # bytes of NIfTI's, which ends in a zero


class OwnResult(InputError):
    """A scan that iconet made; it is upscaled again only where that is asked for."""


def mark(models: str | None, scale: float) -> str:
    """What is written into a result.

    Args:
        models: Names of those that took part; None where it was interpolated.
        scale: How many times finer the axis became that gained most.
    """
    from importlib.metadata import version

    plain = re.sub("[^!-~]+", "-", models or "interpolation")
    return f"iconet {version('iconet')} {plain} {scale:g}x"


def refuse_own(scan: Scan) -> None:
    """Refuse a scan that iconet made.

    Raises:
        OwnResult: It has the mark.
    """
    if scan.dicom:
        own = is_derived(scan.dicom[0])
    else:
        own = scan.mark is not None
        own = own or (scan.header is not None and _in_nifti_header(scan.header))
        own = own or (scan.path is not None and is_own(scan.path))
    if own:
        raise own_result(scan.name)


def own_result(name: str) -> OwnResult:
    """The error that says so."""
    return OwnResult(
        f"{name}: is a result of iconet already; give the scan that it was made from, or --again to"
        " upscale it once more"
    )


def is_own(path: Path) -> bool:
    """Whether a file, or a place of DICOM, has the mark; of DICOM all of its images.

    Only headers are read. What cannot be read has no mark: reading it says what is wrong.
    """
    with contextlib.suppress(InputError, OSError):
        name = path.name.lower()
        if holds_dicom(path):
            return _in_dicom(path)
        if name.endswith(NIFTI):
            return _in_nifti(path) or _in_sidecar(path)
        if name.endswith((*NRRD, *METAIMAGE)):
            return _in_text_header(path)
        if name.endswith((".png", ".tif", ".tiff")):
            return _in_picture(path)
    return False


def says_own(text: str) -> bool:
    """Whether what a program says of an image has the mark, or is a derived series' description."""
    return MARK.search(text) is not None or SERIES.search(text) is not None


def describe(header: "Nifti1Header", text: str) -> None:
    """Put the mark into a NIfTI header, behind the description that is there.

    Where both are too long for it the mark is a comment of its own, and the description stays.
    """
    from nibabel.nifti1 import Nifti1Extension

    before = bytes(header["descrip"].item()).rstrip(b"\0 ")
    whole = before + b"; " * bool(before) + text.encode("ascii", "replace")
    if len(whole) <= LONGEST_DESCRIPTION:
        header["descrip"] = whole
    else:
        header.extensions.append(Nifti1Extension(COMMENT, text.encode("ascii", "replace")))


def _in_nifti_header(header: "Nifti1Header") -> bool:
    comments = [item.get_content() for item in header.extensions if item.get_code() == COMMENT]
    return any(_marked(text) for text in (header["descrip"].item(), *comments))


def _marked(text: Any) -> bool:
    return says_own(text.decode("latin-1") if isinstance(text, bytes) else str(text))


def _in_nifti(path: Path) -> bool:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        try:
            with gzip.GzipFile(fileobj=file) if packed else file as stream:
                header = read_nifti_header(str(path), cast(BinaryIO, stream))
        except Exception:  # whatever damaged bytes make decoders raise
            return False
    return _in_nifti_header(header)


def _in_sidecar(image: Path) -> bool:
    content = read_json(sidecar(image))
    return "IconetReport" in content or says_own(str(content.get("SeriesDescription")))


def _in_dicom(path: Path) -> bool:
    with dicom_files(path) as found:
        return bool(found.files) and all(
            is_derived(file.read(pixels=False, only=DICOM_ELEMENTS)) for file in found.files
        )


def _in_text_header(path: Path) -> bool:
    last = None if path.name.lower().endswith(NRRD) else "ElementDataFile"
    with path.open("rb") as file:
        lines = header_lines(str(path), file, last)
    return any(line.startswith(("iconet:=", "Comment")) and _marked(line) for line in lines)


def _in_picture(path: Path) -> bool:
    from PIL import Image
    from PIL.TiffImagePlugin import SOFTWARE

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its size, which is refused when it is read
            with Image.open(path, formats=("PNG", "TIFF")) as picture:
                tags = getattr(picture, "tag_v2", {})
                return _marked(tags.get(SOFTWARE, "")) or _marked(picture.info.get("Software", ""))
    except Exception:  # whatever damaged bytes make the decoder raise
        return False
