"""Segments of 3D Slicer: names stay, extents follow the grid."""

import gzip

import numpy as np
import pytest
import SimpleITK

from iconet import cli
from iconet.errors import InputError
from iconet.images import read
from iconet.images.writing import check_output

SHAPE = (24, 20, 6)
KEYS = {
    "Segment0_ID": "Segment_1",
    "Segment0_Name": "Tumour, left, größer",
    "Segment0_Color": "0.5 0.68 0.5",
    "Segment0_LabelValue": "2",
    "Segment0_Layer": "0",
    "Segment0_Extent": "4 11 5 14 1 4",
    "Segment0_Tags": "Segmentation.Status:inprogress|TerminologyEntry:Segmentation~SCT^85756007|",
    "Segment1_ID": "Segment_2",
    "Segment1_LabelValue": "5",
    "Segment1_Layer": "0",
    "Segment1_Extent": "6 8 7 9 2 3",
    "Segment2_ID": "Empty",
    "Segment2_LabelValue": "9",
    "Segment2_Layer": "0",
    "Segment2_Extent": "0 -1 0 -1 0 -1",
    "Segmentation_ReferenceImageExtentOffset": "3 -2 1",
    "Segmentation_MasterRepresentation": "Binary labelmap",
}


def voxels():
    made = np.zeros(SHAPE, np.uint8)
    made[4:12, 5:15, 1:5] = 2
    made[6:9, 7:10, 2:4] = 5
    return made


def segmentation(path, array=None, keys=KEYS):
    array = voxels() if array is None else array
    layered = array.ndim == 4
    directions = "(1,0,0) (0,1,0) (0,0,4)"
    header = [
        "NRRD0004",
        "type: uchar",
        f"dimension: {array.ndim}",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, array.shape))}",
        f"space directions: {'none ' * layered}{directions}",
        f"kinds: {'list ' * layered}domain domain domain",
        "encoding: gzip",
        "space origin: (0,0,0)",
        *(f"{key}:={text}" for key, text in keys.items()),
    ]
    content = "\n".join(header).encode() + b"\n\n" + gzip.compress(array.tobytes(order="F"))
    path.write_bytes(content)
    return path


def upscaled(path, *options):
    out = path.with_name("out.seg.nrrd")
    assert cli.run(["upscale", str(path), "-o", str(out), *options]) == 0
    return read(out)


@pytest.mark.parametrize("options", [(), ("--axes", "k"), ("--spacing", "0.5x0.5x1")])
def test_names_and_values_stay_and_extents_are_those_of_the_voxels(tmp_path, options):
    path = segmentation(tmp_path / "tumour.seg.nrrd")
    scan = upscaled(path, *options)
    assert scan.keywords.keys() == KEYS.keys()
    same = [key for key in KEYS if not key.endswith(("Extent", "ExtentOffset"))]
    assert {key: scan.keywords[key] for key in same} == {key: KEYS[key] for key in same}
    assert scan.dtype == np.uint8 and set(np.unique(scan.array)) == {0, 2, 5}
    theirs = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path.with_name("out.seg.nrrd")))).T
    for segment, label in (("Segment0", 2), ("Segment1", 5)):
        there = np.argwhere(theirs == label)
        ends = np.stack([there.min(axis=0), there.max(axis=0)]).T.ravel()
        assert scan.keywords[f"{segment}_Extent"] == " ".join(map(str, ends))
    assert scan.keywords["Segment2_Extent"] == KEYS["Segment2_Extent"]
    factors = [new // old for new, old in zip(theirs.shape, SHAPE, strict=True)]
    offset = " ".join(str(n * f) for n, f in zip((3, -2, 1), factors, strict=True))
    assert scan.keywords["Segmentation_ReferenceImageExtentOffset"] == offset


def test_layers_may_overlap(tmp_path):
    layers = np.stack([voxels(), np.where(np.ogrid[:24][:, None, None] < 8, 1, voxels() * 0)])
    keys = {**KEYS, "Segment1_LabelValue": "1", "Segment1_Layer": "1"}
    path = segmentation(tmp_path / "a.seg.nrrd", layers.astype(np.uint8), keys)
    scan = upscaled(path)
    assert scan.array.shape == (48, 40, 6, 2)
    assert scan.keywords["Segment1_Extent"] == "0 15 0 39 0 5"
    assert set(np.unique(scan.array[..., 0])) == {0, 2, 5}


def test_a_format_without_names_is_refused(tmp_path):
    scan = read(segmentation(tmp_path / "a.seg.nrrd"))
    with pytest.raises(InputError, match=r"names of the segments .*; write \.seg\.nrrd"):
        check_output(tmp_path / "out.nii.gz", like=scan)
