"""Pictures as bytes, and inside of a page."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Palette = Sequence[tuple[int, int, int]]
"""256 colours."""


def encoded(shades: NDArray[np.uint8], palette: Palette | None = None) -> bytes:
    """A PNG of an image (H, W), in grey or in the colours of a palette."""
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(shades))
    if palette is not None:
        picture.putpalette([level for colour in palette for level in colour])
    held = io.BytesIO()
    picture.save(held, "PNG")
    return held.getvalue()


def thumbnail(shades: NDArray[np.uint8], size: tuple[int, int]) -> bytes:
    """A JPEG of so many pixels (height, width): a small one is an eighth of a PNG."""
    from PIL import Image

    held = io.BytesIO()
    small = Image.fromarray(np.ascontiguousarray(shades)).resize(size[::-1])
    small.save(held, "JPEG", quality=82)
    return held.getvalue()


def reduced(image: NDArray, most: int) -> NDArray:
    """An image (H, W), uint8 or float32, by means, with no more pixels a side than `most`."""
    from PIL import Image

    share = most / max(image.shape)
    if share >= 1:
        return image
    height, width = (max(1, round(side * share)) for side in image.shape)
    picture = Image.fromarray(np.ascontiguousarray(image))
    return np.asarray(picture.resize((width, height), Image.Resampling.BOX))


def inside(picture: bytes) -> str:
    """The address of a picture that lies in the page itself."""
    kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
