"""The public functions: what goes in, comes out; options as on the command line."""

import inspect
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import torch

import iconet
from iconet import cli
from iconet.errors import InputError
from iconet.upscaling import in_python
from iconet.upscaling.options import Options
from iconet.zoo.model import Model

from ..study.studies import raw, scan

FAST = {"precision": "fp32", "backend": "torch"}


def noise(*shape):
    return np.random.default_rng(0).gamma(2, 50, shape).astype(np.float32)


def test_the_same_image_in_every_kind_of_object_becomes_the_same(linear, tmp_path):
    array = noise(20, 24, 5)
    image = nibabel.Nifti1Image(array, np.diag([-1.0, 1, 3, 1]))
    image.to_filename(tmp_path / "a.nii.gz")
    expected = iconet.upscale(array, linear)
    for given, kind in [
        (tmp_path / "a.nii.gz", nibabel.Nifti1Image),
        (str(tmp_path / "a.nii.gz"), nibabel.Nifti1Image),
        (image, nibabel.Nifti1Image),
        (torch.from_numpy(array), torch.Tensor),
        (sitk.ReadImage(str(tmp_path / "a.nii.gz")), sitk.Image),
    ]:
        made = iconet.upscale(given, linear)
        assert type(made) is kind
        values = {
            nibabel.Nifti1Image: lambda made: made.get_fdata(),
            torch.Tensor: lambda made: made.numpy(),
            sitk.Image: lambda made: sitk.GetArrayFromImage(made).T,
        }[kind](made)
        np.testing.assert_allclose(values, expected, rtol=1e-5)


def test_a_simpleitk_image_and_the_file_of_it_end_in_the_same_place(linear, tmp_path):
    image = sitk.GetImageFromArray(noise(5, 24, 20))
    image.SetSpacing([0.9, 1.1, 4])
    image.SetOrigin([-91.3, 24.7, 60.1])
    image.SetDirection([0.8, 0, 0.6, 0, 1, 0, -0.6, 0, 0.8])
    sitk.WriteImage(image, str(tmp_path / "a.nrrd"))
    made = iconet.upscale(image, linear)
    iconet.upscale(tmp_path / "a.nrrd", linear).to_filename(tmp_path / "b.nii")
    as_file = sitk.ReadImage(str(tmp_path / "b.nii"))
    assert made.GetSize() == as_file.GetSize() == (40, 48, 5)
    for index in [(0, 0, 0), (39, 0, 4), (0, 47, 0), (39, 47, 4)]:
        np.testing.assert_allclose(
            made.TransformIndexToPhysicalPoint(index),
            as_file.TransformIndexToPhysicalPoint(index),
            atol=1e-4,
        )
    corner = made.TransformContinuousIndexToPhysicalPoint((-0.5, -0.5, 0))
    expected = image.TransformContinuousIndexToPhysicalPoint((-0.5, -0.5, 0))
    np.testing.assert_allclose(corner, expected, atol=1e-6)


def test_a_batch_is_many_images_each_as_if_it_were_alone(linear):
    batch = torch.from_numpy(noise(4, 1, 20, 30))
    batch[2] *= 100
    seen = []
    made = iconet.upscale(
        batch, linear, axes_order="bchw", progress=lambda *step: seen.append(step)
    )
    assert made.shape == (4, 1, 40, 60)
    for one, image in zip(made, batch, strict=True):
        assert torch.equal(one[0], iconet.upscale(image[0], linear))
    assert seen == sorted(seen) and seen[-1] == (4, 4)
    arrays = iconet.upscale(batch.numpy(), linear, axes_order="bchw")
    np.testing.assert_array_equal(arrays, made.numpy())


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_a_batch_that_does_not_say_so_is_refused_before_any_time_is_spent(linear, kind):
    with pytest.raises(InputError, match="say which by axes_order: bchw"):
        iconet.upscale(kind(noise(4, 1, 150, 179)), linear)
    assert not linear.calls


def test_channels_first_volumes_and_series(linear):
    array = noise(2, 5, 20, 24)
    made = iconet.upscale(array, linear, axes_order="cdhw")
    assert made.shape == (2, 5, 40, 48)
    np.testing.assert_array_equal(made[1], iconet.upscale(array[1], linear))
    series = iconet.upscale(array, linear, axes_order="tkij")
    assert series.shape == (2, 5, 40, 48)


