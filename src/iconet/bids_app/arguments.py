"""What `iconet-bids` is called with: the contract of BIDS Apps, and names that others have too.

Gorgolewski et al., BIDS apps, PLOS Computational Biology 13(3):e1005209, 2017.
"""

import argparse
from pathlib import Path
from typing import NoReturn

import iconet
from iconet.errors import InputError
from iconet.study.part import Part
from iconet.study.shard import read_shard
from iconet.upscaling.options import Options


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see iconet-bids --help")


def parser() -> argparse.ArgumentParser:
    """The command line of the app."""
    made = _Parser(
        prog="iconet-bids",
        description="Super-resolution of the structural images of a BIDS dataset. Research use, not"
        " for diagnosis.",
        allow_abbrev=False,
    )
    add = made.add_argument
    add("bids_dir", type=Path, help="Root of the dataset; it is only read.")
    add("output_dir", type=Path, help="Root of the derivative; made when missing.")
    add(
        "analysis_level",
        choices=("participant", "group"),
        help="participant: upscale the images. group: a table and a page of what was made.",
    )
    add(
        *("--participant-label", "--participant_label"),
        nargs="+",
        default=(),
        metavar="LABEL",
        help='Participants, with or without "sub-"; all by default.',
    )
    add(
        *("--session-id", "--session_id", "--session-label", "--session_label"),
        nargs="+",
        default=(),
        metavar="LABEL",
        help='Sessions, with or without "ses-"; all by default.',
    )
    add("--version", action="version", version=f"iconet-bids {iconet.__version__}")
    add(
        *("--n-procs", "--n_procs", "--nprocs"),
        type=int,
        default=1,
        metavar="N",
        help="Scans at the same time, which share cores and memory.",
    )
    add("--model", help="As of iconet upscale, and so are the options below.")
    add("--scale", type=int)
    add("--spacing")
    add("--isotropic", action="store_true")
    add("--device", default="auto")
    add("--precision", default="auto")
    add("--backend", default="auto")
    add("--uncertainty", action="store_true")
    add("--best", action="store_true")
    add("--strict", action="store_true")
    add("--overwrite", action="store_true")
    add("--shard", metavar="I/N")
    add("--cluster", metavar="ADDRESS")
    return made


def options_of(given: argparse.Namespace) -> Options:
    """How to upscale."""
    names = [
        *("model", "scale", "spacing", "isotropic", "device", "precision", "backend"),
        *("uncertainty", "best", "strict"),
    ]
    return Options(**{name: getattr(given, name) for name in names})


def part_of(given: argparse.Namespace, environment: dict[str, str]) -> Part:
    """What of the dataset is meant.

    Raises:
        InputError: The shard is none.
    """
    shard = None if given.shard is None else read_shard(given.shard, environment)
    return Part(tuple(given.participant_label), tuple(given.session_id), shard)
