import gzip
import os
import zlib

import numpy as np
import pytest
import SimpleITK

from iconet.errors import InputError
from iconet.images import Scan, read

from ...images.text_headed import refusal, refused_wherever_cut, same_scan_or_one_line

SHAPE = (5, 4, 3)
VALUES = np.arange(60, dtype="<i2").reshape(SHAPE, order="F")
FIELDS = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False",
    "TransformMatrix": "0 1 0 0 0 1 1 0 0",
    "Offset": "10 20 30",
    "CenterOfRotation": "7 7 7",
    "AnatomicalOrientation": "RAI",
    "ElementSpacing": "2 1.5 3",
    "DimSize": "5 4 3",
    "ElementType": "MET_SHORT",
    "ElementDataFile": "LOCAL",
}
# Voxel axis 0 runs along P in steps of 2 mm, 1 along S in steps of 1.5, 2 along L in steps of 3.
AFFINE = np.array([[0, 0, -3, -10], [-2, 0, 0, -20], [0, 1.5, 0, 30], [0, 0, 0, 1.0]])


def header(*, extra=(), **changed):
    """A header with some fields replaced, or left out where they are None."""
    fields = FIELDS | changed
    last = fields.pop("ElementDataFile")
    lines = [f"{key} = {text}" for key, text in fields.items() if text is not None]
    lines += [*extra, *([] if last is None else [f"ElementDataFile = {last}"])]
    return ("\n".join(lines) + "\n").encode()


def a_file(folder, voxels=None, name="a.mha", **changed):
    data = VALUES.tobytes(order="F") if voxels is None else voxels
    (folder / name).write_bytes(header(**changed) + data)
    return folder / name


def test_values_and_place(tmp_path):
    path = a_file(tmp_path)
    scan = read(path)
    np.testing.assert_array_equal(scan.array, VALUES)
    np.testing.assert_allclose(scan.affine, AFFINE, atol=1e-12)
    image = SimpleITK.ReadImage(str(path))
    found = np.array(image.TransformIndexToPhysicalPoint([4, 3, 2])) * [-1, -1, 1]
    np.testing.assert_allclose(found, AFFINE[:3] @ [4, 3, 2, 1])


def test_other_spellings_that_simpleitk_takes_too(tmp_path):
    whole = header().decode()
    whole = whole.replace("Offset", "Position").replace("TransformMatrix", "Orientation")
    whole = whole.replace("ElementSpacing = ", "ElementSize=").replace("False", "false")
    path = tmp_path / "a.mha"
    path.write_bytes(whole.encode() + VALUES.tobytes(order="F"))
    np.testing.assert_allclose(read(path).affine, AFFINE, atol=1e-12)
    image = SimpleITK.ReadImage(str(path))
    found = np.array(image.TransformIndexToPhysicalPoint([4, 3, 2])) * [-1, -1, 1]
    np.testing.assert_allclose(found, AFFINE[:3] @ [4, 3, 2, 1])


def test_without_a_matrix_the_axes_are_those_of_the_world(tmp_path):
    path = a_file(tmp_path, TransformMatrix=None, Offset=None, CenterOfRotation=None)
    np.testing.assert_allclose(read(path).affine, np.diag([-2, -1.5, 3, 1]), atol=1e-12)


def test_byte_orders_and_compression(tmp_path):
    raw, big = VALUES.tobytes(order="F"), VALUES.astype(">i2").tobytes(order="F")
    for voxels, changed in (
        (big, {"BinaryDataByteOrderMSB": "True"}),
        (big, {"BinaryDataByteOrderMSB": None, "extra": ["ElementByteOrderMSB = True"]}),
        (zlib.compress(raw), {"CompressedData": "True"}),
        (gzip.compress(raw), {"CompressedData": "True"}),
        (gzip.compress(raw[:9]) + gzip.compress(raw[9:]), {"CompressedData": "True"}),
    ):
        np.testing.assert_array_equal(read(a_file(tmp_path, voxels, **changed)).array, VALUES)


@pytest.mark.parametrize("name", ["a.mha", "a.mhd"])
def test_what_simpleitk_compressed(tmp_path, name):
    image = SimpleITK.GetImageFromArray(VALUES.T)
    SimpleITK.WriteImage(image, str(tmp_path / name), useCompression=True)
    scan = read(tmp_path / name)
    np.testing.assert_array_equal(scan.array, VALUES)
    assert scan.data_path == (tmp_path / "a.zraw" if name == "a.mhd" else None)


