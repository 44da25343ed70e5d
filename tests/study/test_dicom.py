"""DICOM series through the command line."""

import json
import os
import shutil
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK

import iconet
from iconet import cli
from iconet.evaluation.compare import compare_files
from iconet.images import read
from iconet.images.dicom.series import read_series
from iconet.upscaling.interpolation import interpolate

from ..images.slices import PATIENT, REAL, save_all, slices_of
from .studies import AFFINE, PURPOSE, series


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)
    return tmp_path


def upscale(weights, *arguments):
    """The exit code; in the runtime that need not convert the network first."""
    options = ["--model", weights, "--precision", "fp32", "--backend", "torch"]
    return cli.run(["upscale", *map(str, arguments), *options])


def returned_by_python(given, weights):
    """What `iconet.upscale` returns, and warns of, for a scan that is no MRI."""
    with pytest.warns(UserWarning, match="was not trained"):
        return iconet.upscale(given, model=weights, precision="fp32", backend="torch")


def itk(path):
    """Array (I, J, K) and RAS+ affine by an independent reader."""
    files = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(path))
    image = SimpleITK.ReadImage(files)
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return SimpleITK.GetArrayFromImage(image).T, np.diag([-1, -1, 1, 1]) @ affine


def corners(affine, shape):
    voxels = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1)
    return affine[:3, :3] @ voxels + affine[:3, 3:]


def assert_same(path, expected):
    """A derived series holds a nibabel image's values and places, as SimpleITK reads it."""
    values, affine = itk(path)
    real = expected.get_fdata()
    assert values.shape == real.shape
    there = corners(affine, values.shape) - corners(expected.affine, values.shape)
    assert np.abs(there).max() < 1e-3
    assert np.abs(values - real).max() < np.ptp(real) / 4000 * 1.001


def errors(capfd):
    return capfd.readouterr().err.splitlines()


@pytest.mark.parametrize("kind", ["folder", "file", "zip", "DICOMDIR"])
def test_a_series_becomes_a_derived_series(weights, capfd, kind):
    given = series("in")
    if kind == "file":
        given = next(given.iterdir())
    elif kind == "zip":
        with zipfile.ZipFile("in.zip", "w") as archive:
            for file in given.iterdir():
                archive.write(file)
        given = Path("in.zip")
    elif kind == "DICOMDIR":
        from pydicom.fileset import FileSet

        fileset = FileSet()
        for file in given.iterdir():
            image = pydicom.dcmread(file)
            image.PatientID = image.StudyID = "1"
            image.StudyDate, image.StudyTime = "20200102", "030405"
            image.InstanceNumber = 1
            fileset.add(image)
        fileset.write("medium")
        fileset._stage["t"].cleanup()  # which would warn of it later, in another test
        given = Path("medium/DICOMDIR")
    assert upscale(weights, given, "-o", "out") == 0
    lines = errors(capfd)
    assert not any(part in line for line in lines for part in PATIENT.split("^"))
    returned = returned_by_python(given, weights)
    assert_same("out", returned)
    assert returned.shape == (40, 48, 1 if kind == "file" else 3)


def test_what_made_it_is_in_the_series_and_ct_is_said_not_to_be_trained_for(weights, capfd):
    assert upscale(weights, series("in", description="Head"), "-o", "out") == 0
    image = pydicom.dcmread(sorted(Path("out").iterdir())[0])
    assert list(image.ImageType)[:2] == ["DERIVED", "SECONDARY"]
    assert "research use, not for diagnosis" in image.SeriesDescription
    digest = iconet.load(weights).sha256
    for part in (f"iconet {iconet.__version__}", "model small", digest, PURPOSE, "2x"):
        assert part in image.DerivationDescription
    equipment = image.ContributingEquipmentSequence[-1]
    assert list(equipment.SoftwareVersions) == [digest, iconet.__version__]
    (said,) = [line for line in errors(capfd) if "not trained" in line]
    assert said.startswith("in: CT, for which small was not trained")


def test_the_model_that_does_the_work_is_the_one_said_not_to_be_trained_for(capfd):
    given = series("in", shape=(20, 24, 5))
    assert upscale("mri-slice-x2", given, "-o", "out", "--axes", "k") == 0
    said = [line for line in errors(capfd) if "not trained" in line]
    assert len(said) == 1 and "for which mri-slice-x2 was not trained" in said[0]


