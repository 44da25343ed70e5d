"""One small valid file of every format and encoding that is read, with a patient's name in each.

Imported by the tests and, as a plain module, by `benchmarks/fuzz_readers.py`.
"""

import copy
import gzip
import warnings
import zipfile
from pathlib import Path

import nibabel
import numpy as np
from nibabel.nifti1 import Nifti1Extension
from PIL import Image, PngImagePlugin
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    MediaStorageDirectoryStorage,
    RLELossless,
    generate_uid,
)

PATIENT = "Zephyrine^Quill"
SHAPE = (36, 33, 3)
SYNTAXES = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "big": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "j2k": JPEG2000Lossless,
    "jls": JPEGLSLossless,
    "rle": RLELossless,
}


def voxels() -> np.ndarray:
    smooth = np.add.outer(np.add.outer(np.arange(36) * 9, np.arange(33) * 5), np.arange(3) * 30)
    return (smooth + np.random.default_rng(0).integers(0, 20, SHAPE)).astype(np.int16)


def write_all(folder: Path) -> dict[str, Path]:
    """Writes them and returns what to read, by name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("pair", "analyze"):  # whose two files lie in a folder of their own
        (folder / name).mkdir(exist_ok=True)
    paths = [*_nifti(folder), *_mgh(folder), *_text_headed(folder)]
    paths += [*_arrays(folder), *_dicom(folder)]
    return {path.relative_to(folder).as_posix(): path for path in paths}


def _nifti(folder: Path) -> list[Path]:
    affine = np.diag([1.0, 1.2, 3, 1])
    image = nibabel.Nifti1Image(voxels(), affine)
    image.header["descrip"] = PATIENT.encode()
    image.header["db_name"] = PATIENT.encode()
    image.header.extensions.append(Nifti1Extension("comment", PATIENT.encode()))
    image.header.set_slope_inter(0.5, 3)
    double = nibabel.Nifti2Image(voxels().astype(np.float64), affine)
    double.header["descrip"] = PATIENT.encode()
    image.to_filename(folder / "a.nii")
    double.to_filename(folder / "b.nii")
    (folder / "c.nii.gz").write_bytes(gzip.compress((folder / "a.nii").read_bytes()))
    series = nibabel.Nifti1Image(np.stack([voxels()] * 2, axis=3), affine)
    series.header.set_xyzt_units("micron", "msec")
    series.to_filename(folder / "d.nii")
    pair = nibabel.Nifti1Pair(voxels(), affine)
    pair.header["descrip"] = PATIENT.encode()
    pair.to_filename(folder / "pair" / "a.img")
    analyze = nibabel.AnalyzeImage(voxels(), affine)
    analyze.header["descrip"] = PATIENT.encode()
    analyze.to_filename(folder / "analyze" / "a.img")
    names = ("a.nii", "b.nii", "c.nii.gz", "d.nii", "pair/a.img", "analyze/a.hdr")
    return [folder / name for name in names]


def _mgh(folder: Path) -> list[Path]:
    affine = np.diag([1.0, 1.2, 3, 1])
    nibabel.MGHImage(voxels(), affine).to_filename(folder / "a.mgz")
    series = nibabel.MGHImage(np.stack([voxels()] * 2, axis=3).astype(np.float32), affine)
    (folder / "b.mgh").write_bytes(series.to_bytes() + PATIENT.encode())
    return [folder / "a.mgz", folder / "b.mgh"]


def _text_headed(folder: Path) -> list[Path]:
    data = voxels().tobytes(order="F")
    nrrd = (
        f"NRRD0004\n# {PATIENT}\ntype: int16\ndimension: 3\nspace: left-posterior-superior\n"
        "sizes: 36 33 3\nspace directions: (1,0,0) (0,1.2,0) (0,0,3)\nkinds: domain domain domain\n"
        "endian: little\nspace origin: (1,2,3)\nencoding: {}\n"
        f"PatientName:={PATIENT}\n"
    )
    mha = (
        f"ObjectType = Image\nComment = {PATIENT}\nNDims = 3\nBinaryData = True\n"
        "BinaryDataByteOrderMSB = False\nCompressedData = False\n"
        "TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 1 2 3\nElementSpacing = 1 1.2 3\n"
        "DimSize = 36 33 3\nElementType = MET_SHORT\nElementDataFile = {}\n"
    )
    members = gzip.compress(data[:999]) + gzip.compress(data[999:])
    content = {
        "d.nrrd": nrrd.format("gzip").encode() + b'space units: "um" "um" "um"\n\n' + members,
        "a.nrrd": nrrd.format("raw").encode() + b"\n" + data,
        "b.nrrd": nrrd.format("gzip").encode() + b"\n" + gzip.compress(data),
        "c.nhdr": nrrd.format("raw").encode() + b"data file: c.raw\n",
        "c.raw": data,
        "a.mha": mha.format("LOCAL").encode() + data,
        "b.mhd": mha.format("c.raw").encode(),
    }
    for name, whole in content.items():
        (folder / name).write_bytes(whole)
    return [folder / name for name in content if name != "c.raw"]


def _arrays(folder: Path) -> list[Path]:
    np.save(folder / "a.npy", voxels())
    np.save(folder / "b.npy", np.asfortranarray(voxels().astype(np.float32)))
    plane = voxels()[:, :, 0]
    said = PngImagePlugin.PngInfo()
    said.add_text("PatientName", PATIENT)
    Image.fromarray(plane.astype(np.uint8)).save(folder / "a.png", pnginfo=said)
    Image.fromarray(plane.astype(np.uint16)).save(folder / "b.png", pnginfo=said)
    picture = Image.fromarray(plane.astype(np.uint16))
    picture.save(folder / "a.tif", tiffinfo={270: PATIENT})
    picture.save(folder / "b.tiff", tiffinfo={270: PATIENT}, compression="tiff_deflate")
    picture.save(folder / "c.tif", tiffinfo={270: PATIENT}, compression="tiff_lzw")
    signed = {270: PATIENT, 339: 2}
    Image.fromarray(plane.astype(np.uint8)).save(folder / "d.tif", tiffinfo=signed, dpi=(300, 150))
    names = ("a.npy", "b.npy", "a.png", "b.png", "a.tif", "b.tiff", "c.tif", "d.tif")
    return [folder / name for name in names]


def slices() -> list[Dataset]:
    """Classic CT slices, explicit and little-endian."""
    made = []
    for k in range(SHAPE[2]):
        image = _image(np.ascontiguousarray(voxels()[:, :, k].T), CTImageStorage)
        image.ImagePositionPatient = [1, 2, 3 * k]
        image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        image.PixelSpacing, image.SliceThickness = [1.2, 1], 3
        image.RescaleSlope, image.RescaleIntercept = 1, -1024
        made.append(image)
    return made


def echoes() -> list[Dataset]:
    """Two volumes at the same places."""
    made = []
    for echo, time in enumerate((20, 80), 1):
        for image in slices():
            image.EchoTime, image.InstanceNumber, image.Modality = time, echo, "MR"
            made.append(image)
    return made


def tilted() -> list[Dataset]:
    """Slices of a gantry that leans."""
    made = slices()
    for k, image in enumerate(made):
        image.ImagePositionPatient = [1, 2 + k, 3 * k]
        image.GantryDetectorTilt, image.InstanceNumber = 18.4, k + 1
    return made


def parametric() -> Dataset:
    """One slice of floating-point numbers."""
    image = slices()[0]
    for keyword in ("BitsStored", "HighBit", "PixelRepresentation", "PixelData"):
        delattr(image, keyword)
    image.BitsAllocated = 32
    image.FloatPixelData = np.ascontiguousarray(voxels()[:, :, 0].T, "<f4").tobytes()
    return image


def enhanced() -> Dataset:
    """The same as one multi-frame image."""
    frames = np.ascontiguousarray(voxels().transpose(2, 1, 0))
    image = _image(frames, EnhancedMRImageStorage)
    image.Modality, image.NumberOfFrames = "MR", SHAPE[2]
    measures, orientation = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [1.2, 1], 3
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared = Dataset()
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence([orientation])
    image.SharedFunctionalGroupsSequence = Sequence([shared])
    per_frame = []
    for k in range(SHAPE[2]):
        place, frame = Dataset(), Dataset()
        place.ImagePositionPatient = [1, 2, 3 * k]
        frame.PlanePositionSequence = Sequence([place])
        per_frame.append(frame)
    image.PerFrameFunctionalGroupsSequence = Sequence(per_frame)
    return image


def save(image: Dataset, path: Path) -> Path:
    with warnings.catch_warnings():  # of values that the standard does not allow
        warnings.simplefilter("ignore")
        image.save_as(path, enforce_file_format=True)
    return path


def save_series(folder: Path, images: list[Dataset] | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for k, image in enumerate(slices() if images is None else images):
        save(image, folder / f"{k}.dcm")
    return folder


def encoded(image: Dataset, syntax: str) -> Dataset:
    """A copy in another transfer syntax."""
    image = copy.deepcopy(image)
    if syntax == ExplicitVRBigEndian:
        image.PixelData = np.frombuffer(image.PixelData, "<i2").astype(">i2").tobytes()
    if syntax in (JPEG2000Lossless, JPEGLSLossless, RLELossless):
        image.compress(syntax, generate_instance_uid=False)
    else:
        image.file_meta.TransferSyntaxUID = syntax
    return image


def to_jpeg_lossless(source: Path, target: Path) -> Path:
    """A copy of a file of 16 bits a pixel whose only frame is in JPEG Lossless."""
    import imagecodecs

    image = dcmread(source)
    stored = np.frombuffer(image.PixelData, "<u2").reshape(image.Rows, image.Columns)
    frame = imagecodecs.jpeg8_encode(stored, lossless=True, predictor=1)
    image.PixelData = encapsulate([frame])
    image["PixelData"].VR = "OB"
    image.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    image.save_as(target)
    return target


def directory(
    path: Path, references: list, *, lower: dict | None = None, following: dict | None = None
) -> Path:
    """A DICOMDIR whose records name these files (None: no file); links as offsets, else 0."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    made.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    made.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = 400
    records = []
    for index, reference in enumerate(references):
        record = Dataset()
        record.DirectoryRecordType, record.RecordInUseFlag = "IMAGE", 0xFFFF
        record.OffsetOfTheNextDirectoryRecord = (following or {}).get(index, 0)
        record.OffsetOfReferencedLowerLevelDirectoryEntity = (lower or {}).get(index, 0)
        record.PatientName = PATIENT
        if reference is not None:
            with warnings.catch_warnings():  # names that the standard does not allow
                warnings.simplefilter("ignore")
                record.ReferencedFileID = reference
        records.append(record)
    made.DirectoryRecordSequence = Sequence(records)
    return save(made, path)


