"""Training volumes: which scans, and their slices in memory."""

import csv
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from iconet.errors import InputError
from iconet.network import robust_scale


@dataclass(frozen=True)
class Volume:
    """A scan as a stack of sharp slices.

    Attributes:
        name: dataset/subject/contrast, for people.
        dataset: Name of the data set, to weigh it in sampling.
        slices: (S, H, W) float16, intensities relative to the volume's robust scale, H and W
            multiples of 8; slices without anatomy are left out.
    """

    name: str
    dataset: str
    slices: Tensor


def read_splits(root: Path, splits: str, split: str) -> list[dict[str, str]]:
    """Rows of one split in a table of scans.

    Args:
        root: Folder that the table's paths are relative to.
        splits: File name of the table: a CSV with the columns dataset, subject, split, path,
            contrast, sharp_plane.
        split: ``train``, ``validation`` or ``test``.

    Raises:
        InputError: If the table is missing or unreadable, lacks something, has no such split or a
            subject in two.
    """
    table = root / splits
    if not table.is_file():
        raise InputError(f"{table}: no such table of scans; set data.root to its folder")
    try:
        # With or without the mark that spreadsheets put first.
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table}: not a readable CSV table ({error}); save it again") from None
    needed = {"dataset", "subject", "split", "path", "contrast", "sharp_plane"}
    missing = sorted(needed - set(rows[0] if rows else ()))
    if missing:
        raise InputError(f"{table}: the table lacks {', '.join(missing)}; add the column(s)")
    for number, row in enumerate(rows, start=1):
        if any(row[column] is None for column in needed):
            raise InputError(f"{table}: scan {number} lacks values at its end; complete its row")
    splits_of: dict[tuple[str, str], str] = {}
    for row in rows:
        if splits_of.setdefault((row["dataset"], row["subject"]), row["split"]) != row["split"]:
            raise InputError(
                f"{table}: subject '{row['subject']}' of '{row['dataset']}' is in two splits; "
                "keep all scans of a person in one"
            )
    chosen = [row for row in rows if row["split"] == split]
    if not chosen:
        raise InputError(f"{table}: no scan has split '{split}'; mark some")
    return chosen


def load_volume(path: Path, plane: str, name: str = "", dataset: str = "") -> Volume:
    """Read a scan as training slices, reduced in k-space to what was acquired.

    Args:
        path: An image file.
        plane: The sharp plane, ``axial``, ``coronal``, ``sagittal`` or ``auto``.
        name: For people; the file's name by default.
        dataset: Name of the data set.

    Raises:
        InputError: If the file cannot be used.
    """
    # Here and not above: training from prepared slices works without nibabel.
    from iconet.data.truth import truth_stack
    from iconet.images import read

    slices = torch.from_numpy(truth_stack(read(path), plane))
    slices = slices / robust_scale(slices.reshape(1, 1, -1, slices.shape[2]))[0]
    bright = (slices > 0.1).float().mean(dim=(1, 2))
    slices = slices[bright > 0.05]
    return Volume(name or path.name, dataset, slices.half().contiguous())
