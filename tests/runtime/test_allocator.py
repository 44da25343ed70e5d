"""Memory of the process: measured in page faults, which do not depend on the machine's load."""

import ctypes
import gc
import platform
import subprocess
import sys

import pytest

from iconet.errors import InputError
from iconet.runtime import allocator
from iconet.runtime.allocator import collect_from_now, collecting_later

SCRIPT = """
import resource
import numpy as np
from iconet.runtime.allocator import keep_freed_blocks
{setting}
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def use():
    np.empty(64 << 20, np.uint8).fill(1)
use()
before = faults()
for _ in range(4):
    use()
print(faults() - before)
"""


def page_faults(setting):
    command = [sys.executable, "-c", SCRIPT.format(setting=setting)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_large_blocks_are_used_again_without_fresh_pages():
    assert page_faults("keep_freed_blocks()") < 0.1 * page_faults("")


def test_where_the_block_size_is_refused_trimming_is_left_alone(monkeypatch):
    """Setting it alone would map every block above 128 kB anew (glibc before 2.35)."""

    called = []

    class Old:
        def mallopt(self, parameter, value):
            called.append(parameter)
            return int(parameter != allocator.M_MMAP_THRESHOLD)

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Old())
    allocator.keep_freed_blocks()
    assert called == [allocator.M_MMAP_THRESHOLD]


def test_the_collector_is_on_again_after_the_start_whatever_happens():
    assert gc.isenabled()
    with pytest.raises(InputError), collecting_later():
        assert not gc.isenabled()
        raise InputError("no scan")
    assert gc.isenabled()
    with collecting_later():
        collect_from_now()
        assert gc.isenabled()
    assert gc.isenabled()
