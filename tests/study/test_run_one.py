"""One scan: what is written, and what is said and recorded of it."""

import json
import re

import nibabel
import numpy as np
import pydicom
import pytest

from iconet import zoo
from iconet.errors import InputError
from iconet.images import read
from iconet.study import run_one
from iconet.study.find import Task
from iconet.study.run_one import Upscaler
from iconet.upscaling.options import Options
from iconet.zoo.model import Model

from .studies import raw, scan, series

OPTIONS = {"device": "cpu", "precision": "fp32", "backend": "torch"}


@pytest.fixture
def upscaler(linear, monkeypatch):
    """Makes one whose only model is linear interpolation."""
    monkeypatch.setattr(run_one, "open_model", lambda *_, **__: Model.of(linear))
    return lambda *, reports=False, **options: Upscaler(
        Options(model="mine", **OPTIONS, **options), reports=reports
    )


@pytest.fixture
def task(tmp_path):
    scan(tmp_path / "a.nii")
    return Task(tmp_path / "a.nii", tmp_path / "b.nii")


def test_a_scan_is_written_and_the_line_says_how_it_grew(upscaler, task):
    line, files = upscaler()(task)
    assert files == [task.source]
    assert line.startswith(f"{task.target}: 20 x 24 x 3 voxels of 1 x 1 x 3 mm -> 40 x 48 x 3")
    assert line.endswith(" s") and "constant" not in line
    assert nibabel.load(task.target).shape == (40, 48, 3)
    assert not task.report_path.exists()


def test_a_constant_scan_is_said_to_be_one(upscaler, task):
    nibabel.Nifti1Image(np.full((20, 24, 3), 7, np.int16), np.eye(4)).to_filename(task.source)
    line, _ = upscaler()(task)
    assert line.endswith("(the scan is constant: its value was repeated)")
    assert (nibabel.load(task.target).get_fdata() == 7).all()


def test_a_report_is_written_if_wanted_with_the_time_of_every_part(upscaler, task):
    upscaler(reports=True)(task)
    report = json.loads(task.report_path.read_text())
    assert list(report["seconds"]) == ["read", "upscale", "write"]
    assert report["output"]["shape"] == [40, 48, 3]


def test_a_series_stays_one_or_is_converted(upscaler, tmp_path, capsys):
    source = series(tmp_path / "in")
    upscaler()(Task(source, tmp_path / "out"))
    assert len(list((tmp_path / "out").glob("*.dcm"))) == 3
    _, files = upscaler()(Task(source, tmp_path / "out.nii.gz"))
    assert nibabel.load(tmp_path / "out.nii.gz").shape == (40, 48, 3)
    assert files == sorted(source.iterdir())
    assert "not trained" not in capsys.readouterr().err  # the model does not say what it is for


def test_what_may_take_part_and_decides_can_be_recorded(linear, upscaler, task, tmp_path):
    linear.sha256 = "ab" * 32
    how = upscaler(spacing=0.5).how(task)
    assert json.loads(json.dumps(how)) == how
    assert how["weights"] == ["ab" * 32] and how["spacing"] == 0.5
    raw(tmp_path / "a.h5")
    kspace = Task(tmp_path / "a.h5", tmp_path / "c.nii")
    hashes = {entry.name: entry.sha256 for entry in zoo.catalogue()}
    found = Upscaler(Options(**OPTIONS), reports=False).how(kspace)["weights"]
    assert found == [hashes["mri-x2-joint"], hashes["mri-x2"]]


def test_the_output_is_checked_before_the_network_runs(upscaler, task, monkeypatch):
    monkeypatch.setattr(run_one, "upscale_scan", None)
    with pytest.raises(InputError, match="unknown kind"):
        upscaler()(Task(task.source, task.target.with_suffix(".xyz")))
    with pytest.raises(InputError, match="input"):
        upscaler()(Task(task.source, task.source))


def test_a_device_that_is_not_there_is_refused_before_any_scan_is_read():
    with pytest.raises(InputError):
        Upscaler(Options(device="abacus"), reports=False)


def test_pet_is_known_by_its_name_and_has_its_model(tmp_path, capsys):
    source = tmp_path / "pet" / "sub-01_trc-FDG_pet.nii"
    scan(source)
    task = Task(source, tmp_path / "b.nii")
    line, _ = Upscaler(Options(**OPTIONS), reports=False)(task)
    assert "-> 40 x 48 x 3 voxels" in line and "slices across k, " in line
    assert re.search(rf"{source}: PET \(.*\): enlarged by pet-x2\n", capsys.readouterr().err)
    made = nibabel.load(task.target)
    assert made.get_data_dtype() == np.int16 and made.get_fdata().min() >= 0
    Upscaler(Options(model="mri-x2", **OPTIONS), reports=False)(task)
    said = capsys.readouterr().err
    assert "PET, for which mri-x2 was not trained" in said and "interpolation\n" in said


def test_what_is_done_without_a_model_is_a_part_of_the_record(task):
    record = Upscaler(Options(**OPTIONS), reports=False).how(task)
    assert record["untrained"] == "interpolated"
    assert "untrained" not in Upscaler(Options(model="mri-x2", **OPTIONS), reports=False).how(task)


def holed(path):
    values = np.random.default_rng(0).gamma(2, 50, (20, 24, 3)).astype(np.float32)
    values[:2] = np.nan
    values[10, 10, 1] = 1e6
    nibabel.Nifti1Image(values, np.diag([-1.0, 1, 3, 1])).to_filename(path)


def test_what_was_set_apart_is_said_in_one_line_and_recorded(upscaler, task, capsys):
    holed(task.source)
    upscaler(reports=True)(task)
    lines = capsys.readouterr().err.splitlines()
    said = "144 voxels of NaN and 1 voxel far beyond all others kept from the network and put back"
    assert lines == [f"{task.source}: {said}"]
    report = json.loads(task.report_path.read_text())
    assert report["set_apart"] == {"nan": 144, "padding": 0, "padding_values": None, "wild": 1}
    assert report["consistency"]["nmse"] < 0.2
    values = nibabel.load(task.target).get_fdata()
    assert np.isnan(values[:4]).all() and np.isfinite(values[4:]).all()


def test_padding_of_a_series_stays_the_same_in_one_derived_from_it(upscaler, tmp_path, capsys):
    source = series(tmp_path / "in")
    for path in source.iterdir():
        image = pydicom.dcmread(path)
        stored = image.pixel_array.copy()
        stored[:6, :6] = -3024
        image.PixelData = stored.tobytes()
        image.add_new("PixelPaddingValue", "SS", -3024)
        image.save_as(path)
    upscaler()(Task(source, tmp_path / "out"))
    assert "108 voxels of padding (-4048) kept" in capsys.readouterr().err
    bigger = read(tmp_path / "out").array
    outside = np.zeros(bigger.shape, bool)
    outside[:12, :12] = True
    assert set(bigger[outside]) == {-4048} and bigger[~outside].min() > -1100


def test_a_scan_that_is_constant_beside_nan_is_said_to_be_one(upscaler, task):
    values = np.full((20, 24, 3), 7, np.float32)
    values[:5] = np.nan
    nibabel.Nifti1Image(values, np.eye(4)).to_filename(task.source)
    line, _ = upscaler()(task)
    assert line.endswith("(the scan is constant: its value was repeated)")
