"""ICONet: super-resolution of medical images, guided by a reconstruction prior.

The names below are loaded on first use, so that `import iconet` takes no time:

    load(name_or_path)     a trained network
    upscale(scan)          a bigger one: path, nibabel or SimpleITK image, array, tensor
    degrade(scan)          a low-resolution one, to try things on
    evaluate(scan, truth)  PSNR, SSIM, NMSE, HaarPSI under a stated convention
    show(before, after)    both side by side: linked views in a notebook, or a figure
    ICONet(scale=2)        the architecture, untrained
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iconet.errors import InputError
    from iconet.evaluation.compare import evaluate
    from iconet.network import ICONet
    from iconet.pictures.show import show
    from iconet.upscaling.degrade import degrade
    from iconet.upscaling.in_python import upscale
    from iconet.zoo import load

__all__ = ["ICONet", "InputError", "__version__", "degrade", "evaluate", "load", "show", "upscale"]

_HOME = {
    "ICONet": "iconet.network",
    "InputError": "iconet.errors",
    "degrade": "iconet.upscaling.degrade",
    "evaluate": "iconet.evaluation.compare",
    "load": "iconet.zoo",
    "show": "iconet.pictures.show",
    "upscale": "iconet.upscaling.in_python",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("iconet")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'iconet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
