"""What a result owes its scan: of any answer of a network, and of every trained one."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.fft import dctn
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter, zoom

import iconet
from iconet import zoo
from iconet.images.kspace.read_kspace import read_kspace
from iconet.intensity import levels_of_slice
from iconet.physics.fourier import fft2c
from iconet.physics.kspace import crop_kspace, resize_kspace
from iconet.runtime.device import choose_compute
from iconet.runtime.runtimes import installed
from iconet.upscaling.fidelity import flat_background, with_band_of
from iconet.upscaling.from_kspace import KspaceModels, upscale_kspace
from iconet.upscaling.one_axis import enlarge_axis
from iconet.upscaling.slices import predict_stack
from iconet.zoo.model import Model

from ..images.raw_fastmri import fastmri
from ..physics.simulated_coils import anatomy, measured
from .conftest import Linear

CPU = choose_compute("cpu", "fp32")
DEMO_SCAN = Path(zoo.__file__).parents[1] / "demo_scan" / "sub-01_T1w_slab.nii.gz"


# ---------------------------------------------------------------- any answer of a network


class Careless(Linear):
    """Answers with as much noise as it likes."""

    def __init__(self, scale, gain):
        super().__init__(scale)
        self.gain = gain

    def forward(self, lr, intensity=None):
        image = super().forward(lr, intensity).image
        noise = np.random.default_rng(1).normal(0, self.gain, image.shape[-2:])
        return SimpleNamespace(image=image + torch.from_numpy(noise).float())


networks = st.builds(Careless, st.sampled_from([2, 4]), st.sampled_from([0.0, 0.1, 1.0, 1e3]))


@st.composite
def stacks(draw, least=2):
    """Slices of whole numbers, so that shifts are exact: noise or something smooth, any sign."""
    shape = draw(st.tuples(st.integers(2, 3), *[st.integers(least, 24)] * 2))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    values = rng.normal(0, 100, shape)
    if draw(st.booleans()):
        values = 20 * gaussian_filter(values, 2)
    if draw(st.booleans()):
        values = np.abs(values)
    values = np.round(values)
    values[:, 0, 0] += 50  # none is constant
    return values.astype(np.float32)


def blocks(image, factors):
    """Means of an enlarged image over the voxels of the original."""
    shape = [n for size, f in zip(image.shape, factors, strict=True) for n in (size // f, f)]
    return image.reshape(shape).mean(axis=tuple(range(1, 2 * len(factors), 2)), dtype=np.float64)


def repeated(image, factors):
    """Every voxel as often as the result has voxels in its place."""
    return np.kron(image, np.ones(factors, image.dtype))


def room(low, size, factors, share=0.5):
    """The least and the largest value that a result may have at every new voxel."""
    least = minimum_filter(low, size, mode="nearest").astype(np.float64)
    most = maximum_filter(low, size, mode="nearest").astype(np.float64)
    span = share * (most - least)
    return repeated(least - span, factors), repeated(most + span, factors)


@given(stacks(), networks)
def test_whatever_a_network_says_a_slice_stays_near_what_it_was(stack, network):
    made = predict_stack(network, stack, compute=CPU)
    factors = (1, network.scale, network.scale)
    least, most = room(stack, (1, 3, 3), factors)
    assert (made >= least - 1e-3).all() and (made <= most + 1e-3).all()
    assert (made.min(axis=(1, 2)) >= stack.min(axis=(1, 2))).all()


@given(stacks(), networks, st.integers(-10_000, 100_000), st.sampled_from([2**-8, 0.005, 1.0, 1e4]))
def test_whatever_a_network_says_shift_and_scale_pass_through(stack, network, shift, factor):
    made = predict_stack(network, stack, compute=CPU)
    shifted = predict_stack(network, stack + np.float32(shift), compute=CPU) - shift
    np.testing.assert_allclose(shifted, made, atol=0.05)
    factors = np.array([1, factor, 1], np.float32)[: len(stack), None, None]
    scaled = predict_stack(network, stack * factors, compute=CPU) / factors
    np.testing.assert_allclose(scaled, made, atol=0.05)


@given(
    st.tuples(*[st.integers(2, 21)] * 2),
    st.sampled_from([2, 3, 4]),
    st.sampled_from([0, 1, 100]),
    st.integers(0, 1000),
)
def test_the_measured_band_is_the_scans_own_and_the_rest_the_networks(shape, factor, gain, seed):
    """Of a slice that goes on evenly, or periodically: below the Nyquist frequency there."""
    rng = np.random.default_rng(seed)
    low = rng.normal(0, 1, shape)
    high = gain * rng.normal(0, 1, [factor * side for side in shape])
    given = (torch.from_numpy(image).float() for image in (low, high, np.zeros(shape)))
    made = with_band_of(*given).numpy()
    spectrum, even = dctn(made, norm="ortho"), dctn(high, norm="ortho")
    even[: shape[0], : shape[1]] = factor * dctn(low, norm="ortho")
    missing = torch.from_numpy(low) - resize_kspace(torch.from_numpy(made).double(), shape)
    periodic = fft2c(missing.numpy() + 0j)
    below = np.ix_(*(np.abs(np.arange(side) - side // 2) < side / 2 for side in shape))
    bound = 1e-5 * (factor + gain)
    assert np.abs(spectrum - even).max() < bound or np.abs(periodic[below]).max() < bound


@st.composite
def masked(draw, shape=(2, 24, 21)):
    """Slices with a disc of noise on a constant background, and the constant; where it is."""
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    value = draw(st.sampled_from([0.0, -1.0, 500.0, -1.234, 1e5]))
    spread = draw(st.sampled_from([1, 300]))
    radius = draw(st.floats(5, 9))
    rows, columns = (np.arange(side) - side / 2 for side in shape[1:])
    outside = np.broadcast_to(np.hypot(rows[:, None], columns) > radius, shape)
    tissue = value + spread * (1 + rng.gamma(2, 1, shape)) * draw(st.sampled_from([1, -1]))
    return np.where(outside, value, tissue).astype(np.float32), outside


@given(masked(), networks)
def test_whatever_a_network_says_a_masked_background_stays_exactly_what_it_was(scan, network):
    stack, outside = scan
    made = predict_stack(network, stack, compute=CPU)
    there = repeated(outside, (1, network.scale, network.scale))
    assert (made[there] == stack[0, 0, 0]).all()


@given(masked(shape=(20, 24, 18)), networks)
def test_nor_does_it_change_across_thick_slices(scan, network):
    """Slices of the first plane are masked; the axis enlarged lies in them."""
    volume, outside = scan
    made = enlarge_axis(volume, 2, network, compute=CPU)
    there = repeated(outside, (1, 1, network.scale))
    assert (made[there] == volume[0, 0, 0]).all()


@given(stacks(), networks, st.integers(0, 2))
def test_whatever_a_network_says_thick_slices_keep_their_means(volume, network, axis):
    volume = np.moveaxis(volume, 0, axis)
    made = enlarge_axis(volume, axis, network, compute=CPU)
    factors = [network.scale if index == axis else 1 for index in range(3)]
    means = blocks(made, factors)
    least, most = room(volume, 3, (1, 1, 1), share=0)
    assert (np.abs(means - volume) <= 0.05 * (most - least) + 1e-3).all()
    least, most = room(volume, 3, factors)
    assert (made >= least - 1e-3).all() and (made <= most + 1e-3).all()
    assert made.min() >= volume.min()


@given(stacks(least=3), st.integers(-10_000, 100_000), st.floats(1e-3, 1e4))
def test_levels_follow_shift_and_scale(stack, shift, factor):
    dark, bright = levels_of_slice(stack[0])
    assert stack.min() <= dark < bright <= stack.max()
    assert levels_of_slice(stack[0] + np.float32(shift)) == (dark + shift, bright + shift)
    scaled = levels_of_slice(stack[0] * np.float32(factor))
    np.testing.assert_allclose(scaled, np.array([dark, bright]) * factor, rtol=1e-5)


def test_a_background_is_a_constant_that_covers_a_part_of_the_slice():
    rng = np.random.default_rng(0)
    tissue = rng.normal(100, 10, (40, 40))
    assert flat_background(tissue) is None
    brain = np.hypot(*np.ogrid[-1:1:40j, -1:1:40j]) < 0.8
    np.testing.assert_array_equal(flat_background(np.where(brain, tissue, 7)), ~brain)
    # A few voxels of zero in the air of a scan of whole numbers are noise.
    air = np.floor(rng.rayleigh(2, (40, 40)))
    assert (air == 0).mean() > 0.05
    assert flat_background(np.where(brain, tissue, air)) is None
    # Tissue that happens to have the value, voxel by voxel, is not background.
    salted = np.where(brain, tissue, 7)
    salted[10:30:2, 10:30:2] = 7
    found = flat_background(salted)
    assert found[:6, :6].all() and not found[10:30, 10:30].any()


# ---------------------------------------------------------------- every trained network


@dataclass(frozen=True)
class Setting:
    """A model in a runtime; models for thick slices enlarge the last axis, others the first two."""

    model: str
    backend: str = "torch"
    precision: str = "fp32"
    tile: int | None = None
    through: bool = False

    def __str__(self):
        tile = "whole" if self.tile is None else "tiles"
        return "-".join([self.model, self.backend, self.precision, tile, "ijk"[2 * self.through :]])

    @property
    def factors(self):
        scale = network(self.model).scale
        return (1, 1, scale) if self.through else (scale, scale, 1)

    @property
    def neighbours(self):
        """Which voxels limit what a new one may be."""
        return (3, 3, 3) if self.through else (3, 3, 1)

    def __call__(self, volume):
        return iconet.upscale(
            volume,
            network(self.model),
            axes="k" if self.through else "ij",
            device="cpu",
            backend=self.backend,
            precision=self.precision,
            tile=self.tile,
        )

    def same(self, one, other, span):
        """Whether two results of the same slices are: bf16 rounds what differs in the last bit."""
        error = np.abs(np.asarray(one, np.float64) - other) / span
        if self.precision == "bf16":
            return np.sqrt(np.mean(error**2)) < 5e-3 and error.max() < 0.03
        return error.max() < 3e-4


@cache
def network(name):
    return iconet.load(name)


def _settings():
    """All models in PyTorch; converting one takes seconds, so other runtimes run the small ones."""
    yield Setting("mri-x2")
    yield Setting("mri-x2", precision="bf16", tile=16)
    yield Setting("mri-x4", tile=16)
    yield Setting("mri-x4", precision="bf16")
    yield Setting("mri-slice-x2", tile=16, through=True)
    yield Setting("mri-slice-x2", precision="bf16", through=True)
    yield Setting("mri-slice-x4", through=True)
    yield Setting("mri-slice-x4", precision="bf16", tile=16, through=True)
    for backend in ("openvino", "onnxruntime"):
        for precision in ("fp32", "bf16") if backend == "openvino" else ("fp32",):
            yield Setting("mri-x2", backend, precision)
            yield Setting("mri-slice-x2", backend, precision, through=True)


def _marked(setting):
    missing = setting.backend != "torch" and not installed(setting.backend)
    skip = pytest.mark.skipif(missing, reason=f"{setting.backend} is not installed")
    return pytest.param(setting, marks=skip, id=str(setting))


SETTINGS = list(_settings())
IN_PLANE = [_marked(setting) for setting in SETTINGS if not setting.through]
ALL = [_marked(setting) for setting in SETTINGS]
EXACT = [_marked(setting) for setting in SETTINGS if setting.precision == "fp32"]


@cache
def demo(*region):
    """A part of the head that comes with the package."""
    image = nibabel.load(DEMO_SCAN)
    return np.asarray(image.dataobj)[tuple(slice(*part) for part in region)].astype(np.float32)


def scan_for(setting):
    """The edge of the head and air: two slices, or thick ones."""
    if not setting.through:
        return demo((24, 48), (24, 52), (20, 22))
    return demo((30, 40), (42, 54), (0, 24)).reshape(10, 12, 6, 4).mean(axis=-1)


@cache
def result(setting):
    """Of this scan, which several tests look at."""
    return setting(scan_for(setting))


@pytest.mark.parametrize("setting", ALL)
def test_a_constant_that_is_added_comes_back_as_it_is(setting):
    scan, plain = scan_for(setting), result(setting)
    for shift in (-1e4, 1e5):
        assert setting.same(setting(scan + np.float32(shift)) - shift, plain, np.ptp(scan))


@pytest.mark.parametrize("setting", EXACT)
def test_unsigned_integers_about_the_middle_of_their_range_are_the_signed_ones(setting):
    """ImageJ stores signed values so."""
    scan = np.round(scan_for(setting)).astype(np.uint16)
    plain, made = setting(scan), setting(scan + np.uint16(32768))
    assert made.dtype == np.uint16
    assert np.abs(made.astype(int) - 32768 - plain).max() <= 1  # where rounding tips over


@pytest.mark.parametrize("setting", ALL)
def test_a_factor_comes_back_as_it_is(setting):
    """Of a scan whose edges ring below zero."""
    scan = scan_for(setting)
    scan = scan - 5 * np.cos(np.arange(scan.shape[1], dtype=np.float32))[:, None]
    assert scan.min() < -3
    made = setting(scan * np.float32(0.005)) / 0.005
    assert setting.same(made, setting(scan), np.ptp(scan))


@pytest.mark.parametrize("setting", IN_PLANE)
def test_a_dim_slice_beside_bright_ones_gets_what_a_bright_one_gets(setting):
    scan = np.repeat(scan_for(setting)[..., :1], 3, axis=2)
    scan[..., 1] *= 0.005
    made = setting(scan)
    span = np.ptp(scan)
    assert setting.same(made[..., 0], result(setting)[..., 0], span)
    assert setting.same(made[..., 1] / 0.005, made[..., 0], span)


@pytest.mark.parametrize("setting", ALL)
def test_nothing_falls_below_what_was_there_nor_leaves_the_range_around_it(setting):
    """So a scan without negative values gets none."""
    scan, made = scan_for(setting), result(setting)
    alone = None if setting.through else (0, 1)
    assert scan.min() >= 0 and (made.min(axis=alone) >= scan.min(axis=alone)).all()
    least, most = room(scan, setting.neighbours, setting.factors)
    assert (made >= least - 1e-3).all() and (made <= most + 1e-3).all()


@pytest.mark.parametrize("setting", IN_PLANE)
def test_voxels_keep_their_means_and_slices_their_band(setting):
    scan, made = scan_for(setting), result(setting)
    missing = blocks(made, setting.factors) - scan
    assert np.sqrt(np.mean(missing**2)) < 0.012 * np.ptp(scan)  # interpolation: 0.008
    assert abs(missing.mean()) < 1e-3 * np.ptp(scan)
    for low, high in zip(np.moveaxis(scan, 2, 0), np.moveaxis(made, 2, 0), strict=True):
        band = dctn(high, norm="ortho")[: len(low), : low.shape[1]] / setting.factors[0]
        difference = band - dctn(low, norm="ortho")
        # What the bounds cost, and what the magnitude folded.
        assert np.sqrt(np.mean(difference**2)) < 2e-2 * low.std()


@pytest.mark.parametrize("setting", [one for one in ALL if one.values[0].through])
def test_thick_slices_keep_their_means(setting):
    scan, made = scan_for(setting), result(setting)
    missing = blocks(made, setting.factors) - scan
    least, most = room(scan, 3, (1, 1, 1), share=0)
    assert (np.abs(missing) <= 0.05 * (most - least) + 1e-3).all()
    assert abs(missing.mean()) < 2e-3 * np.ptp(scan)


def brain(setting):
    """Z-scores of the inside of the head, and where it is: a stripped brain to be masked."""
    side = 14 if setting.through else 28
    scan = demo((60, 60 + side), (60, 60 + side), (20, 24 if setting.through else 21))
    rows, columns = (np.linspace(-1, 1, side) for side in scan.shape[:2])
    inside = np.broadcast_to((np.hypot(rows[:, None], columns) < 0.8)[..., None], scan.shape)
    return (scan - scan[inside].mean()) / scan[inside].std(), inside


@pytest.mark.parametrize("setting", ALL)
@pytest.mark.parametrize(("gain", "mean", "value"), [(1, 0, -0.5), (150, 1400, 500)])
def test_a_masked_background_stays_exactly_what_it_was(setting, gain, mean, value):
    """Amid z-scores, and below magnitudes."""
    scores, inside = brain(setting)
    scan = np.where(inside, mean + gain * scores, value).astype(np.float32)
    made = setting(scan)
    there = repeated(~inside, setting.factors)
    assert (made[there] == np.float32(value)).all()
    error = made[~there].mean(dtype=np.float64) - scan[inside].mean(dtype=np.float64)
    assert abs(error) < 0.005 * np.ptp(scan)


def in_air(setting, sigma=10.0):
    """A round object with soft edges in the noise of magnitudes; where air is near and far."""
    shape = (64, 20, 8) if setting.through else (96, 96, 1)
    rows, columns = (np.arange(side) - (side - 1) / 2 for side in shape[:2])
    if setting.through:
        columns = 0 * columns  # its axis lies in the slices of both planes
    distance = np.hypot(rows[:, None], columns)
    texture = 600 + 100 * np.cos(0.7 * rows[:, None] + 0.3 * columns)
    signal = gaussian_filter(texture * (distance < 12), 0.8)[..., None]
    noise = np.random.default_rng(0).normal(0, sigma, (2, *shape))
    beside = (distance > 16) & (distance < 19)
    beyond = np.maximum(np.abs(rows)[:, None], np.abs(columns)) > 25
    scan = np.hypot(signal + noise[0], noise[1]).astype(np.float32)
    return scan, [np.broadcast_to(there[..., None], shape) for there in (beside, beyond)]


@pytest.mark.filterwarnings("ignore:.*slices are like their neighbours")  # they are noise
@pytest.mark.parametrize("setting", [one for one in ALL if one.values[0].backend == "torch"])
def test_air_looks_alike_beside_the_head_and_far_from_it(setting):
    """No box around the head: the network sees the air beside it, and not what is far."""
    scan, places = in_air(setting)
    made = setting(scan)
    for measure in (np.mean, np.std):
        near, far = (measure(scan[there]) for there in places)
        beside, beyond = (measure(made[repeated(there, setting.factors)]) for there in places)
        assert beside / beyond == pytest.approx(near / far, rel=0.1)
        assert beyond == pytest.approx(far, rel=0.1)


@pytest.mark.parametrize("setting", IN_PLANE)
def test_a_region_that_is_dim_beside_bright_tissue_keeps_its_mean(setting):
    scan = demo((60, 100), (60, 100), (20, 21)).copy()
    scan[10:30, 10:30] *= 0.02
    made, factor = setting(scan), setting.factors[0]
    within = np.s_[12 * factor : 28 * factor, 12 * factor : 28 * factor]  # but for its edge
    assert made[within].mean() == pytest.approx(scan[12:28, 12:28].mean(), rel=0.01)


# ---------------------------------------------------------------- spacings, kinds of values


@pytest.mark.parametrize("wanted", [{"spacing": "0.8x0.8x1.7"}, {"isotropic": True}], ids=str)
def test_a_result_of_any_spacing_owes_its_scan_the_same(wanted):
    scan = demo((24, 40), (30, 60), (16, 19))

    def to_spacing(values):
        image = nibabel.Nifti1Image(values.astype(np.float32), np.diag([1, 1, 3, 1]))
        options = {"device": "cpu", "precision": "fp32", "backend": "torch"}
        return iconet.upscale(image, **wanted, **options).get_fdata()

    plain, span = to_spacing(scan), np.ptp(scan)
    assert plain.min() >= scan.min()
    assert plain.max() <= scan.max() + 0.5 * span
    assert plain.mean() == pytest.approx(scan.mean(), rel=0.02)
    assert np.abs(to_spacing(scan + 5000) - 5000 - plain).max() < 3e-4 * span
    assert np.abs(to_spacing(scan * 1e-3) * 1e3 - plain).max() < 3e-4 * span
    masked = np.where(np.arange(30)[:, None] < 14, 500, 500 + scan)
    made = to_spacing(masked)
    assert (made[:, : int(12 * made.shape[1] / 30)] == 500).all()
    assert made.min() >= 500


@pytest.mark.parametrize("factor", [2, 4])
def test_it_is_better_than_interpolation_wherever_the_background_lies(factor):
    truth = demo((32, 96), (64, 128), (24, 25))
    low = crop_kspace(torch.from_numpy(truth).movedim(2, 0), factor).abs().movedim(0, 2).numpy()

    def psnr(image):
        return 20 * np.log10(truth.max() / np.sqrt(np.mean((image - truth) ** 2)))

    spline = zoom(low, (factor, factor, 1), order=3, mode="nearest", grid_mode=True)
    for offset in (0, -500, 500, 5000):
        made = Setting(f"mri-x{factor}")(low + np.float32(offset)) - offset
        assert psnr(made) > psnr(spline) + 1
        assert abs(made.mean() - truth.mean()) < 2e-3 * truth.max()


def signed():
    """A field map in Hz, a z-scored crop of a head, and Hounsfield units inside a body."""
    side = np.linspace(-1, 1, 48)
    x, y = np.meshgrid(side, side, indexing="ij")
    peak = 80 * np.exp(-((x - 0.4) ** 2 + y**2) / 0.02)
    field = np.where((x / 0.8) ** 2 + (y / 0.7) ** 2 < 1, 150 * x * y + peak - 60 * x, 0)
    crop = demo((64, 112), (64, 112), (24, 25))[..., 0]
    body = 40 + 12 * np.random.default_rng(1).normal(size=x.shape)
    for value, centre, radius in (
        (-900, (-0.3, 0), 0.2),
        (-100, (0.4, 0), 0.25),
        (900, (0, 0.6), 0.15),
    ):
        body[np.hypot(x - centre[0], y - centre[1]) < radius] = value
    return {"field": field, "scores": (crop - crop.mean()) / crop.std(), "body": body}


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("name", ["field", "scores", "body"])
@pytest.mark.filterwarnings("ignore:.*CT, for which")
def test_signed_values_stay_what_and_where_they_are(factor, name):
    image = signed()[name].astype(np.float32)[..., None]
    made = Setting(f"mri-x{factor}")(image)
    error = blocks(made, (factor, factor, 1)) - image
    over = max(image.min() - made.min(), made.max() - image.max()) / np.ptp(image)
    assert np.sqrt(np.mean(error**2)) < 0.2 * image.std()
    assert over < 0.25 and made.min() >= image.min()


def test_raw_data_of_any_scale_give_the_same_image(tmp_path):
    """Slice by slice."""
    kspace, _ = measured(anatomy(1), 1, 4)
    kspace = torch.cat([kspace, 1e-6 * kspace])
    models = KspaceModels(*[Model.of(network("mri-x2-joint"))] * 2)
    raw = read_kspace(fastmri(tmp_path / "two.h5", kspace))
    made = upscale_kspace(raw, models, compute=CPU)[0].array
    assert made.min() >= 0
    np.testing.assert_allclose(made[..., 1] * 1e6, made[..., 0], atol=1e-4 * made.max())
