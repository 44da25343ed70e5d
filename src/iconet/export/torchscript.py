"""A network as TorchScript, alone in a file or inside a bundle."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from iconet.network import ICONet


def write_torchscript(network: "ICONet", path: Path, facts: dict[str, str]) -> None:
    """Write TorchScript with `facts` as its extra file ``iconet.json``."""
    from iconet.runtime.traceable import PlainNetwork, trace

    trace(PlainNetwork(network)).save(path, _extra_files={"iconet.json": json.dumps(facts)})
