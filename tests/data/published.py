"""Small files in exactly the layouts in which data sets are published."""

import gzip
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np

HEADER = """\
<?xml version="1.0" encoding="utf-8"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <studyInformation><studyTime>12:00:00</studyTime></studyInformation>
  <acquisitionSystemInformation><receiverChannels>15</receiverChannels>
  </acquisitionSystemInformation>
  <encoding>
    <encodedSpace>
      <matrixSize><x>{ex}</x><y>{ey}</y><z>1</z></matrixSize>
      <fieldOfView_mm><x>{efx}</x><y>{efy}</y><z>4.5</z></fieldOfView_mm>
    </encodedSpace>
    <reconSpace>
      <matrixSize><x>{rx}</x><y>{ry}</y><z>1</z></matrixSize>
      <fieldOfView_mm><x>{rfx}</x><y>{rfy}</y><z>4.5</z></fieldOfView_mm>
    </reconSpace>
    <trajectory>cartesian</trajectory>
    <encodingLimits><kspace_encoding_step_1><minimum>0</minimum><maximum>{ey}</maximum>
      <center>{centre}</center></kspace_encoding_step_1></encodingLimits>
  </encoding>
</ismrmrdHeader>
"""


def anatomy(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """An ellipsoid with texture, 0 outside, around 100 inside; float32."""
    axes = [np.linspace(-1, 1, n) for n in shape]
    radius = sum(a**2 for a in np.meshgrid(*axes[:2], indexing="ij"))
    inside = np.broadcast_to((radius < 0.8).T, shape[:1:-1] + shape[1::-1]).T
    texture = np.random.default_rng(seed).uniform(60, 140, shape)
    return (inside * texture).astype(np.float32)


def nifti(path: Path, array: np.ndarray | None = None, spacing: float = 1.2) -> Path:
    """Slices of 48 x 40 across the third axis, unless an array is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = anatomy((48, 40, 4), seed=sum(path.name.encode())) if array is None else array
    nib.save(nib.Nifti1Image(array, np.diag([0.9375, 0.9375, spacing, 1])), path)
    return path


def truncated(path: Path) -> Path:
    """The same, as a download that was cut off leaves it."""
    content = nifti(path).read_bytes()
    assert gzip.decompress(content)
    path.write_bytes(content[: len(content) // 2])
    return path


def fastmri(
    path: Path,
    *,
    coils: int | None = 3,
    encoded: tuple[int, int] = (64, 44),
    recon: tuple[int, int] = (32, 32),
    slices: int = 2,
    mask: bool = False,
    reconstruction: bool = True,
    header: str | bytes | None = HEADER,
    patient: str = "",
    acquisition: str = "CORPD_FBK",
    kspace: bool = True,
) -> np.ndarray:
    """Write a file, ``coils`` None for a single one; return its ground truth (S, *recon).

    The readout is oversampled: the field of view of ``encoded`` is larger than that of ``recon``,
    with pixels of 0.5 x 0.7 mm.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    magnitude = anatomy((*encoded, slices), seed=sum(path.name.encode())).transpose(2, 0, 1) * 1e-6
    phase = np.exp(1j * np.linspace(-2, 2, encoded[1]))
    # Coils see the anatomy from different sides; their squared sensitivities sum to 1 everywhere.
    angle = np.linspace(0, np.pi / 2, encoded[0])[:, None]
    sides = {1: [angle * 0 + 1], 3: [np.cos(angle), np.sin(angle) * 0.6, np.sin(angle) * 0.8j]}
    images = np.stack([magnitude * phase * side for side in sides[coils or 1]], axis=1)
    axes = (-2, -1)
    spectrum = np.fft.fft2(np.fft.ifftshift(images, axes), norm="ortho")
    spectrum = np.fft.fftshift(spectrum, axes).astype(np.complex64)
    top, left = ((a - b) // 2 for a, b in zip(encoded, recon, strict=True))
    truth = magnitude[:, top : top + recon[0], left : left + recon[1]]
    with h5py.File(path, "w") as file:
        lines = np.zeros(encoded[1], dtype=np.float32)
        lines[::3] = lines[18:26] = 1
        if mask:
            spectrum = spectrum * lines
            file["mask"] = lines
        if kspace:
            file["kspace"] = spectrum if coils else spectrum[:, 0]
        if reconstruction:
            file["reconstruction_rss" if coils else "reconstruction_esc"] = truth
            file.attrs["max"] = truth.max()
            file.attrs["norm"] = np.linalg.norm(truth)
        if header is not None:
            sizes = {"ex": encoded[0], "ey": encoded[1], "rx": recon[0], "ry": recon[1]}
            sizes |= {"efx": encoded[0] * 0.5, "efy": encoded[1] * 0.7}
            sizes |= {"rfx": recon[0] * 0.5, "rfy": recon[1] * 0.7, "centre": encoded[1] // 2}
            file["ismrmrd_header"] = header.format(**sizes) if isinstance(header, str) else header
        file.attrs["acquisition"] = acquisition
        file.attrs["patient_id"] = patient or path.stem
    return truth.astype(np.float32)
