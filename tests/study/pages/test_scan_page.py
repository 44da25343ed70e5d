"""The page of a scan: complete, safe, without a person's name, and true to the scan."""

import datetime
import io
import json
import os
from pathlib import Path
from urllib.parse import unquote_to_bytes

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image

from iconet import cli
from iconet.images import read
from iconet.study import run_one
from iconet.study.pages import pictures
from iconet.study.pages.pictures import draw
from iconet.study.pages.scan_page import scan_page
from iconet.study.run_one import Upscaler
from iconet.study.study import upscale_study
from iconet.upscaling.options import Options
from iconet.zoo.model import Model

from ..studies import raw, scan, series
from .parsed import Parsed

OPTIONS = {"device": "cpu", "precision": "fp32", "backend": "torch"}


@pytest.fixture(autouse=True)
def linear_model(linear, monkeypatch, tmp_path):
    """The only model is linear interpolation; the working folder is a new one."""
    monkeypatch.setattr(run_one, "open_model", lambda *_, **__: Model.of(linear))
    monkeypatch.chdir(tmp_path)


def upscale(source, target, **options):
    """Upscale a scan with a page; returns the page."""
    failed = upscale_study(
        *([Path(source)], Path(target), Options("mine", **OPTIONS, **options)),
        pages=True,
        say=print,
        complain=print,
    )
    assert failed == 0
    page = Path(f"{target}.report.html")
    return Parsed(page.read_text("utf-8"))


def test_a_page_has_three_planes_and_says_what_was_done():
    scan("a.nii")
    page = upscale("a.nii", "b.nii")
    assert sorted(path.name for path in Path().iterdir()) == [
        *("a.nii", "b.nii", "b.nii.report.html", "b.nii.report.json"),
    ]
    report = json.loads(Path("b.nii.report.json").read_text())
    plain = page.text.replace("\u00d7", "x")
    for said in ("b.nii", report["notice"], "1 x 1 x 3 mm", "0.5 x 0.5 x 3 mm", "40 x 48 x 3"):
        assert said in plain, said
    for said in (f"{report['consistency']['psnr']:.4g} dB", report["created"]):
        assert said in plain, said
    assert [plane in page.text for plane in ("Axial", "Coronal", "Sagittal")] == [True] * 3
    sliders = page.all("input", type="range")
    assert len([one for one in sliders if "aria-label" in one]) == 3
    assert len(page.pictures()) == 3 * 3 + 2  # before, after, difference; two spectra
    assert len(Path("b.nii.report.html").read_bytes()) < 3_000_000


def marked(codes):
    """A scan in an order of axes, bright where left, anterior and superior are."""
    values = np.zeros((16, 20, 12), np.int16)
    values[1:5, 14:18, 8:11] = 1000  # RAS+: left, anterior, superior
    image = nibabel.Nifti1Image(values, np.diag([1.0, 1, 2, 1]))
    turn = nibabel.orientations.ornt_transform(
        [[0, 1], [1, 1], [2, 1]], nibabel.orientations.axcodes2ornt(codes)
    )
    return image.as_reoriented(turn)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SAL", "PIR", "AIL"])
def test_pictures_are_turned_as_their_letters_say_and_keep_their_proportions(codes, monkeypatch):
    marked(codes).to_filename("a.nii")
    before = read("a.nii")
    monkeypatch.setattr(pictures, "middle", lambda scan, across: at[across])
    world = nibabel.orientations.io_orientation(before.affine)
    places = {0: 3 / 16, 1: 16 / 20, 2: 9.5 / 12}
    at = {
        axis: places[int(to)] if sign > 0 else 1 - places[int(to)]
        for axis, (to, sign) in enumerate(world)
    }
    shown = draw(before, before, {"kind": {"name": "MR"}})
    sizes = {"axial": (20, 16), "coronal": (24, 16), "sagittal": (24, 20)}
    assert {plane.view.name for plane in shown.planes} == set(sizes)
    for plane in shown.planes:
        drawn = np.asarray(opened(plane.after))
        assert plane.size == pytest.approx(sizes[plane.view.name])
        rows, columns = np.nonzero(drawn == 255)
        half = rows.mean() < drawn.shape[0] / 2, columns.mean() < drawn.shape[1] / 2
        left, right, top, bottom = plane.view.sides
        seen = {top if half[0] else bottom, left if half[1] else right}
        assert seen <= {"L", "A", "S"} and len(seen) == 2


