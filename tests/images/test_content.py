"""Files whose content never arrived are refused with the remedy that helps."""

import numpy as np
import pytest

from iconet.errors import InputError
from iconet.images import read
from iconet.images.content import why_nothing_in
from iconet.zoo.loading import load

CONTENTS = {
    "git-annex pointer, its content was not fetched; fetch it": [
        b"/annex/objects/MD5E-s2280000--b3b0.nii.gz\n",
        b".git/annex/objects/x/y\n",
        b"../.git/annex/objects/x/y\n",
    ],
    "git lfs pull": [b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 123\n"],
    "a web page": [
        b"<!DOCTYPE html><html>Please log in</html>",
        b"\xef\xbb\xbf\n <HTML lang=en>",
        b"<head><title>404",
    ],
    "servers answer": [b'<?xml version="1.0"?><Error>NoSuchKey</Error>', b'{"message": "no"}'],
    "empty": [b""],
}
NAMES = ["a.nii.gz", "a.nii", "a.nrrd", "a.mha", "a.npy", "a.png", "a.tif"]


@pytest.mark.parametrize("said", CONTENTS)
@pytest.mark.parametrize("name", [*NAMES, "a.dcm", "a.zip", "a"])
def test_every_format_says_what_is_in_its_place(tmp_path, said, name):
    for content in CONTENTS[said]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=said) as error:
            read(tmp_path / name)
        line = str(error.value)
        assert line.startswith(f"{tmp_path / name}: ") and ";" in line and "\n" not in line


@pytest.mark.parametrize("name", [*NAMES, "a.dcm", "a"])
def test_a_link_whose_target_was_not_fetched(tmp_path, name):
    (tmp_path / name).symlink_to(f".git/annex/objects/x/{name}")
    with pytest.raises(InputError, match=r"a link to a file that is not there; .*datalad get"):
        read(tmp_path / name)


def test_voxels_beside_a_header_and_weights(tmp_path):
    header = tmp_path / "a.mhd"
    header.write_text(
        "ObjectType = Image\nNDims = 2\nElementSpacing = 1 1\nDimSize = 5 4\n"
        "ElementType = MET_SHORT\nElementDataFile = a.raw\n"
    )
    (tmp_path / "a.raw").symlink_to("elsewhere")
    with pytest.raises(InputError, match=r"its voxels \(a.raw\) are a link to .*; fetch it"):
        read(header)
    (tmp_path / "m.safetensors").write_bytes(CONTENTS["git lfs pull"][0])
    with pytest.raises(InputError, match=r"m.safetensors: a Git LFS pointer"):
        load(tmp_path / "m.safetensors")


def test_what_is_data_is_none_of_these():
    for content in (b"NRRD0004\n", b"ObjectType = Image\n", np.zeros(99).tobytes(), b"\x1f\x8b"):
        assert why_nothing_in(content) is None
    assert why_nothing_in(b'{"BIDSVersion": "1.8.0"}', text=True) is None
