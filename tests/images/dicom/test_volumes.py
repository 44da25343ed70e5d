"""Series of several volumes: which there are, their order, one of them or all as 4-D."""

import numpy as np
import pytest
from pydicom.sequence import Sequence

from iconet.errors import InputError
from iconet.images.dicom.derived import write_series
from iconet.images.dicom.derived_header import Provenance
from iconet.images.dicom.series import read_series

from ...images.slices import (
    AFFINE,
    OBLIQUE,
    enhanced_of,
    every,
    image,
    items,
    numbers,
    refusal,
    save,
    save_all,
    slices_of,
)


def volumes(count):
    return [numbers() + 10 * v for v in range(count)]


def series(folder, stored, *, order="volumes", **elements):
    """Volumes at the same places; each element is a list of values, one a volume."""
    stacks = [slices_of(values, AFFINE) for values in stored]
    for v, stack in enumerate(stacks):
        every(stack, **{keyword: values[v] for keyword, values in elements.items()})
    if order == "volumes":
        flat = [made for stack in stacks for made in stack]
    else:
        flat = [made for slices in zip(*stacks, strict=True) for made in slices]
    for number, made in enumerate(flat, 1):
        if order is not None:
            made.InstanceNumber = number
    return save_all(flat, folder, seed=5)


def holds(scan, stored):
    expected = np.stack(stored, -1) if len(stored) > 1 else stored[0]
    np.testing.assert_array_equal(scan.array, expected - np.float32(100))
    np.testing.assert_allclose(scan.affine, AFFINE, atol=1e-9)


TELLING = {
    "echo time 20 ms": {"EchoTime": [80, 20]},
    "b-value 0": {"DiffusionBValue": [1000.0, 0.0]},
    "inversion time 300 ms": {"InversionTime": [900, 300]},
    "flip angle 4": {"FlipAngle": [18, 4]},
    "time point 1": {"TemporalPositionIdentifier": [2, 1]},
    "trigger time 10 ms": {"TriggerTime": [600, 10]},
    "acquisition 1": {"AcquisitionNumber": [2, 1]},
    "echo 1": {"EchoNumbers": [2, 1]},
}


@pytest.mark.parametrize("label", TELLING)
@pytest.mark.parametrize("order", ["volumes", "slices", None])
def test_what_tells_volumes_apart_orders_and_names_them(tmp_path, label, order):
    first, second = volumes(2)
    folder = series(tmp_path, [first, second], order=order, **TELLING[label])
    scan = read_series(folder)
    holds(scan, [second, first])  # in ascending order
    (line,) = scan.remarks
    assert f"2 volumes, read as a 4-D series: 1 ({label}), 2 (" in line
    assert scan.header.get_data_shape() == (5, 7, 4, 2)
    assert len(scan.dicom) == 8
    one = read_series(folder, volume=1)
    holds(one, [second])
    assert one.remarks == () and len(one.dicom) == 4
    holds(read_series(folder, volume=2), [first])


def test_private_b_values_and_several_directions(tmp_path):
    stored = volumes(4)
    folder = tmp_path / "in"
    stacks = [slices_of(values, AFFINE) for values in stored]
    for stack, b in zip(stacks, [0, 1000, 1000, 500], strict=True):
        for made in stack:
            made.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", b)
    flat = [made for stack in stacks for made in stack]
    for number, made in enumerate(flat, 1):
        made.InstanceNumber = number
    save_all(flat, folder)
    scan = read_series(folder)
    holds(scan, [stored[v] for v in (0, 3, 1, 2)])
    assert "1 (b-value 0), 2 (b-value 500), 3 (b-value 1000), 4 (b-value 1000)" in scan.remarks[0]
    holds(read_series(folder, volume=4), [stored[2]])


def test_instance_numbers_alone_order_a_series_in_time(tmp_path):
    stored = volumes(3)
    for order in ("volumes", "slices"):
        folder = series(tmp_path / order, stored, order=order)
        holds(read_series(folder), stored)


