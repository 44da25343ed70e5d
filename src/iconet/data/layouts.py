"""Finds the scans of a data set in the folders and names it is published with."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from iconet.data.fastmri import fastmri_attributes
from iconet.data.splits import assign
from iconet.errors import InputError
from iconet.images.bids import STRUCTURAL, magnitude_name
from iconet.images.reading import NIFTI

TRAIN, VALIDATION = 0.7, 0.1  # shares of the subjects; the rest is for test


class Found(NamedTuple):
    """One scan.

    Attributes:
        path: The file.
        subject: Whose it is.
        contrast: Empty where nothing tells.
        site: The hospital, where the layout tells.
        part: ``train`` or ``test`` where the data set itself says so.
        plane: In which it is sharp.
    """

    path: Path
    subject: str
    contrast: str
    site: str = ""
    part: str = ""
    plane: str = "auto"


def find_scans(
    root: Path, layout: str, contrasts: Sequence[str] = (), pattern: str | None = None
) -> list[dict[str, str]]:
    """Rows of the table of scans (see `iconet.data.splits`) for a data set as it was published.

    Subjects are divided by a hash of their names, 70 % training, 10 % validation, 20 % test; all
    scans of one are in one split. Where the data set says itself what is for training (fastMRI), a
    tenth of that becomes validation and the rest is test.

    Args:
        root: Folder of the data set.
        layout: ``ixi``, ``fastmri``, ``hecktor``, ``bids`` or ``folder``.
        contrasts: Which to take; all by default (``bids``: the structural MR ones). In a ``folder``
            whose file names do not tell, a single one is the contrast of all.
        pattern: For ``folder``: path of a scan below ``root`` with ``{subject}``, ``{contrast}``
            and ``*`` (any characters) in it, such as ``{subject}/{contrast}.nii.gz``; by default
            every NIfTI file is a subject.

    Raises:
        InputError: If there is no such folder, or nothing in it that was asked for.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; set data.root to that of the data set")
    if pattern is not None and layout != "folder":
        raise InputError(f"data.pattern is for data.layout folder, not {layout}; remove it")
    find = FINDERS.get(layout, lambda root: _folder(root, contrasts, pattern))
    found = list(find(root))
    # What cannot be read tells no contrast; it is kept, to be named when it is to be loaded.
    wanted = contrasts or (STRUCTURAL if layout == "bids" else ())
    kept = [scan for scan in found if not wanted or scan.contrast in ("", *wanted)]
    if not kept:
        there = ", ".join(sorted({scan.contrast for scan in found} - {""}))
        raise InputError(
            f"{root}: no scan of contrast {', '.join(wanted)} (there are {there}); "
            "change data.contrasts"
            if found
            else f"{root}: no file such as {pattern or EXAMPLES[layout]}; check data.root"
        )
    split_of = _splits(kept)
    dataset = root.resolve().name if layout in ("bids", "folder") else layout
    return [
        {
            "dataset": dataset,
            "subject": scan.subject,
            "split": split_of[scan.subject],
            "path": scan.path.relative_to(root).as_posix(),
            "contrast": scan.contrast,
            "sharp_plane": scan.plane,
            "site": scan.site,
        }
        for scan in sorted(kept)
    ]


def _splits(found: list[Found]) -> dict[str, str]:
    test = {scan.subject for scan in found if scan.part == "test"}
    train = {scan.subject for scan in found if scan.part == "train"} - test
    others = {scan.subject for scan in found} - test - train
    return {
        **dict.fromkeys(test, "test"),
        **assign(train, train=1 - VALIDATION, validation=VALIDATION),
        **assign(others, train=TRAIN, validation=VALIDATION),
    }


