"""The app as containers run it: no home, an unknown user, nothing to write to but the output."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import iconet

from ..study.studies import files_below

ROOT = Path(__file__).parents[2]
PACKAGING = ROOT / "packaging" / "bids-app"
USER = 54321  # nobody's


def as_in_a_container(folder):
    """What a command begins with: as root an unknown user who may read everything."""
    if os.name != "posix" or os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv (util-linux) is missing")
    for name in ("out", "tmp"):
        os.chown(folder / name, USER, USER)
    reads = [f"--{one}-caps=-all,+dac_read_search" for one in ("inh", "ambient")]
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", *reads]


def test_it_needs_no_home_no_user_and_nowhere_to_write(folder):
    for name in ("out", "tmp", "read-only"):
        (folder / name).mkdir()
    (folder / "read-only").chmod(0o555)
    shutil.rmtree("ds/sub-01")
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(iconet.__file__).parents[1]),
        "TMPDIR": str(folder / "tmp"),
        "OMP_NUM_THREADS": "1",
    }
    how = ["--model", f"{folder}/model.safetensors", "--participant-label", "02"]
    try:
        start = as_in_a_container(folder)
        for level, options in (("participant", how), ("group", [])):
            command = ["-m", "iconet.bids_app.main", f"{folder}/ds", f"{folder}/out", level]
            result = subprocess.run(
                [*start, sys.executable, "-B", *command, *options],
                env=environment,
                cwd=folder / "read-only",
                capture_output=True,
                text=True,
            )
            assert result.returncode == 0, result.stderr
    finally:
        (folder / "read-only").chmod(0o755)
    made = files_below("out")
    assert "group_iconet.tsv" in made and sum(name.endswith(".nii.gz") for name in made) == 2
    assert files_below("tmp") == files_below("read-only") == []


@pytest.mark.parametrize("name", ["Dockerfile", "iconet-bids.def"])
def test_containers_install_the_torch_that_is_tested(name):
    (tested,) = re.findall(r"^TORCH \?= (\S+)", (ROOT / "Makefile").read_text(), re.M)
    text = (PACKAGING / name).read_text()
    assert tested in text and "iconet-bids" in text and "PYTHONNOUSERSITE=1" in text
