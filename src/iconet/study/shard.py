"""One part of a study of several, each done by a job of its own: `--shard 3/16`.

Schedulers of clusters start arrays of jobs that differ in one number; `--shard auto` reads it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from iconet.errors import InputError

Part = TypeVar("Part")

ARRAYS = {
    "Slurm": [
        *("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX"),
        *("SLURM_ARRAY_TASK_STEP", "SLURM_ARRAY_TASK_COUNT"),
    ],
    "PBS": ["PBS_ARRAY_INDEX"],
    "Grid Engine": ["SGE_TASK_ID", "SGE_TASK_FIRST", "SGE_TASK_LAST", "SGE_TASK_STEPSIZE"],
    "LSF": ["LSB_JOBINDEX", "", "LSB_JOBINDEX_END", "LSB_JOBINDEX_STEP"],
}
"""Where schedulers say which job of an array this is, then the first, the last, their distance, and
how many there are; PBS does not say."""


@dataclass(frozen=True)
class Shard:
    """Part `index` of `count`, counted from 1."""

    index: int
    count: int

    @property
    def name(self) -> str:
        """For files, such as 3-of-16."""
        return f"{self.index}-of-{self.count}"

    def __str__(self) -> str:
        return f"shard {self.index} of {self.count}"

    def of(self, parts: Sequence[Part]) -> list[Part]:
        """Its share: every `count`-th, so that neighbours, which take alike long, are spread."""
        return list(parts[self.index - 1 :: self.count])


def read_shard(text: str, environment: Mapping[str, str]) -> Shard:
    """What `--shard` says.

    Args:
        text: i/n; "auto/n", whose i is the number of the job in its array; or "auto", where the
            scheduler says how many jobs the array has.
        environment: Of this process.

    Raises:
        InputError: None of these, or this is not a job of an array, or one of another length.
    """
    found = re.fullmatch(r"(\d{1,7}|auto)/(\d{1,7})", text.strip())
    if text.strip() == "auto":
        shard = _of_array(environment)
    elif found is None:
        raise InputError(f"shard {text}: give i/n, such as 3/16, or auto in an array of jobs")
    else:
        index = _job(environment)[1] if found[1] == "auto" else int(found[1])
        shard = Shard(index, int(found[2]))
    if not 1 <= shard.index <= shard.count:
        raise InputError(
            f"shard {shard.index}/{shard.count}: shards are counted from 1 to {shard.count};"
            " begin the array of jobs at 1"
        )
    return shard


def _job(environment: Mapping[str, str]) -> tuple[str, int]:
    """The scheduler, and the number of this job in its array."""
    for scheduler, (name, *_) in ARRAYS.items():
        number = environment.get(name, "")
        # Grid Engine says "undefined" and LSF 0 in a job that is not of an array.
        if number.isdecimal() and not (scheduler == "LSF" and int(number) == 0):
            return scheduler, int(number)
    names = ", ".join(name for name, *_ in ARRAYS.values())
    raise InputError(
        f"shard auto: this is not a job of an array, none of {names} is set; give --shard i/n"
    )


def _of_array(environment: Mapping[str, str]) -> Shard:
    scheduler, number = _job(environment)
    texts = [environment.get(name, "") for name in ARRAYS[scheduler][1:]]
    said = [int(text) if text.isdecimal() else None for text in texts]
    first, last, step, count = [*said, None, None, None, None][:4]
    if last is None:
        raise InputError(
            f"shard auto: {scheduler} does not say how many jobs the array has; give --shard auto/n"
        )
    first, step = first if first is not None else 1, step or 1
    jobs = (last - first) // step + 1
    if count not in (None, jobs):
        raise InputError(
            f"shard auto: the {count} jobs of this array are not a range; give --shard auto/n with"
            " the n of the whole array"
        )
    return Shard((number - first) // step + 1, jobs)
