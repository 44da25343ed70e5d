"""Affines as scanners and registration tools make them."""

import numpy as np
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation


@st.composite
def affines(draw, *, sheared=False):
    """Oblique, flipped, anisotropic and, if asked for, sheared; (4, 4) float64."""
    turn = Rotation.from_euler("xyz", [draw(st.floats(-180, 180)) for _ in range(3)], degrees=True)
    spacing = np.array([draw(st.floats(0.2, 6)) for _ in range(3)])
    signs = np.array([draw(st.sampled_from([-1, 1])) for _ in range(3)])
    shear = np.eye(3)
    if sheared:
        shear[np.triu_indices(3, 1)] = [draw(st.floats(-0.5, 0.5)) for _ in range(3)]
    affine = np.eye(4)
    affine[:3, :3] = turn.as_matrix() @ shear @ np.diag(spacing * signs)
    affine[:3, 3] = [draw(st.floats(-200, 200)) for _ in range(3)]
    return affine


def blocks_to_world(affine, factors, voxels):
    """The centres of blocks of `factors` voxels: where the voxel that covers a block must be."""
    factors = np.asarray(factors, dtype=float)
    centres = voxels * factors + (factors - 1) / 2
    return centres @ affine[:3, :3].T + affine[:3, 3]
