import gzip
import os

import nibabel
import numpy as np
import pytest
import SimpleITK

from iconet.errors import InputError
from iconet.images import Scan, read, write

from ...images.text_headed import refusal, refused_wherever_cut, same_scan_or_one_line

SHAPE = (5, 4, 3)
VALUES = np.arange(60, dtype="<i2").reshape(SHAPE, order="F")
FIELDS = {
    "type": "short",
    "dimension": "3",
    "space": "left-posterior-superior",
    "sizes": "5 4 3",
    "space directions": "(2,0,0) (0,1.5,0) (0,0,3)",
    "kinds": "domain domain domain",
    "endian": "little",
    "encoding": "raw",
    "space origin": "(10,20,30)",
}
AFFINE = np.array([[-2, 0, 0, -10], [0, -1.5, 0, -20], [0, 0, 3, 30], [0, 0, 0, 1.0]])


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)


def header(*, magic="NRRD0004", extra="", **changed):
    """A header with some fields replaced, or left out where they are None."""
    fields = FIELDS | {key.replace("_", " "): text for key, text in changed.items()}
    lines = [f"{key}: {text}" for key, text in fields.items() if text is not None]
    return ("\n".join([magic, *lines]) + f"\n{extra}").encode()


def a_file(folder, voxels=None, name="a.nrrd", **changed):
    data = VALUES.tobytes(order="F") if voxels is None else voxels
    (folder / name).write_bytes(header(**changed) + b"\n" + data)
    return folder / name


def test_values_and_place(tmp_path):
    scan = read(a_file(tmp_path))
    np.testing.assert_array_equal(scan.array, VALUES)
    np.testing.assert_allclose(scan.affine, AFFINE, atol=1e-12)
    assert (scan.dtype, scan.spacing, scan.data_path) == (np.dtype("<i2"), (2, 1.5, 3), None)


@pytest.mark.parametrize(
    ("space", "signs"),
    [
        ("right-anterior-superior", (1, 1, 1)),
        ("RAS", (1, 1, 1)),
        ("left-anterior-superior", (-1, 1, 1)),
        ("LAS", (-1, 1, 1)),
        ("left-posterior-superior", (-1, -1, 1)),
        ("LPS", (-1, -1, 1)),
    ],
)
def test_every_anatomical_space_as_simpleitk_takes_it(tmp_path, space, signs):
    path = a_file(tmp_path, space=space)
    scan = read(path)
    np.testing.assert_allclose(scan.affine[:3, 3], np.array([10, 20, 30]) * signs)
    image = SimpleITK.ReadImage(str(path))
    found = np.array(image.TransformIndexToPhysicalPoint([4, 3, 2])) * [-1, -1, 1]
    np.testing.assert_allclose(found, scan.affine[:3] @ [4, 3, 2, 1])


def test_blanks_comments_and_old_spellings(tmp_path):
    path = a_file(
        tmp_path,
        magic="NRRD0005",
        space_directions="( 2, 0, 0 )  (0, 1.5, 0) (0,0,3)",
        extra='# Name: Jürgen\nkey:=value: with := colons\nSpace Units: "mm" "mm" "mm"\n',
    )
    np.testing.assert_allclose(read(path).affine, AFFINE, atol=1e-12)


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_both_line_ends(tmp_path, newline):
    path = tmp_path / "a.nrrd"
    path.write_bytes(header().replace(b"\n", newline) + newline + VALUES.tobytes(order="F"))
    np.testing.assert_array_equal(read(path).array, VALUES)


def test_byte_order_and_encodings(tmp_path):
    big = VALUES.astype(">i2").tobytes(order="F")
    np.testing.assert_array_equal(read(a_file(tmp_path, big, endian="big")).array, VALUES)
    for encoding in ("gzip", "gz", "GZIP"):
        packed = gzip.compress(VALUES.tobytes(order="F"))
        path = a_file(tmp_path, packed, encoding=encoding)
        np.testing.assert_array_equal(read(path).array, VALUES)


