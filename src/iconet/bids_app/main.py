"""The program `iconet-bids`."""

import os
import sys

from iconet.bids_app.arguments import options_of, parser, part_of
from iconet.cli import answered, complain, start
from iconet.errors import InputError
from iconet.images import bids


def main() -> None:
    """Run the app and exit with its code, as `iconet.cli.main`."""
    start(lambda: run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the app and return its exit code."""
    return answered(lambda: _run(arguments))


def _run(arguments: list[str]) -> int:
    given = parser().parse_args(arguments)
    part = part_of(given, dict(os.environ))
    if not given.bids_dir.is_dir() or not bids.is_dataset(given.bids_dir):
        raise InputError(
            f"{given.bids_dir}: is not a BIDS dataset: {bids.DESCRIPTION} with BIDSVersion, or"
            " folders sub-*, are missing; name its root"
        )
    if given.analysis_level == "group":
        from iconet.bids_app.group import write_group

        write_group(given.bids_dir, given.output_dir, part, say=_say)
        return 0
    from iconet.study.study import upscale_study

    failed = upscale_study(
        [given.bids_dir],
        given.output_dir,
        options_of(given),
        jobs=given.n_procs,
        overwrite=given.overwrite,
        part=part,
        cluster=given.cluster,
        say=_say,
        complain=complain,
    )
    return 2 if failed else 0


def _say(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    main()