def _image(stored: np.ndarray, sop_class: str) -> Dataset:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = sop_class
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    made.StudyInstanceUID, made.SeriesInstanceUID = "1.2", "1.2.3"
    made.SpecificCharacterSet = "ISO_IR 192"
    made.SeriesNumber, made.Modality, made.PatientName = 4, "CT", PATIENT
    made.PatientID = made.SeriesDescription = made.OtherPatientNames = PATIENT
    made.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    made.Rows, made.Columns = stored.shape[-2:]
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = 16
    made.HighBit, made.PixelRepresentation = 15, 1
    made.add_new("PixelData", "OW", stored.tobytes())
    return made


def _dicom(folder: Path) -> list[Path]:
    made = []
    for name, syntax in SYNTAXES.items():
        made.append(save(encoded(slices()[0], syntax), folder / f"{name}.dcm"))
    made.append(to_jpeg_lossless(folder / "explicit.dcm", folder / "jpeg.dcm"))
    made.append(save(enhanced(), folder / "enhanced.dcm"))
    bare = (folder / "explicit.dcm").read_bytes()[132:]
    (folder / "bare.dcm").write_bytes(bare)
    made.append(folder / "bare.dcm")
    made.append(save_series(folder / "echoes", echoes()))
    made.append(save_series(folder / "tilted", tilted()))
    made.append(save(parametric(), folder / "parametric.dcm"))
    made.append(save_series(folder / "series"))
    medium = save_series(folder / "medium")
    made.append(directory(medium / "DICOMDIR", [f"{k}.dcm" for k in range(SHAPE[2])]))
    made.append(folder / "zipped.zip")
    with zipfile.ZipFile(made[-1], "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted((folder / "series").iterdir()):
            archive.write(file, f"a/{file.name}")
    return made
