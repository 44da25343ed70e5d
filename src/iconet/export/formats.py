"""What `iconet export` does."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from iconet.errors import InputError
from iconet.export.monai_bundle import write_bundle, write_torchscript
from iconet.files import complete_together

if TYPE_CHECKING:
    from iconet.network import ICONet

FORMATS = {
    "onnx": ".onnx",
    "openvino": ".xml",
    "torchscript": ".ts",
    "torch-export": ".pt2",
    "monai-bundle": "",
}
"""What a network can be exported to, and the suffix of the file; a bundle is a folder."""


def export_model(
    model: "str | os.PathLike | ICONet", output: Path, format: str, *, overwrite: bool = False
) -> Path:
    """Write a trained network of magnitude images for another runtime.

    Args:
        model: Name of a trained model, path of weights, or a network.
        output: The file, or for a bundle the folder, to write.
        format: One of `FORMATS`.
        overwrite: Whether a file that is there is replaced; a folder never is.

    Returns:
        `output`.

    Raises:
        InputError: If the model cannot be exported, what the format needs is not installed, or the
            output cannot be written or is there already.
    """
    if format not in FORMATS:
        raise InputError(f"unknown format '{format}': use one of {', '.join(FORMATS)}")
    suffix = FORMATS[format]
    if output.suffix != suffix and suffix:
        raise InputError(f"{output}: a file of {format} ends in {suffix}; rename it")
    if not suffix and output.exists():
        raise InputError(f"{output} is there already: name a folder to be made")
    if output.is_dir():
        raise InputError(f"{output} is a folder: name a file")
    if output.exists() and not overwrite:
        raise InputError(f"{output} is there already; give --overwrite to replace it")
    if not output.parent.is_dir():
        raise InputError(f"{output.parent} does not exist: make it first")

    from iconet.network import ICONet
    from iconet.zoo.model import open_model

    network = open_model(model).network
    if not isinstance(network, ICONet):
        raise InputError(f"{model}: only ICONet is exported; use torch.export for your own network")
    facts = facts_of(network)
    try:
        with complete_together(output) as partial:  # OpenVINO's weights are a second file
            _WRITERS[format](network, partial, facts)
    except UnicodeEncodeError:
        raise InputError(
            f"{output}: {format} cannot be written under a name that is not UTF-8; choose another"
        ) from None
    except OSError as error:
        raise InputError(
            f"{output} cannot be written: {error.strerror}: choose another place"
        ) from None
    return output


def facts_of(network: "ICONet") -> dict[str, str]:
    """What a user of an exported network must know of it; stored in the file."""
    import iconet
    from iconet.zoo import catalogue
    from iconet.zoo.model import Model

    model = Model.of(network)
    return {
        "producer": f"iconet {iconet.__version__}",
        "sha256": model.sha256 or "",
        "scale": str(network.scale),
        "multiple": str(network.multiple),
        "halo": str(network.halo),
        "name": model.name or "ICONet",
        "licence": next(
            (entry.licence for entry in catalogue() if entry.sha256 == model.sha256), ""
        ),
        "use": "research use, not for diagnosis",
    }


def _write_onnx(network: "ICONet", path: Path, facts: dict[str, str]) -> None:
    from iconet.runtime.runtimes import require

    require("onnx")
    import onnx

    from iconet.runtime.traceable import PlainNetwork, as_onnx

    model = onnx.load_from_string(as_onnx(PlainNetwork(network)))
    onnx.helper.set_model_props(model, facts)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _write_openvino(network: "ICONet", path: Path, facts: dict[str, str]) -> None:
    from iconet.runtime.runtimes import import_openvino, openvino_model

    openvino = import_openvino()
    model = openvino_model(network)
    for key, value in facts.items():
        model.set_rt_info(value, ["iconet", key])
    openvino.save_model(model, path, compress_to_fp16=False)


def _write_program(network: "ICONet", path: Path, facts: dict[str, str]) -> None:
    import torch

    from iconet.runtime.traceable import PlainNetwork, as_program

    program = as_program(PlainNetwork(network))
    with path.open("wb") as file:  # torch takes no names that are not UTF-8
        torch.export.save(program, file, extra_files={"iconet.json": json.dumps(facts)})


_WRITERS = {
    "onnx": _write_onnx,
    "openvino": _write_openvino,
    "torchscript": write_torchscript,
    "torch-export": _write_program,
    "monai-bundle": write_bundle,
}
