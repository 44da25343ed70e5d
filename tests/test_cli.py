import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

import iconet
from iconet import cli
from iconet.study import run_one
from iconet.upscaling import upscale
from iconet.zoo.model import Model

OBLIQUE = np.array(
    [[0.6, -0.32, 0.48, -90], [0.8, 0.24, -0.36, 20.5], [0, 0.3, 2.4, 33], [0, 0, 0, 1]]
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every test runs in its own empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


NOT_UTF8 = os.fsdecode(b"scan\xe9")
"""A name of Latin-1, from an old disk or archive."""


@pytest.mark.parametrize("command", ["evaluate --json", "evaluate", "export", "models"])
def test_names_that_are_not_utf8_are_escaped_on_standard_output(folder, command):
    values = np.random.default_rng(0).integers(0, 99, (20, 20, 3)).astype(np.int16)
    given = f"{NOT_UTF8}.nii"
    nibabel.Nifti1Image(values, np.eye(4)).to_filename(given)
    arguments = {
        "evaluate --json": ["evaluate", given, given, "--json"],
        "evaluate": ["evaluate", given, given],
        "export": ["export", "mri-x2", "-o", f"{NOT_UTF8}.ts", "--format", "torchscript"],
        "models": ["models"],
    }[command]
    done = subprocess.run(
        [sys.executable, "-c", "from iconet.cli import main; main()", *arguments],
        capture_output=True,
        env={**os.environ, "LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "utf-8:strict"},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    if command == "evaluate --json":
        assert json.loads(done.stdout)["prediction"] == given
    elif command == "export":
        assert done.stdout == b"scan\\udce9.ts\n" and Path(f"{NOT_UTF8}.ts").exists()


@pytest.fixture
def linear(monkeypatch):
    """Linear interpolation in place of the trained networks; records what it is called with."""
    import torch.nn.functional as F
    from torch import nn

    class Output:
        def __init__(self, image):
            self.image = image

    class Linear(nn.Module):
        halo, multiple = 8, 8
        metadata, sha256 = {}, None

        def __init__(self, scale):
            super().__init__()
            self.scale, self.channels, self.width = scale, 1, 64

        def forward(self, lr, intensity=None):
            return Output(F.interpolate(lr, scale_factor=self.scale, mode="bilinear"))

    real = run_one.open_model

    def open_model(model=None, *, scale=None, device="cpu"):
        if model == "mri-x2" or (model is None and scale in (None, 2)):
            return real(Linear(2), scale=scale, device=device)
        if model == "mri-x4" or (model is None and scale == 4):
            return real(Linear(4), scale=scale, device=device)
        return real(model, scale=scale, device=device)

    monkeypatch.setattr(run_one, "open_model", open_model)
    return Linear(2)


def nifti(path="scan.nii.gz", shape=(20, 24, 5), affine=OBLIQUE, dtype=np.float32):
    values = np.random.default_rng(0).gamma(2, 50, shape).astype(dtype)
    nibabel.Nifti1Image(values, affine).to_filename(path)
    return path


def listing():
    return sorted(os.listdir())


# What it does


def test_upscale_writes_what_python_returns(linear, capsys):
    nifti()
    assert cli.run(["upscale", "scan.nii.gz", "-o", "big.nii.gz", "--precision", "fp32"]) == 0
    written, returned = nibabel.load("big.nii.gz"), upscale("scan.nii.gz", linear, precision="fp32")
    np.testing.assert_array_equal(written.get_fdata(), returned.get_fdata())
    np.testing.assert_allclose(written.affine, returned.affine, atol=1e-5)
    out, err = capsys.readouterr()
    assert out == ""
    line = err.splitlines()[-1]
    for part in ["big.nii.gz", "20 x 24 x 5", "1 x 0.5 x 2.474 mm", "40 x 48 x 5", "fp32", "cpu"]:
        assert part in line, line
    assert listing() == ["big.nii.gz", "scan.nii.gz"]


@pytest.mark.parametrize(
    "options", [["--scale", "4"], ["--model", "mri-x4"], ["--scale=4", "--model=mri-x4"]]
)
def test_scale_or_model_choose_the_cascade(linear, options):
    nifti()
    assert cli.run(["upscale", "scan.nii.gz", "-o", "big.nii", *options]) == 0
    assert nibabel.load("big.nii").shape == (80, 96, 5)


def test_plane_and_tile(linear):
    nifti()
    assert cli.run(["upscale", "scan.nii.gz", "-o", "a.nii", "--plane", "i"]) == 0
    assert cli.run(["upscale", "scan.nii.gz", "-o", "b.nii", "--tile", "16"]) == 0
    assert cli.run(["upscale", "scan.nii.gz", "-o", "c.nii"]) == 0
    assert nibabel.load("a.nii").shape == (20, 48, 10)
    np.testing.assert_allclose(
        nibabel.load("b.nii").get_fdata(), nibabel.load("c.nii").get_fdata(), rtol=1e-5
    )


def test_several_scans_go_into_a_folder(linear):
    nifti("a.nii.gz")
    nifti("b b ü.nii")
    assert cli.run(["upscale", "a.nii.gz", "b b ü.nii", "-o", "out"]) == 0
    assert sorted(os.listdir("out")) == [".iconet.jsonl", "a.nii.gz", "b b ü.nii"]
    assert nibabel.load("out/b b ü.nii").shape == (40, 48, 5)


def test_one_bad_scan_does_not_stop_the_others(linear, capsys):
    nifti("good.nii")
    (bad := np.ones((16, 16), np.float32))[3, 3] = np.inf
    np.save("bad.npy", bad)
    assert cli.run(["upscale", "bad.npy", "good.nii", "-o", "out"]) == 2
    assert sorted(os.listdir("out")) == [".iconet.jsonl", "good.nii"]
    errors = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert len(errors) == 1 and "bad.npy" in errors[0]


def test_a_file_that_is_no_scan_does_not_stop_the_scans_beside_it(linear, capsys):
    nifti("good.nii")
    Path("notes.txt").write_text("hello")
    assert cli.run(["upscale", "good.nii", "notes.txt", "-o", "out"]) == 2
    assert sorted(os.listdir("out")) == [".iconet.jsonl", "good.nii"]
    errors = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert len(errors) == 1 and errors[0].startswith("iconet: error: notes.txt: unknown")


def test_one_scan_into_an_existing_folder_keeps_its_name(linear):
    nifti()
    os.mkdir("out")
    assert cli.run(["upscale", "scan.nii.gz", "-o", "out"]) == 0
    assert sorted(os.listdir("out")) == [".iconet.jsonl", "scan.nii.gz"]


def test_a_new_folder_is_gone_again_when_nothing_was_written(linear, capfd):
    np.save("bad.npy", np.full((20, 20), np.nan))
    assert cli.run(["upscale", "bad.npy", "-o", "out"]) == 2
    assert_one_line(capfd, "bad.npy")
    assert listing() == ["bad.npy"]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_pictures_keep_their_type(linear, suffix, dtype):
    ramp = np.add.outer(np.arange(20), 3 * np.arange(30)).astype(dtype)
    Image.fromarray(ramp).save(f"in.{suffix}")
    assert cli.run(["upscale", f"in.{suffix}", "-o", f"out.{suffix}"]) == 0
    out = np.asarray(Image.open(f"out.{suffix}"))
    assert out.dtype == dtype and out.shape == (40, 60)
    y, x = (np.arange(40) - 0.5) / 2, (np.arange(60) - 0.5) / 2
    expected = np.add.outer(y, 3 * x)[2:-2, 2:-2]
    assert np.abs(out[2:-2, 2:-2] - expected).max() <= 1


def test_numpy_arrays(linear):
    np.save("in.npy", np.random.default_rng(0).normal(size=(4, 20, 22)).astype(np.float32))
    assert cli.run(["upscale", "in.npy", "-o", "out.npy"]) == 0
    assert np.load("out.npy").shape == (4, 40, 44)


def test_a_constant_scan_passes_through_and_is_said(linear, capsys):
    nibabel.Nifti1Image(np.full((20, 20, 4), 7, np.int16), np.eye(4)).to_filename("flat.nii")
    assert cli.run(["upscale", "flat.nii", "-o", "big.nii"]) == 0
    image = nibabel.load("big.nii")
    assert image.get_data_dtype() == np.int16 and image.shape == (40, 40, 4)
    assert (image.get_fdata() == 7).all()
    assert "constant" in capsys.readouterr().err


def test_degrade_then_upscale_comes_back_to_the_same_place(linear):
    nifti(shape=(48, 41, 6))
    assert cli.run(["degrade", "scan.nii.gz", "-o", "low.nii.gz", "--scale", "2"]) == 0
    assert cli.run(["upscale", "low.nii.gz", "-o", "back.nii.gz"]) == 0
    scan, low, back = (nibabel.load(f"{name}.nii.gz") for name in ["scan", "low", "back"])
    assert low.shape == (24, 20, 6) and back.shape == (48, 40, 6)
    np.testing.assert_allclose(back.affine, scan.affine, atol=1e-4)
    middle = low.affine @ [11.5, 9.5, 2, 1]
    np.testing.assert_allclose(middle, scan.affine @ [23.5, 19.5, 2, 1], atol=1e-4)
    assert low.get_fdata().mean() == pytest.approx(scan.get_fdata()[:, :40].mean(), rel=0.02)


@pytest.mark.parametrize("shape", [(30, 34, 20), (30, 34, 24), (20, 34, 30), (30, 20, 34)])
def test_upscale_undoes_degrade_on_isotropic_volumes_too(linear, shape):
    """The plane that lost resolution is the one to upscale, whichever axis is the shortest now."""
    nifti(shape=shape, affine=np.diag([1.0, 1, 1, 1]))
    assert cli.run(["degrade", "scan.nii.gz", "-o", "low.nii.gz"]) == 0
    assert cli.run(["upscale", "low.nii.gz", "-o", "back.nii.gz"]) == 0
    assert nibabel.load("back.nii.gz").shape == shape


def test_degrade_noise_is_seeded_and_of_the_size_asked_for(capsys):
    values = np.zeros((64, 64, 4), np.float32)
    values[:32] = 1000
    nibabel.Nifti1Image(values, np.eye(4)).to_filename("scan.nii")
    for name, seed in [("a", "1"), ("b", "1"), ("c", "2")]:
        arguments = ["scan.nii", "-o", f"{name}.nii", "--noise", "5", "--seed", seed]
        assert cli.run(["degrade", *arguments]) == 0
    a, b, c = (nibabel.load(f"{name}.nii").get_fdata() for name in "abc")
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)
    assert a[4:12].std() == pytest.approx(50, rel=0.15)
    assert a[20:28].mean() == pytest.approx(50 * np.sqrt(np.pi / 2), rel=0.15)


def test_evaluate_prints_its_convention(capsys):
    values = np.random.default_rng(0).gamma(2, 50, (32, 32, 4)).astype(np.float32)
    nibabel.Nifti1Image(values, np.eye(4)).to_filename("truth.nii")
    nibabel.Nifti1Image(values + 1, np.eye(4)).to_filename("guess.nii")
    assert cli.run(["evaluate", "guess.nii", "truth.nii"]) == 0
    assert "PSNR" in capsys.readouterr().out
    assert cli.run(["evaluate", "guess.nii", "truth.nii", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["psnr"] == pytest.approx(20 * np.log10(values.max()), abs=1e-3)
    assert result["convention"]


def test_models_lists_the_catalogue(capsys):
    zoo = pytest.importorskip("iconet.zoo")
    assert cli.run(["models"]) == 0
    out = capsys.readouterr().out
    for entry in zoo.catalogue():
        assert entry.name in out and entry.purpose in out
    assert cli.run(["models", "--verbose"]) == 0
    out = capsys.readouterr().out
    for entry in zoo.catalogue():
        assert entry.sha256 in out
    assert "width 32" in out and "task: through-plane" in out and "span 17" in out


def test_a_file_of_weights_is_a_model():
    import torch
    from safetensors.torch import save_file

    from iconet.network import SIZES

    torch.manual_seed(0)
    network = iconet.ICONet(2, **SIZES["tiny"])
    metadata = {"format": "iconet", "config": json.dumps(asdict(network.config))}
    save_file(network.state_dict(), "mine.safetensors", metadata)
    nifti(dtype=np.int16)
    command = ["upscale", "scan.nii.gz", "-o", "big.nii.gz", "--model", "mine.safetensors"]
    assert cli.run([*command, "--scale", "2"]) == 0
    assert cli.run([*command, "--scale", "4"]) == 2
    image = nibabel.load("big.nii.gz")
    assert image.shape == (40, 48, 5) and image.get_data_dtype() == np.int16
    expected = upscale("scan.nii.gz", iconet.load("mine.safetensors"))
    np.testing.assert_array_equal(image.get_fdata(), expected.get_fdata())


# Bad input: one line that names the file, exit code 2, nothing written


def truncated_gzip():
    content = Path(nifti("bad.nii.gz")).read_bytes()
    Path("bad.nii.gz").write_bytes(content[: len(content) // 2])


def array(values):
    def make():
        np.save("bad.npy", values)

    return make


def header_with(**fields):
    def make():
        nifti("good.nii")
        image = nibabel.load("good.nii")
        header = image.header.copy()
        for name, value in fields.items():
            header[name] = value
        raw = bytearray(Path("good.nii").read_bytes())
        raw[:348] = header.binaryblock
        os.remove("good.nii")
        Path("bad.nii").write_bytes(raw)

    return make


def claims_much():
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.float32)
    header.set_data_shape((30000, 30000, 5))
    header["vox_offset"] = 352
    header["magic"] = b"n+1"
    Path("bad.nii").write_bytes(header.binaryblock + bytes(52))


BAD = {
    "missing": ("bad.nii", lambda: None),
    "folder": ("bad.nii", lambda: os.mkdir("bad.nii")),
    "empty": ("bad.nii.gz", lambda: Path("bad.nii.gz").touch()),
    "truncated gzip": ("bad.nii.gz", truncated_gzip),
    "not an image": ("bad.nii", lambda: Path("bad.nii").write_text("hello " * 100)),
    "unknown suffix": ("bad.jpg", lambda: Path("bad.jpg").write_text("hello")),
    "NaN": ("bad.npy", array(np.full((20, 20), np.nan, np.float32))),
    "Inf": ("bad.npy", array(np.full((20, 20), np.inf, np.float32))),
    "RGB": ("bad.png", lambda: Image.new("RGB", (20, 20), "red").save("bad.png")),
    "complex": ("bad.npy", array(np.ones((20, 20), complex))),
    "narrow": ("bad.npy", array(np.arange(20.0).reshape(20, 1))),
    "zero spacing": ("bad.nii", header_with(pixdim=[1, 1, 0, 1, 1, 1, 1, 1])),
    "negative spacing": ("bad.nii", header_with(pixdim=[1, 1, -2, 1, 1, 1, 1, 1])),
    "singular affine": ("bad.nii", header_with(srow_x=[0, 0, 0, 0])),
    "18 GB in 400 bytes": ("bad.nii", claims_much),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("command", ["upscale", "degrade"])
def test_bad_input(linear, capfd, name, command):
    path, make = BAD[name]
    make()
    before = listing()
    output = "out.npy" if path.endswith(".npy") else "out.nii.gz"
    assert cli.run([command, path, "-o", output]) == 2
    assert_one_line(capfd, "bad")
    assert listing() == before


def assert_one_line(capfd, *parts):
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("iconet: error: ") and err.endswith("\n") and err.count("\n") == 1, err
    for part in parts:
        assert part in err, err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "out.nii.gz", "--scale", "3"], "use 2 or 4"),
        (["-o", "out.nii.gz", "--scale", "4", "--model", "mri-x2"], "2x, not 4x"),
        (["-o", "out.nii.gz", "--scale", "big"], "--scale"),
        (["-o", "out.nii.gz", "--plane", "top"], "axial"),
        (["-o", "out.nii.gz", "--device", "gpu"], "gpu"),
        (["-o", "out.nii.gz", "--precision", "fp8"], "fp8"),
        (["-o", "out.nii.gz", "--tile", "0"], "tile"),
        (["-o", "out.nii.gz", "--colour"], "--colour"),
        (["-o", "scan.nii.gz"], "scan.nii.gz"),
        (["-o", "link.nii.gz"], "link.nii.gz"),
        (["-o", "."], "scan.nii.gz"),
        (["-o", "missing/out.nii.gz"], "missing"),
        (["-o", "/proc/out.nii.gz"], "/proc"),
        (["-o", "/dev/full.nii.gz/x.nii"], "/dev/full"),
        (["-o", "out.jpg"], "out.jpg"),
        (["-o", "out.png"], "out.png"),
        ([], "--output"),
        (["scan.nii.gz", "-o", "out"], "two inputs"),
        (["other.nii", "-o", "out.nii"], "folder"),
    ],
)
def test_wrong_calls(linear, capfd, arguments, said):
    nifti()
    os.symlink("scan.nii.gz", "link.nii.gz")
    before = listing()
    assert cli.run(["upscale", "scan.nii.gz", *arguments]) == 2
    assert_one_line(capfd, said)
    assert listing() == before


def test_a_full_disk_leaves_nothing(linear, capfd, monkeypatch):
    nifti()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert cli.run(["upscale", "scan.nii.gz", "-o", "out.nii.gz"]) == 2
    assert_one_line(capfd, "disk is full")
    assert listing() == ["scan.nii.gz"]


def test_unknown_and_foreign_weights(capfd):
    pytest.importorskip("iconet.zoo")
    nifti()
    Path("foreign.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    Path("broken.safetensors").write_bytes(b"hello")
    for model in ["mri-x3", "foreign.safetensors", "broken.safetensors"]:
        assert cli.run(["upscale", "scan.nii.gz", "-o", "out.nii", "--model", model]) == 2
        assert_one_line(capfd, model)
    assert not os.path.exists("out.nii")


@pytest.mark.parametrize(
    "arguments",
    [["--scale", "1"], ["--scale", "40"], ["--seed", "-1"], ["--noise", "-1"], ["--noise", "nan"]],
)
def test_wrong_degradations(capfd, arguments):
    nifti()
    assert cli.run(["degrade", "scan.nii.gz", "-o", "out.nii", *arguments]) == 2
    assert_one_line(capfd)
    assert listing() == ["scan.nii.gz"]


def test_rician_noise_is_refused_on_signed_values(capfd):
    np.save("ct.npy", np.random.default_rng(0).normal(size=(20, 20)))
    assert cli.run(["degrade", "ct.npy", "-o", "out.npy", "--noise", "3"]) == 2
    assert_one_line(capfd, "ct.npy", "negative")
    assert cli.run(["degrade", "ct.npy", "-o", "out.npy"]) == 0
    assert np.load("out.npy").min() < 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "missing.yaml"],
        ["benchmark", "missing.yaml"],
        ["evaluate", "missing.nii", "missing.nii"],
        ["demo", "-o", "/dev/null/missing"],
    ],
)
def test_every_command_says_what_is_missing(capfd, arguments):
    assert cli.run(arguments) == 2
    assert_one_line(capfd, "missing")
    assert listing() == []