@pytest.mark.parametrize(("modality", "kind"), [("CT", "CT"), ("PT", "PET")])
def test_a_kind_without_a_model_is_interpolated_and_a_line_says_what_to_do(capfd, modality, kind):
    given = series("in", modality, description="Head")
    assert cli.run(["upscale", "in", "-o", "out", "--axes", "k", "--backend", "torch"]) == 0
    first, last = errors(capfd)
    assert first == (
        f"in: {kind}, which no shipped model enlarges along these axes so many times: enlarged by"
        " interpolation; --model mri-x2 runs one all the same"
    )
    assert "-> 20 x 24 x 6 voxels of 0.8 x 0.7 x 1.5 mm, k interpolated, " in last
    assert "cpu" not in last
    scan = read(given)
    expected = np.empty((20, 24, 6), np.float32)
    interpolate(scan.array, expected, {2: 0.5})
    with pytest.warns(UserWarning, match=f"in: {kind}, which no shipped model enlarges"):
        returned = iconet.upscale("in", axes="k")
    np.testing.assert_allclose(returned.get_fdata(), expected, atol=0.501)
    assert_same("out", returned)

    image = pydicom.dcmread(sorted(Path("out").iterdir())[0])
    assert image.SeriesDescription == (
        "Head iconet 2x interpolation, research use, not for diagnosis"
    )
    made = f"Interpolation 2x by iconet {iconet.__version__}, without a network."
    assert image.DerivationDescription.startswith(made)
    equipment = image.ContributingEquipmentSequence[-1]
    assert equipment.ManufacturerModelName == "interpolation"
    assert equipment.SoftwareVersions == iconet.__version__
    assert "mri" not in str(image).lower() and "SHA-256" not in str(image)


@pytest.mark.parametrize(
    ("options", "shape", "spacing", "said"),
    [
        (["--scale", "4"], (80, 96, 5), (0.2, 0.175, 3), "--model mri-x4 runs"),
        (["--axes", "k"], (20, 24, 10), (0.8, 0.7, 1.5), "k interpolated"),
        (["--isotropic"], (23, 24, 21), (0.7, 0.7, 0.7), "i and k interpolated"),
        (["--spacing", "1x0.35x1"], (16, 48, 15), (1, 0.35, 1), "i and j and k interpolated"),
    ],
)
def test_every_grid_can_be_interpolated(capfd, options, shape, spacing, said):
    scan = read(series("in", shape=(20, 24, 5)))
    assert cli.run(["upscale", "in", "-o", "out", "--backend", "torch", *options]) == 0
    assert said in capfd.readouterr().err
    made = read("out")
    assert made.array.shape == shape
    np.testing.assert_allclose(made.spacing, spacing, rtol=1e-5)
    middle, before = (s.affine @ [*((n - 1) / 2 for n in s.array.shape), 1] for s in (made, scan))
    np.testing.assert_allclose(middle, before, atol=1e-3)
    assert scan.array.min() <= made.array.min() and made.array.max() <= scan.array.max() + 20


def test_a_report_of_an_interpolation_names_no_model(capfd):
    series("in")
    call = ["upscale", "in", "-o", "out.nii.gz", "--axes", "k", "--report"]
    assert cli.run([*call, "--backend", "torch"]) == 0
    report = json.loads(Path("out.nii.gz.report.json").read_text())
    assert report["models"] == [] and report["compute"] is None
    assert report["interpolation"].startswith("CT: no shipped model enlarges it along these axes")
    assert "network" not in report["notice"]
    assert report["consistency"]["nmse"] < 1e-3


def test_a_study_of_interpolated_scans_goes_on_where_it_stopped(weights, capfd):
    series("in/a")
    series("in/b", uid="1.2.7")
    call = ["upscale", "in/a", "in/b", "-o", "out", "--axes", "k", "--backend", "torch"]
    assert cli.run(call) == 0
    assert cli.run(call) == 0
    assert "2 scans: 2 finished before" in capfd.readouterr().err
    assert cli.run([*call, "--model", weights]) == 2
    assert "made with other weights;" in capfd.readouterr().err
    assert "Interpolation" in pydicom.dcmread("out/a/00001.dcm").DerivationDescription
    assert cli.run([*call, "--model", weights, "--overwrite"]) == 0
    image = pydicom.dcmread("out/a/00001.dcm")
    assert "model small" in image.DerivationDescription
    assert cli.run([*call, "--overwrite"]) == 0  # and back
    assert "Interpolation" in pydicom.dcmread("out/a/00001.dcm").DerivationDescription