def test_a_detached_file_of_voxels(tmp_path):
    path = a_file(tmp_path, b"", name="a.nhdr", data_file="ünï cödé.raw")
    (tmp_path / "ünï cödé.raw").write_bytes(VALUES.tobytes(order="F"))
    scan = read(path)
    np.testing.assert_array_equal(scan.array, VALUES)
    assert scan.data_path == tmp_path / "ünï cödé.raw"
    # Without the empty line, in a folder below, after bytes that are to be skipped.
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "b.raw").write_bytes(b"other header" + VALUES.tobytes(order="F"))
    for skip in ("12", "-1"):
        path.write_bytes(header(datafile="below/b.raw", byteskip=skip))
        np.testing.assert_array_equal(read(path).array, VALUES)
    (tmp_path / "c.raw.gz").write_bytes(gzip.compress(b"skip" + VALUES.tobytes(order="F")))
    path.write_bytes(header(data_file="c.raw.gz", encoding="gzip", byte_skip="4"))
    np.testing.assert_array_equal(read(path).array, VALUES)


def test_a_link_to_voxels_is_the_readers_own(tmp_path):
    (tmp_path / "annex").mkdir()
    (tmp_path / "study").mkdir()
    (tmp_path / "annex" / "x").write_bytes(VALUES.tobytes(order="F"))
    (tmp_path / "study" / "a.raw").symlink_to("../annex/x")
    path = a_file(tmp_path / "study", b"", name="a.nhdr", data_file="a.raw")
    np.testing.assert_array_equal(read(path).array, VALUES)


@pytest.mark.parametrize("axis", [0, 1, 3])
def test_the_axis_of_a_series_may_be_anywhere(tmp_path, axis):
    series = np.arange(120, dtype="<i2").reshape((*SHAPE, 2))
    stored = np.moveaxis(series, 3, axis)
    directions = FIELDS["space directions"].split()
    directions.insert(axis, "none")
    kinds = ["domain"] * 3
    kinds.insert(axis, "list")
    spacings = ["nan"] * 3
    spacings.insert(axis, "1.25")
    path = a_file(
        tmp_path,
        stored.tobytes(order="F"),
        dimension="4",
        sizes=" ".join(map(str, stored.shape)),
        space_directions=" ".join(directions),
        kinds=" ".join(kinds),
        spacings=" ".join(spacings),
    )
    scan = read(path)
    np.testing.assert_array_equal(scan.array, series)
    np.testing.assert_allclose(scan.affine, AFFINE, atol=1e-12)
    assert scan.header["pixdim"][4] == 1.25
    write(scan, tmp_path / "out.nii", like=scan)
    np.testing.assert_array_equal(nibabel.load(tmp_path / "out.nii").get_fdata(), series)


def test_a_series_in_space_and_time_from_simpleitk(tmp_path):
    series = np.arange(120, dtype="<i2").reshape((*SHAPE, 2))
    image = SimpleITK.GetImageFromArray(series.T, isVector=False)
    image.SetSpacing([2, 1.5, 3, 0.5])
    image.SetOrigin([10, 20, 30, 0])
    SimpleITK.WriteImage(image, str(tmp_path / "a.nrrd"))
    scan = read(tmp_path / "a.nrrd")
    np.testing.assert_array_equal(scan.array, series)
    np.testing.assert_allclose(scan.affine, AFFINE, atol=1e-12)
    assert scan.header["pixdim"][4] == 0.5


def test_spacings_without_directions_lie_as_in_itk(tmp_path):
    path = a_file(
        tmp_path, space=None, space_directions=None, space_origin=None, spacings="2 1.5 3"
    )
    scan = read(path)
    image = SimpleITK.ReadImage(str(path))
    found = np.array(image.TransformIndexToPhysicalPoint([4, 3, 2])) * [-1, -1, 1]
    np.testing.assert_allclose(found, scan.affine[:3] @ [4, 3, 2, 1])


def test_an_array_without_geometry_stays_one(tmp_path):
    scan = read(a_file(tmp_path, space=None, space_directions=None, space_origin=None))
    assert (scan.affine, scan.header) == (None, None)
    np.testing.assert_array_equal(scan.array, VALUES)


def diffusion(folder, space="right-anterior-superior"):
    return a_file(
        folder,
        np.tile(VALUES.ravel(order="F"), 2).tobytes(),
        dimension="4",
        sizes="5 4 3 2",
        space=space,
        space_directions=FIELDS["space directions"] + " none",
        kinds="domain domain domain list",
        measurement_frame="(1,0,0) (0,0.6,0.8) (0,-0.8,0.6)",
        extra="modality:=DWMRI\nDWMRI_b-value:=1000\nDWMRI_gradient_0000:=0 0 0\n"
        "DWMRI_gradient_0001:=0 1 0\nPatientName:=Jones\n",
    )


