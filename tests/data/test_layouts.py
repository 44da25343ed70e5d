"""Data sets are found in the folders and names they are published with."""

from pathlib import Path

import pytest

from iconet.data.layouts import find_scans
from iconet.errors import InputError

from .published import fastmri

Rows = list[dict[str, str]]


def touch(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def listed(rows: Rows, *columns: str) -> list[tuple[str, ...]]:
    return [tuple(row[column] for column in columns) for row in rows]


def test_ixi(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "IXI-T1/IXI012-HH-1211-T1.nii.gz",
        "IXI-T1/IXI002-Guys-0828-T1.nii.gz",
        "IXI-T1/._IXI002-Guys-0828-T1.nii.gz",
        "IXI-T2/IXI012-HH-1211-T2.nii.gz",
        "IXI-PD/IXI035-IOP-0873-PD.nii.gz",
        "IXI-MRA/IXI035-IOP-0873-MRA.nii.gz",
        "IXI-DTI/IXI035-IOP-0873-DTI-00.nii.gz",
        "IXI.xls",
        "bvecs.txt",
    )
    rows = find_scans(tmp_path, "ixi", ["T1", "T2", "PD"])
    assert listed(rows, "dataset", "subject", "site", "contrast", "sharp_plane", "path") == [
        ("ixi", "IXI035", "IOP", "PD", "auto", "IXI-PD/IXI035-IOP-0873-PD.nii.gz"),
        ("ixi", "IXI002", "Guys", "T1", "auto", "IXI-T1/IXI002-Guys-0828-T1.nii.gz"),
        ("ixi", "IXI012", "HH", "T1", "auto", "IXI-T1/IXI012-HH-1211-T1.nii.gz"),
        ("ixi", "IXI012", "HH", "T2", "auto", "IXI-T2/IXI012-HH-1211-T2.nii.gz"),
    ]
    everything = {row["contrast"] for row in find_scans(tmp_path, "ixi")}
    assert everything == {"T1", "T2", "PD", "MRA", "DTI"}


HECKTOR = {
    "2022": [
        *(f"imagesTr/CHUM-001__{modality}.nii.gz" for modality in ("CT", "PT")),
        *(f"imagesTs/MDA-201__{modality}.nii.gz" for modality in ("CT", "PT")),
        "labelsTr/CHUM-001.nii.gz",
    ],
    "2025": [  # a patient is in the folder of every task
        *(f"Task 1/CHUM-001/CHUM-001__{modality}.nii.gz" for modality in ("CT", "PT")),
        *(f"Task 2/CHUM-001/CHUM-001__{modality}.nii.gz" for modality in ("CT", "PT")),
        *(f"Task 2/CHUM-001/CHUM-001__{other}.nii.gz" for other in ("CTPlanning", "RTDOSE")),
        *(f"Task 3/MDA-201/MDA-201__{modality}.nii.gz" for modality in ("CT", "PT")),
        "Task 1/CHUM-001/CHUM-001.nii.gz",
    ],
}


@pytest.mark.parametrize("paths", HECKTOR.values(), ids=HECKTOR)
def test_hecktor(tmp_path: Path, paths: list[str]) -> None:
    rows = find_scans(touch(tmp_path, *paths), "hecktor")
    assert listed(rows, "dataset", "subject", "site", "contrast", "sharp_plane") == [
        ("hecktor", "CHUM-001", "CHUM", "CT", "auto"),
        ("hecktor", "CHUM-001", "CHUM", "PT", "auto"),
        ("hecktor", "MDA-201", "MDA", "CT", "auto"),
        ("hecktor", "MDA-201", "MDA", "PT", "auto"),
    ]
    assert {row["contrast"] for row in find_scans(tmp_path, "hecktor", ["PT"])} == {"PT"}


def test_the_older_names_of_hecktor(tmp_path: Path) -> None:
    rows = find_scans(touch(tmp_path, "CHGJ007_ct.nii.gz", "CHGJ007_pt.nii.gz"), "hecktor")
    assert listed(rows, "subject", "site", "contrast") == [
        ("CHGJ007", "CHGJ", "CT"),
        ("CHGJ007", "CHGJ", "PT"),
    ]


def test_bids(tmp_path: Path) -> None:
    root = touch(
        tmp_path / "ds000999",
        "dataset_description.json",
        "sub-01/anat/sub-01_T1w.nii.gz",
        "sub-01/anat/sub-01_T1w.json",
        "sub-01/anat/sub-01_acq-highres_run-02_T2w.nii.gz",
        "sub-01/anat/sub-01_part-phase_T2starw.nii.gz",
        "sub-01/anat/sub-01_part-mag_T2starw.nii.gz",
        "sub-01/anat/sub-01_defacemask.nii.gz",
        "sub-01/func/sub-01_task-rest_bold.nii.gz",
        "sub-02/ses-a/anat/sub-02_ses-a_FLAIR.nii",
        "sub-02/ses-b/anat/sub-02_ses-b_FLAIR.nii",
        "derivatives/fmriprep/sub-01/anat/sub-01_desc-preproc_T1w.nii.gz",
        "sourcedata/sub-01/anat/sub-01_T1w.nii.gz",
        ".git/annex/objects/sub-01_T1w.nii.gz",
    )
    rows = find_scans(root, "bids")
    assert set(listed(rows, "dataset", "subject", "contrast", "path")) == {
        ("ds000999", "sub-01", "T1w", "sub-01/anat/sub-01_T1w.nii.gz"),
        ("ds000999", "sub-01", "T2w", "sub-01/anat/sub-01_acq-highres_run-02_T2w.nii.gz"),
        ("ds000999", "sub-01", "T2starw", "sub-01/anat/sub-01_part-mag_T2starw.nii.gz"),
        ("ds000999", "sub-02", "FLAIR", "sub-02/ses-a/anat/sub-02_ses-a_FLAIR.nii"),
        ("ds000999", "sub-02", "FLAIR", "sub-02/ses-b/anat/sub-02_ses-b_FLAIR.nii"),
    }
    assert {row["contrast"] for row in find_scans(root, "bids", ["FLAIR"])} == {"FLAIR"}


def test_bids_files_that_were_not_downloaded_are_listed(tmp_path: Path) -> None:
    root = touch(tmp_path, "sub-01/anat/sub-01_T1w.nii.gz")
    link = root / "sub-02/anat/sub-02_T1w.nii.gz"
    link.parent.mkdir(parents=True)
    link.symlink_to(root / ".git/annex/objects/nothing")
    assert [row["subject"] for row in find_scans(root, "bids")] == ["sub-01", "sub-02"]


def test_fastmri(tmp_path: Path) -> None:
    for number in range(30):
        fastmri(tmp_path / f"multicoil_train/file{number:07}.h5", patient=f"p{number // 2}")
    for number in range(30, 34):
        fastmri(tmp_path / f"multicoil_val/file{number:07}.h5", acquisition="CORPDFS_FBK")
    fastmri(tmp_path / "multicoil_test/file1.h5", mask=True, reconstruction=False)
    fastmri(tmp_path / "multicoil_test_v2/file2.h5", mask=True, reconstruction=False)
    fastmri(tmp_path / "multicoil_challenge/file3.h5", mask=True, reconstruction=False)
    fastmri(tmp_path / "multicoil_test_full/file4.h5")
    (tmp_path / "multicoil_train/broken.h5").write_bytes(b"no HDF5")
    rows = find_scans(tmp_path, "fastmri")
    assert len(rows) == 36
    assert {row["sharp_plane"] for row in rows} == {"i"}
    split_of = {row["path"]: row["split"] for row in rows}
    tests = {path for path, split in split_of.items() if split == "test"}
    assert tests == {path for path in split_of if "train" not in path}
    # Both files of a patient are in one split, and some patients are for validation.
    of_patient: dict[str, set[str]] = {}
    for row in rows:
        of_patient.setdefault(row["subject"], set()).add(row["split"])
    assert all(len(splits) == 1 for splits in of_patient.values())
    assert {"validation"} in of_patient.values()
    # What cannot be read is kept, to be named when it is to be loaded.
    wanted = find_scans(tmp_path, "fastmri", ["CORPD_FBK"])
    assert {row["contrast"] for row in wanted} == {"CORPD_FBK", ""}
    assert [row["subject"] for row in wanted if not row["contrast"]] == ["broken"]


def test_a_patient_of_fastmri_in_both_folders_is_held_out(tmp_path: Path) -> None:
    for path in ("multicoil_train/a.h5", "multicoil_val/b.h5"):
        fastmri(tmp_path / path, patient="same")
    assert {row["split"] for row in find_scans(tmp_path, "fastmri")} == {"test"}


def test_a_single_folder_of_fastmri_is_divided_as_others_are(tmp_path: Path) -> None:
    for number in range(3):
        fastmri(tmp_path / f"singlecoil_val/file{number}.h5", coils=None)
    splits = {row["split"] for row in find_scans(tmp_path / "singlecoil_val", "fastmri")}
    assert splits == {"train", "validation", "test"}


def test_every_file_of_a_plain_folder_is_a_subject(tmp_path: Path) -> None:
    root = touch(tmp_path / "heads", "b ü.nii.gz", "a.NII", "more/a.nii", "notes.txt", ".c.nii")
    rows = find_scans(root, "folder")
    assert listed(rows, "dataset", "subject", "contrast") == [
        ("heads", "a", ""),
        ("heads", "b ü", ""),
        ("heads", "more/a", ""),
    ]
    # A single contrast in the recipe is what the files are.
    assert {row["contrast"] for row in find_scans(root, "folder", ["CT"])} == {"CT"}


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("{subject}/{contrast}.nii.gz", {("p1", "t1"), ("p1", "t2"), ("p2", "t1")}),
        ("*/{subject}_{contrast}_x.nii", {("7", "flair")}),
        ("{subject}/{subject}.nii", {("p3", "")}),
    ],
)
def test_a_pattern_tells_subject_and_contrast(
    tmp_path: Path, pattern: str, found: set[tuple[str, str]]
) -> None:
    touch(tmp_path, "p1/t1.nii.gz", "p1/t2.nii.gz", "p2/t1.nii.gz", "deep/7_flair_x.nii")
    touch(tmp_path, "p3/p3.nii", "p3/p4.nii", "p1xt1.nii.gz", "deep/7_flairyx.nii")
    rows = find_scans(tmp_path, "folder", pattern=pattern)
    assert set(listed(rows, "subject", "contrast")) == found


