"""Cartesian undersampling: which phase-encoding lines an accelerated scan measures."""

from typing import Literal

import torch
from torch import Tensor

from iconet.errors import InputError


def cartesian_mask(
    lines: int,
    *,
    acceleration: float,
    centre_fraction: float,
    kind: Literal["random", "equispaced"] = "random",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Chooses which of the k-space lines are measured, the centre always among them.

    The total, centre included, is round(lines / acceleration) for both kinds. Like fastMRI's masks
    (Zbontar et al., arXiv 1811.08839) the centre is one block and the rest random, or equispaced
    from a random offset; here the spacing makes up for the centre exactly, by counting only the
    lines outside of it.

    Args:
        lines: number of lines of full k-space.
        acceleration: lines / measured lines, >= 1.
        centre_fraction: share of `lines` in the fully sampled centre, 0 to 1.
        kind: "random" or "equispaced".
        generator: source of randomness; the mask lives on its device (none: torch's own, CPU).

    Returns:
        bool (lines,), True where measured, DC at lines // 2 as in `fft2c`.

    Raises:
        InputError: where no mask can be like that.
    """
    total = round(lines / acceleration) if acceleration >= 1 else 0
    centre = round(lines * centre_fraction)
    if not 1 <= total or not 0 <= centre <= total:
        raise InputError(
            f"{lines} lines cannot be accelerated {acceleration} times with the centre "
            f"{centre_fraction:.1%} full: choose 1 <= acceleration <= {lines} and "
            "centre_fraction <= 1 / acceleration"
        )
    device = torch.device("cpu") if generator is None else generator.device
    positions = torch.arange(lines, device=device)
    first = lines // 2 - centre // 2
    mask = (positions >= first) & (positions < first + centre)
    outside, rest = positions[~mask], total - centre
    if kind == "random":
        picked = torch.randperm(len(outside), generator=generator, device=device)[:rest]
    elif kind == "equispaced":
        # A 24-bit offset in double precision: no product below can round up to the next line.
        offset = torch.rand(1, generator=generator, device=device, dtype=torch.float32).double()
        steps = torch.arange(rest, device=device) + offset
        picked = (steps * (len(outside) / max(rest, 1))).long()
    else:
        raise InputError(f"no mask is called {kind!r}: choose random or equispaced")
    mask[outside[picked]] = True
    return mask
