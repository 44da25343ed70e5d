"""Hash what iconet computes, to show that a change of its structure changes no voxel.

    python tools/reference_outputs.py write before.json   # at the commit before
    python tools/reference_outputs.py check before.json   # after, on the same machine

Convolution libraries pick their kernels by the processor, so hashes hold on one machine only.
Everything runs in float32 on one thread, through the command line and the public names, and on
inputs that are cut out of the bundled scan or made from fixed seeds.
"""

import contextlib
import hashlib
import io
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import h5py
import nibabel
import numpy as np
import pydicom
import torch
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from safetensors.torch import load_file

import iconet
from iconet import cli
from iconet.network import Samples

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.images.raw_mrd import mrd

torch.set_num_threads(1)
MODELS = ("mri-x2", "mri-x4", "mri-slice-x2", "mri-slice-x4", "mri-x2-joint", "mri-x4-joint")
EXACT = ("--precision", "fp32", "--device", "cpu")
# Report entries that differ from run to run.
VOLATILE = {"created", "software", "seconds", "files", "Version"}
HEADER = """<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><encoding>
<encodedSpace><matrixSize><x>{h}</x><y>{w}</y><z>1</z></matrixSize>
<fieldOfView_mm><x>128</x><y>96</y><z>5</z></fieldOfView_mm></encodedSpace>
<reconSpace><matrixSize><x>{h}</x><y>{w}</y><z>1</z></matrixSize>
<fieldOfView_mm><x>128</x><y>96</y><z>5</z></fieldOfView_mm></reconSpace>
<trajectory>cartesian</trajectory></encoding></ismrmrdHeader>"""


def main() -> int:
    """Write the hashes, or compare with written ones."""
    action, file = sys.argv[1], Path(sys.argv[2]).absolute()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        os.chdir(folder)
        found = hashes(inputs(Path("in")))
    if action == "write":
        file.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
        print(f"{file}: {len(found)} hashes")
        return 0
    before = json.loads(file.read_text())
    wrong = [name for name in sorted({*before, *found}) if before.get(name) != found.get(name)]
    for name in wrong:
        print(f"differs: {name}")
    print(f"{len(before) - len(wrong)} of {len(before)} the same")
    return int(bool(wrong))


def inputs(folder: Path) -> Path:
    """A brain slab, thick slices, a DICOM series, raw k-space, a BIDS and a training data set."""
    folder.mkdir()
    bundled = Path(iconet.__file__).parent / "demo_scan" / "sub-01_T1w_slab.nii.gz"
    whole = nibabel.load(bundled)
    slab = whole.slicer[40:136:2, 30:190:2, 10:16]
    nibabel.save(slab, folder / "slab.nii.gz")
    thick = whole.slicer[60:124, 60:108, ::6]
    nibabel.save(thick, folder / "thick.nii.gz")
    values = np.asarray(slab.dataobj)
    np.save(folder / "array.npy", values.astype(np.float32)[..., :2])
    series(folder / "series", values[..., :3], slab.affine)
    kspace = fourier(np.asarray(whole.dataobj[30:158, 40:136, 20:22], dtype=np.float32))
    raw(folder, kspace)
    dataset(folder / "bids", slab)
    training(folder / "train", whole)
    return folder


