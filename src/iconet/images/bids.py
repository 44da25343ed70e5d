"""BIDS datasets: which of their images are scans to work on, and how a derivative of them looks.

The Brain Imaging Data Structure says how studies lie on disks (bids-specification.readthedocs.io).
What a program makes of a dataset is a dataset of its own, a derivative, which says what made it and
links to the images it was made from.
"""

import codecs
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from iconet.errors import InputError
from iconet.files import write_errors, write_text
from iconet.images.content import why_no_content
from iconet.images.folders import below
from iconet.images.one_line import one_line_errors
from iconet.images.reading import NIFTI, stem_of, suffix_of

VERSION = "1.10.0"
DESCRIPTION = "dataset_description.json"
IGNORE = ".bidsignore"
STRUCTURAL = ("T1w", "T2w", "PDw", "FLAIR", "T2starw", "inplaneT1", "inplaneT2")
"""Suffixes of anatomical images with a contrast; maps, masks and parts of a series are others."""

NAME = re.compile(r"(sub-[A-Za-z0-9]+)(?:_[A-Za-z]+-[A-Za-z0-9]+)*_([A-Za-z0-9]+)")


def is_dataset(folder: Path) -> bool:
    """Whether a folder is the root of a BIDS dataset, raw or derived.

    Raises:
        InputError: Its description is there and cannot be read.
    """
    return "BIDSVersion" in _description(folder) and any(folder.glob("sub-*"))


def looks_like_dataset(folder: Path) -> bool:
    """Whether a folder has the structure of a dataset, without regard to its description."""
    return any(any(folder.glob(f"sub-*/{place}")) for place in ("anat", "ses-*/anat"))


def people(root: Path) -> list[Path]:
    """The folders of the people of a dataset, in a fixed order."""
    with os.scandir(root) as listed:
        return sorted(root / one.name for one in listed if _is_person(one))


def _is_person(entry: os.DirEntry[str]) -> bool:
    return entry.name.startswith("sub-") and entry.is_dir()


def scans(places: Sequence[Path]) -> list[Path]:
    """The structural images in folders of people or sessions, those of `anat`, in a fixed order.

    Masks, maps and the phase are left out, and what lies in `derivatives` is not looked at. Links
    without a target, files that were not downloaded, are among them: they are to be named.
    """
    return [path for place in places for path in _anatomical(place)]


def other_images(places: Sequence[Path], scans: Sequence[Path]) -> list[Path]:
    """NIfTI images in folders of people or sessions that are not among the scans."""
    taken = set(scans)
    return [
        path
        for place in places
        for path in below(place).files
        if path.name.lower().endswith(NIFTI) and path not in taken
    ]


def _anatomical(person: Path) -> Iterator[Path]:
    for folder in sorted([person / "anat", *person.glob("ses-*/anat")]):
        for path in sorted(folder.glob("sub-*")):
            name = magnitude_name(path)
            if name is not None and name[1] in STRUCTURAL:
                yield path


def magnitude_name(path: Path) -> tuple[str, str] | None:
    """Subject and suffix, such as ("sub-01", "T1w"); None for what is no image of magnitudes.

    The phase and the parts of complex images are none.
    """
    if not path.name.lower().endswith(NIFTI) or re.search(r"_part-(?!mag_)", path.name):
        return None
    name = NAME.fullmatch(stem_of(path))
    return None if name is None else (name[1], name[2])


def derivative_name(name: str, label: str) -> str:
    """The name of an image made from another one, with the entity ``desc-LABEL``.

    A label that is there already stays in front: ``desc-preproc`` becomes ``desc-preprocLabel``.
    A resolution (``res-...``) goes, since it is that of the other grid.

    Args:
        name: Of a BIDS image, such as ``sub-01_T1w.nii.gz``.
        label: Letters and digits.
    """
    ending = suffix_of(Path(name))
    *entities, suffix = name[: -len(ending)].split("_")
    described = [entity for entity in entities if entity.startswith("desc-")]
    if described:
        label = described[0].removeprefix("desc-") + label[:1].upper() + label[1:]
    kept = [entity for entity in entities if not entity.startswith(("res-", "desc-"))]
    return "_".join([*kept, f"desc-{label}", suffix]) + ending


def sidecar(image: Path) -> Path:
    """The JSON file beside an image that says what it is."""
    return image.with_name(stem_of(image) + ".json")


def sidecar_of(image: Path) -> dict[str, Any]:
    """What the JSON file beside an image says; nothing where there is none, or it is none."""
    return read_json(sidecar(image))


