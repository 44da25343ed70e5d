"""What a scanner would have sent: files that the examples start from, made of the bundled scan."""

from importlib.resources import files
from pathlib import Path

import h5py
import nibabel
import numpy as np
import torch

from iconet.physics.coil_array import coil_array
from iconet.physics.fourier import fft2c
from iconet.physics.smooth_phase import smooth_phase
from iconet.physics.undersampling import cartesian_mask


def bundled(first: int = 0, last: int = 32) -> nibabel.Nifti1Image:
    """The bundled scan, or some of its 32 axial slices."""
    scan = nibabel.load(str(files("iconet") / "demo_scan" / "sub-01_T1w_slab.nii.gz"))
    return scan.slicer[:, :, first:last]


def write_dicom(scan: nibabel.Nifti1Image, folder: Path) -> None:
    """A classic MR series, one file for each slice across the third axis."""
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

    folder.mkdir()
    affine = np.diag([-1, -1, 1, 1]) @ scan.affine  # DICOM's axes point left and posterior
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    directions = (affine[:3, :2] / spacing[:2]).T.ravel()
    study, series, frame = (generate_uid() for _ in range(3))
    for k in range(scan.shape[2]):
        image = Dataset()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = MRImageStorage
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        image.StudyInstanceUID, image.SeriesInstanceUID = study, series
        image.FrameOfReferenceUID = frame
        image.PatientName, image.PatientID, image.Modality = "Example^One", "1", "MR"
        image.SeriesNumber, image.InstanceNumber, image.SeriesDescription = 4, k + 1, "T1w axial"
        image.ImageType = ["ORIGINAL", "PRIMARY", "M"]
        image.ImageOrientationPatient = [f"{value:.8f}" for value in directions]
        image.ImagePositionPatient = [f"{v:.6f}" for v in affine[:3, 3] + k * affine[:3, 2]]
        image.PixelSpacing = [f"{spacing[1]:.6f}", f"{spacing[0]:.6f}"]
        image.SliceThickness = image.SpacingBetweenSlices = f"{spacing[2]:.6f}"
        pixels = np.asarray(scan.dataobj[:, :, k]).clip(0, None).astype(np.uint16).T
        image.Rows, image.Columns = pixels.shape
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated = image.BitsStored = 16
        image.HighBit, image.PixelRepresentation = 15, 0
        image.PixelData = np.ascontiguousarray(pixels).tobytes()
        image.save_as(folder / f"{k + 1:03}.dcm", enforce_file_format=True)


HEADER = """<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><encoding>
<encodedSpace>{space}</encodedSpace><reconSpace>{space}</reconSpace>
<trajectory>cartesian</trajectory></encoding></ismrmrdHeader>"""
SPACE = """<matrixSize><x>{0}</x><y>{1}</y><z>1</z></matrixSize>
<fieldOfView_mm><x>{2}</x><y>{3}</y><z>{4}</z></fieldOfView_mm>"""


def write_kspace(
    scan: nibabel.Nifti1Image, path: Path, *, coils: int, acceleration: float, noise: float
) -> None:
    """Undersampled k-space of several coils, as fastMRI stores it; the readout runs along i."""
    generator = torch.Generator().manual_seed(1)
    images = torch.from_numpy(scan.get_fdata(dtype=np.float32)).permute(2, 0, 1)[:, None]
    noise *= float(images.quantile(0.99))
    phase = smooth_phase(images.shape, generator=generator)
    maps = coil_array(coils, images.shape[-2:], generator)
    seen = torch.polar(images, phase) * maps
    kspace = fft2c(seen)
    kspace = kspace + noise * torch.randn(kspace.shape, dtype=kspace.dtype, generator=generator)
    lines = cartesian_mask(
        images.shape[-1], acceleration=acceleration, centre_fraction=0.14, generator=generator
    )
    sizes = [*images.shape[-2:], *np.multiply(scan.shape, scan.header.get_zooms())[:2]]
    space = SPACE.format(*sizes, scan.header.get_zooms()[2])
    with h5py.File(path, "w") as file:
        file["kspace"] = (kspace * lines).numpy().astype(np.complex64)
        file["mask"] = lines.numpy().ravel().astype(np.float32)
        file["ismrmrd_header"] = HEADER.format(space=space).encode()
        file.attrs["acquisition"] = "AXT1"