def test_a_series_is_measured_image_by_image_even_where_it_has_more_images_than_rows():
    given = series("in", shape=(20, 24, 40), affine=np.diag([-1.0, -1, 1, 1]))
    assert compare_files(given, given).slice_axis == 2


def test_mri_is_what_it_was_trained_for(weights, capfd):
    assert upscale(weights, series("in", "MR"), "-o", "out") == 0
    assert not any("not trained" in line for line in errors(capfd))


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_a_suffix_converts(weights, suffix):
    given = series("in")
    assert upscale(weights, given, "-o", f"out{suffix}") == 0
    expected = returned_by_python(given, weights)
    scan = read(f"out{suffix}")
    np.testing.assert_allclose(scan.affine, expected.affine, atol=1e-5)
    np.testing.assert_allclose(scan.array, expected.get_fdata(), atol=0.501)
    assert scan.array.min() < -900  # Hounsfield units


def test_several_series_are_listed_without_the_patient_and_chosen(weights, capfd):
    series("in/a", description=f"soft tissue {PATIENT}")
    series("in/b", "MR", "1.2.7", 7, description=f"T1 mprage {PATIENT}")
    for path in Path("in/b").iterdir():
        path.rename(Path("in/a") / f"b{path.name}")
    assert upscale(weights, "in", "-o", "out") == 2
    (line,) = errors(capfd)
    assert line.endswith(
        '2 series; choose by --series 4 "soft tissue ***" (CT, 20 x 24, 3 files),'
        ' 7 "T1 mprage ***" (MR, 20 x 24, 3 files)'
    )
    assert not Path("out").exists()
    for index, chosen in enumerate(["7", "1.2.7", "MPRAGE"]):
        assert upscale(weights, "in", "-o", f"out{index}", "--series", chosen) == 0
        assert read_series(f"out{index}").dicom[0].Modality == "MR"
        assert iconet.upscale("in", model=weights, series=chosen, backend="torch").shape == (
            40,
            48,
            3,
        )


def test_series_of_something_else(weights, capfd):
    np.save("a.npy", np.random.default_rng(0).random((20, 20)))
    assert upscale(weights, "a.npy", "-o", "out.npy", "--series", "3") == 2
    assert "omit --series" in errors(capfd)[0]


def test_several_inputs_get_folders_of_their_own(weights):
    series("in/1.2.840")
    nibabel.Nifti1Image(np.random.default_rng(0).random((20, 20, 3)), AFFINE).to_filename("b.nii")
    assert upscale(weights, "in/1.2.840", "b.nii", "-o", "out") == 0
    assert sorted(os.listdir("out")) == [".iconet.jsonl", "1.2.840", "b.nii"]
    assert len(os.listdir("out/1.2.840")) == 3


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("in", "source series is there"),
        ("in/new", "outside the input"),
        ("full", "is there already"),
        ("no/out", "create it first"),
        ("out.dcm", "unknown kind"),
        ("out.png", "out.png"),
    ],
)
def test_wrong_outputs_are_refused_before_the_network_runs(
    weights, capfd, monkeypatch, output, said
):
    series("in")
    os.mkdir("full")
    Path("full/file").touch()
    monkeypatch.setattr("iconet.study.run_one.upscale_scan", None)
    before = sorted(map(str, Path().rglob("*")))
    assert upscale(weights, "in", "-o", output) == 2
    (line,) = errors(capfd)
    assert said in line
    assert sorted(map(str, Path().rglob("*"))) == before


def test_the_images_of_a_series_are_its_slices(weights):
    """Even where there are more of them than pixels along a side, as near as these are wide."""
    smooth = sum(np.ogrid[:16, :18, :20]) * 20
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    given = save_all(slices_of(smooth.astype(np.int16), affine), Path("in"))
    assert upscale(weights, given, "-o", "out.nii.gz") == 0
    assert nibabel.load("out.nii.gz").shape == (32, 36, 20)


def test_degrade_makes_nifti_of_a_series(capfd):
    series("in/a")
    series("in/b", "MR", "1.2.7", 7)
    assert cli.run(["degrade", "in", "-o", "low.nii.gz"]) == 2
    assert cli.run(["degrade", "in", "-o", "low.nii.gz", "--series", "7"]) == 0
    low, scan = nibabel.load("low.nii.gz"), read("in", series=7)
    assert low.shape == (10, 12, 3)
    middle = low.affine @ [4.5, 5.5, 1, 1]
    np.testing.assert_allclose(middle, scan.affine @ [9.5, 11.5, 1, 1], atol=1e-4)
    assert low.get_fdata().mean() == pytest.approx(scan.array.mean(), rel=0.01)


