"""What the processor is called in results, where a wrong name mixes the times of two machines."""

import platform
from pathlib import Path

import pytest

from iconet.runtime import hardware


def named(monkeypatch: pytest.MonkeyPatch, path: Path, text: str) -> str:
    path.write_text(text)
    monkeypatch.setattr(hardware, "CPUINFO", path)
    return hardware.processor_name()


@pytest.mark.parametrize("model, family", [(2, 26), (17, 25)])
def test_generations_of_one_hidden_name_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model: int, family: int
) -> None:
    core = f"processor\t: 0\ncpu family\t: {family}\nmodel\t\t: {model}\nmodel name\t: AMD EPYC\n\n"
    name = named(monkeypatch, tmp_path / "cpuinfo", core * 2)
    assert name == f"AMD EPYC (family {family}, model {model})"


def test_a_full_name_stays_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = "cpu family\t: 6\nmodel\t\t: 143\nmodel name\t: Intel(R) Xeon(R) Platinum 8480+\n"
    assert named(monkeypatch, tmp_path / "c", text) == "Intel(R) Xeon(R) Platinum 8480+"


@pytest.mark.parametrize("text", ["", "Hardware\t: BCM2835\n"])
def test_without_a_name_the_architecture(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    name = named(monkeypatch, tmp_path / "cpuinfo", text)
    assert name == (platform.processor() or platform.machine())
