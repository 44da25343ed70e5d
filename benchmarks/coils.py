"""Raw k-space of simulated coils: what each way of reconstructing and enlarging it is worth.

    python benchmarks/coils.py --data ../shared/data

Validation slices with a smooth phase, seen by coils, 2x low resolution, with noise in k-space,
undersampled. PSNR in the foreground, the data range the maximum of a scan's slices.

The coils are either loops (`iconet.physics.coil_array`, which training may use) or a ring of
another formula.
"""

import argparse
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

import iconet
from iconet.data.sampling import real_and_imaginary
from iconet.data.splits import read_splits
from iconet.data.truth import read_truth
from iconet.evaluation.metrics import foreground, psnr
from iconet.intensity import robust_scale
from iconet.network import Samples
from iconet.physics.coil_array import coil_array
from iconet.physics.coils import centre_lines, folded, sense, sensitivities
from iconet.physics.fourier import fft2c, ifft2c
from iconet.physics.kspace import crop_kspace, zero_fill
from iconet.physics.noise import complex_noise
from iconet.physics.smooth_phase import smooth_phase
from iconet.physics.undersampling import cartesian_mask

SCALE = 2


class Case(NamedTuple):
    """An acquisition; ``calibration`` is the share of lines around the centre, complete."""

    name: str
    kind: str
    acceleration: int
    calibration: float = 0.14
    coils: int = 8
    noise: float = 0.01


CASES = (
    Case("random 4x", "random", 4),
    Case("random 4x, 8 % centre", "random", 4, calibration=0.08),
    Case("equispaced 4x", "equispaced", 4),
    Case("equispaced 4x, 3 % noise", "equispaced", 4, noise=0.03),
    Case("equispaced 3x", "equispaced", 3),
    Case("equispaced 2x", "equispaced", 2),
    Case("equispaced 2x, 0.3 % noise", "equispaced", 2, noise=0.003),
    Case("random 2x", "random", 2),
    Case("random 2x, 0.3 % noise", "random", 2, noise=0.003),
    Case("random 4x, 4 coils", "random", 4, coils=4),
    Case("random 6x, 16 coils", "random", 6, calibration=0.12, coils=16),
)


class Measured(NamedTuple):
    """One slice: the truth (H, W), k-space (C, h, w) and its lines (w,), the true maps."""

    truth: Tensor
    kspace: Tensor
    one: Tensor
    lines: Tensor
    maps: Tensor


def ring(coils: int, size: tuple[int, int]) -> Tensor:
    """Coils on a ring around the field of view, their squares summing to 1."""
    y, x = torch.meshgrid(*((torch.arange(n) + 0.5) / n * 2 - 1 for n in size), indexing="ij")
    angle = 2 * torch.pi * torch.arange(coils)[:, None, None] / coils
    dy, dx = y - 1.4 * angle.sin(), x - 1.4 * angle.cos()
    maps = torch.polar(1 / (0.5 + dy**2 + dx**2), torch.atan2(dy, dx) + angle)
    return maps / maps.abs().square().sum(dim=0).sqrt()