def test_scale_chooses_the_model(monkeypatch, linear):
    asked = []

    def open_model(model, *, scale, device):
        asked.append((model, scale))
        return Model.of(linear)

    with monkeypatch.context() as patch:
        patch.setattr(in_python, "open_model", open_model)
        iconet.upscale(noise(20, 24), scale=4)
        iconet.upscale(noise(20, 24))
    assert asked == [(None, 4), (None, None)]
    assert iconet.upscale(noise(20, 24), scale=4, **FAST).shape == (80, 96)
    for options in ({"scale": 3}, {"scale": "2"}, {"scale": 4, "model": "mri-x2"}):
        with pytest.raises(InputError, match=r"scale|4x"):
            iconet.upscale(noise(20, 24), **options)


def test_raw_kspace_becomes_what_the_command_writes(tmp_path):
    raw(tmp_path / "a.h5")
    options = ["--precision", "fp32", "--backend", "torch"]
    output = tmp_path / "a.nii.gz"
    assert cli.run(["upscale", str(tmp_path / "a.h5"), "-o", str(output), *options]) == 0
    made = iconet.upscale(tmp_path / "a.h5", **FAST)
    assert isinstance(made, nibabel.Nifti1Image) and made.shape == (64, 48, 2)
    np.testing.assert_allclose(made.get_fdata(), nibabel.load(output).get_fdata(), rtol=1e-5)
    np.testing.assert_allclose(made.affine, nibabel.load(output).affine)
    with pytest.raises(InputError, match="omit --plane"):
        iconet.upscale(tmp_path / "a.h5", plane="k")
    with pytest.raises(InputError, match="give only one"):
        iconet.upscale(tmp_path / "a.h5", "mri-x2-joint", scale=4)


@pytest.mark.parametrize(
    "options",
    [
        {"plane": 3},
        {"axes": ("i", "j")},
        {"device": None},
        {"precision": 32},
        {"backend": torch},
        {"acquired": (192, 256)},
        {"window": None},
        {"batch": "3"},
        {"tile": 1.5},
        {"scale": True},
        {"model": 5},
        {"model": []},
        {"model": torch.nn.Linear(1, 1)},
    ],
)
def test_options_of_another_type_are_refused_in_one_line(options):
    with pytest.raises(InputError) as error:
        iconet.upscale(noise(20, 24), **options)
    assert next(iter(options)) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.filterwarnings("ignore:.*was interpolated")
def test_iconet_refuses_its_own_result_in_python_too(linear, tmp_path):
    scan(tmp_path / "a.nii")
    made = iconet.upscale(tmp_path / "a.nii", linear)
    made.to_filename(tmp_path / "b.nii.gz")
    given = sitk.ReadImage(str(tmp_path / "a.nii"))
    for own in (made, tmp_path / "b.nii.gz", iconet.upscale(given, linear)):
        with pytest.raises(InputError, match="is a result of iconet already"):
            iconet.upscale(own, linear)
        again = iconet.upscale(own, linear, again=True, acquired="off", window="none")
        size = again.GetSize() if isinstance(again, sitk.Image) else again.shape
        assert size == (80, 96, 3)


def test_the_options_of_the_overloads_the_function_and_the_command_are_the_same():
    for function, settings in (
        (iconet.upscale, in_python.Settings),
        (iconet.degrade, sys.modules["iconet.upscaling.degrade"].Settings),
    ):
        parameters = list(inspect.signature(function).parameters)
        assert set(parameters) - {"scan", "model"} == set(settings.__annotations__)
    only_here = {"axes_order", "progress"}
    assert set(in_python.Settings.__annotations__) - only_here == set(Options.__annotations__) - {
        "model"
    }
    for name in ("upscale", "degrade", "evaluate"):
        command = set(inspect.signature(getattr(cli, name)).parameters)
        there = {"inputs", "scan", "output", "jobs", "overwrite", "report", "json"}
        there |= {"all_series", "only", "labels", "html", "shard", "cluster"}  # of studies
        here = set(inspect.signature(getattr(iconet, name)).parameters)
        assert command - there - {"model"} <= here | {"model"}


