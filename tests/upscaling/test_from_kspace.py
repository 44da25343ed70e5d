"""Raw k-space of simulated coils and of the demo scan, against the truth."""

import json
from pathlib import Path

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
from iconet.physics.kspace import zero_fill
from iconet.runtime.device import choose_compute
from iconet.upscaling.from_kspace import KspaceModels, reconstruct, upscale_kspace
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


@pytest.mark.parametrize(
    ("acceleration", "even", "gain"), [(2, False, 0.4), (2, True, 1.8), (3, True, 1.2)]
)
def test_what_sense_completes_goes_to_the_model_of_images(
    tmp_path: Path, models, acceleration: float, even: bool, gain: float
) -> None:
    """Nothing is left that a joint model could undo, and it costs what it learnt for that."""
    truth = anatomy()
    kspace, _ = measured(truth, 8, acceleration, even=even)
    raw = read_kspace(fastmri(tmp_path / "a.h5", kspace))
    scan, found = upscale_kspace(raw, models, compute=CPU)
    joint, _ = upscale_kspace(raw, KspaceModels(*[models.undersampled] * 2), compute=CPU)
    assert found.complete and found.acceleration > 1.4
    assert psnr(scan.array, truth) - psnr(joint.array, truth) > gain


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
        ([good, "--tile", "64"], "no --tile"),
        ([good, "--plane", "axial"], "no --plane"),
        ([good, "--spacing", "1", "--series", "2"], "no --spacing, no --series"),
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