def test_before_and_after_are_drawn_in_one_window_and_nothing_differs_where_they_agree():
    scan("a.nii")
    before = read("a.nii")
    shown = draw(before, before, {"kind": {"name": "MR"}})
    for plane in shown.planes:
        assert plane.before == plane.after and plane.slices[0] == plane.slices[1]
        (difference,) = plane.maps
        assert np.asarray(opened(difference.picture).convert("RGB")).max() < 4


def opened(picture):
    return Image.open(io.BytesIO(picture))


PERSON = {
    "PatientName": "Secretname^Given",
    "PatientID": "ID-778899",
    "PatientBirthDate": "19610203",
    "StudyDate": "20190405",
    "SeriesDate": "20190406",
    "AcquisitionDate": "20190407",
    "StudyTime": "101112",
    "AccessionNumber": "ACC5566",
    "ReferringPhysicianName": "Doctorname",
    "InstitutionName": "Hospitalname",
    "StudyDescription": "Headofstudy",
}


def private(folder):
    """A series whose headers say all of that, in a folder that a person is named by."""
    source = series(folder, modality="MR", description="t1 of Secretname")
    for path in source.iterdir():
        image = pydicom.dcmread(path)
        for keyword, value in PERSON.items():
            setattr(image, keyword, value)
        image.save_as(path)
    return source


@pytest.mark.parametrize("target", ["out", "out.nii.gz"])
def test_nothing_of_a_person_is_in_a_page(target):
    source = private("Secretname_Given/19610203")
    upscale(source, target, acquired="16x20")
    page = Path(f"{target}.report.html").read_text()
    assert "enlarged from what was acquired" in page.replace("Enlarged", "enlarged")
    dates = [f"{date:%Y-%m-%d}" for date in (datetime.date(1961, 2, 3), datetime.date(2019, 4, 5))]
    uids = [str(pydicom.dcmread(path).SOPInstanceUID) for path in source.iterdir()]
    for said in (*PERSON.values(), *"Secretname Given 1.2.3".split(), *dates, *uids):
        assert said not in page, said


def test_what_files_are_called_is_text_and_never_html():
    name = "<script>alert(1)<|script>\"'&amp;.nii"
    scan(name)
    page = upscale(name, f"b{name}")
    assert f"b{name}" in page.text
    # Nor in an index, whose links lead to the pages.
    Path("in").mkdir()
    Path(name).rename(Path("in", name))
    other = b"in/not\xffutf.nii"
    scan("in/c d#%.nii")
    Path("in/c d#%.nii").rename(Path(os.fsdecode(other)))
    options = ["--model", "x", "--html", "--backend", "torch"]
    assert cli.run(["upscale", "in", "-o", "out", *options]) == 0
    index = Parsed(Path("out/index.html").read_text())
    assert name in index.text and "not\\udcffutf.nii" in index.text
    links = [unquote_to_bytes(link["href"]) for link in index.all("a")]
    for link in links:
        assert Path("out", os.fsdecode(link)).exists()
    assert len(links) == 2


REPORT = json.loads(
    (Path(__file__).parents[3] / "docs/report.md").read_text().split("```json")[1].split("```")[0]
)


def test_a_hostile_report_stays_text():
    scan("a.nii")
    hostile = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    report = json.loads(json.dumps(REPORT))
    report["remarks"] = [hostile]
    report["models"][0] |= {"name": hostile, "purpose": f'"{hostile}'}
    report["kind"]["why"] = report["notice"] = report["consistency"]["convention"] = hostile
    report["options"]["plane"] = "auto"
    report["options"]["series"] = "of a person"
    image = read("a.nii")
    page = scan_page(f"{hostile}\u202e\0", image, image, report)
    parsed = Parsed(page)
    assert hostile in parsed.text and "\u202e" not in page and "\0" not in page
    assert "of a person" not in page


