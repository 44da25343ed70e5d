"""The table of kinds in the documentation, row by row: how each is recognised and what happens."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset
from pydicom.sequence import Sequence

import iconet
from iconet import cli

from .images.mosaics import mosaic_of
from .images.slices import AFFINE, every, save, save_all, slices_of
from .images.text_headers.test_segments import segmentation

SHAPE = (24, 20, 4)
RNG = np.random.default_rng(0)
X, Y = np.ogrid[-1:1:24j, -1:1:20j]
INSIDE = (np.hypot(X, Y) < 0.8)[..., None] & np.ones(SHAPE, bool)
MR = np.abs(np.where(INSIDE, RNG.normal(800, 100, SHAPE), RNG.normal(0, 15, SHAPE)))
FIELD = RNG.normal(0, 40, SHAPE) + 100 * X[..., None]
LABELS = (np.where(np.hypot(X, Y) < 0.4, 41, 2)[..., None] * INSIDE).astype(np.int16)
MASK = INSIDE.astype(np.float32)
SHARE = RNG.uniform(0, 1, SHAPE)
PHASE = np.angle(np.exp(1j * (9 * (X**2 + Y)[..., None] + RNG.normal(0, 0.1, SHAPE))))
BODY = np.where(INSIDE, RNG.normal(40, 10, SHAPE), RNG.normal(-1000, 5, SHAPE)).astype(np.int16)


def nifti(name, array, sidecar=None, **header):
    def make(folder):
        image = nibabel.Nifti1Image(array, np.diag([-1.0, 1, 4, 1]))
        image.header.set_xyzt_units("mm", header.pop("time", "sec"))
        for key, value in header.items():
            image.header[key] = value
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.to_filename(path)
        if sidecar is not None:
            path.with_name(name.split(".")[0] + ".json").write_text(json.dumps(sidecar))
        return path

    return make


def dicom(array=MR, modality="MR", **elements):
    def make(folder):
        slices = slices_of(np.asarray(array, np.int16), AFFINE, intercept=0)
        every(slices, Modality=modality, **elements)
        return save_all(slices, folder / "series")

    return make


def image_type(*values):
    return {"ImageType": ["ORIGINAL", "PRIMARY", *values]}


def ge(number):
    def make(folder):
        slices = slices_of(MR.astype(np.int16), AFFINE, intercept=0)
        every(slices, Modality="MR")
        for each in slices:
            each.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x2F, "SS", number)
        return save_all(slices, folder / "series")

    return make


def mapped(folder):
    mapping, unit = Dataset(), Dataset()
    unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning = "ms", "UCUM", "ms"
    mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = 2.0, 0.0
    mapping.MeasurementUnitsCodeSequence = [unit]
    return dicom(RealWorldValueMappingSequence=Sequence([mapping]))(folder)


def mosaic(tagged):
    def make(folder):
        made = mosaic_of(MR.astype(np.int16), AFFINE)
        if not tagged:
            del made[0x0029, 0x1010]
        return save(made, folder / "mosaic.dcm")

    return make


def picture(mode):
    def make(folder):
        Image.fromarray(MR[:, :, 0].astype(np.uint8)).convert(mode).save(folder / "a.png")
        return folder / "a.png"

    return make


def rgb(folder):
    colours = np.zeros(SHAPE, [(c, "u1") for c in "RGB"])
    nibabel.Nifti1Image(colours, np.eye(4)).to_filename(folder / "a.nii")
    return folder / "a.nii"


@dataclass
class Row:
    """A row: what is given, and what is said and made of it."""

    make: object
    kind: str | None  # in the report; None where it is refused
    said: str
    options: tuple = ()


NETWORK, LABELLED = "", "label by label"
CT, PET = "many times: enlarged by interpolation", "enlarged by pet-x2"
NO_PHASE = "a phase image"
ROWS = {
    # Magnitude MR
    "MR by Modality": Row(dicom(), "MR", NETWORK),
    "MR by name": Row(nifti("sub-01_T1w.nii.gz", MR), "MR", NETWORK),
    "MR where nothing tells": Row(nifti("scan.nii.gz", MR), "MR", NETWORK),
    # Signed MR
    "signed MR by its values": Row(nifti("scan.nii.gz", MR - 400), "signed MR", NETWORK),
    # CT and PET
    "CT by Modality": Row(dicom(BODY, "CT"), "CT", CT),
    "CT by name": Row(nifti("a_ct.nii", MR), "CT", CT),
    "CT by Hounsfield units": Row(nifti("a.nii", BODY), "CT", CT),
    "CT by the sidecar": Row(nifti("a.nii", MR, {"Modality": "CT"}), "CT", CT),
    "PET by Modality": Row(dicom(MR, "PT"), "PET", PET),
    "PET by name": Row(nifti("a_pet.nii", MR), "PET", PET),
    "PET by the sidecar": Row(nifti("a.nii", MR, {"Modality": "PT"}), "PET", PET),
    # Quantitative maps
    "map by Real World Value Mapping": Row(mapped, "map", "in ms: enlarged as images"),
    "map by Image Type": Row(dicom(**image_type("ADC")), "map", "a quantitative map"),
    "map by name": Row(nifti("sub-01_T1map.nii", MR), "map", "a quantitative map"),
    "map by name, signed": Row(nifti("sub-01_fieldmap.nii", FIELD), "map", "a quantitative map"),
    "map by NIfTI intent": Row(nifti("z.nii", FIELD, intent_code=5), "map", "intent z score"),
    "map by NIfTI units": Row(nifti("b0.nii", FIELD, time="hz"), "map", "in Hz"),
    # Real and imaginary parts
    "real by Image Type": Row(dicom(FIELD, **image_type("R")), "real", "interpolation, as its"),
    "real by name": Row(nifti("a_real.nii", FIELD), "real", "interpolation, as its other part"),
    "imaginary by name": Row(nifti("a_imaginary.nii", FIELD), "imaginary", "interpolation, as its"),
    "imaginary in BIDS": Row(nifti("a_part-imag_bold.nii", FIELD), "imaginary", "interpolation"),
    "imaginary by GE": Row(ge(3), "imaginary", "interpolation, as its"),
    # Phase
    "phase by Image Type": Row(dicom(**image_type("P", "ND")), None, NO_PHASE),
    "phase by Complex Image Component": Row(dicom(ComplexImageComponent="PHASE"), None, NO_PHASE),
    "phase by GE": Row(ge(1), None, NO_PHASE),
    "phase in BIDS": Row(nifti("sub-01_part-phase_bold.nii", PHASE), None, NO_PHASE),
    "phase difference in BIDS": Row(nifti("sub-01_phasediff.nii", PHASE), None, NO_PHASE),
    "phase by dcm2niix's name": Row(nifti("scan_e2_ph.nii", PHASE), None, NO_PHASE),
    "phase by dcm2niix's other name": Row(nifti("scan_e2_pha.nii", PHASE), None, NO_PHASE),
    "phase by the sidecar": Row(
        nifti("a.nii", PHASE, {"ImageType": ["ORIGINAL", "PRIMARY", "P"]}), None, NO_PHASE
    ),
    "phase by its description": Row(nifti("a.nii", PHASE, descrip=b"phase map"), None, NO_PHASE),
    "what looks like a phase": Row(
        nifti("a.nii", PHASE), "signed MR", "looks like a phase .*--kind phase"
    ),
    # Labels and masks
    "labels by NIfTI intent": Row(nifti("a.nii", LABELS, intent_code=1002), "labels", LABELLED),
    "labels in BIDS": Row(nifti("sub-01_dseg.nii.gz", LABELS), "labels", LABELLED),
    "labels by name": Row(nifti("aparc+aseg.nii.gz", LABELS), "labels", LABELLED),
    "labels of 3D Slicer": Row(
        lambda folder: segmentation(folder / "a.nrrd"), "labels", "Segment0_ID"
    ),
    "labels of 3D Slicer by name": Row(
        lambda folder: segmentation(folder / "a.seg.nrrd", keys={}), "labels", LABELLED
    ),
    "mask by name": Row(nifti("sub-01_desc-brain_mask.nii", MASK), "mask", LABELLED),
    "a mask that is a masked image": Row(nifti("a_mask.nii", MR), "MR", "those of an image"),
    "what looks like labels": Row(
        nifti("a.nii", LABELS), "MR", r"looks like labels \(3 values.*--kind labels"
    ),
    "DICOM segmentation": Row(dicom(LABELS, "SEG"), None, "DICOM SEG.*convert it to"),
    # Probabilities
    "probabilities in BIDS": Row(
        nifti("sub-01_label-GM_probseg.nii", SHARE), "probabilities", "means of neighbours"
    ),
    "a mask of shares": Row(nifti("a_mask.nii", SHARE), "probabilities", "means of neighbours"),
    # Mosaics, localizers, colour
    "mosaic": Row(mosaic(tagged=True), "MR", NETWORK),
    "mosaic without Siemens' header": Row(mosaic(tagged=False), None, "dcm2niix first"),
    "localizer": Row(dicom(**image_type("LOCALIZER")), None, "a localizer, not a volume"),
    "colour NIfTI": Row(rgb, None, "a colour .RGB. image"),
    "colour picture": Row(picture("RGB"), None, "not 8 or 16-bit greyscale"),
    "colour DICOM": Row(dicom(PhotometricInterpretation="RGB"), None, "a colour image"),
    # --kind
    "--kind labels": Row(nifti("a.nii", LABELS), "labels", LABELLED, ("--kind", "labels")),
    "--kind mr": Row(
        nifti("a_dseg.nii", LABELS), "MR", "looks like labels.*OUT OF RANGE", ("--kind", "mr")
    ),
    "--kind mr for a phase": Row(
        nifti("a_ph.nii", PHASE), "signed MR", "looks like a phase.*OUT OF", ("--kind", "MR")
    ),
    "--kind phase": Row(nifti("a.nii", PHASE), None, NO_PHASE, ("--kind", "phase")),
    "--kind ct": Row(nifti("a.nii", MR), "CT", CT, ("--kind", "ct")),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_each_kind_is_recognised_and_gets_what_the_table_says(row, tmp_path, capfd):
    path = row.make(tmp_path)
    suffix = "".join(path.suffixes[-1:]) if path.is_file() else ""
    out = tmp_path / ("out" + (suffix if suffix not in ("", ".dcm", ".gz") else ".nii.gz"))
    arguments = ["upscale", str(path), "-o", str(out), "--report", *row.options]
    code = cli.run([*arguments, "--backend", "torch"])
    said = capfd.readouterr().err
    assert re.search(row.said, said, re.S), said
    assert "Traceback" not in said
    if row.kind is None:
        assert code == 2 and said.count("iconet: error") == 1 and len(said.splitlines()) == 1
        assert not out.exists()
        return
    assert code == 0, said
    report = json.loads(out.with_name(out.name + ".report.json").read_text())
    assert report["kind"]["name"] == row.kind and report["kind"]["why"]
    networks = row.said != LABELLED and row.kind in ("MR", "signed MR", "map", "PET")
    assert bool(report["models"]) == networks
    if row.kind in ("MR", "signed MR") and not row.said:
        assert len(said.splitlines()) == 1  # what was made of it, and nothing else


def test_python_has_the_same(tmp_path):
    path = nifti("a.nii", LABELS)(tmp_path)
    with pytest.warns(UserWarning, match="label by label"):
        made = iconet.upscale(path, kind="labels")
    assert set(np.unique(made.dataobj)) == {0, 2, 41} and made.get_data_dtype() == np.int16
    with pytest.raises(iconet.InputError, match="a phase image"):
        iconet.upscale(PHASE, kind="phase")
    with pytest.raises(iconet.InputError, match="kind picture: give auto, mr, ct"):
        iconet.upscale(PHASE, kind="picture")


def test_intent_and_description_stay(tmp_path):
    path = nifti("a.nii", LABELS, intent_code=1002, descrip=b"by hand")(tmp_path)
    assert cli.run(["upscale", str(path), "-o", str(tmp_path / "out.nii.gz")]) == 0
    header = nibabel.load(tmp_path / "out.nii.gz").header
    assert header.get_intent("code")[0] == 1002
    assert header["descrip"].tobytes().startswith(b"by hand")


def test_the_parts_of_a_complex_image_give_its_phase(tmp_path):
    """What the refusal of a phase tells people to do leads to the phase."""
    x = np.linspace(-1, 1, 64)
    angle = 9 * (x[:, None, None] ** 2 + 0.5 * x[None, :, None]) * np.ones((64, 64, 2))
    parts = {}
    for name, part in (("real", np.cos(angle)), ("imaginary", np.sin(angle))):
        path = nifti(f"a_{name}.nii", 1000 * part.astype(np.float32))(tmp_path)
        assert cli.run(["upscale", str(path), "-o", str(tmp_path / f"out_{name}.nii")]) == 0
        parts[name] = nibabel.load(tmp_path / f"out_{name}.nii").get_fdata()
    fine = (np.arange(128) - 63.5) / 63
    truth = 9 * (fine[:, None, None] ** 2 + 0.5 * fine[None, :, None])
    found = np.exp(1j * np.arctan2(parts["imaginary"], parts["real"]))
    inside = (slice(4, -4), slice(4, -4))
    assert np.abs(np.angle(found * np.exp(-1j * truth))[inside]).max() < 0.1


def test_labels_become_no_dicom_series(tmp_path, capsys):
    path = dicom(LABELS)(tmp_path)
    call = ["upscale", str(path), "-o", str(tmp_path / "out"), "--kind", "labels"]
    assert cli.run(call) == 2
    assert "labels become no DICOM series; write .nii.gz" in capsys.readouterr().err
    assert not Path(tmp_path / "out").exists()


def test_4d_labels_keep_those_of_each_volume(tmp_path):
    series = np.stack([LABELS, np.where(LABELS == 2, 7, 0)], axis=-1).astype(np.int16)
    path = nifti("a_dseg.nii", series)(tmp_path)
    assert cli.run(["upscale", str(path), "-o", str(tmp_path / "o.nii"), "--axes", "k"]) == 0
    made = np.asarray(nibabel.load(tmp_path / "o.nii").dataobj)
    assert made.shape == (24, 20, 8, 2)
    assert set(np.unique(made[..., 0])) == {0, 2, 41} and set(np.unique(made[..., 1])) == {0, 7}


@pytest.mark.parametrize("name", ["a_dseg.nii.gz", "a_dseg.nrrd", "a_dseg.mha", "a_dseg.npy"])
def test_names_of_nine_digits_stay_exact(tmp_path, name):
    """Atlases of the mouse brain number their structures so."""
    import SimpleITK

    ids = np.array([0, 997, 614454277, 614454278, 2**24 + 1], np.uint32)
    atlas = ids[np.clip(LABELS // 20 + (MR > 850) * (LABELS > 0), 0, 4)]
    if name.endswith("npy"):
        np.save(tmp_path / name, atlas)
    else:
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(atlas), str(tmp_path / name))
    out = tmp_path / ("out" + name[6:])
    assert cli.run(["upscale", str(tmp_path / name), "-o", str(out)]) == 0
    if name.endswith("npy"):
        made = np.load(out)
    else:
        made = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(out)))
    assert made.dtype == np.uint32 and set(np.unique(made)) == set(np.unique(atlas))
    assert np.prod(made.shape) == 4 * atlas.size


def test_large_integers_that_are_an_image_go_through_the_network(tmp_path):
    path = nifti("a.nii", (MR * 1e5).astype(np.int32))(tmp_path)
    assert cli.run(["upscale", str(path), "-o", str(tmp_path / "o.nii")]) == 0
    made = nibabel.load(tmp_path / "o.nii").get_fdata()
    assert made.mean() == pytest.approx(1e5 * MR.mean(), rel=0.02)
