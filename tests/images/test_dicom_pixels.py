import gdcm
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import (
    MPEG2MPML,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from iconet.images.dicom_series import read_series

from .slices import enhanced_of, save, slices_of
from .test_dicom_series import AFFINE, numbers, refusal


def compressed(syntax):
    made = slices_of(numbers((40, 33, 1)), AFFINE)[0]
    made.compress(syntax, generate_instance_uid=False)
    return made


def with_frame(made, frame):
    made.PixelData = encapsulate([bytes(frame)])
    made["PixelData"].VR = "OB"
    return made


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, RLELossless])
@pytest.mark.parametrize("share", [0.3, 0.97])
def test_a_frame_that_is_cut_off(tmp_path, syntax, share):
    """OpenJPEG alone would hand back half a picture."""
    made = compressed(syntax)
    frame = get_frame(made.PixelData, 0, number_of_frames=1)
    line = refusal(save(with_frame(made, frame[: int(len(frame) * share)]), tmp_path / "a.dcm"))
    assert syntax == RLELossless or "truncated" in line


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless])
def test_a_frame_that_claims_another_size_is_not_allocated(tmp_path, syntax):
    made = compressed(syntax)
    frame = bytearray(get_frame(made.PixelData, 0, number_of_frames=1))
    if syntax == JPEG2000Lossless:
        frame[8:16] = b"\x00\x10\x00\x00" * 2  # 2**20 pixels square
    else:
        at = frame.index(b"\xff\xf7")
        frame[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    assert "contradicts" in refusal(save(with_frame(made, frame), tmp_path / "a.dcm"))


def test_fewer_frames_than_promised(tmp_path):
    made = enhanced_of(numbers((40, 33, 4)), AFFINE, [1] * 4, order=range(4))
    made.PixelData = made.PixelData[: 3 * 40 * 33 * 2]
    assert "truncated pixel data (7920 of 10560 bytes)" in refusal(save(made, tmp_path / "a.dcm"))


def test_a_compression_without_a_decoder_is_named(tmp_path):
    made = compressed(JPEGLSLossless)
    made.file_meta.TransferSyntaxUID = MPEG2MPML
    line = refusal(save(made, tmp_path / "a.dcm"))
    assert "MPEG2" in line
    assert "dcmdjpeg" in line


def to_jpeg_lossless(path, process):
    """Transcodes a file in place by GDCM."""
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(process))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return pydicom.dcmread(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
@pytest.mark.parametrize("selection", ["", "_1"])
def test_jpeg_lossless(tmp_path, selection, dtype):
    stored = numbers((40, 33, 1), dtype, 250) * (1 if dtype == np.uint8 else 100)
    if dtype == np.int16:
        stored -= 9000
    path = save(slices_of(stored, AFFINE)[0], tmp_path / "a.dcm")
    made = to_jpeg_lossless(path, getattr(gdcm.TransferSyntax, f"JPEGLosslessProcess14{selection}"))
    assert made.file_meta.TransferSyntaxUID == (JPEGLosslessSV1 if selection else JPEGLossless)
    np.testing.assert_array_equal(
        read_series(path).scan.array, stored.astype(np.float32) - np.float32(100)
    )


def test_jpeg_lossless_that_ends_early_is_not_filled_with_zeros(tmp_path, capfd):
    path = save(slices_of(numbers((40, 33, 1)), AFFINE)[0], tmp_path / "a.dcm")
    made = to_jpeg_lossless(path, gdcm.TransferSyntax.JPEGLosslessProcess14_1)
    frame = get_frame(made.PixelData, 0, number_of_frames=1)
    save(with_frame(made, frame[: len(frame) // 2] + b"\xff\xd9"), path)
    assert "damaged pixel data" in refusal(path)
    assert capfd.readouterr().err == ""


def test_noise_instead_of_a_frame(tmp_path):
    noise = np.random.default_rng(0).bytes(500)
    for syntax in (JPEG2000Lossless, JPEGLSLossless, RLELossless):
        refusal(save(with_frame(compressed(syntax), noise), tmp_path / "a.dcm"))