def series(folder: Path, values: np.ndarray, affine: np.ndarray) -> None:
    """Classic MR slices."""
    folder.mkdir()
    lps = np.diag([-1.0, -1, 1, 1]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    for k in range(values.shape[2]):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = (
            ExplicitVRLittleEndian,
            MRImageStorage,
        )
        meta.MediaStorageSOPInstanceUID = f"1.2.3.{k + 1}"
        image = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        image.SOPClassUID, image.SOPInstanceUID = MRImageStorage, f"1.2.3.{k + 1}"
        image.StudyInstanceUID, image.SeriesInstanceUID = "1.2.4", "1.2.5"
        image.FrameOfReferenceUID, image.Modality, image.SeriesNumber = "1.2.6", "MR", 3
        image.ImageType, image.SeriesDescription = ["ORIGINAL", "PRIMARY", "M"], "T1"
        image.Rows, image.Columns = values.shape[1], values.shape[0]
        image.PixelSpacing = [round(float(mm), 6) for mm in spacing[1::-1]]
        image.SliceThickness = round(float(spacing[2]), 6)
        directions = [*(lps[:3, 0] / spacing[0]), *(lps[:3, 1] / spacing[1])]
        image.ImageOrientationPatient = [round(float(x), 8) for x in directions]
        corner = lps[:3, 3] + k * lps[:3, 2]
        image.ImagePositionPatient = [round(float(x), 6) for x in corner]
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated = image.BitsStored = 16
        image.HighBit, image.PixelRepresentation = 15, 1
        image.PixelData = np.ascontiguousarray(values[:, :, k].T, dtype="<i2").tobytes()
        image.save_as(folder / f"{k}.dcm", enforce_file_format=True)


def fourier(values: np.ndarray) -> np.ndarray:
    """(S, H, W) centred k-space with a smooth phase."""
    images = np.moveaxis(values, -1, 0) / values.max()
    phase = np.exp(1j * np.linspace(-1, 2, images.shape[2]) ** 2)
    shifted = np.fft.ifftshift(images * phase, axes=(1, 2))
    return np.fft.fftshift(np.fft.fft2(shifted, norm="ortho"), axes=(1, 2)).astype(np.complex64)


def raw(folder: Path, kspace: np.ndarray) -> None:
    """One undersampled coil, one full one, four coils of every second line, a 3-D scan."""
    _, height, width = kspace.shape
    lines = np.random.default_rng(0).random(width) < 0.3
    lines[width // 2 - 6 : width // 2 + 6] = True
    every = np.arange(width) % 2 == 0
    every[width // 2 - 8 : width // 2 + 8] = True
    rows = np.linspace(-1, 1, height)[:, None]
    columns = np.linspace(-1, 1, width)
    maps = [np.exp(-((rows - y) ** 2) - (columns - x) ** 2) for y in (-1, 1) for x in (-1, 1)]
    images = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace, axes=(1, 2))), axes=(1, 2))
    coils = np.fft.ifftshift(images[:, None] * np.stack(maps), axes=(2, 3))
    coils = np.fft.fftshift(np.fft.fft2(coils), axes=(2, 3)).astype(np.complex64)
    contents = {"one": kspace * lines, "full": kspace, "coils": coils * every}
    for name, content in contents.items():
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["kspace"] = content
            file["ismrmrd_header"] = HEADER.format(h=height, w=width)
    mrd(folder / "three.mrd", np.moveaxis(coils[:1, :2, 32:96], 0, -1).repeat(4, -1), three=True)


def dataset(folder: Path, image: nibabel.Nifti1Image) -> None:
    """A BIDS dataset of one person."""
    (folder / "sub-01" / "anat").mkdir(parents=True)
    nibabel.save(image.slicer[..., :2], folder / "sub-01" / "anat" / "sub-01_T1w.nii.gz")
    description = {"Name": "toy", "BIDSVersion": "1.10.0", "DatasetType": "raw"}
    (folder / "dataset_description.json").write_text(json.dumps(description))


def training(folder: Path, whole: nibabel.Nifti1Image) -> None:
    """Three subjects in a table, and a recipe for each kind of task."""
    folder.mkdir()
    rows = ["dataset,subject,split,path,contrast,sharp_plane"]
    for index, split in enumerate(("train", "train", "validation")):
        nibabel.save(
            whole.slicer[30:126, 40:136, 8 * index : 8 * index + 6], folder / f"{index}.nii"
        )
        rows.append(f"toy,s{index},{split},{index}.nii,T1w,axial")
    (folder / "splits.csv").write_text("\n".join(rows) + "\n")
    task = {"plain": "", "joint": "  known_samples: true\n", "through-plane": ""}
    kinds = {"plain": "super-resolution"}
    for name, more in task.items():
        (folder / f"{name}.yaml").write_text(
            f"name: {name}\npurpose: reference\nscale: {4 if name == 'plain' else 2}\n"
            "network: {size: tiny}\n"
            f"task:\n  kind: {kinds.get(name, name)}\n{more}"
            f"data: {{root: {folder.absolute()}}}\n"
            "optimisation: {steps: 4, batch: 4, patch: 64, warm_up: 1, validate_every: 2,"
            f" precision: fp32, grow: {0.5 if name == 'plain' else 0}}}\n"
        )


