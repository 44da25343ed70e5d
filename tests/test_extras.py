"""Without the extras: what works all the same, and the line that says what to install."""

import subprocess
import sys

import numpy as np

from iconet.extras import EXTRAS, remedy

# Imports of what is None here fail as if it were not installed. Typer brings the one that stays.
PROGRAM = """
import sys
from iconet.extras import EXTRAS
absent = {name for names in EXTRAS.values() for name in names} - {"pydantic"}
sys.modules.update(dict.fromkeys(absent))
from iconet import cli
for line in sys.stdin.read().splitlines():
    print(cli.run(line.split()), flush=True)
"""


def exit_codes(commands, folder):
    """Exit codes of commands run one after another in a fresh process, and its error output."""
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input="\n".join(commands),
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert result.returncode == 0, result.stderr
    return [int(line) for line in result.stdout.splitlines() if line.isdigit()], result.stderr


def test_images_are_upscaled_degraded_and_models_exported(tmp_path):
    values = np.random.default_rng(0).gamma(2, 50, (2, 20, 24)).astype(np.float32)
    np.save(tmp_path / "a.npy", values)
    commands = [
        "models",
        "degrade a.npy -o low.npy",
        "upscale a.npy -o big.npy",
        "upscale a.npy -o fine.npy --axes j",
        "export mri-x2 -o x2.ts --format torchscript",
    ]
    codes, said = exit_codes(commands, tmp_path)
    assert codes == [0] * len(commands), said
    assert np.load(tmp_path / "big.npy").shape == (2, 40, 48)


def test_every_command_that_needs_more_says_what_to_install(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((2, 20, 24), np.float32))
    (tmp_path / "recipe.yaml").write_text("name: a")
    commands = [
        "evaluate a.npy a.npy",
        "train recipe.yaml",
        "benchmark recipe.yaml",
        "demo",
        "upscale a.npy -o big.npy --backend openvino",
        "export mri-x2 -o x2.onnx",
        "view --no-browser",
    ]
    codes, said = exit_codes(commands, tmp_path)
    assert codes == [2] * len(commands), said
    lines = said.splitlines()
    assert len(lines) == len(commands), said
    for line, extra in zip(lines, [*["train"] * 4, "openvino", "onnx", "view"], strict=True):
        assert " is not installed; it comes with: " in line
        assert line.endswith(f"pip install 'iconet[{extra}]'")
    assert lines[0].startswith("iconet: error: scipy is not")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy", "recipe.yaml"]


def test_a_part_of_a_package_is_the_package_and_others_are_faults_of_ours():
    assert remedy("scipy.ndimage") == remedy("scipy") is not None
    assert remedy("scipyish") is None and remedy("") is None
    assert "train" in EXTRAS
