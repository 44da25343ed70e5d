import numpy as np

from iconet.images import Scan


def test_the_size_in_words():
    scan = Scan(np.zeros((256, 256, 150), np.float32), np.diag([1, 1, 1.2, 1]))
    assert scan.size == "256 x 256 x 150 voxels of 1 x 1 x 1.2 mm"
    assert Scan(np.zeros((20, 30), np.float32)).size == "20 x 30 pixels"
    series = Scan(np.zeros((4, 5, 6, 7), np.float32), np.diag([-2, 1 / 3, 1, 1]))
    assert series.size == "4 x 5 x 6 x 7 voxels of 2 x 0.3333 x 1 mm"
