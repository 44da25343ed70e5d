"""What tests of the formats with a text header share."""

import numpy as np
import pytest

from iconet.errors import InputError
from iconet.images import read


def refusal(path, said=None):
    """The one line, with a remedy, that refuses a file."""
    with pytest.raises(InputError, match=said) as error:
        read(path)
    line = str(error.value)
    assert line.startswith(f"{path}: ")
    assert len(line.splitlines()) == 1
    assert ";" in line, "no remedy"
    return line


def refused_wherever_cut(path):
    """That every truncation is noticed: of the header coarsely, of its 121 last bytes finely."""
    whole = path.read_bytes()
    for length in [*range(1, len(whole) - 121, 20), *range(len(whole) - 121, len(whole), 5)]:
        path.write_bytes(whole[:length])
        refusal(path)


def same_scan_or_one_line(path, whole, header_length):
    """What becomes of a file with a few bytes of its header replaced: kinds of outcomes."""
    generator = np.random.default_rng(0)
    outcomes = set()
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(generator.integers(1, 4)):
            content[generator.integers(header_length)] = generator.integers(256)
        path.write_bytes(content)
        try:
            scan = read(path)
        except InputError as error:
            assert len(str(error).splitlines()) == 1
            outcomes.add(InputError)
        else:
            assert np.isfinite(scan.array).all()
            assert scan.affine is None or np.isfinite(scan.affine).all()
            outcomes.add(type(scan))
    return outcomes