def test_all_scans_of_a_subject_are_in_one_split(tmp_path: Path) -> None:
    people = [f"IXI{number:03}" for number in range(60)]
    for contrast in ("T1", "T2"):
        touch(tmp_path, *(f"{contrast}/{who}-HH-1-{contrast}.nii.gz" for who in people))
    rows = find_scans(tmp_path, "ixi")
    t1, t2 = (
        {row["subject"]: row["split"] for row in rows if row["contrast"] == contrast}
        for contrast in ("T1", "T2")
    )
    assert t1 == t2
    assert set(t1.values()) == {"train", "validation", "test"}
    # Nor does it matter which contrasts are asked for.
    assert {row["subject"]: row["split"] for row in find_scans(tmp_path, "ixi", ["T2"])} == t2


@pytest.mark.parametrize("layout", ["ixi", "fastmri", "hecktor", "bids", "folder"])
def test_an_empty_folder_is_said_with_what_was_expected(tmp_path: Path, layout: str) -> None:
    with pytest.raises(InputError, match=r"no file such as .*check data\.root") as error:
        find_scans(tmp_path, layout)
    assert "\n" not in str(error.value)


def test_what_was_asked_for_and_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        find_scans(tmp_path / "nowhere", "ixi")
    touch(tmp_path, "IXI012-HH-1211-T2.nii.gz", "p1/t1.nii.gz")
    with pytest.raises(InputError, match=r"no scan of contrast T1, PD \(there are T2\)"):
        find_scans(tmp_path, "ixi", ["T1", "PD"])
    with pytest.raises(InputError, match=r"no file such as \{subject\}-x\.nii"):
        find_scans(tmp_path, "folder", pattern="{subject}-x.nii")
    with pytest.raises(InputError, match=r"must say where the \{subject\} is"):
        find_scans(tmp_path, "folder", pattern="*.nii.gz")
    with pytest.raises(InputError, match=r"data\.pattern is for data\.layout folder"):
        find_scans(tmp_path, "ixi", pattern="{subject}.nii")