def _files(root: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    """Files below a folder in a fixed order, without hidden ones (such as `._...` of macOS).

    Links without a target are files that were not downloaded: they are to be named, too.
    """
    for path in sorted(root.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if path.name.lower().endswith(suffixes) and not hidden and not path.is_dir():
            yield path


IXI = re.compile(r"(IXI\d+)-([A-Za-z]+)-\d+-([A-Za-z0-9]+?)(?:-\d+)?\.nii(?:\.gz)?")


def _ixi(root: Path) -> Iterator[Found]:
    for path in _files(root, NIFTI):
        if name := IXI.fullmatch(path.name):
            subject, site, contrast = name.groups()
            yield Found(path, subject, contrast, site)


# 2022 and later `CHUM-001__CT.nii.gz`, before `CHUM001_ct.nii.gz`; neither planning CT nor dose.
HECKTOR = re.compile(r"(([A-Za-z]+)-?\d+)__?(CT|PT)\.nii(?:\.gz)?", re.IGNORECASE)


def _hecktor(root: Path) -> Iterator[Found]:
    seen = set()
    for path in _files(root, NIFTI):
        # In 2025 a patient's scans lie in the folder of every task.
        if (name := HECKTOR.fullmatch(path.name)) and path.name not in seen:
            seen.add(path.name)
            subject, centre, contrast = name.groups()
            yield Found(path, subject, contrast.upper(), centre)


def _bids(root: Path) -> Iterator[Found]:
    """Raw images of `sub-*/[ses-*/]anat` (and `pet`, `ct`); derivatives are not in `sub-*`."""
    for person in sorted(root.glob("sub-*")):
        for path in _files(person, NIFTI):
            name = magnitude_name(path)
            if name is not None and path.parent.name in ("anat", "pet", "ct"):
                yield Found(path, *name)


FASTMRI = re.compile(r"(?:single|multi)coil_(train|val|test_full|test|challenge)")
PARTS = {"train": "train", "val": "test", "test_full": "test", None: ""}


def _fastmri(root: Path) -> Iterator[Found]:
    """Files with a truth: not those of `*_test` and `*_challenge`, which are undersampled.

    Files in no such folder, also where `root` itself is one of them, are divided like others.
    """
    for path in _files(root, (".h5",)):
        folders = "/".join(path.relative_to(root).parts[:-1])
        name = FASTMRI.search(folders)
        part = name.group(1) if name else None
        if part not in PARTS:
            continue
        try:
            attributes = fastmri_attributes(path)
        except InputError:
            attributes = {}
        subject = str(attributes.get("patient_id") or path.stem)
        contrast = str(attributes.get("acquisition", ""))
        yield Found(path, subject, contrast, part=PARTS[part], plane="i")


def _folder(root: Path, contrasts: Sequence[str], pattern: str | None) -> Iterator[Found]:
    only = contrasts[0] if len(contrasts) == 1 else ""
    expression = re.compile(_expression(pattern)) if pattern else None
    for path in _files(root, NIFTI):
        below = path.relative_to(root).as_posix()
        if expression is None:
            yield Found(path, re.sub(r"\.nii(\.gz)?$", "", below, flags=re.I), only)
        elif name := expression.fullmatch(below):
            groups = name.groupdict()
            yield Found(path, groups["subject"], groups.get("contrast", only))


def _expression(pattern: str) -> str:
    if "{subject}" not in pattern:
        raise InputError(
            f"data.pattern {pattern}: must say where the {{subject}} is, as in "
            "{subject}/{contrast}.nii.gz"
        )
    seen: set[str] = set()
    expression = ""
    for piece in re.split(r"(\{subject\}|\{contrast\}|\*)", pattern):
        if piece == "*":
            expression += "[^/]*"
        elif piece in ("{subject}", "{contrast}"):
            name = piece[1:-1]
            expression += f"(?P={name})" if name in seen else f"(?P<{name}>[^/]+?)"
            seen.add(name)
        else:
            expression += re.escape(piece)
    return expression


FINDERS: dict[str, Callable[[Path], Iterator[Found]]] = {
    "ixi": _ixi,
    "fastmri": _fastmri,
    "hecktor": _hecktor,
    "bids": _bids,
}
EXAMPLES = {
    "ixi": "IXI012-HH-1211-T2.nii.gz",
    "fastmri": "multicoil_train/file1000001.h5",
    "hecktor": "CHUM-001__CT.nii.gz",
    "bids": "sub-01/anat/sub-01_T1w.nii.gz",
    "folder": "scan.nii.gz",
}