def test_gradients_stay_in_the_header_and_point_the_same_way(tmp_path):
    scan = read(diffusion(tmp_path))
    write(scan, tmp_path / "out.nrrd", like=scan)
    text = (tmp_path / "out.nrrd").read_bytes().split(b"\n\n")[0].decode()
    assert "DWMRI_gradient_0001:=0 1 0" in text
    assert "DWMRI_b-value:=1000" in text
    assert "Jones" not in text
    # (0,1,0) is (0, 0.6, 0.8) in RAS, which is (0, -0.6, 0.8) in LPS.
    assert "measurement frame: (-1.0,0.0,0.0) (0.0,-0.6,0.8) (0.0,0.8,0.6)" in text
    again = read(tmp_path / "out.nrrd")
    assert again.keywords == scan.keywords
    with pytest.raises(InputError, match=r"diffusion gradients .*; write \.nrrd"):
        write(scan, tmp_path / "out.nii.gz", like=scan)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"magic": "NRRD0009"}, "not a NRRD"),
        ({"magic": "MRRD0004"}, "not a NRRD"),
        ({"sizes": None}, "no sizes"),
        ({"sizes": "5 4 3.0"}, "whole numbers"),
        ({"sizes": "5 4 \uff13"}, "whole numbers"),
        ({"sizes": "5 4 -3"}, "no voxels"),
        ({"sizes": "5 4 0"}, "no voxels"),
        ({"sizes": "5 4 " + "9" * 5000}, "whole numbers"),
        ({"sizes": "5 4 " + "9" * 19}, "truncated"),
        ({"sizes": " ".join(["1"] * 1000)}, "whole numbers"),
        ({"dimension": "4"}, "disagree"),
        ({"dimension": "three"}, "whole numbers"),
        ({"type": "block"}, "not a number"),
        ({"type": None}, "no type"),
        ({"endian": None}, "no endian"),
        ({"endian": "middle"}, "endian"),
        ({"encoding": "ascii"}, "encoded"),
        ({"encoding": "bzip2"}, "encoded"),
        ({"encoding": None}, "no encoding"),
        ({"space": "scanner-xyz"}, "not anatomical"),
        ({"space": "Jones"}, "not anatomical"),
        ({"space": None}, "not anatomical"),
        ({"space_directions": None}, "no space directions"),
        ({"space_directions": "(2,0,0) (0,1.5,0)"}, "disagree"),
        ({"space_directions": "(2,0) (0,1.5) (0,0)"}, "length"),
        ({"space_directions": "(2,0,0) (0,x,0) (0,0,3)"}, "numbers"),
        ({"space_directions": "(2,0,0) (0,1,0 (0,0,3)"}, "numbers"),
        ({"space_directions": "2,0,0"}, "vectors"),
        ({"space_directions": "(2,0,0) (0,0,0) (0,0,3)"}, "no volume"),
        ({"space_directions": "(2,0,0) (2,0,0) (0,0,3)"}, "no volume"),
        ({"space_directions": "(2,0,0) (0,nan,0) (0,0,3)"}, "no place"),
        ({"space_directions": "(2,0,0) none none"}, "several numbers"),
        ({"space_directions": "none (2,0,0) (0,1,0)", "kinds": "RGB-color domain domain"},
         "colour"),
        ({"space_directions": "none (2,0,0) (0,1,0)", "kinds": "complex domain domain"},
         "several numbers"),
        ({"space_origin": "(1,inf,0)"}, "no place"),
        ({"space_origin": "(1,0)"}, "length"),
        ({"space_origin": "none"}, "length"),
        ({"kinds": "domain"}, "disagree"),
        ({"extra": "sizes: 5 4 3\n"}, "twice"),
        ({"extra": "no field at all\n"}, "without a field"),
        ({"line_skip": "3"}, "skips"),
        ({"byte_skip": "-2"}, "skips"),
        ({"byte_skip": "1000000000000"}, "truncated"),
        ({"byte_skip": "9", "encoding": "gzip"}, "truncated|cannot be read"),
        ({"data_file": "LIST"}, "several files"),
        ({"data_file": "a%03d.raw 1 3 1"}, "several files"),
    ],
)  # fmt: skip
def test_refusals(tmp_path, changed, said):
    refusal(a_file(tmp_path, **changed), said)


