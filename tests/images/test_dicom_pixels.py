import numpy as np
import pytest
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

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
    made.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    line = refusal(save(made, tmp_path / "a.dcm"))
    assert "JPEG Lossless" in line
    assert "dcmdjpeg" in line


def test_noise_instead_of_a_frame(tmp_path):
    noise = np.random.default_rng(0).bytes(500)
    for syntax in (JPEG2000Lossless, JPEGLSLossless, RLELossless):
        refusal(save(with_frame(compressed(syntax), noise), tmp_path / "a.dcm"))
