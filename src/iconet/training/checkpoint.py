"""The state of a run on disk, without pickle."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from iconet.errors import InputError
from iconet.files import complete_file
from iconet.network.older_weights import current_names


def write_safetensors(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    """Write tensors so that the file is complete, or as it was before.

    The same tensors and metadata give the same bytes.

    Raises:
        InputError: If the folder cannot be written to, or the disk is full.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = _ordered(save(plain, metadata))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not safetensors' save_file: what that writes only its owner may read.
        with complete_file(path) as file:
            file.write(content)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror}); make room or choose another folder"
        ) from None


def _ordered(content: bytes) -> bytes:
    """Sort the header of a safetensors file: the library writes metadata in random order."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8:end]), sort_keys=True).encode()
    header += b" " * (-len(header) % 8)  # tensors begin at multiples of 8 bytes
    return len(header).to_bytes(8, "little") + header + content[end:]


def save_checkpoint(
    path: Path,
    model: nn.Module,
    average: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    state: dict[str, Any],
) -> None:
    """Save all that a run needs to go on.

    Args:
        path: Where to.
        model: The network being trained.
        average: The state of the averaged network.
        optimizer: Its moments are saved in the order of the model's parameters.
        state: Anything that JSON holds exactly: the step, the time spent, the best validation.
    """
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"average.{name}": tensor for name, tensor in average.items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in moments.items()}
    write_safetensors(tensors, path, {"state": json.dumps(state)})


def load_checkpoint(
    path: Path, model: nn.Module, average: dict[str, Tensor], optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    """Put a saved run back and return its ``state``.

    Raises:
        InputError: If the file is damaged or belongs to another network.
    """
    try:
        with safe_open(path, framework="pt") as file:
            state = json.loads(file.metadata()["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimizer": {}}
        for name, tensor in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = tensor
        model.load_state_dict(current_names(parts["model"]))
        averaged = current_names(parts["average"])
        for name, tensor in average.items():
            tensor.copy_(averaged[name])
        _load_moments(optimizer, parts["optimizer"])
        return dict(state)
    except (OSError, SafetensorError, LookupError, TypeError, ValueError, RuntimeError) as error:
        line = str(error).splitlines()[0]
        raise InputError(f"{path}: not a checkpoint of this recipe ({line}); delete it") from None


def _load_moments(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, kind = name.partition(".")
        like = parameters[int(index)]
        if tensor.ndim:
            # In memory as the parameter lies, as the optimizer itself makes them.
            tensor = torch.empty_like(like, dtype=tensor.dtype).copy_(tensor.view_as(like))
        moments.setdefault(int(index), {})[kind] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})
