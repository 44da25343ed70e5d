"""What is dropped is upscaled as the command line does it."""

import gzip
import io
import json
import zipfile

import nibabel
import numpy as np
import pydicom
import pytest

from iconet import cli
from iconet.images.dicom.series import read_series

from ..images.slices import AFFINE, save_all, slices_of
from ..study.studies import raw

# The page upscales in another process.
pytestmark = pytest.mark.unlike


def command(capsys, *arguments):
    """The exit code and the lines of `iconet upscale`."""
    code = cli.run(["upscale", *map(str, arguments)])
    return code, capsys.readouterr().err.splitlines()


def mr_series(folder, uid="1.2.3", number=4, shape=(20, 24, 5)):
    i, j, k = np.ogrid[tuple(slice(n) for n in shape)]
    values = 1000 + 300 * np.sin(i / 3) + 200 * np.cos(j / 4) + 20 * k
    made = slices_of(values.astype(np.int16), AFFINE, intercept=0)
    for image in made:
        image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = pydicom.uid.MRImageStorage
        image.Modality, image.SeriesInstanceUID, image.SeriesNumber = "MR", uid, number
        image.SeriesDescription = f"t1 {number}"
    return save_all(made, folder)


def files_in(folder, top):
    return [
        (f"{top}/{path.relative_to(folder).as_posix()}", path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]


def test_a_result_is_the_command_lines_voxel_for_voxel(page, nifti, tmp_path, capsys):
    source = nifti()
    item = page.one((source.name, source.read_bytes()))
    assert item.state == "ready", item.line
    assert item.seen.facts["geometry"]["shape"] == [24, 28, 6]
    item = page.upscaled(item)
    assert item.state == "done", item.line

    code, lines = command(capsys, source, "-o", tmp_path / "out.nii.gz", "--report")
    assert code == 0
    ours, theirs = page.file(item, "image"), nibabel.load(tmp_path / "out.nii.gz")
    assert ours.headers["content-disposition"].endswith('"scan_T1w-iconet.nii.gz"')
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(ours.content))
    assert np.array_equal(np.asarray(image.dataobj), np.asarray(theirs.dataobj))
    assert image.get_data_dtype() == theirs.get_data_dtype()
    assert np.array_equal(image.affine, theirs.affine)

    report = page.file(item, "report").json()
    expected = json.loads((tmp_path / "out.nii.gz.report.json").read_text())
    for key in ("models", "options", "acquired", "consistency", "kind", "set_apart"):
        assert report[key] == expected[key]
    assert report["input"] == expected["input"]
    said = item.describe(0)["result"]
    assert said["line"].startswith("scan_T1w-iconet.nii.gz: 24 x 28 x 6 voxels")
    remarks = [line.replace(str(source), source.name) for line in lines[:-1]]
    assert [line for line in remarks if " s left" not in line] == said["remarks"]
    assert str(page.desk.folder) not in json.dumps(item.describe(0))


def test_options_are_those_of_the_command_line(page, nifti, tmp_path, capsys):
    source = nifti("a.nii")
    item = page.upscaled(page.one((source.name, source.read_bytes())), axes="k")
    assert command(capsys, source, "-o", tmp_path / "out.nii", "--axes", "k")[0] == 0
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(page.file(item, "image").content))
    assert image.shape == (24, 28, 12)
    theirs = nibabel.load(tmp_path / "out.nii")
    assert np.array_equal(np.asarray(image.dataobj), np.asarray(theirs.dataobj))


@pytest.mark.parametrize(
    "options",
    [
        *({"model": "/etc/passwd"}, {"model": "os.path:join@x"}, {"model": 3}, {"scale": "2"}),
        *({"device": "cuda"}, {"tile": 4}, {"axes": "xyz"}, {"isotropic": 1}, {"kind": "k" * 200}),
        *({"spacing": "1e9"}, {"isotropic": True, "spacing": "1"}, {"x" * 100: 1}),
    ],
)
def test_what_the_page_does_not_offer_is_refused(page, nifti, options):
    source = nifti()
    item = page.one((source.name, source.read_bytes()))
    answer = page.ask(item, "upscale", **options)
    assert answer.status_code == 400 and len(answer.json()["line"]) < 300
    assert item.state == "ready"


