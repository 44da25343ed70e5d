"""Networks converted for OpenVINO, kept from one run to the next.

Converting takes one to four seconds, most of the time before the first slice of a scan; reading
back what was converted takes a tenth of one.
"""

import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iconet.files import complete_folder
from iconet.runtime.runtimes import import_openvino, openvino_core, openvino_model

if TYPE_CHECKING:
    from iconet.network import ICONet

LARGEST_CACHE = 16  # networks, of 5 MB each, those used last


def cached_openvino_model(network: "ICONet") -> Any:
    """The network as an ``openvino.Model``, from ``~/.cache/iconet`` if it was converted before.

    A folder that cannot be read or written costs the time of converting, nothing else.
    """
    place = None
    with suppress(OSError, RuntimeError):  # no home, no sources to tell one version by
        place = _folder() / _digest(network)
        if place.exists():
            with suppress(OSError):  # another user's
                os.utime(place)
            with suppress(RuntimeError):  # damaged
                return openvino_core().read_model(place / "network.xml")
            shutil.rmtree(place, ignore_errors=True)
    model = openvino_model(network)
    if place is not None:
        with suppress(OSError, RuntimeError):
            _keep(model, place)
    return model


def _folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "iconet" / "openvino"


def _digest(network: "ICONet") -> str:
    """Of all that decides what the converted network computes: weights, sources, converter."""
    import torch

    import iconet.network

    found = hashlib.sha256(f"{import_openvino().__version__} {torch.__version__}".encode())
    for source in (*sorted(Path(iconet.network.__file__).parent.rglob("*.py")), *_own_sources()):
        found.update(source.read_bytes())
    found.update(f"{network} {network.config}".encode())
    for name, weight in network.state_dict().items():
        found.update(name.encode())
        found.update(weight.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def _own_sources() -> tuple[Path, ...]:
    here = Path(__file__).parent
    return here / "traceable.py", here / "runtimes.py", here.parent / "physics" / "fourier.py"


def _keep(model: Any, place: Path) -> None:
    openvino = import_openvino()
    place.parent.mkdir(parents=True, exist_ok=True)
    with complete_folder(place) as partial:
        openvino.save_model(model, partial / "network.xml", compress_to_fp16=False)
        openvino_core().read_model(partial / "network.xml")  # a full disk goes unnoticed otherwise
    by_use = sorted(place.parent.iterdir(), key=lambda p: p.stat().st_mtime)
    for old in by_use[:-LARGEST_CACHE]:
        shutil.rmtree(old, ignore_errors=True)
