"""What the user may ask for, and what no scan could be given."""

import pytest

from iconet.errors import InputError
from iconet.upscaling.options import Options


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"axes": "x"}, "axes x: give auto"),
        ({"axes": ""}, "give auto"),
        ({"axes": "kk"}, "axes kk"),
        ({"spacing": "1.0mm"}, "spacing 1.0mm: give millimetres"),
        ({"spacing": "1x2x3x4"}, "for each axis"),
        ({"spacing": "1x2"}, "for each axis"),
        ({"spacing": 0}, "spacing 0: give 0.001 to 1000"),
        ({"spacing": -1.0}, "spacing -1.0"),
        ({"spacing": float("nan")}, "spacing nan"),
        ({"spacing": [1, None, 1]}, "give millimetres"),
        ({"spacing": 1.0, "isotropic": True}, "can't be combined"),
        ({"spacing": 1.0, "scale": 2}, "scale 2 and a spacing"),
        ({"isotropic": True, "scale": 4}, "scale 4 and a spacing"),
        ({"uncertainty": True, "complex": True}, "--uncertainty and --complex can't be combined"),
        ({"best": True, "scale": 1}, "--best and --scale 1 can't be combined"),
        ({"uncertainty": True, "scale": 1}, "--uncertainty and --scale 1 can't be combined"),
    ],
)
def test_what_cannot_be_is_refused(wanted, reason):
    with pytest.raises(InputError, match=reason) as error:
        Options(**wanted)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("spacing", "expected"),
    [
        ("0.5x0.6x0.7", (0.5, 0.6, 0.7)),
        ("0.5X0.6", None),
        (0.5, (0.5, 0.5, 0.5)),
        ([1, 2, 3], (1.0, 2.0, 3.0)),
    ],
)
def test_millimetres_are_one_number_or_one_for_each_axis(spacing, expected):
    if expected is None:
        with pytest.raises(InputError, match="one for each axis"):
            Options(spacing=spacing)
    else:
        assert Options(spacing=spacing).millimetres(3) == expected
        assert Options(spacing=spacing).millimetres(2) == expected[:2]


def test_what_decides_on_a_result_is_what_records_compare():
    """The keys of a study's record and of reports: another one would redo every study."""
    assert Options(volume=2, allow_missing=True, best=True).deciding == {
        **Options().deciding,
        "volume": 2,
        "allow_missing": True,
        "best": True,
    }
    assert list(Options().deciding) == [
        *("plane", "axes", "spacing", "isotropic", "series", "tile", "precision", "backend"),
        *("acquired", "window", "kind"),
    ]
    assert not Options().own_grid
    for changed in (Options(axes="k"), Options(spacing=1), Options(isotropic=True)):
        assert changed.own_grid and changed.deciding != Options().deciding