def test_layers_are_on_their_grids(page, nifti):
    source = nifti()
    item = page.one((source.name, source.read_bytes()))
    assert [layer["key"] for layer in item.layers] == ["scan"]
    assert page.layer(item, "iconet").status_code == 400
    item = page.upscaled(item)
    keys = [layer["key"] for layer in item.layers]
    assert keys == ["scan", "interpolation", "iconet", "difference", "consistency"]
    shown = {}
    for key in keys:
        answer = page.layer(item, key)
        about = json.loads(answer.headers["x-about"])
        assert about["window"][0] < about["window"][1] and about["every"] == [1, 1, 1]
        shown[key] = nibabel.Nifti1Image.from_bytes(answer.content)
    before, after = nibabel.load(source), page.file(item, "image").content
    after = nibabel.Nifti1Image.from_bytes(gzip.decompress(after))
    assert np.array_equal(shown["scan"].get_fdata(), before.get_fdata())
    assert np.array_equal(shown["iconet"].get_fdata(), after.get_fdata())
    for key in ("interpolation", "iconet", "difference"):
        assert np.allclose(shown[key].affine, after.affine)
    added = shown["iconet"].get_fdata() - shown["interpolation"].get_fdata()
    assert np.allclose(shown["difference"].get_fdata(), added, atol=1e-3)
    assert np.abs(added).max() > 1
    assert np.abs(shown["consistency"].get_fdata()).max() < 30
    assert np.allclose(shown["consistency"].affine, before.affine)
    for wrong in ({"volume": 1}, {"volume": -1}, {"volume": "x"}):
        assert page.layer(item, "scan", **wrong).status_code == 400


def test_bounds_are_shown_and_downloaded(page, nifti):
    source = nifti()
    item = page.upscaled(page.one((source.name, source.read_bytes())), uncertainty=True)
    assert [layer["key"] for layer in item.layers][-3:] == ["width", "lower", "upper"]
    shown = {
        key: nibabel.Nifti1Image.from_bytes(page.layer(item, key).content).get_fdata()
        for key in ("iconet", "width", "lower", "upper")
    }
    assert (shown["lower"] <= shown["iconet"]).all() and (shown["iconet"] <= shown["upper"]).all()
    assert np.allclose(shown["width"], shown["upper"] - shown["lower"], atol=1e-3)
    assert shown["width"].max() > 0
    for key in ("lower", "upper"):
        file = gzip.decompress(page.file(item, key).content)
        assert np.array_equal(nibabel.Nifti1Image.from_bytes(file).get_fdata(), shown[key])


def test_a_series_of_volumes_is_shown_volume_by_volume(page, nifti):
    source = nifti("bold.nii.gz", shape=(20, 24, 4, 3))
    item = page.upscaled(page.one((source.name, source.read_bytes())))
    means = []
    for volume in range(3):
        for key in ("scan", "iconet", "difference"):
            assert page.layer(item, key, volume=volume).status_code == 200
        image = nibabel.Nifti1Image.from_bytes(page.layer(item, "iconet", volume=volume).content)
        means.append(image.get_fdata().mean())
    assert np.allclose(np.array(means) / means[0], [1, 2, 3], rtol=0.05)


def test_dicom_in_and_out(page, tmp_path, capsys):
    folder = mr_series(tmp_path / "series")
    item = page.one(*files_in(folder, "series"))
    assert (item.state, item.name) == ("ready", "series")
    assert [one["title"][:3] for one in item.seen.facts["series"]] == ['4 "']
    item = page.upscaled(item)
    assert item.state == "done", item.line
    archive = zipfile.ZipFile(io.BytesIO(page.file(item, "dicom").content))
    archive.extractall(tmp_path / "ours")
    ours = read_series(tmp_path / "ours")
    assert command(capsys, folder, "-o", tmp_path / "theirs")[0] == 0
    theirs = read_series(tmp_path / "theirs")
    assert np.array_equal(ours.array, theirs.array)
    assert np.allclose(ours.affine, theirs.affine)
    assert ours.dicom[0].SeriesInstanceUID == theirs.dicom[0].SeriesInstanceUID
    # The same voxels as NIfTI.
    assert command(capsys, folder, "-o", tmp_path / "theirs.nii.gz")[0] == 0
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(page.file(item, "image").content))
    expected = nibabel.load(tmp_path / "theirs.nii.gz")
    assert np.array_equal(np.asarray(image.dataobj), np.asarray(expected.dataobj))
    names = {file["name"] for file in page.file(item, "report").json()["output"]["files"]}
    assert "series-iconet.nii.gz" in names and len(names) == 6


