"""Pictures: a file with the right proportions."""

import numpy as np
import pytest
from PIL import Image

from iconet.evaluation.panel import panel


@pytest.mark.parametrize("background", [True, False])
def test_a_panel_is_written_with_one_column_an_image_and_the_truth(tmp_path, background):
    generator = np.random.default_rng(0)
    truth = generator.uniform(50, 100, (40, 32))
    if background:
        truth[:, :6] = 0
    images = {"low": truth + 5, "better": truth + 1}
    sizes = []
    for count in (1, 2):
        path = tmp_path / f"{count}.png"
        panel(path, dict(list(images.items())[:count]), truth, pixel_aspect=1.5)
        with Image.open(path) as picture:
            assert np.asarray(picture.convert("L")).std() > 10
            sizes.append(picture.size)
    (narrow, height), (wide, same_height) = sizes
    assert height == same_height
    assert wide / narrow == pytest.approx(3 / 2, abs=0.05)


def test_an_empty_slice_still_makes_a_panel(tmp_path):
    empty = np.zeros((32, 32))
    panel(tmp_path / "empty.png", {"same": empty}, empty)
    assert (tmp_path / "empty.png").stat().st_size > 0
