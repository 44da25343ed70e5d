"""Which part of a study a job of an array does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iconet.errors import InputError
from iconet.study.shard import Shard, read_shard

SLURM = "SLURM_ARRAY_TASK_"


def slurm(number, first, last, count, step=1):
    said = {"ID": number, "MIN": first, "MAX": last, "COUNT": count, "STEP": step}
    return {SLURM + name: str(value) for name, value in said.items()}


def grid_engine(number, first, last, step):
    said = {"ID": number, "FIRST": first, "LAST": last, "STEPSIZE": step}
    return {f"SGE_TASK_{name}": str(value) for name, value in said.items()}


@given(st.integers(1, 40), st.lists(st.integers(), max_size=100))
def test_shards_have_every_part_once_and_are_alike_in_length(count, parts):
    shares = [Shard(index, count).of(parts) for index in range(1, count + 1)]
    assert sorted(part for share in shares for part in share) == sorted(parts)
    lengths = {len(share) for share in shares}
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize(
    ("text", "environment", "shard"),
    [
        ("3/16", {}, (3, 16)),
        ("auto", slurm(1, 1, 16, 16), (1, 16)),
        ("auto", slurm(0, 0, 15, 16), (1, 16)),
        ("auto", slurm(9, 1, 9, 3, step=4), (3, 3)),
        ("auto", grid_engine(4, 2, 10, 2), (2, 5)),
        ("auto", grid_engine(9, 1, 10, 2), (5, 5)),
        ("auto", {"LSB_JOBINDEX": "7", "LSB_JOBINDEX_END": "10"}, (7, 10)),
        ("auto", {"SGE_TASK_ID": "undefined", **slurm(2, 1, 2, 2)}, (2, 2)),
        ("auto/500", slurm(7, 7, 7, 1), (7, 500)),
        ("auto/500", {"PBS_ARRAY_INDEX": "500"}, (500, 500)),
    ],
)
def test_what_is_asked_for_or_the_scheduler_says(text, environment, shard):
    assert read_shard(text, environment) == Shard(*shard)


@pytest.mark.parametrize(
    ("text", "environment", "said"),
    [
        ("3", {}, "give i/n, such as 3/16"),
        ("a/b", {}, "give i/n"),
        ("-1/3", {}, "give i/n"),
        ("0/3", {}, "shard 0/3: shards are counted from 1 to 3"),
        ("4/3", {}, "counted from 1 to 3"),
        ("1/0", {}, "counted from 1"),
        ("auto", {}, "not a job of an array.*give --shard i/n"),
        ("auto/3", {}, "not a job of an array"),
        ("auto", {"SGE_TASK_ID": "undefined"}, "not a job of an array"),
        ("auto", {"LSB_JOBINDEX": "0", "LSB_JOBINDEX_END": "0"}, "not a job of an array"),
        ("auto", {"PBS_ARRAY_INDEX": "3"}, "PBS does not say how many.*give --shard auto/n"),
        ("auto", slurm(5, 1, 9, 3), "3 jobs of this array are not a range; give --shard auto/n"),
        ("auto/16", slurm(0, 0, 15, 16), "begin the array of jobs at 1"),
    ],
)
def test_anything_else_is_refused_with_what_to_give(text, environment, said):
    with pytest.raises(InputError, match=said):
        read_shard(text, environment)
