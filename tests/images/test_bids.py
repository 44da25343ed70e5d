import json
import shutil
import subprocess

import numpy as np
import pytest

from iconet.errors import InputError
from iconet.images import bids


@pytest.mark.parametrize(
    ("name", "derived"),
    [
        ("sub-01_T1w.nii.gz", "sub-01_desc-iconet_T1w.nii.gz"),
        ("sub-01_ses-2_acq-x_run-1_FLAIR.nii", "sub-01_ses-2_acq-x_run-1_desc-iconet_FLAIR.nii"),
        ("sub-01_desc-preproc_T1w.nii.gz", "sub-01_desc-preprocIconet_T1w.nii.gz"),
        ("sub-01_space-x_res-2_T1w.nii.gz", "sub-01_space-x_desc-iconet_T1w.nii.gz"),
    ],
)
def test_names_of_derivatives(name, derived):
    assert bids.derivative_name(name, "iconet") == derived


def test_a_folder_is_a_dataset_by_its_description_and_its_people(tmp_path):
    assert not bids.is_dataset(tmp_path)
    description = tmp_path / "dataset_description.json"
    description.write_text('{"Name": "x", "BIDSVersion": "1.8.0"}')
    assert not bids.is_dataset(tmp_path)
    (tmp_path / "sub-1").mkdir()
    assert bids.is_dataset(tmp_path)
    description.write_text("{}")
    assert not bids.is_dataset(tmp_path)


@pytest.mark.parametrize("damaged", ["", "[]", "[" * 100000, "\0", '{"BIDSVersion": }'])
def test_a_description_that_cannot_be_read_is_named(tmp_path, damaged):
    (tmp_path / "sub-1").mkdir()
    description = tmp_path / "dataset_description.json"
    description.write_text(damaged)
    with pytest.raises(InputError) as error:
        bids.is_dataset(tmp_path)
    assert str(error.value).startswith(f"{description}: ") and ";" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_a_description_in_other_encodings_is_read(tmp_path, encoding):
    text = json.dumps({"Name": "Universit\u00e9", "BIDSVersion": "1.8.0"}, ensure_ascii=False)
    (tmp_path / "sub-1").mkdir()
    (tmp_path / "dataset_description.json").write_bytes(text.encode(encoding))
    assert bids.is_dataset(tmp_path)
    assert bids.read_json(tmp_path / "dataset_description.json")["Name"] == "Universit\u00e9"


def test_sidecars_are_read_as_descriptions_are(tmp_path):
    image, sidecar = tmp_path / "sub-1_T1w.nii.gz", tmp_path / "sub-1_T1w.json"
    grid = {"spacing": [1, 1, 2]}
    report = {"models": [], "notice": "", "input": grid, "output": grid}
    assert bids.sidecar_content(report, image, tmp_path)["SkullStripped"] is False
    sidecar.write_bytes(b'\xef\xbb\xbf{"SkullStripped": true, "Who": "\xc3\xa9"}')
    assert bids.sidecar_content(report, image, tmp_path)["SkullStripped"] is True
    sidecar.write_bytes(b"{'SkullStripped': true}")
    with pytest.raises(InputError, match=r"sub-1_T1w.json: is not JSON \(line 1, column 2\); "):
        bids.sidecar_content(report, image, tmp_path)


def test_the_description_is_renewed_and_never_that_of_another_dataset(tmp_path):
    raw, other, out = tmp_path / "raw", tmp_path / "other", tmp_path / "out"
    for folder in (raw, other, out):
        folder.mkdir()
    (raw / bids.DESCRIPTION).write_text(
        json.dumps({"Name": "Größe", "BIDSVersion": "1.8.0", "DatasetDOI": "doi:10.1/2"})
    )
    bids.describe_derivative(out, raw, version="1")
    bids.describe_derivative(out, raw, version="2")
    written = json.loads((out / bids.DESCRIPTION).read_text("utf-8"))
    assert written["GeneratedBy"][0]["Version"] == "2"
    assert written["SourceDatasets"] == [{"DOI": "doi:10.1/2"}]
    assert written["DatasetLinks"] == {"raw": "../raw"} and "Größe" in written["Name"]
    with pytest.raises(InputError, match="another dataset"):
        bids.describe_derivative(out, other, version="2")
    assert json.loads((out / bids.DESCRIPTION).read_text("utf-8")) == written


def test_a_sidecar_of_an_interpolation_names_no_model(tmp_path):
    grid = {"spacing": [1, 1, 2]}
    report = {"models": [], "notice": "For research.", "input": grid, "output": grid}
    said = bids.sidecar_content(report, tmp_path / "sub-1_pet.nii", tmp_path)
    assert said["Description"] == "Interpolation by iconet. For research."


@pytest.mark.skipif(
    shutil.which("bids-validator-deno") is None, reason="bids-validator-deno is not installed"
)
def test_the_official_validator_finds_no_error(tmp_path):
    import nibabel

    raw, out = tmp_path / "raw", tmp_path / "out"
    (raw / "sub-01/anat").mkdir(parents=True)
    (raw / bids.DESCRIPTION).write_text('{"Name": "x", "BIDSVersion": "1.8.0"}')
    image = nibabel.Nifti1Image(np.ones((8, 8, 2), np.int16), np.eye(4))
    image.header.set_xyzt_units("mm", "sec")
    source = raw / "sub-01/anat/sub-01_T1w.nii.gz"
    image.to_filename(source)
    assert bids.scans(bids.people(raw)) == [source]
    derived = out / "sub-01/anat" / bids.derivative_name(source.name, "iconet")
    derived.parent.mkdir(parents=True)
    image.to_filename(derived)
    report = {
        "models": [{"name": "mri-x2"}],
        "notice": "Research use.",
        "input": {"spacing": [1.0, 1.0, 1.0]},
        "output": {"spacing": [0.5, 0.5, 1.0]},
    }
    content = bids.sidecar_content(report, source, raw)
    assert content["SkullStripped"] is False
    bids.sidecar(source).write_text('{"SkullStripped": true}')
    content = bids.sidecar_content(report, source, raw)
    assert content["SkullStripped"] is True
    bids.sidecar(derived).write_text(json.dumps(content))
    bids.describe_derivative(out, raw, version="1")
    (out / ".iconet.jsonl").write_text("\n{}")
    command = ["bids-validator-deno", "--format", "json", str(out)]
    result = json.loads(subprocess.run(command, capture_output=True, text=True).stdout)
    issues = [i for i in result["issues"]["issues"] if i.get("severity") == "error"]
    assert result["summary"]["totalFiles"] >= 3
    assert issues == []