def test_a_detached_file_behind_a_header_of_its_own(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "v.raw").write_bytes(b"other header" + VALUES.tobytes(order="F"))
    for size in ("12", "-1"):
        path = a_file(tmp_path, b"", name="a.mhd", HeaderSize=size, ElementDataFile="below/v.raw")
        scan = read(path)
        np.testing.assert_array_equal(scan.array, VALUES)
        assert scan.data_path == tmp_path / "below" / "v.raw"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"ObjectType": "Scene"}, "not an image"),
        ({"NDims": None}, "no NDims"),
        ({"NDims": "4"}, "disagree"),
        ({"NDims": "x"}, "whole numbers"),
        ({"DimSize": None}, "no DimSize"),
        ({"DimSize": "5 4 3.5"}, "whole numbers"),
        ({"DimSize": "5 4 -3"}, "no voxels"),
        ({"DimSize": "5 4 0"}, "no voxels"),
        ({"DimSize": "5 4 " + "9" * 5000}, "whole numbers"),
        ({"DimSize": "5 4 " + "9" * 19}, "truncated"),
        ({"DimSize": "60", "NDims": "1"}, "1-D"),
        ({"ElementType": "MET_STRING"}, "not a number"),
        ({"ElementType": "MET_UCHAR_ARRAY"}, "several numbers"),
        ({"ElementNumberOfChannels": "3"}, "several numbers"),
        ({"BinaryData": "False"}, "written as text"),
        ({"ElementSpacing": None}, "no ElementSpacing"),
        ({"ElementSpacing": "2 1.5"}, "must be 3 numbers"),
        ({"ElementSpacing": "2 1.5 x"}, "must be numbers"),
        ({"ElementSpacing": "2 1.5 0"}, "positive"),
        ({"ElementSpacing": "2 1.5 -3"}, "positive"),
        ({"ElementSpacing": "2 1.5 nan"}, "positive"),
        ({"TransformMatrix": "1 0 0 0 1 0"}, "must be 9 numbers"),
        ({"TransformMatrix": "1 0 0 1 0 0 0 0 1"}, "no volume"),
        ({"TransformMatrix": "1 0 0 0 nan 0 0 0 1"}, "no place"),
        ({"Offset": "10 inf 30"}, "no place"),
        ({"Offset": "10 20 \uff13"}, "must be numbers"),
        ({"ElementToIntensityFunctionSlope": "2"}, "ElementToIntensityFunction"),
        ({"HeaderSize": "-2"}, "HeaderSize"),
        ({"HeaderSize": "3"}, "HeaderSize"),
        ({"extra": ["NDims = 3"]}, "twice"),
        ({"extra": ["what is this"]}, "not a MetaImage"),
        ({"ElementDataFile": "LIST"}, "several files"),
        ({"ElementDataFile": "a%03d.raw 1 3 1"}, "several files"),
        ({"ElementDataFile": None}, "not a MetaImage|not text"),
        ({"ElementDataFile": ""}, "no ElementDataFile"),
    ],
)
def test_refusals(tmp_path, changed, said):
    refusal(a_file(tmp_path, **changed), said)


def test_a_series_that_mixes_space_and_time(tmp_path):
    matrix = np.eye(4)
    matrix[3, 0] = 0.1
    path = a_file(
        tmp_path,
        NDims="4",
        DimSize="5 4 3 1",
        ElementSpacing="1 1 1 1",
        Offset="0 0 0 0",
        TransformMatrix=" ".join(map(str, matrix.ravel())),
    )
    refusal(path, "space and time")


@pytest.mark.parametrize("named", ["/etc/passwd", "../x.raw", "C:\\x.raw", "..\\x.raw"])
def test_paths_that_lead_out_of_the_folder(tmp_path, named):
    (tmp_path / "study").mkdir()
    (tmp_path / "x.raw").write_bytes(VALUES.tobytes(order="F"))
    path = a_file(tmp_path / "study", b"", name="a.mhd", ElementDataFile=named)
    refusal(path, "outside its folder")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a pipe of POSIX")
def test_data_files_that_are_none(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    a_file(tmp_path, name="b.mha")
    for named, said in (
        ("missing", "missing"),
        ("pipe", "regular"),
        ("a.mhd", "names a header"),
        ("b.mha", "names a header"),
    ):
        refusal(a_file(tmp_path, b"", name="a.mhd", ElementDataFile=named), said)


def test_headers_that_do_not_end(tmp_path):
    path = tmp_path / "a.mha"
    with path.open("wb") as file:
        file.write(b"ObjectType = Image\n")
        file.truncate(1 << 33)  # sparse: one line of 8 GB
    refusal(path, "does not end")


def test_sizes_that_the_file_cannot_hold(tmp_path):
    refusal(a_file(tmp_path, DimSize="3000 3000 1000"), r"truncated: .*18\.0 GB")
    packed = zlib.compress(VALUES.tobytes(order="F"))
    changed = {"DimSize": "3000 3000 1000", "CompressedData": "True"}
    refusal(a_file(tmp_path, packed, **changed), r"truncated: .*18\.0 GB")


def test_decompression_stops_where_the_header_ends_the_voxels(tmp_path, produced):
    bomb = zlib.compress(bytes(20 << 20))
    refusal(a_file(tmp_path, bomb, CompressedData="True"), "more data than its header promises")
    assert sum(produced) < 10_000


@pytest.mark.parametrize("compressed", [False, True])
def test_every_truncation_is_noticed(tmp_path, compressed):
    noise = np.random.default_rng(0).bytes(120)
    voxels = zlib.compress(noise) if compressed else noise
    refused_wherever_cut(a_file(tmp_path, voxels, CompressedData=str(compressed)))


def test_damaged_bytes_end_in_a_scan_or_in_one_line(tmp_path):
    whole = a_file(tmp_path).read_bytes()
    outcomes = same_scan_or_one_line(tmp_path / "a.mha", whole, len(header()))
    assert outcomes == {Scan, InputError}


def test_nothing_of_a_patient_is_said(tmp_path):
    assert "Jones" not in refusal(a_file(tmp_path, extra=["Jones"]), "not a MetaImage")
    assert "Jones" not in refusal(a_file(tmp_path, Offset="Jones 0 0"), "must be")