@pytest.mark.parametrize("name", ["ct_abdomen", "pet_wholebody"])
def test_round_trip_of_a_real_series(weights, capfd, name):
    if not (REAL / name).is_dir():
        pytest.skip(f"the real series are not in {REAL}")
    # A few slices, every fourth pixel: the network is not what is tested.
    files = sorted(REAL.joinpath(name).iterdir())
    images = sorted(map(pydicom.dcmread, files), key=lambda i: i.ImagePositionPatient[2])[:4]
    for image in images:
        if image.file_meta.TransferSyntaxUID.is_compressed:
            image.decompress()
        stored = image.pixel_array[::4, ::4]
        image.PixelData, (image.Rows, image.Columns) = stored.tobytes(), stored.shape
        image.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        image["PixelData"].VR = "OW"
        image.PixelSpacing = [4 * float(mm) for mm in image.PixelSpacing]
        image.BitsAllocated = 8 * stored.dtype.itemsize
        image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID
    save_all(images, Path("in"))
    assert upscale(weights, "in", "-o", "out") == 0
    (said,) = [line for line in errors(capfd) if "not trained" in line]
    assert ("CT" if name == "ct_abdomen" else "PET") in said
    expected = returned_by_python("in", weights)
    assert_same("out", expected)
    # The field of view's corner, half a voxel outside the first one, is where it was.
    scan = read_series("in")
    edge = [-0.5, -0.5, 0, 1]
    there = itk("out")[1] @ edge
    assert np.abs((there - scan.affine @ edge)[:3]).max() < 1e-3
    if shutil.which("dciodvfy"):
        assert validator_errors("out") <= validator_errors("in")


def test_a_real_tilted_gantry(weights, capfd):
    if not (REAL / "ct_head_ge").is_dir():
        pytest.skip(f"the real series are not in {REAL}")
    assert upscale(weights, REAL / "ct_head_ge", "-o", "out") == 2  # of two slice thicknesses
    (line,) = errors(capfd)
    assert "uneven slices" in line
    assert not Path("out").exists()
    Path("in").mkdir()
    for path in (REAL / "ct_head_ge").iterdir():
        if pydicom.dcmread(path, stop_before_pixels=True).SliceThickness == 4:
            shutil.copy(path, "in")
    assert upscale(weights, "in", "-o", "out") == 0
    assert "in: tilted by 18.5 degrees (gantry): its slices were put upright" in errors(capfd)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tilt, and of CT
        expected = iconet.upscale("in", model=weights, precision="fp32", backend="torch")
    assert_same("out", expected)
    if shutil.which("dciodvfy"):
        assert validator_errors("out") <= validator_errors("in")


def test_one_volume_or_all_and_what_cannot_be_read(weights, capfd):
    for echo, time in enumerate((20, 80), 1):
        for path in series(f"echo{echo}", "MR").iterdir():
            image = pydicom.dcmread(path)
            image.EchoTime, image.InstanceNumber = time, echo
            image.PixelData = (image.pixel_array * echo).astype(np.int16).tobytes()
            Path("in").mkdir(exist_ok=True)
            image.save_as(Path("in") / f"{echo}{path.name}")
    assert upscale(weights, "in", "-o", "out.nii.gz") == 0
    assert "2 volumes, read as a 4-D series: 1 (echo time 20 ms), 2 (echo" in errors(capfd)[0]
    assert nibabel.load("out.nii.gz").shape == (40, 48, 3, 2)
    assert upscale(weights, "in", "-o", "out") == 2
    assert "a DICOM series is a volume" in errors(capfd)[-1]
    assert upscale(weights, "in", "-o", "out", "--volume", "2") == 0
    assert {header.EchoTime for header in read_series("out").dicom} == {80}
    assert cli.run(["degrade", "in", "-o", "low.nii", "--volume", "3"]) == 2
    assert "has no volume 3; choose --volume 1 to 2" in errors(capfd)[-1]
    Path("echo1/002.dcm").write_bytes(b"")
    assert upscale(weights, "echo1", "-o", "one") == 2
    assert "1 of its 3 files cannot be read: 002.dcm (empty" in errors(capfd)[-1]
    assert not Path("one").exists()
    Path("echo1/002.dcm").rename("echo1/003.dcm")  # not named by a number: any of the three
    assert cli.run(["degrade", "echo1", "-o", "low.nii", "--allow-missing"]) == 0
    assert errors(capfd)[0].startswith("echo1: 1 files left out: 003.dcm")


