"""Memory of the process: measured in page faults, which do not depend on the machine's load."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource
import numpy as np
from iconet.allocator import keep_freed_blocks
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