@pytest.mark.parametrize("kind", ["path", "nibabel"])
def test_what_is_no_mri_is_said_with_its_model(tmp_path, kind):
    scan(tmp_path / "sub-01_pet.nii")
    given = tmp_path / "sub-01_pet.nii"
    given = given if kind == "path" else nibabel.load(given)
    with pytest.warns(UserWarning, match="PET .its name ends in _pet.: enlarged by pet-x2") as said:
        iconet.upscale(given, **FAST)
    assert [warning.filename for warning in said] == [__file__]
    with pytest.warns(UserWarning, match="PET, for which mri-x2 was not trained"):
        iconet.upscale(given, "mri-x2", acquired="off", window="none", **FAST)


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy, sitk.GetImageFromArray])
def test_hounsfield_units_are_warned_of_in_every_kind_of_object_once(kind):
    head = np.hypot(*np.ogrid[-1:1:24j, -1:1:22j])[None] < np.full((5, 1, 1), 0.7)
    values = np.where(head, 40, -1000) + np.random.default_rng(0).normal(0, 10, (5, 24, 22))
    options = {} if kind is sitk.GetImageFromArray else {"axes_order": "bhw"}
    with pytest.warns(UserWarning, match="CT, which no shipped model enlarges") as said:
        iconet.upscale(kind(values.astype(np.float32)), **options, **FAST)
    assert [warning.filename for warning in said] == [__file__]


def test_degrade_takes_and_returns_the_same_kinds_as_the_command_writes(tmp_path):
    scan(tmp_path / "a.nii")
    output = tmp_path / "low.nii"
    options = ["--noise", "2", "--seed", "3"]
    assert cli.run(["degrade", str(tmp_path / "a.nii"), "-o", str(output), *options]) == 0
    low = iconet.degrade(tmp_path / "a.nii", noise=2, seed=3)
    np.testing.assert_array_equal(low.get_fdata(), nibabel.load(output).get_fdata())
    np.testing.assert_allclose(low.affine, nibabel.load(output).affine)
    array = noise(20, 24, 8)
    assert iconet.degrade(array).shape == (10, 12, 8)
    assert iconet.degrade(array, axis="k", scale=4).shape == (20, 24, 2)
    assert iconet.degrade(torch.from_numpy(array)).shape == (10, 12, 8)
    assert iconet.degrade(sitk.GetImageFromArray(array)).GetSize() == (8, 12, 10)
    batch = iconet.degrade(np.stack([array[..., 0]] * 2)[:, None], axes_order="bchw", noise=5)
    assert batch.shape == (2, 1, 10, 12) and not np.array_equal(batch[0], batch[1])
    for options in ({"scale": "2"}, {"scale": 2.5}, {"noise": "a"}, {"seed": None}):
        with pytest.raises(InputError, match=next(iter(options))):
            iconet.degrade(array, **options)


def test_degrade_and_export_replace_nothing_without_being_told(tmp_path, capsys):
    scan(tmp_path / "a.nii")
    for call in (
        ["degrade", f"{tmp_path}/a.nii", "-o", f"{tmp_path}/low.nii"],
        ["export", "mri-x2", "-o", f"{tmp_path}/x.ts", "--format", "torchscript"],
    ):
        output = Path(call[3])
        output.write_bytes(b"precious")
        assert cli.run(call) == 2
        assert "is there already; give --overwrite" in capsys.readouterr().err
        assert output.read_bytes() == b"precious"
        assert cli.run([*call, "--overwrite"]) == 0
        assert output.stat().st_size > 1000


