"""`iconet.show`, by ipyniivue (the real one where it is installed) and by matplotlib."""

import sys
from types import ModuleType, SimpleNamespace

import nibabel
import numpy as np
import pytest

import iconet
from iconet.errors import InputError

AFFINE = np.diag([-1.0, 1, 3, 1])


@pytest.fixture
def scans(tmp_path):
    """A path before, and a nibabel image after, of one field of view."""
    values = np.random.default_rng(0).gamma(2, 50, (20, 24, 5)).astype(np.float32)
    before = nibabel.Nifti1Image(values, AFFINE)
    before.to_filename(tmp_path / "before.nii.gz")
    finer = np.repeat(np.repeat(values, 2, 0), 2, 1)
    affine = np.diag([-0.5, 0.5, 3, 1])
    affine[:2, 3] = [0.25, -0.25]
    return tmp_path / "before.nii.gz", nibabel.Nifti1Image(finer, affine)


class View:
    """Keeps what ipyniivue's view is told."""

    def __init__(self, **options):
        self.options = options

    def load_volumes(self, volumes):
        (self.volume,) = volumes

    def broadcast_to(self, other, what):
        self.other, self.what = other, what


@pytest.fixture
def widgets(monkeypatch):
    ipyniivue, ipywidgets = ModuleType("ipyniivue"), ModuleType("ipywidgets")
    ipyniivue.NiiVue = View
    ipywidgets.HBox = lambda children: SimpleNamespace(children=children)
    ipywidgets.Layout = lambda **options: options
    monkeypatch.setitem(sys.modules, "ipyniivue", ipyniivue)
    monkeypatch.setitem(sys.modules, "ipywidgets", ipywidgets)


def loaded(view):
    return nibabel.Nifti1Image.from_bytes(view.volume["data"])


@pytest.mark.usefixtures("widgets")
def test_a_notebook_gets_two_linked_views_in_one_window(scans):
    before, after = iconet.show(*scans).children
    assert before.other is after and after.other is before
    assert before.what["2d"] and before.what["crosshair"]
    assert before.options["is_radiological_convention"]
    levels = [(view.volume["cal_min"], view.volume["cal_max"]) for view in (before, after)]
    assert levels[0] == levels[1] and levels[0][0] < levels[0][1]
    assert loaded(before).shape == (20, 24, 5) and loaded(after).shape == (40, 48, 5)
    assert np.allclose(loaded(after).affine, scans[1].affine)
    assert np.array_equal(loaded(after).get_fdata(), scans[1].get_fdata())


@pytest.mark.usefixtures("widgets")
def test_arrays_of_two_sizes_lie_on_one_another():
    low = np.random.default_rng(0).random((10, 12), np.float32)
    before, after = map(loaded, iconet.show(low, np.kron(low, np.ones((2, 2)))).children)
    corners = np.array([[-0.5, -0.5, 0, 1], [9.5, 11.5, 0, 1]]).T
    finer = np.array([[-0.5, -0.5, 0, 1], [19.5, 23.5, 0, 1]]).T
    assert np.allclose(before.affine @ corners, after.affine @ finer)


def test_the_real_widget_takes_the_same(scans):
    pytest.importorskip("ipyniivue", reason="pip install 'iconet[notebook]'")
    before, after = iconet.show(*scans).children
    assert list(before.other_nv) == [after] and list(after.other_nv) == [before]
    assert before.volumes[0].cal_max == after.volumes[0].cal_max
    assert before.opts.is_radiological_convention


@pytest.fixture
def without(monkeypatch):
    return lambda *names: [monkeypatch.setitem(sys.modules, name, None) for name in names]


def test_without_ipyniivue_there_is_a_figure_of_three_planes(scans, without, tmp_path):
    without("ipyniivue")
    figure = iconet.show(*scans)
    shown = [axes for axes in figure.axes if axes.images]
    assert len(shown) == 6
    assert {text.get_text() for axes in shown for text in axes.texts} == set("LRAPSI")
    # Both of a plane cover the same millimetres, and a millimetre is as long down as across.
    for top, below in zip(shown[:3], shown[3:], strict=True):
        assert top.images[0].get_extent() == below.images[0].get_extent()
        assert top.get_aspect() == 1
    assert sorted(image.get_extent()[1] for axes in shown[:3] for image in axes.images) == [
        *(20, 20, 24),
    ]
    figure.savefig(tmp_path / "figure.png")
    from matplotlib import pyplot

    assert pyplot.get_fignums() == []  # else a notebook shows it twice


def test_pictures_and_arrays_have_one_plane_and_no_letters(without):
    without("ipyniivue")
    low = np.random.default_rng(0).random((10, 12), np.float32)
    figure = iconet.show(low, np.kron(low, np.ones((2, 2))))
    shown = [axes for axes in figure.axes if axes.images]
    assert len(shown) == 2 and not any(axes.texts for axes in shown)
    drawn = np.asarray(shown[0].images[0].get_array())
    assert drawn.shape == low.shape and np.corrcoef(drawn.ravel(), low.ravel())[0, 1] > 0.99


def test_without_both_the_line_says_what_to_install(scans, without):
    without("ipyniivue", "matplotlib")
    with pytest.raises(InputError, match=r"pip install 'iconet\[notebook\]'"):
        iconet.show(*scans)


def test_what_does_not_fit_is_refused(scans):
    with pytest.raises(InputError, match="2-D"):
        iconet.show(scans[0], np.zeros((4, 4)))
    with pytest.raises(InputError, match="no-such"):
        iconet.show("no-such.nii", scans[1])
