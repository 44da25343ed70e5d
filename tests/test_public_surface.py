import json
import subprocess
import sys
from importlib.metadata import version

import pytest

import iconet

HEAVY = ["torch", "monai", "torchmetrics", "matplotlib", "scipy", "lightning_fabric"]


def modules_after(code):
    """Names of the heavy modules that a fresh interpreter has loaded after running `code`."""
    report = f"import sys, json; print(json.dumps([m for m in {HEAVY} if m in sys.modules]))"
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True
    )
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "code",
    [
        "import iconet; iconet.__version__",
        "import iconet; iconet.InputError",
        "import iconet; iconet.upscale; iconet.degrade; iconet.evaluate",
        "from iconet.cli import run; run(['--help'])",
        "from iconet.cli import run; run(['upscale', '--help'])",
        "from iconet.cli import run; run(['export', '--help'])",
        "from iconet.cli import run; run(['--version'])",
        "from iconet.cli import run; run(['models'])",
        # Processes of a study find out in a moment what is left to do.
        "import iconet.study.study, iconet.bids_app.main",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(code):
    assert modules_after(code) == []


def test_the_check_above_can_fail():
    assert modules_after("import torch") == ["torch"]


@pytest.mark.parametrize("name", iconet.__all__)
def test_every_public_name_is_there_and_documented(name):
    value = getattr(iconet, name)
    assert name in dir(iconet)
    assert name == "__version__" or value.__doc__


def test_version_is_the_installed_one():
    assert iconet.__version__ == version("iconet")


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'downscale'"):
        _ = iconet.downscale
    assert not hasattr(iconet, "__path_of_nothing__")
