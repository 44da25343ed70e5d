"""A saved run comes back as it was, and a bad file does no harm."""

import os
import pickle
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from iconet.errors import InputError
from iconet.network import ICONet
from iconet.training.checkpoint import load_checkpoint, save_checkpoint, write_safetensors

from .small import NARROW

STATE = {"step": 3, "elapsed": 0.1 + 0.2, "best": {"mean": 31.7, "step": 2}, "recipe": "r"}


class Run:
    """A network after a few steps."""

    def __init__(self, seed: int, channels: int = 4, steps: int = 3) -> None:
        torch.manual_seed(seed)
        self.model = nn.Conv2d(2, channels, 3).to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.01)
        for _ in range(steps):
            self.optimizer.zero_grad()
            self.model(torch.rand(1, 2, 8, 8)).square().mean().backward()
            self.optimizer.step()
        self.average = {k: v.detach() * 0.9 for k, v in self.model.state_dict().items()}

    def save(self, path: Path) -> None:
        save_checkpoint(path, self.model, self.average, self.optimizer, dict(STATE))

    def load(self, path: Path) -> dict[str, object]:
        return load_checkpoint(path, self.model, self.average, self.optimizer)

    def tensors(self) -> list[Tensor]:
        moments = [kinds for _, kinds in sorted(self.optimizer.state_dict()["state"].items())]
        return [
            *self.model.state_dict().values(),
            *self.average.values(),
            *(kinds[name] for kinds in moments for name in sorted(kinds)),
        ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new folder" / "check point ü.safetensors"


@pytest.mark.parametrize("steps", [0, 2], ids=["into-a-new-run", "over-another-run"])
def test_everything_comes_back(path: Path, steps: int) -> None:
    saved, other = Run(1), Run(2, steps=steps)
    saved.save(path)
    assert other.load(path) == STATE
    assert len(saved.tensors()) == len(other.tensors()) == 10
    assert all(map(torch.equal, saved.tensors(), other.tensors()))
    # Moments lie in memory as they did.
    strides = [[tensor.stride() for tensor in run.tensors()] for run in (saved, other)]
    assert strides[0] == strides[1]


def test_a_checkpoint_holds_no_pickle(path: Path) -> None:
    Run(1).save(path)
    with pytest.raises(pickle.UnpicklingError):
        pickle.loads(path.read_bytes())
    assert len(load_file(path)) == 10


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    metadata = {f"key {i} ü": "x" * i for i in range(20)}
    tensors = {"b": torch.rand(3, dtype=torch.float16), "a": torch.rand(2, 2)}
    for name in ("one", "other"):
        write_safetensors(tensors, tmp_path / name, metadata)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    with safe_open(tmp_path / "one", framework="pt") as file:
        assert file.metadata() == metadata
        assert all(torch.equal(file.get_tensor(name), tensors[name]) for name in tensors)


def test_others_may_read_the_file_as_any_other(path: Path) -> None:
    Run(1).save(path)
    beside = path.with_name("plain")
    beside.write_bytes(b"")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(beside.stat().st_mode)


@pytest.mark.parametrize("failing", ["replace", "fsync"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    Run(1).save(path)
    before = path.read_bytes()
    monkeypatch.setattr(os, failing, full)
    with pytest.raises(InputError, match="No space left on device") as error:
        Run(2).save(path)
    assert str(error.value).startswith(f"{path}: cannot be written")
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        write_safetensors({"x": torch.ones(1)}, tmp_path / "file/x.safetensors", {})


def spoil(path: Path, how: str) -> None:
    content = path.read_bytes()
    tensors = load_file(path)
    moment = "optimizer.0.exp_avg"
    match how:
        case "empty":
            path.write_bytes(b"")
        case "truncated":
            path.write_bytes(content[:-10])
        case "garbage":
            path.write_bytes(os.urandom(200))
        case "pickle":
            path.write_bytes(pickle.dumps({"step": 3}))
        case "folder":
            path.unlink()
            path.mkdir()
        case "foreign":
            save_file({"weight": torch.ones(3)}, path)
        case "no state":
            save_file(tensors, path, {"other": "x"})
        case "state is no JSON":
            save_file(tensors, path, {"state": "{"})
        case "state is a number":
            save_file(tensors, path, {"state": "5"})
        case "unknown part":
            save_file(tensors | {"surprise.x": torch.ones(1)}, path, {"state": "{}"})
        case "no average":
            kept = {k: v for k, v in tensors.items() if not k.startswith("average")}
            save_file(kept, path, {"state": "{}"})
        case "moment of no parameter":
            save_file(tensors | {"optimizer.7.exp_avg": torch.ones(1)}, path, {"state": "{}"})
        case "moment without number":
            save_file(tensors | {"optimizer.x.exp_avg": torch.ones(1)}, path, {"state": "{}"})
        case "moment of other shape":
            save_file(tensors | {moment: torch.ones(2)}, path, {"state": "{}"})


@pytest.mark.parametrize(
    "how",
    [
        "empty",
        "truncated",
        "garbage",
        "pickle",
        "folder",
        "foreign",
        "no state",
        "state is no JSON",
        "state is a number",
        "unknown part",
        "no average",
        "moment of no parameter",
        "moment without number",
        "moment of other shape",
    ],
)
def test_a_damaged_or_foreign_file_is_refused_in_one_line(path: Path, how: str) -> None:
    Run(1).save(path)
    spoil(path, how)
    with pytest.raises(InputError, match="not a checkpoint of this recipe") as error:
        Run(2).load(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_a_checkpoint_of_another_network_is_refused(path: Path) -> None:
    Run(1).save(path)
    with pytest.raises(InputError, match="delete it") as error:
        Run(1, channels=5).load(path)
    assert "\n" not in str(error.value)


def test_a_checkpoint_with_older_names_of_modules_is_continued(
    path: Path, older_names: Callable[[dict[str, Tensor]], dict[str, Tensor]]
) -> None:
    def small(seed: int) -> Run:
        run = Run(seed, steps=0)
        run.model = ICONet(2, channels=2, **NARROW)
        run.optimizer = torch.optim.AdamW(run.model.parameters(), lr=0.01)
        run.model(torch.rand(1, 2, 16, 16)).image.square().mean().backward()
        run.optimizer.step()
        run.average = {k: v.detach() * 0.9 for k, v in run.model.state_dict().items()}
        return run

    saved, other = small(1), small(2)
    saved.save(path)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    old = older_names(load_file(path))
    assert "model.stages.0.fusions.0.tell_sr.weight" in old
    save_file(old, path, metadata)
    assert other.load(path) == STATE
    assert all(map(torch.equal, saved.tensors(), other.tensors()))