def lines_of(case: Case, count: int, generator: torch.Generator) -> Tensor:
    if case.kind == "random":
        return cartesian_mask(
            count,
            acceleration=case.acceleration,
            centre_fraction=case.calibration,
            generator=generator,
        )
    lines = torch.arange(count) % case.acceleration == 0
    half = round(case.calibration * count / 2)
    lines[count // 2 - half : count // 2 + half] = True
    return lines


def measure(truth: Tensor, case: Case, seed: int, loops: bool) -> Measured:
    generator = torch.Generator().manual_seed(seed)
    size = (truth.shape[0], truth.shape[1])
    image = torch.polar(truth, smooth_phase(size, generator=generator))
    maps = coil_array(case.coils, size, generator) if loops else ring(case.coils, size)
    low = fft2c(crop_kspace(maps * image, SCALE))
    one = fft2c(crop_kspace(image[None], SCALE))
    lines = lines_of(case, low.shape[-1], generator)
    noise = case.noise * robust_scale(truth[None].numpy())
    low = torch.where(lines, low + complex_noise(low, noise, generator), 0)
    one = torch.where(lines, one + complex_noise(one, noise, generator), 0)
    true = crop_kspace(maps.real, SCALE) + 1j * crop_kspace(maps.imag, SCALE)
    return Measured(truth, low, one, lines, true / true.abs().square().sum(0).sqrt())


def slices(data: Path, split: str, scans: int) -> Iterator[tuple[str, list[Tensor]]]:
    seen: dict[str, int] = {}
    for row in read_splits(data, "splits.csv", split):
        seen[row["dataset"]] = seen.get(row["dataset"], 0) + 1
        if seen[row["dataset"]] > scans:
            continue
        stack = torch.from_numpy(
            read_truth(data / row["path"], row["sharp_plane"], row["contrast"])
        )
        stack = stack / robust_scale(stack.numpy())
        height, width = (-n % (4 * SCALE) for n in stack.shape[1:])
        stack = torch.nn.functional.pad(stack, (0, width, 0, height))
        chosen = [stack[len(stack) * i // 4] for i in (1, 2)]
        yield f"{row['dataset']}/{row['subject']}/{row['contrast']}", chosen


def network_image(network: torch.nn.Module, image: Tensor, samples: Samples) -> Tensor:
    given = real_and_imaginary(image.reshape(1, 1, *image.shape[-2:]))
    with torch.inference_mode():
        return network(given, samples=samples).image.norm(dim=1)[0]


class Ways:
    """Every way of making the image, by its name.

    Args:
        models: Networks of complex images to try with all coils' samples.
    """

    def __init__(self, models: list[str]) -> None:
        self.joint, self.images = iconet.load("mri-x2-joint"), iconet.load("mri-x2")
        self.networks = {Path(name).stem: iconet.load(name) for name in models}

    def __call__(self, got: Measured) -> dict[str, Tensor]:
        lines, kspace = got.lines, got.kspace
        mask = lines.view(1, 1, 1, -1)
        made = {}
        one = ifft2c(got.one)
        made["one coil, mri-x2-joint"] = network_image(
            self.joint, one, Samples(got.one[None], mask)
        )
        estimated = sensitivities(kspace, centre_lines(lines))
        for name, maps in (("true", got.maps), ("estimated", estimated)):
            image = sense(kspace, lines, maps)
            made[f"SENSE, {name} maps, zero-filled"] = zero_fill(image, SCALE).abs()
            made[f"SENSE, {name} maps, mri-x2"] = self.enlarged(image.abs())
        alone = torch.where(lines, fft2c(image), 0)
        made["SENSE, estimated maps, mri-x2-joint"] = network_image(
            self.joint, ifft2c(alone), Samples(alone[None, None], mask)
        )
        for name, maps in (("true", got.maps), ("estimated", estimated)):
            samples = Samples(kspace[None], mask, maps[None])
            begin = folded(kspace, maps, mask[0])
            for model, network in self.networks.items():
                made[f"inside {model}, {name} maps"] = network_image(network, begin, samples)
        return made

    def enlarged(self, image: Tensor) -> Tensor:
        with torch.inference_mode():
            return self.images(image[None, None]).image[0, 0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--split", default="validation")
    parser.add_argument("--scans", type=int, default=3, help="of a data set")
    parser.add_argument("--loops", action="store_true", help="coils as in training")
    parser.add_argument("--case", help="only those whose name begins so")
    parser.add_argument("--model", action="append", help="mri-x2-joint by default")
    options = parser.parse_args()
    torch.set_num_threads(1)
    ways = Ways(options.model or ["mri-x2-joint"])
    table: dict[str, dict[str, list[float]]] = {}
    for name, chosen in slices(options.data, options.split, options.scans):
        for case in CASES:
            if options.case and not case.name.startswith(options.case):
                continue
            seed = zlib.crc32(f"{name} {case.name}".encode())
            made: dict[str, list[Tensor]] = {}
            for number, truth in enumerate(chosen):
                for way, image in ways(measure(truth, case, seed + number, options.loops)).items():
                    made.setdefault(way, []).append(image)
            truth = np.stack([each.numpy() for each in chosen])
            inside = foreground(truth)
            for way, images in made.items():
                value = psnr(torch.stack(images).numpy(), truth, inside)
                table.setdefault(case.name, {}).setdefault(way, []).append(value)
    print_table(table)


def print_table(table: dict[str, dict[str, list[float]]]) -> None:
    cases = list(table)
    print("| | " + " | ".join(cases) + " |\n|---" * 1 + "|---" * len(cases) + "|")
    for way in table[cases[0]]:
        print(f"| {way} | " + " | ".join(f"{np.mean(table[c][way]):.2f}" for c in cases) + " |")


if __name__ == "__main__":
    main()
