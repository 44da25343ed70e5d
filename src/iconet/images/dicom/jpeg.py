"""JPEG Lossless and JPEG-LS for pydicom, by libjpeg-turbo and CharLS in imagecodecs.

pydicom's own plug-ins for both are GDCM, which puts its copies of other libraries in front of those
of the whole process (it loads itself with RTLD_GLOBAL, an OpenSSL without support among them), and
pylibjpeg's, which is under the GPL. Its plug-in for JPEG-LS alone has no wheels for Python 3.14.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pydicom.pixels.decoders.base import Decoder, DecodeRunner

PLUGIN = "imagecodecs"
# JPEG-LS, lossless and near-lossless.
LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
# Process 14, with any predictor and with the first.
LOSSLESS = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
DECODER_DEPENDENCIES = dict.fromkeys((*LS, *LOSSLESS), (PLUGIN,))
END = b"\xff\xd9"
# What might have come next: no two bits of them are alike.
CONTINUATIONS = (b"\xaa" * 64, b"\x55" * 64)


def is_available(uid: str) -> bool:
    """Whether a transfer syntax is decoded here, as pydicom asks its plug-ins."""
    return uid in DECODER_DEPENDENCIES


def add_to(decoder: "Decoder") -> None:
    """Make a decoder of pydicom know this plug-in, if it is one for these."""
    if is_available(decoder.UID) and PLUGIN not in decoder.available_plugins:
        decoder.add_plugin(PLUGIN, (__name__, "decode_frame"))


def decode_frame(frame: bytes, runner: "DecodeRunner") -> bytearray:
    """Decode one frame.

    Args:
        frame: A stream of 2 to 16 bits a sample.
        runner: What pydicom knows of the image.

    Returns:
        The samples, little-endian, in as many bits as the header allocates.

    Raises:
        ValueError: If data are missing.
        RuntimeError: If the library cannot read the frame.
    """
    from imagecodecs import jpegls_decode

    decoded = jpegls_decode(frame) if runner.transfer_syntax in LS else _lossless(frame)
    samples = decoded.astype(f"<u{runner.bits_allocated // 8}")
    return bytearray(samples.tobytes())  # in which pydicom corrects signs in place


def _lossless(frame: bytes) -> np.ndarray:
    """The samples of a frame of JPEG Lossless.

    libjpeg fills what is missing with a guess and does not say so here. So the frame is decoded
    with two continuations: one that is complete leaves them nothing to change.
    """
    from imagecodecs import jpeg8_decode

    start = frame[: frame.rindex(END)]
    first, second = (jpeg8_decode(start + more + END) for more in CONTINUATIONS)
    if not np.array_equal(first, second):
        raise ValueError("the frame ends early")
    return first
