"""The labels of a scan, brought to exactly the grid that its result has."""

from dataclasses import replace

from iconet.errors import InputError
from iconet.images import Scan
from iconet.images.geometry import SAME_PLACE_MM, farthest_apart
from iconet.images.kind import Kind, kind_of
from iconet.images.kind.kinds import LABELS, PROBABILITIES
from iconet.images.kind.values import whole
from iconet.runtime.device import Compute
from iconet.upscaling.models import Models
from iconet.upscaling.options import Options
from iconet.upscaling.plan import GridPlan
from iconet.upscaling.upscale import upscale_scan


def check_labels(labels: Scan, scan: Scan) -> Kind:
    """Refuses what are no labels of a scan; returns what they are.

    Raises:
        InputError: Another grid than the scan's, or neither labels nor probabilities.
    """
    sizes = labels.array.shape[:3], scan.array.shape[:3]
    if sizes[0] != sizes[1]:
        voxels = [" x ".join(map(str, size)) for size in sizes]
        raise InputError(
            f"{labels.name}: {voxels[0]} voxels, where {scan.name} has {voxels[1]}: give labels on"
            " the scan's grid"
        )
    if labels.affine is not None and scan.affine is not None:
        worst = farthest_apart(labels.affine, scan.affine, sizes[0])
        if worst > SAME_PLACE_MM:
            raise InputError(
                f"{labels.name}: places a voxel {worst:.3g} mm from where {scan.name} has it: give"
                " labels on the scan's grid"
            )
    kind = kind_of(labels)
    if kind.labels or kind.name == PROBABILITIES:
        return kind
    if not whole(labels.array):
        raise InputError(
            f"{labels.name}: holds fractions, not labels; upscale it as a scan of its own"
        )
    return Kind(LABELS, "by --labels")


def upscale_labels(
    labels: Scan, kind: Kind, plan: GridPlan, models: Models, compute: Compute, options: Options
) -> Scan:
    """Bring labels to the grid that a scan is planned to come to.

    Args:
        labels: That `check_labels` let pass.
        kind: As it returned.
        plan: Of the scan.
        models: As of `upscale_scan`, like the next ones; none of them is run.
        compute: See there.
        options: See there.
    """
    own = replace(plan, kind=kind, interpolated=True, steps=(), recovery=None)
    return upscale_scan(labels, own, models, compute, options)
