"""What Python programs hold, there and back: the same kind, the same axes, the same place."""

import itertools
import re
import subprocess
import sys
from dataclasses import replace

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given
from hypothesis import strategies as st
from nibabel.cifti2 import BrainModelAxis, ScalarAxis
from PIL import Image

from iconet.errors import InputError
from iconet.images import read, scaled_affine
from iconet.images.in_memory import take
from iconet.images.own import OwnResult, is_own, mark, refuse_own

from .grids import affines

rng = np.random.default_rng(0)


def refusal(given, **options):
    with pytest.raises(InputError) as error:
        take(given, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def cifti():
    brain = BrainModelAxis.from_mask(np.ones((2, 2, 2), bool), affine=np.eye(4), name="other")
    return nibabel.Cifti2Image(np.zeros((1, 8), np.float32), header=(ScalarAxis(["a"]), brain))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: None, "of type NoneType; give a path"),
        (lambda: 3, "of type int; give a path"),
        (lambda: b"a.nii", "of type bytes; give"),
        (lambda: {}, "of type dict; give"),
        (lambda: "", "the given path is empty"),
        (lambda: [[1.0, 2], [3, 4]], "such as numpy.asarray makes of it"),
        (lambda: ["a.nii", "b.nii"], "of type list; give"),
        (lambda: Image.new("L", (20, 20)), "PIL.Image.Image; .* such as numpy.asarray"),
        (lambda: np.float32(3), "such as numpy.asarray"),
        (lambda: nibabel.GiftiImage(), "GiftiImage, which has no grid of voxels"),
        (cifti, "Cifti2Image, which has no grid of voxels"),
        (lambda: np.ma.masked_array(np.eye(20), np.eye(20)), "masked one; fill it"),
        (lambda: np.ones((20, 20), bool), "of type bool"),
        (lambda: np.ones((20, 20), object), "of type object"),
        (lambda: np.ones((2, 0, 20)), "no voxels"),
        (lambda: torch.ones(20, 20, dtype=torch.complex64), "magnitude"),
        (lambda: torch.eye(20).to_sparse(), "give a dense one"),
        (lambda: torch.ones(20, 20, device="meta"), "give a dense one"),
        (lambda: sitk.Image([20, 20], sitk.sitkVectorFloat32, 2), "several numbers in each voxel"),
        (lambda: sitk.Image([20, 20], sitk.sitkComplexFloat32), "real numbers"),
        (lambda: sitk.Image([20, 20], sitk.sitkLabelUInt8), "a label map"),
    ],
)
def test_what_is_no_scan_is_refused_in_one_line(make, said):
    assert re.search(said, refusal(make()))


def test_options_of_other_kinds_are_refused(tmp_path):
    image = nibabel.Nifti1Image(np.eye(20), np.eye(4))
    image.to_filename(tmp_path / "a.nii")
    assert "axes_order is for arrays" in refusal(image, axes_order="ij")
    assert "axes_order is for arrays" in refusal(str(tmp_path / "a.nii"), axes_order="ij")
    assert "a series is chosen" in refusal(np.eye(20), series=3)
    assert "a series is chosen" in refusal(image, series="3")


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
@pytest.mark.parametrize(
    "shape", [(4, 1, 150, 179), (1, 20, 30, 40), (4, 20, 30, 40), (8, 3, 9, 9)]
)
def test_shapes_that_may_be_read_in_two_ways_must_say_which(kind, shape):
    array = kind(np.ones(shape, np.float32))
    assert "may be a batch, channels or a series of volumes" in refusal(array)
    for order in ("bchw", "ijkt", "cdhw"):
        take(array, axes_order=order)


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ("dhw", "has 4 axes, 8 x 9 x 6 x 7; give a letter for each"),
        ("bchww", "give two or three"),
        ("bcih", "give two or three"),
        ("bcth", "give two or three"),
        ("bcxy", "give two or three"),
        ("dhhw", "give two or three"),
        ("", "give two or three"),
        (3, "give one letter for each axis"),
    ],
)
def test_orders_that_cannot_be_meant(order, said):
    assert said in refusal(np.ones((8, 9, 6, 7)), axes_order=order)


LETTERS = [
    *("hw", "ij", "dhw", "ijk", "thw", "bhw", "bchw", "ijkt", "tdhw", "bcdhw", "cijk", "bctdhw"),
    *("bij", "btij"),
]