def test_a_zip_of_several_series_lets_you_choose(page, tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in (4, 7):
            folder = mr_series(tmp_path / str(number), uid=f"1.2.{number}", number=number)
            for name, data in files_in(folder, str(number)):
                archive.writestr(name, data)
    item = page.one(("study.zip", packed.getvalue()))
    assert item.state == "choose"
    uids = [one["uid"] for one in item.seen.facts["series"]]
    assert page.ask(item, "look", series=uids[1]).status_code == 200
    item = page.wait(item.id, "ready")
    assert item.seen.facts["chosen"] == "1.2.7"
    item = page.upscaled(item, series=uids[1])
    assert page.file(item, "report").json()["options"]["series"] == "1.2.7"


def test_a_folder_of_several_scans_is_several_scans(page, nifti):
    files = [(f"study/{name}", nifti(name).read_bytes()) for name in ("a.nii", "b.nii.gz")]
    files.append(("study/notes.doc", b"no scan"))
    numbers = page.drop(*files).json()["scans"]
    items = [page.wait(number, "ready") for number in numbers]
    assert [item.name for item in items] == ["study/a.nii", "study/b.nii.gz"]
    assert "1 file left out: study/notes.doc" in items[0].line
    refused = page.drop(("x/notes.doc", b"no scan"), ("x/more.doc", b"none"))
    assert refused.status_code == 400
    assert refused.json()["line"].startswith("x: no scan in this folder")


def test_raw_kspace(page, tmp_path, capsys):
    raw(tmp_path / "raw.h5")
    item = page.one(("raw.h5", (tmp_path / "raw.h5").read_bytes()))
    assert (item.state, item.layers) == ("ready", [])
    item = page.upscaled(item)
    assert item.state == "done", item.line
    assert [layer["key"] for layer in item.layers] == ["iconet"]
    assert command(capsys, tmp_path / "raw.h5", "-o", tmp_path / "out.nii.gz")[0] == 0
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(page.file(item, "image").content))
    theirs = nibabel.load(tmp_path / "out.nii.gz")
    assert np.array_equal(np.asarray(image.dataobj), np.asarray(theirs.dataobj))
    assert page.layer(item, "iconet").status_code == 200


def bomb():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.dcm", bytes(132) + b"\0" * 50_000_000)
    return packed.getvalue()


def climbing():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../../a.dcm", bytes(128) + b"DICM")
    return packed.getvalue()


BROKEN = {
    "empty.nii.gz": lambda: b"",
    "cut.nii.gz": lambda: gzip.compress(bytes(400))[:20],
    "noise.nii": lambda: np.random.default_rng(0).bytes(2000),
    "unknown.xyz": lambda: b"abc",
    "bomb.zip": bomb,
    "climbing.zip": climbing,
    "bomb.nii.gz": lambda: gzip.compress(bytes(10**8)),
    "page.html": lambda: b"<script>alert(1)</script>",
    "noise.h5": lambda: np.random.default_rng(0).bytes(2000),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_and_hostile_files_get_the_command_lines_line(page, tmp_path, capsys, name):
    data = BROKEN[name]()
    (tmp_path / name).write_bytes(data)
    code, lines = command(capsys, tmp_path / name, "-o", tmp_path / "out.nii.gz")
    assert code == 2
    (line,) = lines
    item = page.one((name, data))
    assert item.state == "refused"
    expected = line.removeprefix("iconet: error: ").replace(f"{tmp_path}/", "")
    assert item.line == expected
    assert page.ask(item, "upscale").json()["line"] == expected


def test_a_result_of_iconet_is_no_scan(page, nifti):
    source = nifti()
    item = page.upscaled(page.one((source.name, source.read_bytes())))
    data = page.file(item, "image").content
    again = page.upscaled(page.one(("again.nii.gz", data)))
    assert again.state == "ready" and "is a result of iconet already" in again.line


def test_a_run_can_be_cancelled_and_a_queued_one_too(page, nifti):
    source = nifti("large.nii", shape=(160, 160, 60))
    first = page.one((source.name, source.read_bytes()))
    second = page.one((source.name, source.read_bytes()))
    for item in (first, second):
        assert page.ask(item, "upscale").status_code == 200
    page.wait(first.id, "running")
    assert second.describe(page.desk._position(second))["position"] == 1
    assert page.ask(first, "look").status_code == 400
    assert page.ask(second, "cancel").status_code == 200
    assert (second.state, second.line) == ("ready", "Cancelled.")
    while first.progress is None:
        page.wait(first.id, "running")
    assert page.ask(first, "cancel").status_code == 200
    assert (first.state, first.made) == ("ready", None)
    assert not any(path.is_file() for path in first.folder.glob("out-*/*"))
    # What comes next is done all the same.
    small = nifti("small.nii")
    assert page.upscaled(page.one((small.name, small.read_bytes()))).state == "done"


def test_what_is_removed_leaves_nothing(page, nifti):
    source = nifti()
    before = sorted(page.desk.folder.iterdir())
    item = page.upscaled(page.one((source.name, source.read_bytes())))
    assert page.client.delete(f"/api/scans/{item.id}").status_code == 200
    assert sorted(page.desk.folder.iterdir()) == before
    for what in ("upscale", "look", "cancel"):
        assert page.ask(item, what).status_code == 400
    assert page.client.delete(f"/api/scans/{item.id}").status_code == 400
