"""The numbers that the laws in TypeScript are tested with are still those of the laws in Python."""

import json
import sys
from pathlib import Path

import numpy as np

TOOLS = Path(__file__).parents[2] / "tools"


def compare(old, new, place=""):
    """Numbers may differ as they do between processors."""
    if isinstance(new, dict):
        assert old.keys() == new.keys(), place
        for key in new:
            compare(old[key], new[key], f"{place}/{key}")
    elif isinstance(new, list) and new and not isinstance(new[0], int | float):
        assert len(old) == len(new), place
        for index, one in enumerate(new):
            compare(old[index], one, f"{place}/{index}")
    elif isinstance(new, str | bool | None):
        assert old == new, place
    else:
        scale = np.abs(new).max() if np.size(new) else 1
        np.testing.assert_allclose(old, new, rtol=1e-4, atol=1e-5 * scale, err_msg=place)


def test_the_fixture_is_what_the_laws_give():
    sys.path.insert(0, str(TOOLS))
    try:
        import laws_fixture
    finally:
        sys.path.pop(0)
    kept = json.loads(laws_fixture.FIXTURE.read_text("utf-8"))
    compare(kept, laws_fixture.packed(laws_fixture.content()))
