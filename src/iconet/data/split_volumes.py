"""From the section ``data`` of a recipe to the volumes of a split."""

from pathlib import Path

from iconet.data.layouts import find_scans
from iconet.data.prepared import keep, mapped, prepared_file
from iconet.data.selection import Data
from iconet.data.splits import read_splits, read_table, write_table
from iconet.data.volumes import Volume, load_volume, square_planes
from iconet.errors import InputError

TABLE = "splits.csv"
REPORT_EVERY = 100  # scans


def volumes_for(
    data: Data, split: str, output: Path, *, square: bool = False
) -> tuple[list[Volume], list[str]]:
    """Load the scans of a split. One that cannot be used is named and left out.

    Args:
        data: Where they are and which to take.
        split: ``train``, ``validation`` or ``test``.
        output: Folder that receives the table of scans where the data set has none, see
            `tables_of_scans`, and, but for a layout ``table``, the prepared slices.
        square: Whether to cut a scan along its other planes too where they are as sharp, see
            `square_planes`; each plane is a volume of its own.

    Returns:
        The volumes, and why each of the others was left out.

    Raises:
        InputError: If the data set or its table cannot be used.
    """
    tables = tables_of_scans(data, output)
    volumes, left_out = [], []
    wanted = ("", *data.contrasts)
    rows = [
        row
        for row in read_splits(data.root, tables, split)
        if not data.contrasts or row["contrast"] in wanted
    ]
    for number, row in enumerate(rows):
        if number and number % REPORT_EVERY == 0:
            print(f"{split}: {number} of {len(rows)} scans", flush=True)
        name = f"{row['dataset']}/{row['subject']}/{row['contrast']}"
        path, sharp, contrast = data.root / row["path"], row["sharp_plane"], row["contrast"]
        for plane in square_planes(path, sharp) if square else [sharp]:
            file = prepared_file(output / "slices", path, plane, contrast)
            if not file.exists():
                try:
                    volume = load_volume(path, plane, name, row["dataset"], contrast)
                except InputError as error:
                    left_out.append(str(error))
                    print(f"left out: {error}", flush=True)
                    break
                if data.layout == "table":  # a choice of one's own, which fits into memory
                    volumes.append(volume)
                    continue
                keep(volume.slices, file)
            volumes.append(Volume(name, row["dataset"], mapped(file)))
    print(f"{split}: {len(volumes)} scans, {len(left_out)} left out", flush=True)
    return volumes, left_out


def tables_of_scans(data: Data, output: Path) -> list[Path]:
    """The tables that say which subject is in which split.

    They are the data set's own, ``data.splits``, where these exist. Otherwise the scans are found
    by ``data.layout`` and their table is written to ``splits.csv`` in the output folder, for others
    to use in place of it.

    Returns:
        Absolute paths.

    Raises:
        InputError: If there is none, none can be made, or the output folder has one of other scans.
    """
    named = [data.splits] if isinstance(data.splits, str) else data.splits
    own = [(data.root / table).absolute() for table in named]
    if data.layout == "table" or named != [TABLE] or own[0].is_file():
        return own
    rows = find_scans(data.root, data.layout, data.contrasts, data.pattern)
    table = (output / TABLE).absolute()
    if not table.exists():
        write_table(rows, table)
        print(f"{table}: {len(rows)} scans found", flush=True)
    elif read_table(table) != rows:
        # It may have been edited by hand, and a run must not go on with other scans unnoticed.
        raise InputError(
            f"{table}: lists other scans than {data.root} has now; delete it, or keep it by "
            f"data.splits={table}"
        )
    return [table]
