"""What does not fit into memory is refused before it is allocated."""

import numpy as np
import pytest

from iconet.errors import InputError
from iconet.images import Scan, memory
from iconet.images.memory import (
    LARGEST_UNCHECKED,
    available_memory,
    memory_needed,
    require_memory,
    require_memory_to_upscale,
    require_substance,
)


def test_the_memory_of_a_scan_and_its_enlargement():
    assert memory_needed((256, 256, 150)) == 256 * 256 * 150 * 4
    assert memory_needed((10, 10, 10, 2), scale=4) == 8000 + 16 * 8000
    assert memory_needed((32767,) * 7) == 4 * 32767**7  # no overflow


@pytest.fixture
def a_gigabyte(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 10**9)


def test_what_is_available_is_some_part_of_what_there_is():
    import psutil

    assert 0 < available_memory() <= psutil.virtual_memory().total


@pytest.mark.usefixtures("a_gigabyte")
def test_a_scan_that_does_not_fit_is_refused_with_both_amounts():
    require_memory("a.nii", (250, 10**6))  # exactly as much
    with pytest.raises(InputError, match=r"^a\.nii: 251 x 1000000 voxels need 1\.0 GB") as error:
        require_memory("a.nii", (251, 10**6))
    assert "and 1.0 GB are available; crop or split it" in str(error.value)
    require_memory("a.nii", (50, 10**6), scale=2)  # five times as much
    with pytest.raises(InputError, match="51 x 1000000 voxels need"):
        require_memory("a.nii", (51, 10**6), scale=2)


@pytest.mark.usefixtures("a_gigabyte")
@pytest.mark.parametrize(
    ("dtype", "working", "voxels"),
    [
        (np.float32, 0, 125_000_000),  # the result twice: computed, and as it is stored
        (np.uint8, 0, 200_000_000),
        (np.float64, 0, 83_333_333),
        (np.uint8, 600_000_000, 100_000_000),  # before it is stored, more is needed
    ],
)
def test_upscaling_needs_the_result_and_either_its_copy_or_what_leads_to_it(dtype, working, voxels):
    scan = Scan(np.zeros((2, 2), np.float32), dtype=np.dtype(dtype))
    require_memory_to_upscale(scan, voxels, working)
    with pytest.raises(InputError, match=r"the given image: enlarging it needs 1\.0 GB of memory"):
        require_memory_to_upscale(scan, voxels + 1, working)


def test_only_what_is_large_and_shrinks_beyond_all_scans_is_a_bomb():
    require_substance("a.nii.gz", LARGEST_UNCHECKED, 1)
    large = 10 * LARGEST_UNCHECKED
    require_substance("a.nii.gz", large, large // 200 + 1)
    with pytest.raises(InputError, match=r"a\.nii\.gz: 1000 bytes would unpack to 671088640"):
        require_substance("a.nii.gz", large, 1000)