def test_a_study_of_one_folder_a_patient_in_one_call(weights, capfd):
    series("study/p1")
    series("study/p2/t1", "MR", "1.2.7", 7)
    series("elsewhere/p3", "MR", "1.2.8", 8)
    Path("study/p3").symlink_to(Path("elsewhere/p3").absolute())
    scan = nibabel.Nifti1Image(np.random.default_rng(0).random((20, 20, 3)), AFFINE)
    scan.to_filename("study/p4.nii.gz")
    scan.to_filename("study/p1/mask.nii.gz")
    Path("study/p5.mnc").touch()
    assert upscale(weights, "study", "-o", "out") == 0
    said = errors(capfd)
    assert said[-2:] == ["5 scans: 5 upscaled", "study: 1 file left out: p5.mnc"]
    for place, modality in (("p1/p1", "CT"), ("p2/t1", "MR"), ("p3", "MR")):
        assert read_series(f"out/{place}").dicom[0].Modality == modality
    assert nibabel.load("out/p4.nii.gz").shape == (40, 40, 3)
    assert Path("out/p1/mask.nii.gz").exists()
    assert upscale(weights, "study", "-o", "out") == 0
    assert "5 scans: 5 finished before" in errors(capfd)


def validator_errors(folder):
    """What the validator of dicom3tools calls errors, in all files of a folder."""
    found = set()
    for path in Path(folder).iterdir():
        result = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True)
        lines = (result.stderr + result.stdout).splitlines()
        assert lines, "dciodvfy says at least which object it sees"
        found |= {line for line in lines if line.startswith("Error")}
    return found


def uids(folder):
    keywords = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
    files = sorted(path for path in Path(folder).rglob("[!.]*") if path.is_file())
    images = [pydicom.dcmread(path) for path in files]
    return [tuple(str(image[keyword].value) for keyword in keywords) for image in images]


def test_a_router_that_polls_an_archive_upscales_a_series_once(weights, capfd):
    """Its results come back to it, in the folder of the study."""
    series("study/original", "MR")
    for number in range(3):
        assert upscale(weights, "study", "-o", "sent") == 0
        shutil.copytree("sent", f"study/{number}")
        assert read("sent").array.shape == (40, 48, 3)
        shutil.rmtree("sent")
        assert ("left out (made by iconet" in capfd.readouterr().err) == (number > 0)
    assert uids("study/0") == uids("study/1") == uids("study/2")
    assert upscale(weights, "study/0", "-o", "sent") == 2
    assert "study/0: is a result of iconet already" in errors(capfd)[0]
    assert not Path("sent").exists()
    assert upscale(weights, "study/0", "-o", "sent", "--again") == 0
    assert read("sent").array.shape == (80, 96, 3)


def test_a_series_sent_twice_is_one_series_and_other_options_another(weights):
    series("in", "MR")
    for name, options in [
        ("a", []),
        ("b", []),
        ("c", ["--series", "4"]),
        ("d", ["--plane", "k"]),
    ]:
        assert upscale(weights, "in", "-o", name, *options) == 0
    assert uids("a") == uids("b") == uids("c")
    (one,), (other,) = ({row[1] for row in uids(name)} for name in "ad")
    assert one != other and not {row[2] for row in uids("a")} & {row[2] for row in uids("d")}
    # In one archive they are one series of three images.
    os.mkdir("archive")
    for name in "ab":
        for path in Path(name).iterdir():
            shutil.copy(path, f"archive/{pydicom.dcmread(path).SOPInstanceUID}.dcm")
    assert len(os.listdir("archive")) == 3
    assert read("archive").array.shape == (40, 48, 3)


def test_a_result_of_another_series_asked_for_by_number_is_refused(weights, capfd):
    series("in/a", "MR")
    assert upscale(weights, "in/a", "-o", "made") == 0
    shutil.move("made", "in/made")
    capfd.readouterr()
    assert upscale(weights, "in", "-o", "out", "--series", "9004") == 2
    assert "in: is a result of iconet already" in errors(capfd)[0]
    assert upscale(weights, "in", "-o", "out", "--series", "9004", "--again") == 0
    assert read("out").array.shape == (80, 96, 3)
