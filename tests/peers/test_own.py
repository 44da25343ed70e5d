"""A network of one's own: named by its class, trained, loaded and used; never run unasked."""

import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

import iconet
from iconet.cli import run
from iconet.errors import InputError
from iconet.evaluation.results import Row, read_rows
from iconet.peers import Peer
from iconet.peers.own import build_own, is_own
from iconet.training.architecture import load_trained

MODULE = """
from pathlib import Path
from torch import nn

Path("imported").touch()


class Net(nn.Module):
    multiple, halo = 2, 16

    def __init__(self, scale, channels, features=8):
        super().__init__()
        self.width = features
        self.body = nn.Sequential(
            nn.Conv2d(channels, features, 4, stride=2, padding=1),  # sides must be even
            nn.BatchNorm2d(features),
            nn.Dropout(0.2),
            nn.ReLU(),
            nn.Conv2d(features, channels * (2 * scale) ** 2, 3, padding=1),
            nn.PixelShuffle(2 * scale),
        )

    def forward(self, image):
        return self.body(image)


class Broken(nn.Module):
    def __init__(self, scale, channels):
        raise RuntimeError("two\\nlines")


class Odd(Net):
    multiple = 0


function = print
"""
NAME = "lab_own_network:Net"


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder a person works in, with a module of their own that nothing has imported yet."""
    (tmp_path / "lab_own_network.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    monkeypatch.delitem(sys.modules, "lab_own_network", raising=False)
    yield tmp_path
    sys.modules.pop("lab_own_network", None)


def scan(path: Path) -> None:
    x, y = np.mgrid[:48, :40]
    disc = ((x - 24) ** 2 + (y - 20) ** 2 < 300) * (500 + 100 * np.sin(x) + 100 * np.cos(y))
    image = np.repeat(disc[..., None], 4, 2).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(image, np.diag([1, 1, 4, 1])), path)


@pytest.fixture
def scans(lab: Path) -> Path:
    lines = []
    for split in ("train", "validation", "test"):
        scan(lab / f"{split}.nii")
        lines.append(f"toy,{split},{split},{split}.nii,T1w,axial")
    header = "dataset,subject,split,path,contrast,sharp_plane"
    (lab / "splits.csv").write_text("\n".join([header, *lines]) + "\n")
    return lab


TRAINING = [
    "data.root=.",
    "data.layout=table",
    f"network.architecture={NAME}",
    "network.options={features: 6}",
    "optimisation.steps=3",
    "optimisation.batch=4",
    "optimisation.patch=32",
    "optimisation.precision=fp32",
]


AS_IT_IS = ["--acquired", "off", "--window", "none"]


def test_it_is_trained_and_used_without_a_change_to_the_package(
    scans: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", "own-scans-x2", *TRAINING, "-o", "out"]) == 0
    model = f"{NAME}@out/own-scans-x2.safetensors"
    assert run(["upscale", "test.nii", "-o", "bigger.nii", "--model", model, *AS_IT_IS]) == 0
    assert "torch" not in capfd.readouterr().err  # which is what runs it where nothing is said
    bigger = nibabel.load("bigger.nii")
    assert bigger.shape == (96, 80, 4)
    again = iconet.upscale("test.nii", model=model, acquired="off", window="none")
    assert np.array_equal(np.asarray(again.dataobj), np.asarray(bigger.dataobj))
    network = iconet.load(model)
    assert isinstance(network, Peer) and not network.training
    assert (network.multiple, network.halo, network.width) == (2, 16, 6)
    image = nibabel.load("test.nii").get_fdata()[..., 0]
    assert iconet.upscale(image, model=network).shape == (96, 80)


def test_no_code_runs_because_a_file_of_weights_says_so(
    scans: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", "own-scans-x2", *TRAINING, "-o", "out"]) == 0
    weights = Path("out/own-scans-x2.safetensors")
    del sys.modules["lab_own_network"]
    Path("imported").unlink()
    capfd.readouterr()
    for command in (
        ["upscale", "test.nii", "-o", "bigger.nii", "--model", str(weights)],
        ["export", str(weights), "-o", "out.onnx"],
        ["train", "own-scans-x2", "data.root=.", f"start_from={weights}", "optimisation.patch=32"],
    ):
        assert run(command) == 2
        assert f"give {NAME}@{weights} if you trust it" in capfd.readouterr().err
    with pytest.raises(InputError, match="only if you name its class"):
        load_trained(weights)
    assert not Path("imported").exists()
    assert not Path("bigger.nii").exists()


def test_it_goes_on_and_fine_tunes_like_any_other(
    scans: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert run(["train", "own-scans-x2", *TRAINING, "-o", "out"]) == 0
    assert "finished at step 3" in capfd.readouterr().out
    start = "start_from=out/own-scans-x2.safetensors"
    assert run(["train", "own-scans-x2", *TRAINING, start, "-o", "tuned"]) == 0
    assert "validation at step 0" in capfd.readouterr().out
    wider = "network.options={features: 7}"
    assert run(["train", "own-scans-x2", *TRAINING, wider, start, "-o", "other"]) == 2
    assert "of another network" in capfd.readouterr().err


def test_it_is_benchmarked(scans: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("mine.yaml").write_text(f"""
data: {{root: .}}
datasets: [toy]
conditions: [{{name: super-resolution-x2, scale: 2}}]
networks: [{{name: mine, network: {{architecture: "{NAME}", options: {{features: 6}}}}}}]
training: {{optimisation: {{batch: 4, patch: 32, validate_every: 10}}}}
steps: 2
precision: fp32
output: out
""")
    assert run(["benchmark", "mine.yaml"]) == 0
    rows = read_rows(Path("out/results.csv"), Row)
    assert [row.method for row in rows] == ["zero-filling", "mine"]
    weights = next(Path("out/runs").glob("*/mine.safetensors"))
    given = f"conditions=[{{name: x2, scale: 2, models: ['{NAME}@{weights}']}}]"
    assert run(["benchmark", "mine.yaml", given, "networks=[]", "output=given"]) == 0
    methods = [row.method for row in read_rows(Path("given/results.csv"), Row)]
    assert methods == ["zero-filling", "mine"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("lab_own_networks:Net", "no module 'lab_own_networks' is installed or in this folder"),
        ("lab_own_network.more:Net", "no module 'lab_own_network.more'"),
        ("lab_own_network:Nets", "has no torch.nn.Module 'Nets'"),
        ("lab_own_network:function", "has no torch.nn.Module 'function'"),
        ("lab_own_network:Broken", "RuntimeError: two lines"),
        ("lab_own_network:Odd", "attribute multiple is not a positive whole number"),
        ("needs_more:Net", "its module needs 'not_there_at_all'; install that"),
        ("syntax:Net", "cannot be imported (SyntaxError"),
    ],
)
def test_what_is_wrong_with_a_class_is_said_in_one_line(name: str, reason: str, lab: Path) -> None:
    (lab / "needs_more.py").write_text("import not_there_at_all")
    (lab / "syntax.py").write_text("def (")
    with pytest.raises(InputError) as error:
        build_own(name, 2, 1, {})
    assert str(error.value).startswith(f"{name}: ")
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_other_runtimes_and_formats_say_that_they_do_not_take_it(
    scans: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", "own-scans-x2", *TRAINING, "-o", "out"]) == 0
    model = f"{NAME}@out/own-scans-x2.safetensors"
    asked = ["--backend", "openvino"]
    assert run(["upscale", "test.nii", "-o", "bigger.nii", "--model", model, *asked]) == 2
    assert "runs in torch; omit --backend" in capfd.readouterr().err
    assert run(["export", model, "-o", "out.onnx"]) == 2
    assert "only ICONet is exported" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("a:B", True),
        ("a.b_c:D1", True),
        ("rcan", False),
        ("C:/x.safetensors", False),
        ("a:", False),
    ],
)
def test_names_of_classes_are_told_from_others(name: str, own: bool) -> None:
    assert is_own(name) is own
