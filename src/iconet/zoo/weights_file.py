"""Safetensors files of iconet: weights, and what goes beside them."""

from pathlib import Path
from typing import TYPE_CHECKING

from iconet.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

LARGEST = 1 << 30  # bytes; the weights that come with the package have about a hundredth of it


def read_weights(path: Path, kind: str = "iconet") -> "tuple[dict[str, str], dict[str, Tensor]]":
    """Metadata and tensors of a trained file; of one that is not ours only the header is read.

    Args:
        path: The file.
        kind: What it must say that it is.

    Raises:
        InputError: If the file is missing, damaged or not written by training.
    """
    from safetensors import SafetensorError, safe_open

    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InputError(
            f"{path}: safetensors opens no name that is not UTF-8; rename the file or its folder"
        ) from None
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(
                f"{path}: larger than any ICONet's weights; give a file made by iconet train"
            )
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != kind:
                raise InputError(
                    f"{path}: weights of another program; give a file made by iconet train"
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError:
        raise InputError(f"{path}: damaged or not a safetensors file; get it again") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error}); check the path") from None
    if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
        raise InputError(f"{path}: damaged (some weights are not numbers); get it again")
    return metadata, tensors
