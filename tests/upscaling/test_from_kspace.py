"""Raw k-space of simulated coils and of the demo scan, against the truth."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
import torch

import iconet
from iconet import cli
from iconet.errors import InputError
from iconet.images.kspace.read_kspace import read_kspace
from iconet.network import Samples
from iconet.physics.coils import centre_lines, combine, sensitivities
from iconet.physics.fourier import fft2c, ifft2c
from iconet.physics.kspace import crop_kspace, zero_fill
from iconet.physics.smooth_phase import smooth_phase
from iconet.runtime.device import choose_compute
from iconet.upscaling.from_kspace import KspaceModels, reconstruct, upscale_kspace
from iconet.upscaling.options import Options
from iconet.zoo.model import Model

from ..images.raw_fastmri import fastmri
from ..physics.simulated_coils import anatomy, coil_maps, measured

CPU = choose_compute("cpu", "fp32")


def psnr(image: np.ndarray, truth: torch.Tensor) -> float:
    """Inside the head, of (h, w, S)."""
    reference = truth[:, 0].permute(1, 2, 0).numpy()
    head = reference > 0.1
    return float(-10 * np.log10(np.square(image - reference)[head].mean()))


def zero_filled(kspace: torch.Tensor) -> np.ndarray:
    """Magnitude of the root of the sum of squares, enlarged by zero-filling."""
    rss = ifft2c(kspace).abs().square().sum(dim=1).sqrt()
    return zero_fill(rss, 2).permute(1, 2, 0).numpy()


@pytest.fixture(scope="module")
def joint() -> iconet.ICONet:
    return iconet.load("mri-x2-joint")


@pytest.fixture(scope="module")
def models(joint) -> KspaceModels:
    return KspaceModels(Model.of(joint), Model.of(iconet.load("mri-x2")))


@pytest.mark.parametrize(("coils", "acceleration"), [(1, 4), (8, 3), (8, 1)])
def test_it_is_better_than_zero_filling(tmp_path: Path, models, coils, acceleration) -> None:
    truth = anatomy(2 if coils == 1 else 1)
    kspace, mask = measured(truth, coils, acceleration)
    scan, found = upscale_kspace(
        read_kspace(fastmri(tmp_path / "a.h5", kspace)), models, compute=CPU
    )
    assert scan.array.dtype == np.float32 and scan.array.shape == (192, 256, len(truth))
    gain = psnr(scan.array, truth) - psnr(zero_filled(kspace), truth)
    assert gain > {(1, 4): 2.0, (8, 3): 2.0, (8, 1): 0.3}[coils, acceleration]
    assert (found.acceleration > 1) == (acceleration > 1)
    if coils == 1:
        np.testing.assert_array_equal(found.masks[0].all(axis=0), mask.numpy())
    if acceleration == 1:
        assert found.masks.all()


@pytest.mark.parametrize(("acceleration", "gain"), [(2, 1.0), (3, 0.8)])
def test_sense_first_is_better_than_the_lines_of_a_plain_combination(
    tmp_path: Path, models, acceleration: float, gain: float
) -> None:
    """Why undersampled coils go through SENSE: the choice this package makes, measured."""
    truth = anatomy()
    kspace, mask = measured(truth, 8, acceleration)
    maps = sensitivities(kspace[0], centre_lines(mask))
    image = combine(ifft2c(kspace[0]), maps)
    samples = Samples(torch.where(mask, fft2c(image), 0)[None, None], mask.view(1, 1, 1, -1))
    with torch.inference_mode():
        plain = models.undersampled.network(
            torch.stack([image.real, image.imag])[None], samples=samples
        ).image
    raw = read_kspace(fastmri(tmp_path / "a.h5", kspace))
    scan, _ = upscale_kspace(raw, models, compute=CPU)
    better = psnr(scan.array, truth) - psnr(plain.norm(dim=1)[0, ..., None].numpy(), truth)
    assert better > gain


def test_oversampling_is_removed_and_every_voxel_stays_where_it_was(tmp_path: Path, joint) -> None:
    """A blob at a known place, in a field of view twice and 1.25 times as large as is shown."""
    y, x = torch.meshgrid(torch.arange(96) - 48, torch.arange(80) - 40, indexing="ij")
    blob = torch.exp(-((y - 7) ** 2 + (x + 12) ** 2) / 18.0) + 0.2
    kspace = fft2c(blob.to(torch.complex64))[None, None].repeat(2, 1, 1, 1)
    path = fastmri(tmp_path / "a.h5", kspace, shown=(48, 64))
    assert cli.run(["upscale", str(path), "-o", str(tmp_path / "a.nii.gz")]) == 0
    image = SimpleITK.ReadImage(str(tmp_path / "a.nii.gz"))
    assert image.GetSize() == (96, 128, 2)
    np.testing.assert_allclose(image.GetSpacing(), [1, 0.75, 5], rtol=1e-6)
    array = SimpleITK.GetArrayFromImage(image)[0].astype(float) - 0.2
    weight = np.where(array > 0.3, array, 0)
    j, i = (np.average(np.indices(array.shape)[a], weights=weight) for a in (0, 1))
    # SimpleITK's world is left and posterior; ours right and anterior.
    world = image.TransformContinuousIndexToPhysicalPoint((i, j, 0.0))
    np.testing.assert_allclose([-world[0], -world[1]], [7 * 2, -12 * 1.5], atol=0.05)
    assert array.max() == pytest.approx(1, abs=0.1)  # intensities keep their scale


def test_what_sense_completes_goes_to_the_model_of_images(tmp_path: Path, models) -> None:
    """Nothing is left that a joint model could undo, and it costs what it learnt for that."""
    truth = anatomy()
    kspace, _ = measured(truth, 8, 2, even=True)
    raw = read_kspace(fastmri(tmp_path / "a.h5", kspace))
    scan, found = upscale_kspace(raw, models, compute=CPU)
    joint, _ = upscale_kspace(raw, KspaceModels(*[models.undersampled] * 2), compute=CPU)
    assert found.complete and found.acceleration > 1.4
    assert psnr(scan.array, truth) - psnr(joint.array, truth) > 1.0


@pytest.mark.parametrize(("even", "gain"), [(False, 0.7), (True, 0.7)])
def test_eight_coils_are_better_than_one(tmp_path: Path, models, even: bool, gain: float) -> None:
    """4 times accelerated, the same lines and noise. SENSE first was no better than one coil."""
    truth = anatomy()
    images = []
    for coils in (8, 1):
        kspace, _ = measured(truth, coils, 4, noise=0.01, even=even)
        raw = read_kspace(fastmri(tmp_path / f"{coils}.h5", kspace))
        scan, found = upscale_kspace(raw, models, compute=CPU)
        assert not found.complete
        images.append(scan.array)
    assert psnr(images[0], truth) - psnr(images[1], truth) > gain


@pytest.mark.parametrize("coils", [1, 4])
@pytest.mark.parametrize("right", [False, True])
def test_partial_fourier_is_filled_in(tmp_path: Path, models, coils: int, right: bool) -> None:
    truth = anatomy()
    kspace, _ = measured(truth, coils, 1)
    kspace[..., -32:] *= not right
    kspace[..., :32] *= right
    raw = read_kspace(fastmri(tmp_path / "a.h5", kspace))
    scan, found = upscale_kspace(raw, models, compute=CPU)
    assert found.partial == 0.75 and found.complete and "partial Fourier 6/8" in str(found)
    assert psnr(scan.array, truth) - psnr(zero_filled(kspace), truth) > 1.5


def test_a_scale_of_one_is_the_reconstruction(tmp_path: Path, models) -> None:
    """At the measured size, in the same place, better than zero-filling."""
    truth = anatomy()
    kspace, _ = measured(truth, 1, 4)
    path, output = fastmri(tmp_path / "a.h5", kspace), tmp_path / "a.nii.gz"
    call = ["upscale", str(path), "-o", str(output), "--scale", "1", "--report"]
    assert cli.run(call) == 0
    image = nibabel.load(output)
    assert image.shape == (96, 128, 1)
    np.testing.assert_allclose(image.affine, read_kspace(path).affine)
    low = crop_kspace(truth, 2).abs()
    before = ifft2c(kspace)[:, 0].abs().permute(1, 2, 0).numpy()
    assert psnr(image.get_fdata(), low) - psnr(before, low) > 2
    raw = read_kspace(path)
    again, _ = upscale_kspace(raw, models, compute=CPU, options=Options(scale=1))
    np.testing.assert_allclose(image.get_fdata(), again.array, atol=0.02)
    report = json.loads((tmp_path / "a.nii.gz.report.json").read_text())
    assert report["options"]["scale"] == 1 and report["models"][0]["name"] == "mri-x2-joint"


def test_complete_data_are_reconstructed_without_a_network(tmp_path: Path) -> None:
    kspace, _ = measured(anatomy(), 1, 1)
    output = tmp_path / "a.nii.gz"
    path = fastmri(tmp_path / "a.h5", kspace)
    assert cli.run(["upscale", str(path), "-o", str(output), "--scale", "1", "--report"]) == 0
    expected = ifft2c(kspace)[0, 0].abs().numpy()
    np.testing.assert_allclose(nibabel.load(output).get_fdata()[..., 0], expected, atol=1e-5)
    assert json.loads((tmp_path / "a.nii.gz.report.json").read_text())["models"] == []


@pytest.mark.parametrize("acceleration", [1, 4])
def test_complex_images_have_the_magnitude_and_the_phase(
    tmp_path: Path, acceleration: float
) -> None:
    """The phase is that of the object; nibabel and SimpleITK read it."""
    truth = anatomy()
    kspace, _ = measured(truth, 1, acceleration)
    path = str(fastmri(tmp_path / "a.h5", kspace))
    for name, more in (("m", []), ("c", ["--complex", "--report"])):
        assert cli.run(["upscale", path, "-o", str(tmp_path / f"{name}.nii.gz"), *more]) == 0
    image = nibabel.load(tmp_path / "c.nii.gz")
    assert image.get_data_dtype() == np.complex64
    values = np.asarray(image.dataobj)
    magnitude = nibabel.load(tmp_path / "m.nii.gz").get_fdata()
    np.testing.assert_allclose(np.abs(values), np.abs(magnitude), rtol=1e-4, atol=1e-5)
    other = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "c.nii.gz")))
    np.testing.assert_array_equal(other.transpose(2, 1, 0), values)
    phase = smooth_phase(tuple(truth.shape), generator=torch.Generator().manual_seed(3))
    off = np.angle(values[..., 0] * np.exp(-1j * phase[0, 0].numpy()))
    head = truth[0, 0].numpy() > 0.3
    assert np.median(np.abs(off[head])) < 0.1
    report = json.loads((tmp_path / "c.nii.gz.report.json").read_text())
    found = report["input"]["kspace"]["consistency"]
    assert 0 < found["relative_residual"] < 0.1 and found["noise"] > 0


def test_what_images_have_no_use_for_is_refused_in_one_line(tmp_path: Path, capfd) -> None:
    image = tmp_path / "a.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.ones((32, 32, 2), np.float32), np.eye(4)), image)
    raw = fastmri(tmp_path / "a.h5", torch.ones(1, 1, 32, 32, dtype=torch.complex64))
    for arguments, reason in [
        ([image, "-o", "b.nii.gz", "--scale", "1"], "--scale 1 reconstructs raw k-space"),
        ([image, "-o", "b.nii.gz", "--complex"], "--complex is for raw k-space"),
        ([raw, "-o", "b.nrrd", "--complex"], "written as .nii or .nii.gz"),
    ]:
        assert cli.run(["upscale", *map(str, arguments)]) == 2
        error = capfd.readouterr().err
        assert reason in error and error.count("\n") == 1
    with pytest.raises(InputError, match="give 2 or 4"):
        iconet.upscale(np.ones((32, 32), np.float32), scale=1)


def test_partial_fourier_and_asymmetric_echoes_are_not_taken_as_measured(tmp_path: Path) -> None:
    kspace, _ = measured(anatomy(), 4, 1)
    kspace[..., :20] = 0
    kspace[..., :16, :] = 0
    raw = read_kspace(fastmri(tmp_path / "a.h5", kspace, shown=(48, 128)))
    found = reconstruct(raw)
    assert found.acceleration == 1 and found.masks.shape == (1, 48, 128)
    assert not found.masks[0, :, :20].any() and not found.masks[0, :8].any()
    assert found.masks[0, 8:, 20:].all()


def test_an_image_model_takes_complete_data_only(tmp_path: Path, models) -> None:
    model = KspaceModels(models.complete, models.complete)
    truth = anatomy()
    kspace, _ = measured(truth, 4, 1)
    raw = read_kspace(fastmri(tmp_path / "a.h5", kspace, shown=(96, 100)))
    scan, _ = upscale_kspace(raw, model, compute=CPU)
    assert scan.array.shape == (192, 200, 1)
    cut = truth[..., 28:228]
    assert psnr(scan.array, cut) > psnr(zero_filled(kspace)[:, 28:228], cut)
    half, _ = measured(truth, 4, 3)
    with pytest.raises(InputError, match="choose mri-x2-joint"):
        upscale_kspace(read_kspace(fastmri(tmp_path / "b.h5", half)), model, compute=CPU)


@pytest.mark.parametrize(("acceleration", "model"), [(1, "mri-x2"), (3, "mri-x2-joint")])
def test_the_model_is_the_one_for_the_lines_there_are(
    tmp_path: Path, acceleration: float, model: str
) -> None:
    """The joint models lose to zero-filling where no line is missing."""
    kspace, _ = measured(anatomy(), 1, acceleration)
    path = str(fastmri(tmp_path / "a.h5", kspace))
    by_itself, by_name = tmp_path / "by-itself.nii.gz", tmp_path / "by-name.nii.gz"
    assert cli.run(["upscale", path, "-o", str(by_itself), "--report"]) == 0
    assert cli.run(["upscale", path, "-o", str(by_name), "--model", model]) == 0
    chosen = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(by_itself)))
    named = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(by_name)))
    np.testing.assert_array_equal(chosen, named)
    report = json.loads((tmp_path / "by-itself.nii.gz.report.json").read_text())
    assert [used["name"] for used in report["models"]] == [model]


def test_an_empty_slice_stays_empty(tmp_path: Path, models) -> None:
    kspace = torch.zeros(2, 2, 32, 24, dtype=torch.complex64)
    kspace[1] = fft2c(coil_maps(2, 32, 24))
    scan, _ = upscale_kspace(read_kspace(fastmri(tmp_path / "a.h5", kspace)), models, compute=CPU)
    assert not scan.array[..., 0].any() and scan.array[..., 1].all()


def lines_kept(kept: np.ndarray, coils: int = 1) -> torch.Tensor:
    kspace = torch.ones(1, coils, 32, 64, dtype=torch.complex64)
    return torch.where(torch.from_numpy(kept), kspace, 0)


WHICH = np.arange(64)
CENTRE = abs(WHICH - 32) < 3


@pytest.mark.parametrize(
    ("kspace", "reason"),
    [
        (torch.zeros(1, 1, 32, 32, dtype=torch.complex64), "zero everywhere"),
        (torch.full((1, 1, 32, 32), torch.nan + 0j), "NaN"),
        (torch.ones(1, 1, 12, 32, dtype=torch.complex64), "too small"),
        (lines_kept((WHICH % 16 == 0) | CENTRE), "more than 6"),
        (lines_kept((WHICH % 8 == 0) | CENTRE, 2), "more than 2 .* 2 coils"),
        (lines_kept(WHICH % 2 == 0, 4), "calibration lines"),
        (lines_kept(WHICH > 32), "calibration lines"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_done_well_is_refused(
    tmp_path: Path, kspace: torch.Tensor, reason: str
) -> None:
    with pytest.raises(InputError, match=reason) as error:
        reconstruct(read_kspace(fastmri(tmp_path / "a.h5", kspace)))
    assert str(error.value).startswith(str(tmp_path / "a.h5"))


def test_the_command_refuses_in_one_line_and_leaves_nothing(tmp_path: Path, capfd) -> None:
    good = fastmri(tmp_path / "good.h5", torch.ones(1, 1, 32, 32, dtype=torch.complex64))
    (tmp_path / "bad.h5").write_bytes(b"no HDF5")
    output = tmp_path / "out.nii.gz"
    for arguments, reason in [
        ([tmp_path / "bad.h5"], "bad.h5: is not HDF5"),
        ([tmp_path / "missing.h5"], "no such file"),
        ([good, "--tile", "64"], "omit --tile"),
        ([good, "--plane", "axial"], "omit --plane"),
        ([good, "--spacing", "1", "--series", "2"], "omit --spacing, --series"),
        ([good, "--model", "mri-x2-joint", "--scale", "4"], "give only one"),
        ([good, "--scale", "3"], "scale 3 is not available"),
    ]:
        assert cli.run(["upscale", *map(str, arguments), "-o", str(output)]) == 2
        error = capfd.readouterr().err
        assert reason in error and error.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"good.h5", "bad.h5"}


def test_a_folder_gets_nifti_files(tmp_path: Path) -> None:
    paths = [
        fastmri(tmp_path / name, torch.ones(1, 1, 32, 32, dtype=torch.complex64))
        for name in ("a.h5", "b.h5")
    ]
    output = tmp_path / "out"
    assert cli.run(["upscale", *map(str, paths), "-o", str(output)]) == 0
    assert {path.name for path in output.glob("*")} == {".iconet.jsonl", "a.nii.gz", "b.nii.gz"}
