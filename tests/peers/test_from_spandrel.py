"""Published parameter counts of what spandrel keeps, and what is said where it is missing."""

import sys

import pytest
import torch

from iconet import peers
from iconet.errors import InputError
from iconet.peers import from_spandrel


def count(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", ["swinir-light", "safmn"])
def test_without_spandrel_one_line_says_what_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("spandrel", *(f"spandrel.architectures.{n}" for n in ("SwinIR", "SAFMN"))):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=r"spandrel.*pip install 'iconet\[peers\]'") as caught:
        peers.build(name, 2)
    assert "\n" not in str(caught.value)


class TestWithSpandrel:
    @pytest.fixture(autouse=True)
    def spandrel(self) -> None:
        pytest.importorskip("spandrel", reason="pip install 'iconet[peers]'")

    @pytest.mark.parametrize(("scale", "published"), [(2, 910_152), (4, 929_628)])
    def test_swinir_light(self, scale: int, published: int) -> None:
        assert count(from_spandrel.swinir_light(scale, 3)) == published

    @pytest.mark.parametrize(("scale", "published"), [(2, 227_820), (4, 239_520)])
    def test_safmn(self, scale: int, published: int) -> None:
        assert count(from_spandrel.safmn(scale, 3)) == published