@pytest.mark.parametrize(
    "named",
    ["/etc/passwd", "../x.raw", "below/../../x.raw", "..", "C:\\x.raw", "\\\\server\\x.raw",
     "..\\x.raw", "C:x.raw", "//server/x.raw"],
)  # fmt: skip
def test_paths_that_lead_out_of_the_folder(tmp_path, named):
    (tmp_path / "study").mkdir()
    (tmp_path / "x.raw").write_bytes(VALUES.tobytes(order="F"))
    refusal(a_file(tmp_path / "study", b"", data_file=named), "outside its folder")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a pipe of POSIX")
def test_data_files_that_are_none(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    a_file(tmp_path, name="b.nrrd")
    for named, said in (
        ("missing", "missing"),
        ("pipe", "regular"),
        ("folder", "regular"),
        (".", "regular"),
        ("loop", "a link to a file that is not there|cannot be read"),
        ("a.nhdr", "names a header"),
        ("b.nrrd", "names a header"),
        ("x" * 300, "missing|cannot be read"),
    ):
        refusal(a_file(tmp_path, b"", name="a.nhdr", data_file=named), said)


def test_headers_that_do_not_end(tmp_path):
    path = tmp_path / "a.nrrd"
    with path.open("wb") as file:
        file.write(b"NRRD0004\n")
        file.truncate(1 << 33)  # sparse: one line of 8 GB
    refusal(path, "does not end")
    path.write_bytes(b"NRRD0004\n" + b"#" * (1 << 20))
    refusal(path, "does not end")


def test_sizes_that_the_file_cannot_hold(tmp_path):
    refusal(a_file(tmp_path, sizes="3000 3000 1000"), r"truncated: .*18\.0 GB")
    packed = gzip.compress(VALUES.tobytes(order="F"))
    refusal(a_file(tmp_path, packed, sizes="3000 3000 1000", encoding="gzip"), r"18\.0 GB")


def test_gzip_of_several_members_is_read_behind_and_beside_the_header(tmp_path):
    raw = VALUES.tobytes(order="F")
    packed = gzip.compress(raw[:50]) + gzip.compress(raw[50:])
    path = a_file(tmp_path, packed, encoding="gzip")
    np.testing.assert_array_equal(read(path).array, VALUES)
    np.testing.assert_array_equal(
        SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))).T, VALUES
    )
    (tmp_path / "c.raw.gz").write_bytes(packed)
    beside = tmp_path / "c.nhdr"
    beside.write_bytes(header(data_file="c.raw.gz", encoding="gzip"))
    np.testing.assert_array_equal(read(beside).array, VALUES)
    refusal(a_file(tmp_path, packed[:-20], encoding="gzip"), "truncated|cannot be read")


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_every_truncation_is_noticed(tmp_path, encoding):
    noise = np.random.default_rng(0).bytes(120)
    voxels = gzip.compress(noise) if encoding == "gzip" else noise
    refused_wherever_cut(a_file(tmp_path, voxels, encoding=encoding))


def test_decompression_stops_where_the_header_ends_the_voxels(tmp_path, produced, monkeypatch):
    bomb = gzip.compress(bytes(20 << 20))
    refusal(a_file(tmp_path, bomb, encoding="gzip"), "more data than its header promises")
    assert sum(produced) < 10_000
    produced.clear()
    monkeypatch.setattr("iconet.images.reading.LARGEST_EXTENSIONS", 1 << 20)
    refusal(a_file(tmp_path, bomb, encoding="gzip", byte_skip=str(2 << 20)), "skips")
    assert not produced


def test_a_wrong_checksum(tmp_path):
    packed = bytearray(gzip.compress(VALUES.tobytes(order="F"), 0))
    packed[-20] ^= 1
    refusal(a_file(tmp_path, bytes(packed), encoding="gzip"), "cannot be read")


def test_damaged_bytes_end_in_a_scan_or_in_one_line(tmp_path):
    whole = a_file(tmp_path).read_bytes()
    outcomes = same_scan_or_one_line(tmp_path / "a.nrrd", whole, len(header()))
    assert outcomes == {Scan, InputError}


def test_nothing_of_a_patient_is_said(tmp_path):
    path = a_file(tmp_path, extra="PatientName:=Jones\nJones\n")
    assert "Jones" not in refusal(path, "without a field")
    assert "Jones" not in refusal(a_file(tmp_path, space_origin="(Jones,0,0)"), "numbers")
