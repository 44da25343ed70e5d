"""Whether a scan is like those that a network was trained on, found before it is upscaled.

A network answers to whatever it is given. What is looked at: whether values are those of another
kind of image, the pixels' size, noise, whether the scan was interpolated, the order of the slices,
and whether the network's own features look as they do in training. Some slices tell that; it takes
a few tenths of a second.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from iconet.errors import InputError
from iconet.images import Scan
from iconet.intensity import SPIKE, levels_of_slice
from iconet.runtime.device import choose_compute
from iconet.runtime.threads import workers
from iconet.upscaling.background import frame_of_object
from iconet.upscaling.fidelity import is_constant
from iconet.upscaling.input_consistency import INCONSISTENT, sampled_consistency
from iconet.upscaling.interpolated import is_interpolated
from iconet.upscaling.models import Models
from iconet.upscaling.noise import noise_of
from iconet.upscaling.one_axis import planes_containing
from iconet.upscaling.options import Options
from iconet.upscaling.plan import GridPlan, unsuited
from iconet.upscaling.recovery import find_recovery
from iconet.upscaling.regrid import as_stack
from iconet.upscaling.way import telling
from iconet.zoo.model import SMALLEST, Model

if TYPE_CHECKING:
    from torch import Tensor

    from iconet.network.trust import Trust

SLICES = 5
"""Looked at, evenly spaced over the middle of the stack."""

SIDE = 128
"""Pixels of a slice that are looked at, along each side, about the middle of the object."""

MARGIN = 1.5
"""Times that a property may leave the range of the training scans, up or down."""

INTERPOLATED = 0.75
"""Share of the stored matrix; what holds less along both axes was interpolated."""

AIR, FILLED = 0.15, 0.35
"""Share of what is bright below which there is air, and of the border that is none: around heads up
to 0.12, in photographs 0.4 and more."""

WITHOUT_AIR = 0.6
"""Times the usual distance of features that images may have that fill their field of view."""

ORDERED = 0.8
"""Share of the slices that must be in order, see `share_in_order`: of scans 0.95 and more, of
shuffled ones up to 0.6."""

ALIKE = 0.85
"""Mean square difference, relative to another, that is clearly less: noise alone makes 0.9."""

LEAST_SLICES = 8
"""Fewer tell nothing of their order."""


class Finding(NamedTuple):
    """What is out of range.

    Attributes:
        what: one word: "kind", "spacing", "noise", "features", "interpolated", "order" or
            "consistency".
        line: for people, with the remedy.
    """

    what: str
    line: str


class Properties(NamedTuple):
    """What slices are like.

    Attributes:
        noise: standard deviation, as a share of what is bright; fine texture counts as noise.
        distance: of the network's features from those of its training, see
            `iconet.network.trust.Familiar`; None where these are not known.
    """

    noise: float | None
    distance: float | None


def out_of_range(scan: Scan, plan: GridPlan, models: Models, options: Options) -> list[Finding]:
    """What of a scan is unlike the scans that the first network of a plan was trained on.

    Args:
        scan: as read.
        plan: of this scan.
        models: the networks.
        options: of which those of the acquisition count.
    """
    if not plan.steps:
        return []
    model = models(plan.steps[0])
    found = [Finding("kind", line) for line in unsuited(scan, plan, models)]
    if plan.kind.seems:
        found.append(Finding("kind", f"{scan.name}: {plan.kind.doubt}"))
    given = slices_given(scan, plan)
    if model.trust is not None and not found:  # another kind is unlike in every way
        found += _unlike(scan, plan, given, model, model.trust)
    if len(plan.steps[0].axes) == 2 and options.matrix is None:
        stored = given
        if plan.recovery is not None:
            stored = slices_given(scan, replace(plan, recovery=None))
        found += _interpolated(scan, plan, stored, options)
    share = share_in_order(as_stack(scan.first_volume, plan.across))
    if share is not None and share < ORDERED:
        found.append(
            Finding(
                "order",
                f"{scan.name}: only {share:.0%} of its slices are like their neighbours: they may"
                " be in a wrong order, or --plane names another plane; compare with the scanner's"
                " order",
            )
        )
    return found


def acceptable(findings: list[Finding], options: Options) -> list[Finding]:
    """Findings that the user can live with.

    Raises:
        InputError: there are some, and they are to be refused.
    """
    if findings and options.strict:
        raise InputError(f"{findings[0].line} (or omit --strict)")
    return findings


def inconsistent(scan: Scan, bigger: Scan, plan: GridPlan) -> list[Finding]:
    """Whether a result, degraded again, is another image than the scan.

    Across slices nobody knows how they were acquired: there the two may differ.
    """
    if not plan.steps or any(len(step.axes) == 1 for step in plan.steps):
        return []
    found = sampled_consistency(scan, bigger, plan.acquisition)
    if found is None or found <= INCONSISTENT:
        return []
    return [
        Finding(
            "consistency",
            f"{scan.name}: the result, degraded again, is {found:.1f} times the noise away from the"
            f" scan (up to {INCONSISTENT:g} is usual): do not trust its detail; compare both",
        )
    ]


def _unlike(
    scan: Scan, plan: GridPlan, given: list[NDArray[np.float32]], model: Model, trust: "Trust"
) -> list[Finding]:
    name, found = model.name or "the model", []
    if scan.affine is not None and (known := trust.ranges.get("spacing")):
        size = _pixel(scan, plan)
        low, high = known[0] / MARGIN, known[1] * MARGIN
        if not low <= size <= high:
            found.append(
                Finding(
                    "spacing",
                    f"{scan.name}: pixels of {size:.2g} mm; {name} was trained on"
                    f" {known[0]:.2g} to {known[1]:.2g} mm: its detail may be of a wrong size; give"
                    " --spacing of half a pixel, or a model trained for such scans",
                )
            )
    seen = properties(given, model)
    if seen.noise is not None and (known := trust.ranges.get("noise")):
        if seen.noise > known[1] * MARGIN:
            found.append(
                Finding(
                    "noise",
                    f"{scan.name}: noise of about {seen.noise:.0%} of the bright tissue; {name} was"
                    f" trained up to {known[1]:.0%}: noise may come back as structure; average"
                    " repetitions or denoise the scan first",
                )
            )
    if seen.distance is not None and trust.familiar is not None:
        # Networks that tell the way were trained on limbs and prostates too, which fill it.
        heads_alone = len(plan.steps[0].axes) == 2 and telling(model.network) is None
        filled = heads_alone and is_filled(given)
        usual = trust.familiar.furthest * (WITHOUT_AIR if filled else 1)
        if seen.distance > usual:
            found.append(
                Finding(
                    "features",
                    f"{scan.name}: looks unlike the scans that {name} was trained on (distance"
                    f" {seen.distance:.2f}, up to {usual:.2f} is usual"
                    f"{', as there is no air around it' * filled}): its"
                    " detail may be invented; compare it with the scan, or use a model trained for"
                    " such scans",
                )
            )
    return found


def _pixel(scan: Scan, plan: GridPlan) -> float:
    """Side of what the network takes for a pixel, in mm, along the axes that become finer."""
    step = plan.steps[0]
    share = (lambda axis: 1.0) if plan.recovery is None else plan.recovery.share
    sides = [scan.spacing[axis] / share(axis) for axis in step.axes]
    return float(np.prod(sides) ** (1 / len(sides)))


def slices_given(scan: Scan, plan: GridPlan) -> list[NDArray[np.float32]]:
    """Some of the slices, as the first network gets them, (H, W) each; none that is constant."""
    axes, volume = plan.steps[0].axes, scan.first_volume
    if len(axes) == 1:
        across, rows, columns = planes_containing(axes[0], volume.shape)[0]
        shown = volume[..., None] if volume.ndim == 2 else volume
        stack = shown.transpose(across, rows, columns)
    else:
        stack = as_stack(volume, plan.across)
    chosen = np.unique(np.rint(np.linspace(0.2, 0.8, SLICES) * (len(stack) - 1)).astype(int))
    some = np.nan_to_num(np.asarray(stack[chosen], np.float32))
    if plan.recovery is not None and len(axes) == 2:
        recovery = replace(plan.recovery, across=0)
        recovered = np.empty((len(some), *recovery.found.matrix), np.float32)
        recovery.recover(some, recovered)
        some = recovered
    return [image for image in some if not is_constant(image)]


def properties(slices: list[NDArray[np.float32]], model: Model) -> Properties:
    """What slices are like that a network is to get; the middle one of several counts."""
    cuts = [middle_of(image) for image in slices]
    noises = [found for cut in cuts if (found := noise_of(cut)) is not None]
    noise = float(np.median(noises)) if noises else None
    familiar = None if model.trust is None else model.trust.familiar
    vectors = None if familiar is None else features(cuts, model)
    if familiar is None or vectors is None:
        return Properties(noise, None)
    return Properties(noise, float(np.median(familiar.distance(vectors).numpy())))


def features(cuts: list[NDArray[np.float32]], model: Model) -> "Tensor | None":
    """Pooled features (N, F) of the first exchange; None of what is no ICONet of magnitudes."""
    import torch

    from iconet.network import ICONet

    network = model.network
    if not isinstance(network, ICONet) or network.channels != 1 or not cuts:
        return None

    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    # In bf16 distances change by a hundredth.
    compute = choose_compute(str(next(network.parameters()).device))

    def pooled(cut: NDArray[np.float32]) -> "Tensor":
        with torch.inference_mode(), compute.autocast():
            padding = (0, max(0, SMALLEST - cut.shape[1]), 0, max(0, SMALLEST - cut.shape[0]))
            image = torch.from_numpy(cut)[None, None]
            image = torch.nn.functional.pad(image, padding, mode="replicate")
            image = image.to(compute.device, memory_format=torch.channels_last)
            return network.first_exchange(image).cpu().float()

    with workers() as pool:
        return torch.cat(list(pool.map(pooled, cuts)))


def middle_of(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """The middle of the object in a slice, on the network's intensity scale."""
    dark, bright = levels_of_slice(image)
    scaled = (image - np.float32(dark)) / np.float32(bright - dark)
    frame = frame_of_object([scaled], scaled.shape) or tuple(slice(0, n) for n in scaled.shape)
    sides = []
    for side, length in zip(frame, scaled.shape, strict=True):
        first = max(0, min((side.start + side.stop - SIDE) // 2, length - SIDE))
        first = max(first, side.start) if side.stop - side.start <= SIDE else first
        sides.append(slice(first, min(first + SIDE, max(side.stop, first + 1), length)))
    return np.ascontiguousarray(np.clip(scaled[tuple(sides)], *SPIKE))


def is_filled(slices: list[NDArray[np.float32]]) -> bool:
    """Whether what slices (H, W) show goes on at their borders, as around no head."""
    shares = []
    for image in slices:
        dark, bright = levels_of_slice(image)
        border = np.concatenate([*image[:2], *image[-2:], *image[:, :2].T, *image[:, -2:].T])
        shares.append(np.mean(border > dark + AIR * (bright - dark)))
    return bool(shares) and float(np.median(shares)) > FILLED


def _interpolated(
    scan: Scan, plan: GridPlan, stored: list[NDArray[np.float32]], options: Options
) -> list[Finding]:
    if not plan.kind.in_kspace or (plan.steps[0].way is not None and options.acquired != "off"):
        return []  # the step knows of it
    undone = plan.recovery is not None and plan.recovery.zero_filled
    recovery, shares = None, [1.0]
    if options.acquired == "off":
        asked = replace(options, acquired="auto", window="none")
        recovery = find_recovery(scan, plan.across, asked, kspace=True)
    if recovery is not None:
        shares = [a / s for a, s in zip(recovery.found.matrix, recovery.stored, strict=True)]
    if recovery is not None and max(shares) <= INTERPOLATED:
        acquired, all_of_it = (
            " x ".join(map(str, n)) for n in (recovery.found.matrix, recovery.stored)
        )
        what, remedy = f" ({acquired} of {all_of_it} acquired)", "omit --acquired off"
    elif is_interpolated(stored, undone=undone):
        what = " or smoothed: the upper part of its spectrum tells nothing new"
        remedy = "give the matrix that was acquired, --acquired ROWSxCOLUMNS"
    else:
        return []
    return [
        Finding(
            "interpolated",
            f"{scan.name}: was interpolated{what}: it gains little and may be sharpened wrongly;"
            f" {remedy}",
        )
    ]


def share_in_order(stack: NDArray) -> float | None:
    """Share of the slices that are in order, as far as they tell.

    One is if no slice is clearly more like it than one beside it, and if the one after the next is
    not clearly more like it than the next: blocks in a wrong order fail the first, exchanged
    neighbours the second. The less of both counts.

    Args:
        stack: (N, H, W).

    Returns:
        None of fewer than `LEAST_SLICES` that show something.
    """
    step = max(1, min(stack.shape[1:]) // 48)
    small = np.nan_to_num(np.asarray(stack[:, ::step, ::step], np.float32))
    if small.size:
        small = np.clip(small, *np.quantile(small, (0.01, 0.99)))  # wild voxels tell nothing
    spread = small.std(axis=(1, 2))
    small = small[spread > 0.2 * spread.max()] if len(small) else small
    count = len(small)
    if count < LEAST_SLICES:
        return None
    flat = (small - small.mean()).reshape(count, -1)
    products = flat @ flat.T
    apart = products.diagonal()[:, None] + products.diagonal() - 2 * products
    in_turn = apart.diagonal(1)[:-1] * ALIKE <= apart.diagonal(2)
    beside = np.full(count, np.inf)
    beside[1:] = apart.diagonal(1)
    beside[:-1] = np.minimum(beside[:-1], apart.diagonal(1))
    np.fill_diagonal(apart, np.inf)
    return float(min(np.mean(in_turn), np.mean(beside * ALIKE <= apart.min(axis=1))))