def test_a_trait_that_changes_from_slice_to_slice_tells_nothing(tmp_path):
    stored = volumes(2)
    folder = tmp_path / "in"
    stacks = [slices_of(values, AFFINE) for values in stored]
    flat = [made for stack in stacks for made in stack]
    for number, made in enumerate(flat, 1):
        made.InstanceNumber, made.TriggerTime = number, (number * 37) % 11
    save_all(flat, folder)
    holds(read_series(folder), stored)


def test_magnitude_and_phase_are_not_mixed(tmp_path):
    types = [["ORIGINAL", "PRIMARY", "P", "ND"], ["ORIGINAL", "PRIMARY", "M", "ND"]]
    stored = volumes(2)
    folder = series(tmp_path, stored, ImageType=types)
    line = refusal(folder)
    assert line.endswith("choose one volume by --volume: 1 (magnitude), 2 (phase)")
    holds(read_series(folder, volume=1), [stored[1]])


def test_volumes_that_are_not_there(tmp_path):
    folder = series(tmp_path / "two", volumes(2), EchoTime=[20, 80])
    for number in (0, 3, -1):
        line = refusal(folder, volume=number)
        assert f"has no volume {number}; choose --volume 1 to 2: 1 (echo time 20 ms)" in line
    one = save_all(slices_of(numbers(), AFFINE), tmp_path / "one")
    assert read_series(one, volume=1).array.shape == (5, 7, 4)
    assert "has no volume 2; choose --volume 1" in refusal(one, volume=2)


def test_incomplete_volumes_and_copies(tmp_path):
    folder = series(tmp_path / "incomplete", volumes(2), EchoTime=[20, 80])
    (folder / "003.dcm").unlink()
    assert "7 slices at 4 positions, 1 at one and 2 at another" in refusal(folder)
    copies = series(tmp_path / "copies", [numbers()] * 2, order=None)
    assert "which nothing in their headers tells apart" in refusal(copies)


def enhanced(stored, times):
    """One multi-frame image of several echoes, its frames slice after slice."""
    single = enhanced_of(numbers(), OBLIQUE, [1] * 4, order=range(4))
    frames = [stored[v][:, :, k].T for k in range(4) for v in range(len(stored))]
    made = image(np.ascontiguousarray(np.stack(frames)), single.SOPClassUID)
    made.Modality, made.NumberOfFrames = "MR", len(frames)
    made.SharedFunctionalGroupsSequence = single.SharedFunctionalGroupsSequence
    groups = []
    for k in range(4):
        of_slice = single.PerFrameFunctionalGroupsSequence[k]
        for time in times:
            groups += items(
                PlanePositionSequence=of_slice.PlanePositionSequence,
                PixelValueTransformationSequence=of_slice.PixelValueTransformationSequence,
                MREchoSequence=items(EffectiveEchoTime=float(time)),
            )
    made.PerFrameFunctionalGroupsSequence = Sequence(groups)
    return made


def test_echoes_of_an_enhanced_image(tmp_path):
    stored = volumes(2)
    path = save(enhanced(stored, [80, 20]), tmp_path / "enhanced.dcm")
    scan = read_series(path)
    np.testing.assert_array_equal(scan.array, np.stack(stored[::-1], -1) - np.float32(100))
    one = read_series(path, volume=2)
    np.testing.assert_array_equal(one.array, stored[0] - np.float32(100))
    assert one.frames == (0, 2, 4, 6)


def test_a_derived_series_takes_the_headers_of_its_own_echo(tmp_path):
    path = save(enhanced(volumes(2), [80, 20]), tmp_path / "enhanced.dcm")
    one = read_series(path, volume=2)
    provenance = Provenance("iconet", "1", None, None, 1.0)
    made = write_series(one, one.dicom, tmp_path / "out", provenance=provenance)
    again = read_series(tmp_path / "out")
    assert {float(header.EchoTime) for header in again.dicom} == {80}
    assert len(made) == 4
    with pytest.raises(InputError, match="write its volumes one by one"):
        series_of_all = read_series(path)
        write_series(series_of_all, series_of_all.dicom, tmp_path / "all", provenance=provenance)