def hashes(given: Path) -> dict[str, str]:
    """Everything that is compared, by name."""
    found: dict[str, str] = {}

    def upscale(name: str, source: str, suffix: str, *options: str, exact: bool = True) -> None:
        target = Path("out", name + suffix)
        target.parent.mkdir(exist_ok=True)
        call = ["upscale", str(given / source), "-o", str(target), *options]
        run(*call, *(EXACT if exact else ()))
        found[name] = contents(target)

    torch_only = ("--backend", "torch")
    upscale("x2", "slab.nii.gz", ".nii.gz", *torch_only, "--report")
    found["x2 report"] = report(Path("out/x2.nii.gz.report.json"))
    upscale("x4", "slab.nii.gz", ".nii", *torch_only, "--scale", "4")
    upscale("coronal", "slab.nii.gz", ".nrrd", *torch_only, "--plane", "j")
    upscale("tiles", "slab.nii.gz", ".mha", *torch_only, "--tile", "32")
    upscale("array", "array.npy", ".npy", *torch_only)
    upscale("isotropic", "thick.nii.gz", ".nii.gz", *torch_only, "--isotropic")
    upscale("spacing", "thick.nii.gz", ".nhdr", *torch_only, "--spacing", "0.6x0.7x2")
    upscale("one axis", "thick.nii.gz", ".nii", *torch_only, "--axes", "k", "--model", MODELS[3])
    upscale("openvino", "slab.nii.gz", ".nii", "--backend", "openvino")
    upscale("onnxruntime", "slab.nii.gz", ".nii", "--backend", "onnxruntime")
    upscale("series", "series", "", *torch_only)
    upscale("series as NIfTI", "series", ".nii.gz", *torch_only, "--report")
    found["series report"] = report(Path("out/series as NIfTI.nii.gz.report.json"))
    for name in ("one.h5", "full.h5", "coils.h5", "three.mrd"):
        upscale(name, name, ".nii.gz", "--report")
        found[f"{name} report"] = report(Path(f"out/{name}.nii.gz.report.json"))
    upscale("one.h5 x4", "one.h5", ".nii.gz", "--scale", "4")
    run("upscale", str(given / "bids"), *EXACT, *torch_only)
    derived = given / "bids/derivatives/iconet"
    for path in sorted(p for p in derived.rglob("*") if p.is_file()):
        if path.name != ".iconet.jsonl":
            kind = report if path.suffix == ".json" else contents
            found[f"bids {path.relative_to(derived)}"] = kind(path)

    run("degrade", str(given / "slab.nii.gz"), "-o", "out/low.nii.gz", "--noise", "2")
    found["degrade"] = contents(Path("out/low.nii.gz"))
    run("degrade", str(given / "slab.nii.gz"), "-o", "out/slabs.nii.gz", "--axis", "k")
    found["degrade across"] = contents(Path("out/slabs.nii.gz"))
    run("upscale", "out/low.nii.gz", "-o", "out/up.nii.gz", *EXACT, *torch_only)
    said = run("evaluate", "out/up.nii.gz", str(given / "slab.nii.gz"), "--json")
    found["evaluate"] = digest(said.encode())

    for name in MODELS:
        found[f"network {name}"] = network(name)
    for recipe in ("plain", "joint", "through-plane"):
        run("train", str(given / "train" / f"{recipe}.yaml"), "-o", f"out/{recipe}")
        tensors = load_file(f"out/{recipe}/{recipe}.safetensors").values()
        # By value: modules may have other names.
        found[f"train {recipe}"] = digest(*sorted(tensor.numpy().tobytes() for tensor in tensors))
    return found


def run(*arguments: str) -> str:
    """Run the command line in this process; returns what it prints."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = cli.run(list(arguments))
    torch.set_num_threads(1)
    if code != 0:
        raise SystemExit(f"iconet {' '.join(arguments)}: exit code {code}")
    print(" ".join(arguments), file=sys.stderr)
    return said.getvalue()


def network(name: str) -> str:
    """Every image of every stage, on noise of an odd size."""
    model = iconet.load(name)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, model.channels, 40, 51, generator=generator)
    samples = None
    if model.channels == 2:
        images = images[..., :48]
        mask = torch.zeros(2, 1, 1, 48, dtype=torch.bool)
        mask[..., ::3] = True
        samples = Samples(torch.complex(images[:, :1], images[:, 1:]) * mask, mask)
    with torch.inference_mode():
        output = model(images, samples=samples)
    every = [image.numpy().tobytes() for stage in output.stages for image in stage]
    return digest(output.image.numpy().tobytes(), *every)


def contents(path: Path) -> str:
    """Of an output: its bytes; of a DICOM series what two runs must have in common."""
    if path.is_dir():
        return digest(*(slice_of(file) for file in sorted(path.iterdir())))
    beside = path.with_suffix(".raw")
    return digest(path.read_bytes(), beside.read_bytes() if beside.exists() else b"")


def slice_of(path: Path) -> bytes:
    image = pydicom.dcmread(path)
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "ContributingEquipmentSequence"):
        del image[keyword]
    for keyword in ("InstanceCreationDate", "InstanceCreationTime", "ContentDate", "ContentTime"):
        del image[keyword]
    return "\n".join(map(str, image)).encode() + image.PixelData


def report(path: Path) -> str:
    """Of a report, without what differs from run to run."""

    def stable(content: object) -> object:
        if isinstance(content, dict):
            return {key: stable(value) for key, value in content.items() if key not in VOLATILE}
        return [stable(item) for item in content] if isinstance(content, list) else content

    return digest(json.dumps(stable(json.loads(path.read_text())), sort_keys=True).encode())


def digest(*parts: bytes) -> str:
    """SHA-256 of several byte strings."""
    found = hashlib.sha256()
    for part in parts:
        found.update(len(part).to_bytes(8, "little") + part)
    return found.hexdigest()


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        shutil.rmtree("runs", ignore_errors=True)
