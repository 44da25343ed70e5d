from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import iconet
from iconet.images import read
from iconet.upscaling import upscale
from iconet.upscaling.apart import Apart, SetApart

from .conftest import noise

SHARED = Path(__file__).parents[2] / "shared" / "data"
"""Real scans, where there are any; never a part of the repository."""
AFFINE = np.diag([-1.0, 1, 3, 1])
GRIDS = [
    {"axes": "ij"},
    {"axes": "k"},
    {"axes": "ijk"},
    {"spacing": (0.7, 0.8, 1.9)},
    {"isotropic": True},
]
grids = pytest.mark.parametrize("grid", GRIDS, ids=str)


def nearest(source, image):
    """The voxel of the source that each of an image's voxels lies in, found in millimetres."""
    index = np.indices(image.shape).reshape(3, -1)
    inside = np.linalg.inv(AFFINE) @ image.affine
    moved = inside[:3, :3] @ index + inside[:3, 3:]
    # A centre between two voxels belongs to the later one, whatever rounding does to it.
    places = np.floor(moved + 0.5 + 1e-6).astype(int)
    places = np.clip(places, 0, np.array(source.shape)[:, None] - 1)
    return source[tuple(places)].reshape(image.shape)


def enlarged(volume, linear, **grid):
    return upscale(nibabel.Nifti1Image(volume, AFFINE), linear, **grid)


def circle(shape=(32, 32, 6)):
    """What lies outside of it."""
    x, y = (np.linspace(-1, 1, size) for size in shape[:2])
    outside = np.add.outer(x**2, y**2) > 1
    return np.broadcast_to(outside.reshape(shape[:2] + (1,) * (len(shape) - 2)), shape)


def body(shape=(32, 32, 6)):
    """Hounsfield units."""
    x, y = (np.linspace(-1, 1, size) for size in shape[:2])
    inside = (np.add.outer(x**2, y**2) < 0.4).reshape(shape[:2] + (1,) * (len(shape) - 2))
    return np.round(np.where(inside, 50, -1000) + noise(*shape) / 10 - 10).astype(np.float32)


masks = arrays(bool, (20, 18, 5)).filter(lambda mask: not mask.all())


@grids
@given(mask=masks)
def test_nan_stays_where_it_was_and_the_rest_is_what_it_is_without(linear, grid, mask):
    volume = np.where(mask, np.float32(np.nan), noise(20, 18, 5))
    image = enlarged(volume, linear, **grid)
    np.testing.assert_array_equal(np.isnan(image.dataobj), nearest(mask, image))
    clean = volume if (apart := Apart.of(volume)) is None else apart.clean
    expected = np.asarray(enlarged(clean, linear, **grid).dataobj)
    np.testing.assert_array_equal(image.dataobj, np.where(nearest(mask, image), np.nan, expected))


@given(mask=arrays(bool, (16, 15)).filter(lambda mask: not mask.all()))
def test_what_goes_on_in_nan_is_within_what_is_around_it(mask):
    image = 200 + noise(16, 15)
    clean = Apart.of(np.where(mask, np.nan, image)).clean if mask.any() else image
    np.testing.assert_array_equal(clean[~mask], image[~mask])
    assert image[~mask].min() * 0.999 <= clean.min() and clean.max() <= image[~mask].max() * 1.001


def test_far_from_all_values_there_is_nothing():
    image = np.full((64, 64), np.nan, np.float32)
    image[:8] = noise(8, 64)
    clean = Apart.of(image).clean
    assert np.abs(clean[8:12].mean() - 100) < 10 and np.all(clean[16:] == 0)


@pytest.mark.parametrize("across", [0, 1, 2])
def test_a_slice_of_nan_alone(linear, across):
    volume = noise(18, 16, 5)
    np.moveaxis(volume, across, 0)[2] = np.nan
    image = enlarged(volume, linear)
    np.testing.assert_array_equal(np.isnan(image.dataobj), nearest(np.isnan(volume), image))


def test_volumes_of_a_series_have_each_their_own(linear):
    series = np.stack([body(), noise(32, 32, 6), noise(32, 32, 6)], axis=-1)
    series[..., 0][circle()] = -2000
    series[..., 1] = np.nan
    out = upscale(series, linear)
    assert np.isnan(out[..., 1]).all() and np.isfinite(out[..., [0, 2]]).all()
    assert set(out[..., 0][circle().repeat(2, 0).repeat(2, 1)]) == {-2000}
    np.testing.assert_array_equal(out[..., 2], upscale(series[..., 2], linear))