def sidecar_content(report: Mapping[str, Any], source: Path, root: Path) -> dict[str, Any]:
    """What the JSON file beside a derived image says.

    Whether the brain alone is shown must be said of a derivative: it is what the source's own
    sidecar says, and no where it says nothing.

    Args:
        report: As `iconet.study.report` makes it; kept as a whole.
        source: The image it was made from.
        root: Of the dataset it is of.
    """
    before, after = (
        " x ".join(f"{mm:.4g}" for mm in report[side]["spacing"]) for side in ("input", "output")
    )
    model = " + ".join(model["name"] or "weights of a user" for model in report["models"])
    made = f"Super-resolution by iconet ({model})" if model else "Interpolation by iconet"
    return {
        "Description": f"{made}. {report['notice']}",
        "Sources": [f"bids:raw:{source.relative_to(root).as_posix()}"],
        "SkullStripped": sidecar_of(source).get("SkullStripped") is True,
        "Resolution": f"Voxels of {after} mm, made from voxels of {before} mm",
        "IconetReport": dict(report),
    }


def describe_derivative(folder: Path, source: Path, *, version: str) -> None:
    """Writes or renews ``dataset_description.json`` of what iconet derives from a dataset.

    Images name their sources as ``bids:raw:PATH``; the description says where that is.

    Args:
        folder: Root of the derivative, which exists.
        source: Root of the dataset it is made from.
        version: Of iconet.

    Raises:
        InputError: The folder holds a dataset that another program made, or of another dataset.
    """
    given = _description(source)
    link = link_to(source, folder)
    origin = {"DOI": str(given["DatasetDOI"])} if given.get("DatasetDOI") else {"URL": "bids:raw:"}
    wanted = {
        "Name": f"Super-resolution of {given.get('Name') or source.resolve().name}",
        "BIDSVersion": VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [
            {
                "Name": "iconet",
                "Version": version,
                "Description": "Super-resolution by trained networks. Research use, not for"
                " diagnosis.",
            }
        ],
        "SourceDatasets": [origin],
        "DatasetLinks": {"raw": link},
    }
    check_derivative(folder, link)
    if _description(folder) != wanted:
        write_text(json.dumps(wanted, indent=2, ensure_ascii=False) + "\n", folder / DESCRIPTION)


def link_to(source: Path, folder: Path) -> str:
    """How a derivative at `folder` names the dataset at `source`."""
    return Path(os.path.relpath(source.resolve(), folder.resolve())).as_posix()


def pass_over(folder: Path, pattern: str) -> None:
    """Says to validators that files which BIDS does not know, such as pages, are meant to be there.

    Raises:
        InputError: It cannot be written.
    """
    path = folder / IGNORE
    with write_errors(path):
        there = path.read_text("utf-8", errors="surrogateescape") if path.exists() else ""
    if pattern not in there.splitlines():
        write_text("".join(f"{line}\n" for line in [*there.splitlines(), pattern]), path)


def check_derivative(folder: Path, link: str) -> None:
    """Refuses a folder that holds another dataset than iconet's derivative of the one at `link`."""
    path = folder / DESCRIPTION
    if not path.exists():
        return
    there = _description(folder)
    makers = there.get("GeneratedBy")
    first = makers[0] if isinstance(makers, list) and makers else None
    if not isinstance(first, Mapping) or first.get("Name") != "iconet":
        raise InputError(
            f"{path}: describes a dataset that iconet did not make; choose another --output"
        )
    if there.get("DatasetLinks") != {"raw": link}:
        raise InputError(f"{path}: derives from another dataset; choose another --output")


def _description(folder: Path) -> dict[str, Any]:
    return read_json(folder / DESCRIPTION)


def read_json(path: Path) -> dict[str, Any]:
    """What a description or a sidecar says; nothing where there is none.

    Its text should be UTF-8. With a byte order mark, and in Latin-1 as older programs wrote it, it
    is read too.

    Raises:
        InputError: It is there and cannot be read, or is no JSON object.
    """
    with one_line_errors(str(path)):
        if (why := why_no_content(path, text=True)) is not None:
            raise InputError(f"{path}: {why}")
        if not path.is_file():
            return {}
        try:
            content = json.loads(_decoded(path.read_bytes()))
        except RecursionError:
            content = None
        except json.JSONDecodeError as error:
            raise InputError(
                f"{path}: is not JSON (line {error.lineno}, column {error.colno}); correct it"
            ) from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: is not a JSON object; correct it")
    return content


def _decoded(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")