@given(st.sampled_from(LETTERS), st.data())
def test_there_and_back_every_number_is_where_it_was(order, data):
    letters = data.draw(st.permutations(order))
    sizes = dict(zip("ijkdhwbct", (5, 6, 7, 5, 6, 7, 2, 3, 4), strict=True))
    array = rng.normal(size=[sizes[letter] for letter in letters]).astype(np.float32)
    taken = take(array, axes_order="".join(letters))
    space = [letter for letter in letters if letter in "ijkdhw"]
    series = "t" in letters and len(space) == 3
    alone = [letter for letter in letters if letter in "bct" and not (series and letter == "t")]
    assert len(taken.scans) == np.prod([sizes[letter] for letter in alone], dtype=int)
    for scan in taken.scans:
        assert scan.array.shape == tuple(sizes[n] for n in space) + ((4,) if series else ())
    np.testing.assert_array_equal(taken.back(taken.scans), array)
    rest = [letter for letter in letters if letter not in alone]
    wanted = [*space, *(["t"] if series else [])]
    first = [letters.index(letter) for letter in alone]
    for number, scan in enumerate(taken.scans):
        index = np.unravel_index(number, [sizes[n] for n in alone]) if alone else ()
        image = np.moveaxis(array, first, range(len(alone)))[index]
        image = image.transpose([rest.index(letter) for letter in wanted])
        np.testing.assert_array_equal(scan.array, image)


@pytest.mark.parametrize(
    "dtype",
    [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.uint8, torch.int16],
)
def test_tensors_of_any_type_come_back_as_tensors(dtype):
    tensor = torch.arange(120).reshape(4, 5, 6).to(dtype)
    taken = take(tensor)
    back = taken.back(taken.scans)
    assert isinstance(back, torch.Tensor) and back.is_contiguous()
    assert back.dtype == (torch.float32 if dtype.is_floating_point else dtype)
    torch.testing.assert_close(back, tensor.to(back.dtype))


def test_a_tensor_with_a_gradient_or_strides_is_taken_too():
    tensor = torch.rand(20, 3, 30, requires_grad=True).transpose(1, 2)
    taken = take(tensor)
    assert torch.equal(taken.back(taken.scans), tensor.detach())


def simpleitk(affine, shape=(5, 6, 7), dtype=np.int16):
    image = sitk.GetImageFromArray(rng.integers(0, 99, shape[::-1]).astype(dtype))
    lps = np.diag([-1, -1, 1, 1]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    return image


def orthogonal(affine):
    left, _, right = np.linalg.svd(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0))
    result = affine.copy()
    result[:3, :3] = left @ right * np.linalg.norm(affine[:3, :3], axis=0)
    return result


@given(affines())
def test_simpleitk_images_keep_their_place_to_the_last_bit_of_a_millimetre(tmp_path, affine):
    image = simpleitk(orthogonal(affine))
    taken = take(image)
    (scan,) = taken.scans
    sitk.WriteImage(image, str(tmp_path / "a.nrrd"))
    as_file = read(tmp_path / "a.nrrd")
    np.testing.assert_array_equal(scan.array, as_file.array)
    np.testing.assert_allclose(scan.affine, as_file.affine, atol=1e-9)
    back = taken.back([scan])
    assert back.GetPixelID() == image.GetPixelID() and back.GetSize() == image.GetSize()
    for index in itertools.product(*((0, n - 1) for n in image.GetSize())):
        np.testing.assert_allclose(
            back.TransformIndexToPhysicalPoint(index),
            image.TransformIndexToPhysicalPoint(index),
            atol=1e-9,
        )
        assert back[index] == image[index]


@pytest.mark.parametrize("shape", [(6, 7), (5, 6, 7), (5, 6, 7, 3)])
def test_simpleitk_images_of_two_to_four_dimensions(shape):
    image = sitk.GetImageFromArray(rng.random(shape[::-1]).astype(np.float32), isVector=False)
    image.SetSpacing([0.5, 0.7, 3, 2.5][: len(shape)])
    image.SetOrigin([1, -2, 3, 4][: len(shape)])
    taken = take(image)
    (scan,) = taken.scans
    assert scan.array.shape == shape
    np.testing.assert_allclose(scan.spacing, [0.5, 0.7, 3][: len(shape)])
    back = taken.back([scan])
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(image))
    for get in ("GetSpacing", "GetOrigin", "GetDirection", "GetSize"):
        np.testing.assert_allclose(getattr(back, get)(), getattr(image, get)())


def test_a_result_in_simpleitk_is_known_again(tmp_path):
    taken = take(simpleitk(scaled_affine(np.eye(4), (2, 2, 1))))
    refuse_own(taken.scans[0])
    back = taken.back([replace(taken.scans[0], mark=mark("mri-x2", 2))])
    for again in (back, _through(back, tmp_path / "a.nrrd"), _through(back, tmp_path / "a.mha")):
        with pytest.raises(OwnResult):
            refuse_own(take(again).scans[0])
    assert is_own(tmp_path / "a.nrrd")


def _through(image, path):
    sitk.WriteImage(image, str(path))
    return sitk.ReadImage(str(path))


def test_nothing_heavy_is_imported_for_it():
    program = (
        "import sys, numpy as np\n"
        "from iconet.images.in_memory import take\n"
        "take(np.eye(20))\n"
        "print([name for name in ('torch', 'SimpleITK') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