@grids
@given(padding=st.integers(-(2**15), -1300) | st.integers(20_000, 2**15 - 1))
def test_padding_changes_nothing_whatever_its_value(linear, grid, padding):
    one, other = (
        enlarged(np.where(circle(), value, body()).astype(np.int16), linear, **grid)
        for value in (-2000, padding)
    )
    outside = nearest(circle(), one)
    np.testing.assert_array_equal(
        np.asarray(one.dataobj)[~outside], np.asarray(other.dataobj)[~outside]
    )
    assert set(np.asarray(other.dataobj)[outside]) == {padding}


def test_padding_that_was_read_as_unsigned(linear):
    stored = np.where(circle(), 63536, body() + 1024).astype(np.uint16)
    out = upscale(stored, linear)
    outside = circle().repeat(2, 0).repeat(2, 1)
    assert out.dtype == np.uint16 and set(out[outside]) == {63536} and out[~outside].max() < 1500


def test_a_slice_of_padding_alone(linear):
    volume = np.where(circle(), -2000, body()).astype(np.float32)
    volume[..., 5] = -2000
    assert np.all(upscale(volume, linear)[..., 5] == -2000)
    volume[...] = -2000
    assert np.all(upscale(volume, linear) == -2000)


@pytest.mark.parametrize("known", [(-2000.0, -2000.0), (-2000.0, -1500.0), (-3000.0, -1200.0)])
def test_padding_that_a_header_names_need_not_be_in_corners(known):
    volume = body()
    volume[10:14, 10:14] = -2000
    assert Apart.of(volume) is None
    apart = Apart.of(volume, known)
    assert apart.found == SetApart(padding=96, padding_values=known)
    assert apart.clean[10:14, 10:14].min() > -1100


def test_padding_that_a_header_names_wrongly_is_found_all_the_same():
    volume = np.where(circle(), -3024, body()).astype(np.float32)
    assert Apart.of(volume, (-2000, -2000)).found.padding_values == (-3024, -3024)


MASKED = np.where(circle(), 0, 200 + noise(32, 32, 6))
NO_PADDING = {
    "a masked brain": (MASKED, None),
    "a masked brain whose header says so": (MASKED, (0, 0)),
    "a z-scored brain": ((MASKED - MASKED.mean()) / MASKED.std(), None),
    "z-scores on 0": (np.where(circle(), 0, noise(32, 32, 6) - 100), None),
    "CT clipped at air": (np.where(circle(), -1024, body()), None),
    "CT clipped at air whose header says so": (np.where(circle(), -1024, body()), (-1024, -1024)),
    "MRI whose header says 0": (np.maximum(noise(32, 32, 6) - 100, 0), (0, 0)),
    "an inverted mask": (np.where(circle(), 255, 0), None),
    "white around a picture": (np.where(circle(), 255, noise(32, 32, 6).clip(0, 250)), None),
}


@pytest.mark.parametrize("name", NO_PADDING)
def test_a_background_is_no_padding(name):
    volume, known = NO_PADDING[name]
    assert Apart.of(volume.astype(np.float32), known) is None


def test_padding_of_z_scores(linear):
    volume = np.where(circle(), -1000, noise(32, 32, 6) / 30 - 3).astype(np.float32)
    assert Apart.of(volume).found == SetApart(padding=circle().sum(), padding_values=(-1000, -1000))


@grids
@given(
    place=st.tuples(st.integers(1, 18), st.integers(1, 16), st.integers(1, 3)),
    value=st.sampled_from([1e5, -1e5, 3e4, 1e30]),
)
def test_a_wild_voxel_changes_its_own_block_alone(linear, grid, place, value):
    volume = noise(20, 18, 5)
    around = np.delete(volume[tuple(slice(at - 1, at + 2) for at in place)].ravel(), 13)
    volume[place] = np.median(around)
    without = enlarged(volume, linear, **grid)
    wild = volume.copy()
    wild[place] = value
    image = enlarged(wild, linear, **grid)
    block = nearest(wild == np.float32(value), image)
    assert block.any()
    before, after = np.asarray(without.dataobj), np.asarray(image.dataobj)
    np.testing.assert_array_equal(before[~block], after[~block])
    np.testing.assert_allclose(after[block], value, atol=200)


