"""Files of weights and checkpoints from before modules and settings got today's names."""

import re
from typing import Any

from torch import Tensor

from iconet.network.config import NEAREST

# Of modules in a list (of blocks, fusions or stages), whose names follow their number.
_RENAMED = {
    "local": "channel",
    "gather": "spatial.gather",
    "merge": "spatial.merge",
    "read": "project",
    "weigh": "gates",  # of fusions; local units weigh their channels today
    "tell_rec": "to_reconstruction",
    "tell_sr": "to_super_resolution",
    "write_rec": "rec_to_image",
    "read_rec": "image_to_rec",
    "write_sr": "sr_to_image",
}
_OLD = re.compile(rf"(?<=\d\.)(?<!channel\.\d\.)({'|'.join(_RENAMED)})(?=\.)")


def current_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of an ICONet under today's names; of peers as they are."""
    return {
        _OLD.sub(lambda old: _RENAMED[old[1]], name) if name.startswith("stages.") else name: tensor
        for name, tensor in tensors.items()
    }


def current_config(config: dict[str, Any]) -> dict[str, Any]:
    """Settings of an ICONet with what older files leave out.

    Once the span decided place and order of the spatial path too, and before there was a span the
    path related the nearest cells.
    """
    span = config.get("span", NEAREST)
    near = span <= NEAREST
    return {"span": span, "spatial_first": not near, "spatial_in_later_stages": near, **config}
