import base64

import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import (
    MPEG2MPML,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from iconet.images.dicom.series import read_series

from ...images.slices import AFFINE, enhanced_of, numbers, refusal, save, slices_of


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


def to_jpeg_lossless(made, predictor=1, bits=None):
    """Encodes the only frame of an image that is not compressed."""
    stored = np.frombuffer(made.PixelData, f"<u{made.BitsAllocated // 8}")
    frame = imagecodecs.jpeg8_encode(
        stored.reshape(made.Rows, made.Columns),
        lossless=True,
        predictor=predictor,
        bitspersample=bits or made.BitsAllocated,
    )
    made.file_meta.TransferSyntaxUID = JPEGLosslessSV1 if predictor == 1 else JPEGLossless
    return with_frame(made, frame)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
@pytest.mark.parametrize("predictor", range(1, 8))
def test_jpeg_lossless(tmp_path, predictor, dtype):
    stored = numbers((40, 33, 1), dtype, 250) * (1 if dtype == np.uint8 else 100)
    if dtype == np.int16:
        stored -= 9000
    made = to_jpeg_lossless(slices_of(stored, AFFINE)[0], predictor)
    path = save(made, tmp_path / "a.dcm")
    np.testing.assert_array_equal(
        read_series(path).array, stored.astype(np.float32) - np.float32(100)
    )


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [10, 12])
def test_jpeg_lossless_of_fewer_bits_than_are_allocated(tmp_path, bits, signed):
    lowest = -(2 ** (bits - 1)) if signed else 0
    stored = numbers((40, 33, 1), np.int16, 2**bits) + np.int16(lowest)
    made = slices_of(stored if signed else stored.astype(np.uint16), AFFINE)[0]
    made.BitsStored, made.HighBit = bits, bits - 1
    made.PixelData = (np.frombuffer(made.PixelData, "<u2") & (2**bits - 1)).tobytes()
    path = save(to_jpeg_lossless(made, bits=bits), tmp_path / "a.dcm")
    np.testing.assert_array_equal(
        read_series(path).array, stored.astype(np.float32) - np.float32(100)
    )


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [7, 12, 16])
def test_jpeg_ls_of_fewer_bits_than_are_allocated(tmp_path, bits, signed):
    lowest = -(2 ** (bits - 1)) if signed else 0
    stored = numbers((40, 33, 1), np.int32, 2**bits) + lowest
    made = slices_of(stored.astype(np.int16 if signed else np.uint16), AFFINE)[0]
    made.BitsStored, made.HighBit = bits, bits - 1
    made.compress(JPEGLSLossless, generate_instance_uid=False)
    path = save(made, tmp_path / "a.dcm")
    np.testing.assert_array_equal(read_series(path).array, stored - np.float32(100))


def test_jpeg_ls_near_lossless(tmp_path):
    stored = numbers((40, 33, 1))
    made = slices_of(stored, AFFINE)[0]
    made.compress(JPEGLSNearLossless, jls_error=2, generate_instance_uid=False)
    read = read_series(save(made, tmp_path / "a.dcm")).array
    assert 0 < np.abs(read - (stored - np.float32(100))).max() <= 2


# (37 y^2 + 401 x - 9 x y) % 4096 in 12 rows and 16 columns, encoded by GDCM 3.2.6.
BY_GDCM = """
/9j/wwALEAAMABABAREA/8QAGgABAQACAwAAAAAAAAAAAAAACQwGCgcIEP/aAAgBAQABAADzIsiyLIsiyLIsiyLIwyDIsiyL
I5KxDEMQxDEMQxDEMQxEMOxDEMQxHN6/r+v6/r+v6/r+v6/wvy/r+v6/9uV2XZdl2XZdl2XZdl2hdV2XZdl2QNbVtW1bVtW1
bVtW2FsW1bVtW1bVNWRZFkWRZFkWRZIWNZFkWRZFkWRl1bVtW1bVtW1bhWlbVtW1bVtW1beFUlSVJUlSVKFRVJUlSVJUlSVJ
UtitSVJUlSVJhSFJUlSVJUlSVJUlSdnVQFAUCE/UBQFAUBQFAUBQFAUBQNr9N4TZN03TdN03TdN03TdN03TeE2jCEuS5LkuS
5LkuS5LkuS5LoS1Lku//2Q==
"""


def test_jpeg_lossless_of_another_encoder(tmp_path):
    x, y = np.mgrid[:16, :12]
    stored = ((37 * y * y + 401 * x - 9 * x * y) % 4096).astype(np.uint16)[:, :, None]
    made = slices_of(stored, AFFINE)[0]
    made.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    path = save(with_frame(made, base64.b64decode(BY_GDCM)), tmp_path / "a.dcm")
    np.testing.assert_array_equal(read_series(path).array, stored - np.float32(100))


@pytest.mark.parametrize("missing", [0.5, 0.02])
def test_jpeg_lossless_that_ends_early_is_not_filled_in(tmp_path, capfd, missing):
    made = to_jpeg_lossless(slices_of(numbers((40, 33, 1)), AFFINE)[0])
    frame = get_frame(made.PixelData, 0, number_of_frames=1)
    cut = frame[: int(len(frame) * (1 - missing))] + b"\xff\xd9"
    assert "damaged pixel data" in refusal(save(with_frame(made, cut), tmp_path / "a.dcm"))
    assert capfd.readouterr().err == ""


def test_noise_instead_of_a_frame(tmp_path):
    noise = np.random.default_rng(0).bytes(500)
    for syntax in (JPEG2000Lossless, JPEGLSLossless, RLELossless):
        refusal(save(with_frame(compressed(syntax), noise), tmp_path / "a.dcm"))