@pytest.mark.parametrize("shape", [(24, 20), (24, 20, 1), (24, 20, 3), (2, 24, 20)])
def test_wild_voxels_in_corners_side_by_side_and_beside_nan(shape):
    volume = noise(*shape)
    first, last = (0,) * len(shape), tuple(size - 1 for size in shape)
    volume[first], volume[last] = 1e5, -1e5
    volume[(1, *first[1:])] = 9e4
    apart = Apart.of(volume)
    assert apart.found == SetApart(wild=3)
    assert np.ptp(apart.clean) <= np.ptp(noise(*shape))
    volume[(0, 1, *first[2:])] = np.nan
    assert Apart.of(volume).found == SetApart(nan=1, wild=3)
    volume[...] = np.nan
    assert Apart.of(volume).found == SetApart(nan=volume.size)


def lit(*where, value=1e5):
    volume = noise(24, 24, 8)
    volume[where] = value
    return volume


def spot(width):
    """A point seen by a scanner of this resolution in voxels, full width at half maximum."""
    squares = sum((index - 10) ** 2 for index in np.indices((24, 24, 20)))
    return 1e4 * np.exp(-4 * np.log(2) * squares / width**2) + noise(24, 24, 20) / 100


NOT_WILD = {
    "noise": noise(24, 24, 8),
    "heavy tails": np.random.default_rng(0).lognormal(0, 1.5, (24, 24, 8)),
    "an object of 3 x 3 voxels": lit(slice(8, 11), slice(8, 11), 4),
    "a vessel": lit(8, slice(None), 4),
    "a bright slice": lit(..., 4),
    "an edge": noise(24, 24, 8) * np.where(np.arange(24) < 12, 1, 1000)[:, None, None],
    "5 times the range": lit(8, 8, 4, value=1000),
    "one voxel in nothing": (np.indices((24, 24)).sum(axis=0) == 20) * np.eye(24) * 1000.0,
    "labels": np.eye(24).repeat(4).reshape(24, 24, 4),
    **{f"a hot spot {width} voxels wide": spot(width) for width in (1.5, 2, 3)},
}


@pytest.mark.parametrize("name", NOT_WILD)
def test_what_could_be_anatomy_is_not_wild(name):
    assert Apart.of(NOT_WILD[name].astype(np.float32)) is None


def test_no_voxel_of_the_scan_that_comes_with_the_package():
    scan = next((Path(iconet.__file__).parent / "demo_scan").glob("*.nii.gz"))
    assert Apart.of(read(scan).array) is None


@pytest.mark.skipif(not SHARED.exists(), reason="needs shared/data")
@pytest.mark.parametrize("kind", ["body/ct", "body/pet", "body/limb", "body/prostate", "ds000011"])
def test_no_voxel_of_real_scans(kind):
    files = sorted((SHARED / kind).glob("*.nii.gz"))[:4]
    assert files, f"{kind} is empty"
    assert not [path.name for path in files if Apart.of(read(path).array) is not None]


def test_taking_out_undoes_putting_back():
    volume = np.where(circle(), np.nan, body()).astype(np.float32)
    volume[16, 16, 2] = 1e6
    apart = Apart.of(volume)
    out = apart.clean.repeat(2, 0).repeat(2, 1)
    before = out.copy()
    apart.put_back(out, (0.5, 0.5, 1))
    assert np.isnan(out[0, 0, 0]) and out[33, 32, 2] > 9e5
    apart.take_out(out, (0.5, 0.5, 1))
    np.testing.assert_allclose(out, before, atol=0.1)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (SetApart(wild=1), "1 voxel far beyond all others"),
        (
            SetApart(padding=12345, padding_values=(-2000, -2000), wild=3),
            "12,345 voxels of padding (-2000) and 3 voxels far beyond all others",
        ),
        (
            SetApart(nan=2, padding=1, padding_values=(-3024, -2000), wild=1),
            "2 voxels of NaN, 1 voxel of padding (-3024 to -2000) and 1 voxel far beyond all "
            "others",
        ),
    ],
)
def test_it_is_said_in_words(found, text):
    assert str(found) == text and found and not SetApart()