def test_evaluate_measures_what_the_command_prints(tmp_path, capsys):
    truth = noise(32, 32, 4)
    guess = truth + 1
    for name, array in (("truth", truth), ("guess", guess)):
        nibabel.Nifti1Image(array, np.eye(4)).to_filename(tmp_path / f"{name}.nii")
    assert cli.run(["evaluate", f"{tmp_path}/guess.nii", f"{tmp_path}/truth.nii"]) == 0
    said = capsys.readouterr().out.strip()
    assert said == str(iconet.evaluate(tmp_path / "guess.nii", tmp_path / "truth.nii"))
    images = [sitk.GetImageFromArray(array.T) for array in (guess, truth)]
    for given in ((guess, truth), (torch.from_numpy(guess), torch.from_numpy(truth)), images):
        assert str(iconet.evaluate(*given)) == said
    assert iconet.evaluate(guess, tmp_path / "truth.nii").metrics.psnr > 0
    with pytest.raises(InputError, match="one by one"):
        iconet.evaluate(guess, truth, axes_order="hwb")
    with pytest.raises(InputError, match="of type list"):
        iconet.evaluate([1], truth)


PROGRAM = """
import numpy
from nibabel.nifti1 import Nifti1Image
from numpy.typing import NDArray
from pathlib import Path
from SimpleITK import Image
from torch import Tensor
import iconet

def each(a: NDArray[numpy.float32], t: Tensor, s: Image, n: Nifti1Image) -> None:
    reveal_type(iconet.upscale("a.nii"))
    reveal_type(iconet.upscale(Path("a.nii"), model="mri-x2", scale=2))
    reveal_type(iconet.upscale(n, spacing=1.0))
    reveal_type(iconet.upscale(a, axes_order="bchw"))
    reveal_type(iconet.upscale(t, "mri-x2"))
    reveal_type(iconet.upscale(s, again=True))
    reveal_type(iconet.degrade("a.nii", scale=4))
    reveal_type(iconet.degrade(n))
    reveal_type(iconet.degrade(a))
    reveal_type(iconet.degrade(t))
    reveal_type(iconet.degrade(s))
    reveal_type(iconet.evaluate(a, "b.nii"))
    iconet.upscale([1, 2])
    iconet.upscale(a, scael=2)
    iconet.upscale(a, plane=2)
"""
# The libraries themselves take mypy more than a minute.
STUBS = {
    "torch": "from typing import Any\nclass Tensor: ...\ndef __getattr__(name: str) -> Any: ...",
    "SimpleITK": "class Image: ...",
    "numpy": "from typing import Any\ndef __getattr__(name: str) -> Any: ...",
    "numpy/typing": "from typing import Generic, TypeVar\nT = TypeVar('T')\n"
    "class NDArray(Generic[T]): ...",
    "nibabel": "from .nifti1 import Nifti1Image as Nifti1Image",
    "nibabel/nifti1": "from .spatialimages import SpatialImage\n"
    "class Nifti1Image(SpatialImage): ...\nclass Nifti1Header: ...",
    "nibabel/spatialimages": "class SpatialImage: ...",
}


def test_a_type_checker_knows_what_comes_out(tmp_path):
    pytest.importorskip("mypy", reason="pip install 'iconet[dev]'")
    (tmp_path / "program.py").write_text(PROGRAM)
    for name, text in STUBS.items():
        (tmp_path / "stubs" / name.partition("/")[0]).mkdir(parents=True, exist_ok=True)
        end = "" if "/" in name else "/__init__"
        (tmp_path / "stubs" / f"{name}{end}.pyi").write_text(text)
    options = ["--follow-imports", "silent", "--ignore-missing-imports", "--no-site-packages"]
    options += ["--python-version", "3.11", "--config-file", ""]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "program.py"],
        cwd=tmp_path,
        env={
            "MYPYPATH": f"{tmp_path / 'stubs'}:{Path(iconet.__file__).parents[1]}",
            "HOME": str(tmp_path),
        },
        capture_output=True,
        text=True,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("program.py")]
    known = [line.partition('"')[2].strip('"') for line in lines if "Revealed" in line]
    nifti, array = "nibabel.nifti1.Nifti1Image", "numpy.typing.NDArray"
    tensor, image = "torch.Tensor", "SimpleITK.Image"
    assert [name.partition("[")[0] for name in known] == [
        *(nifti, nifti, nifti, array, tensor, image),
        *(nifti, nifti, array, tensor, image),
        "iconet.evaluation.compare.Comparison",
    ], done.stdout + done.stderr
    errors = [line for line in lines if ": error:" in line]
    assert {line.split(":")[1] for line in errors} == {"23", "24", "25"}, errors
