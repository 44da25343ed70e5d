import pytest
import yaml

from iconet.errors import InputError
from iconet.node.settings import Caller, read_settings

from .parts import archive, free_port  # noqa: F401 - skips without pynetdicom

GOOD = {
    "folder": "spool",
    "listen": {"callers": [{"ae_title": "SCANNER"}]},
    "peers": {
        "pacs": {"ae_title": "PACS", "host": "pacs", "port": 104},
        "web": {"url": "http://p"},
    },
    "rules": [{"name": "mr", "send_to": ["pacs"]}],
}


def written(folder, content):
    path = folder / "node.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_paths_start_at_the_file(tmp_path):
    settings = read_settings(written(tmp_path, GOOD))
    assert settings.folder == tmp_path / "spool"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rules": [{"name": "mr", "send_to": ["psac"]}]}, "no peer psac; known: pacs, web"),
        ({"rules": []}, "rules"),
        ({"peers": {"pacs": {"host": "pacs"}}}, "give ae_title, host and port, or the url"),
        ({"listen": {"callers": []}}, "listen.callers"),
        ({"listen": {"callers": [{"ae_title": "A", "addresses": ["10.0.0.1/24"]}]}}, "10.0.3.0/24"),
        ({"listen": None}, "nothing would come in"),
        ({"polls": [{"peer": "pacs"}]}, "pacs is not a peer with a url"),
        ({"rules": [{"name": "a", "send_to": ["pacs"], "match": {"description": "("}}]}, "regular"),
        ({"rules": [{"name": "a", "send_to": ["pacs"], "upscale": {"axes": "xy"}}]}, "axes xy"),
        ({"ae_title": "MORE THAN SIXTEEN LETTERS"}, "ae_title"),
        ({"quite": 3}, "quite: no such key"),
    ],
)
def test_what_cannot_be_is_refused_on_one_line(tmp_path, change, said):
    path = written(tmp_path, GOOD | change)
    with pytest.raises(InputError) as error:
        read_settings(path)
    line = str(error.value)
    assert line.startswith(f"{path}: ")
    assert said in line
    assert len(line.splitlines()) == 1


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_settings(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("addresses", "address", "known"),
    [
        ((), "1.2.3.4", True),
        (("10.0.3.0/24",), "10.0.3.9", True),
        (("10.0.3.0/24",), "10.0.4.9", False),
        (("10.0.3.7", "::1"), "::1", True),
        (("10.0.3.7",), "::ffff:10.0.3.7", True),
        (("10.0.3.7",), "fe80::1%eth0", False),
    ],
)
def test_addresses(addresses, address, known):
    assert Caller(ae_title="A", addresses=addresses).has(address) is known