# The program itself


def test_interrupting_leaves_nothing(linear, monkeypatch, capfd):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(linear), "forward", interrupt)
    nifti()
    monkeypatch.setattr(run_one, "open_model", lambda *_, **__: Model.of(linear))
    assert cli.run(["upscale", "scan.nii.gz", "-o", "out.nii.gz"]) == 130
    assert capfd.readouterr().err == "iconet: interrupted\n"
    assert listing() == ["scan.nii.gz"]


@pytest.mark.skipif(os.name != "posix", reason="a signal of POSIX")
def test_being_terminated_leaves_nothing(folder):
    program = """
import os, signal
from iconet import cli
from iconet.study import run_one
from iconet.zoo.model import Model
run_one.open_model = lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM)
cli.main()
"""
    nifti()
    command = [sys.executable, "-c", program, "upscale", "scan.nii.gz", "-o", "out"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (143, "")
    assert listing() == ["scan.nii.gz"]


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--version"], 0), (["--help"], 0), ([], 2), (["nonsense"], 2)]
)
def test_exit_codes_of_the_program(arguments, code):
    result = subprocess.run(
        [sys.executable, "-m", "iconet.cli", *arguments], capture_output=True, text=True
    )
    assert result.returncode == code
    assert "Traceback" not in result.stderr
    if code == 2 and arguments:
        assert result.stderr == "iconet: error: No such command 'nonsense'.\n"
    else:
        assert "iconet" in result.stdout


def test_a_reader_that_has_gone_is_no_fault(monkeypatch):
    class Gone:
        def write(self, text):
            raise BrokenPipeError

        def flush(self):
            raise BrokenPipeError

    closed = open(os.devnull, "w")
    monkeypatch.setattr(sys, "stdout", Gone())
    monkeypatch.setattr(sys, "stderr", closed)
    assert cli.run(["--version"]) == 1
    closed.close()


def test_a_fault_of_ours_is_code_1_with_its_traceback(linear, monkeypatch):
    monkeypatch.setattr(run_one, "open_model", lambda *_, **__: 1 / 0)
    nifti()
    with pytest.raises(ZeroDivisionError):
        cli.run(["upscale", "scan.nii.gz", "-o", "out.nii.gz"])