@pytest.mark.parametrize("shape", [(20, 24), (20, 24, 1), (20, 24, 3, 2), (300, 40, 2)])
@pytest.mark.parametrize("values", ["random", "constant", "negative", "nan", "huge"])
def test_every_scan_has_a_page(shape, values):
    made = np.random.default_rng(0).gamma(2, 50, shape).astype(np.float32)
    if values == "constant":
        made[:] = 7
    elif values == "negative":
        made -= 1000
    elif values == "nan":
        made[:12] = np.nan
    elif values == "huge":
        made[10, 10] = 3e38
    nibabel.Nifti1Image(made, np.diag([-1.0, 1, 3, 1])).to_filename("a.nii")
    image = read("a.nii")
    page = Parsed(scan_page("b", image, image, REPORT))
    assert page.pictures()
    assert ("The first of 2 volumes" in page.text) == (len(shape) == 4)


def test_arrays_pictures_and_labels_have_pages():
    np.save("a.npy", np.random.default_rng(0).gamma(2, 50, (4, 20, 24)).astype(np.float32))
    page = upscale("a.npy", "b.npy")
    assert "Across i" in page.text and "patient's right" not in page.text
    labels = np.zeros((20, 24, 3), np.uint8)
    labels[4:9, 5:9], labels[9:14, 9:20] = 3, 250
    nibabel.Nifti1Image(labels, np.eye(4)).to_filename("a_seg.nii.gz")
    page = upscale("a_seg.nii.gz", "b_seg.nii.gz", kind="labels")
    assert "Each colour is a label" in page.text and "Spectrum" not in page.text
    colours = {
        colour for picture in page.pictures() for _, colour in picture.convert("RGB").getcolors()
    }
    assert len(colours) == 3 and (0, 0, 0) in colours


def test_raw_kspace_has_a_page_without_a_picture_before():
    raw("a.h5")
    assert cli.run(["upscale", "a.h5", "-o", "b.nii.gz", "--html", "--precision", "fp32"]) == 0
    page = Parsed(Path("b.nii.gz.report.html").read_text())
    assert "Raw k-space has no picture before" in page.text and "Coils" in page.text
    assert not page.all("div", **{"class": "over"})


def test_the_acquired_matrix_is_drawn_to_scale():
    scan("a.nii")
    before = read("a.nii")
    upscale("a.nii", "b.nii", acquired="15x24")
    report = json.loads(Path("b.nii.report.json").read_text())
    assert report["acquired"]["matrix"] == [15, 24]
    spectrum = draw(before, read("b.nii"), report).spectrum
    # Rows of the picture are the second axis.
    assert spectrum.stored == pytest.approx((0.5, 0.5))
    assert spectrum.acquired == pytest.approx((0.5, 0.375))
    page = Parsed(Path("b.nii.report.html").read_text())
    assert "15 x 24 of 20 x 24" in page.text.replace("\u00d7", "x")
    boxes = [one for one in page.all("rect", **{"class": "acquired"})]
    (width, height), *_ = [(float(one["width"]), float(one["height"])) for one in boxes]
    assert width / height == pytest.approx(0.75 * 1.0, abs=0.01)


def test_a_page_can_be_added_to_a_finished_result_without_the_network(monkeypatch, capsys):
    scan("in/a.nii")
    call = ["upscale", "in", "-o", "out", "--model", "x", "--backend", "torch"]
    assert cli.run([*call, "--report"]) == 0
    assert not Path("out/index.html").exists()
    monkeypatch.setattr(Upscaler, "__call__", None)
    assert cli.run([*call, "--html"]) == 0
    first = Path("out/a.nii.report.html").read_text()
    assert len(Parsed(first).pictures()) == 11
    assert Parsed(Path("out/index.html").read_text()).all("a") == [{"href": "a.nii.report.html"}]
    assert "finished" in capsys.readouterr().err


def test_a_result_that_is_replaced_does_not_keep_the_page_of_the_former_one():
    scan("a.nii")
    upscale("a.nii", "b.nii")
    options = ["--model", "x", "--backend", "torch", "--overwrite"]
    assert cli.run(["upscale", "a.nii", "-o", "b.nii", *options]) == 0
    assert sorted(path.name for path in Path().iterdir()) == ["a.nii", "b.nii"]
