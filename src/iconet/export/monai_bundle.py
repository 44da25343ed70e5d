"""A MONAI bundle: a folder that ``python -m monai.bundle run`` enlarges NIfTI files with."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iconet.errors import InputError

if TYPE_CHECKING:
    from iconet.network import ICONet

_PARTS = Path(__file__).parent / "bundle"


def write_bundle(network: "ICONet", folder: Path, facts: dict[str, str]) -> None:
    """Write the bundle; MONAI is needed to run it, not to write it.

    Args:
        network: Of magnitude images, for both axes of a slice.
        folder: To be made.
        facts: See `iconet.export.formats.facts_of`.

    Raises:
        InputError: If the network enlarges one axis only, or is for scans that are no crops of
            k-space, for which a bundle takes every scan.
    """
    from iconet.zoo.model import Model

    if Model.of(network).one_axis:
        raise InputError("a model of one axis cannot be a bundle, which enlarges both of a slice")
    if network.describe is not None:
        raise InputError(
            "a bundle takes every scan for a crop of k-space, which this model is not for: export"
            f" mri-x{network.scale}"
        )
    for name in ("configs", "models", "scripts", "docs"):
        (folder / name).mkdir(parents=True)
    write_torchscript(network, folder / "models" / "model.ts", facts)

    config = json.loads((_PARTS / "inference.json").read_text("utf-8"))
    config["inferer"]["scale"] = network.scale
    config["postprocessing"]["output_postfix"] = f"x{network.scale}"
    _write_json(folder / "configs" / "inference.json", config)
    _write_json(folder / "configs" / "metadata.json", _metadata(network, facts))

    (folder / "scripts" / "__init__.py").touch()
    for name, part in (("upscale.py", "inferer.py"), ("fidelity.py", "fidelity.py")):
        (folder / "scripts" / name).write_bytes((_PARTS / part).read_bytes())
    readme = (_PARTS / "README.md").read_text("utf-8").format(**facts)
    (folder / "docs" / "README.md").write_text(readme, "utf-8")


def write_torchscript(network: "ICONet", path: Path, facts: dict[str, str]) -> None:
    """Write TorchScript with `facts` as its extra file ``iconet.json``."""
    from iconet.runtime.traceable import PlainNetwork, trace

    # Torch itself takes no names that are not UTF-8.
    extra = {"iconet.json": json.dumps(facts)}
    path.write_bytes(trace(PlainNetwork(network)).save_to_buffer(_extra_files=extra))


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=4) + "\n", "utf-8")


def _metadata(network: "ICONet", facts: dict[str, str]) -> dict[str, Any]:
    """By MONAI's schema of bundles, meta_schema_20240725."""
    import nibabel
    import numpy
    import torch

    version = facts["producer"].split()[-1]
    image = {
        "type": "image",
        "format": "magnitude",
        "modality": "MR",
        "num_channels": 1,
        "spatial_shape": ["n", "n"],
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": False,
        "channel_def": {"0": "image"},
    }
    return {
        "schema": "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/"
        "0.8.1/meta_schema_20240725.json",
        "version": version,
        "changelog": {version: "exported"},
        "monai_version": "1.6.0",
        "pytorch_version": torch.__version__.split("+")[0],
        "numpy_version": numpy.__version__,
        "required_packages_version": {"nibabel": nibabel.__version__},
        "task": f"super-resolution, {network.scale}x in the plane of the slices",
        "description": "ICONet. Research use, not for diagnosis.",
        "authors": "iconet contributors",
        "copyright": facts["licence"],
        "intended_use": "Research use, not for diagnosis.",
        "name": facts["name"],
        "network_data_format": {
            "inputs": {
                "image": image,
                "intensity": {**image, "format": "scale", "spatial_shape": [1, 1]},
            },
            "outputs": {"pred": image},
        },
        "iconet": facts,
    }
