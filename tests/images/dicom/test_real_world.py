"""Quantitative MR is read in its units, and a derived series says them again."""

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence

from iconet.images import read
from iconet.images.dicom.derived import write_series

from ..scanned import MADE, code, finer
from ..slices import AFFINE, enhanced_of, every, numbers, refusal, save, save_all, slices_of


def mapping(slope=0.25, intercept=10.0, unit="ms"):
    made = Dataset()
    made.RealWorldValueSlope, made.RealWorldValueIntercept = slope, intercept
    made.RealWorldValueFirstValueMapped, made.RealWorldValueLastValueMapped = 0, 4095
    made.LUTLabel = made.LUTExplanation = "T1"
    made.MeasurementUnitsCodeSequence = [code(unit, "UCUM", unit)]
    return made


def series(folder, *mappings, modality="MR", slope=2.0):
    stored = numbers()
    slices = slices_of(stored, AFFINE, [slope] * 4, intercept=-7)
    every(slices, Modality=modality, RealWorldValueMappingSequence=Sequence(mappings))
    return stored, save_all(slices, folder)


def test_values_are_those_in_units_not_the_rescaled_ones(tmp_path):
    stored, folder = series(tmp_path / "in", mapping())
    scan = read(folder)
    np.testing.assert_allclose(scan.array, stored * 0.25 + 10)
    assert scan.header["descrip"].tobytes().rstrip(b"\0") == b"values in ms"


def test_an_enhanced_file_has_its_mapping_in_functional_groups(tmp_path):
    stored = numbers()
    made = enhanced_of(stored, AFFINE, [2.0] * 4, range(4))
    for frame in made.PerFrameFunctionalGroupsSequence:
        frame.RealWorldValueMappingSequence = Sequence([mapping()])
    scan = read(save(made, tmp_path / "enhanced.dcm"))
    np.testing.assert_allclose(scan.array, stored * 0.25 + 10)
    files = write_series(finer(scan), scan.dicom, tmp_path / "out", provenance=MADE)
    assert_says(files, finer(scan), finer(scan).array * 8 - 80 - 100)


@pytest.mark.parametrize("modality", ["CT", "PT"])
def test_other_modalities_are_in_units_by_their_rescale(tmp_path, modality):
    stored, folder = series(tmp_path / "in", mapping(unit="g/ml{SUVbw}"), modality=modality)
    np.testing.assert_allclose(read(folder).array, stored * 2 - 7)


def test_a_mapping_without_units_changes_nothing(tmp_path):
    stored, folder = series(tmp_path / "in", mapping(unit="1"))
    np.testing.assert_allclose(read(folder).array, stored * 2 - 7)


def assert_says(files, scan, rescaled):
    """A derived series' stored numbers mean the same by both of its lines."""
    for k, path in enumerate(files):
        image = pydicom.dcmread(path)
        stored = image.pixel_array.astype(float)
        (said,) = image.RealWorldValueMappingSequence
        made = stored * said.RealWorldValueSlope + said.RealWorldValueIntercept
        step = abs(said.RealWorldValueSlope)
        assert np.abs(made - scan.array[:, :, k].T).max() <= 0.51 * step
        assert said.RealWorldValueFirstValueMapped <= stored.min()
        assert stored.max() <= said.RealWorldValueLastValueMapped
        assert said.MeasurementUnitsCodeSequence[0].CodeValue == "ms"
        made = stored * float(image.RescaleSlope) + float(image.RescaleIntercept)
        assert np.abs(made - rescaled[:, :, k].T).max() <= 0.51 * abs(float(image.RescaleSlope))


def test_a_derived_series_says_both_lines_again(tmp_path):
    _, folder = series(tmp_path / "in", mapping())
    scan = read(folder)
    bigger = finer(scan)
    files = write_series(bigger, scan.dicom, tmp_path / "out", provenance=MADE)
    assert_says(files, bigger, (bigger.array - 10) / 0.25 * 2 - 7)
    np.testing.assert_allclose(read(tmp_path / "out").array, bigger.array, atol=0.51)


def test_uptake_values_of_pet_stay(tmp_path):
    stored, folder = series(tmp_path / "in", mapping(0.5, 0.0, "ms"), modality="PT", slope=4.0)
    scan = read(folder)
    files = write_series(finer(scan), scan.dicom, tmp_path / "out", provenance=MADE)
    image = pydicom.dcmread(files[2])
    (said,) = image.RealWorldValueMappingSequence
    values = image.pixel_array * said.RealWorldValueSlope + said.RealWorldValueIntercept
    assert np.abs(values - stored[:, :, 2].T.repeat(2, 0).repeat(2, 1) * 0.5).max() < 0.1


def test_several_units_and_tables_are_refused(tmp_path):
    _, folder = series(tmp_path / "units", mapping(), mapping(unit="s"))
    assert "several units (ms, s)" in refusal(folder)
    table = mapping()
    del table.RealWorldValueSlope
    table.RealWorldValueLUTData = [1.0, 2.0]
    _, folder = series(tmp_path / "table", table)
    assert "lookup table" in refusal(folder)
    slices = slices_of(numbers(), AFFINE)
    every(slices, Modality="MR")
    slices[0].RealWorldValueMappingSequence = Sequence([mapping()])
    assert "different units" in refusal(save_all(slices, tmp_path / "mixed"))
