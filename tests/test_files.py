"""Whatever happens while something is written, it is there as a whole or as it was before."""

import errno
import os
import stat

import pytest

from iconet.errors import InputError
from iconet.files import (
    complete_file,
    complete_folder,
    complete_together,
    partial_files,
    sha256_of,
    write_errors,
    write_text,
)

ENDS = [OSError(errno.ENOSPC, "full"), ValueError(), KeyboardInterrupt(), SystemExit()]
ends = pytest.mark.parametrize("end", ENDS, ids=lambda end: type(end).__name__)


def failing(monkeypatch, call, number=errno.ENOSPC):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)


def test_a_file_takes_its_name_at_the_end(tmp_path):
    path = tmp_path / "a.txt"
    with complete_file(path) as file:
        file.write(b"new")
        file.flush()
        assert not path.exists()
        (partial,) = partial_files(path)
        assert partial.read_bytes() == b"new"
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.txt"]


@ends
def test_what_ends_the_block_leaves_the_old_file(tmp_path, end):
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    with pytest.raises(type(end)), complete_file(path) as file:
        file.write(b"new")
        raise end
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch, call):
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    failing(monkeypatch, call)
    with pytest.raises(InputError, match="the disk is full; free some space"):
        write_text("new", path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_trying_leaves_nothing(tmp_path):
    (tmp_path / "old").write_bytes(b"old")
    for name in ("old", "new"):
        with complete_file(tmp_path / name, keep=False):
            pass
    with complete_folder(tmp_path / "folder", keep=False):
        pass
    assert os.listdir(tmp_path) == ["old"]
    assert (tmp_path / "old").read_bytes() == b"old"


def test_links_are_followed(tmp_path):
    for name in ("real", "real-folder"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "a.txt")
    (tmp_path / "folder").symlink_to(tmp_path / "real-folder")
    with complete_file(tmp_path / "link") as file:
        file.write(b"new")
        assert partial_files(tmp_path / "link") == partial_files(tmp_path / "real" / "a.txt") != []
    with complete_folder(tmp_path / "folder") as folder:
        (folder / "a.txt").write_bytes(b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "folder").is_symlink()
    assert (tmp_path / "real" / "a.txt").read_bytes() == b"new"
    assert (tmp_path / "real-folder" / "a.txt").read_bytes() == b"new"


def test_others_may_read_what_this_user_lets_them(tmp_path):
    before = os.umask(0o022)
    try:
        write_text("new", tmp_path / "a.txt")
        with complete_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a.txt", "folder")]
    assert modes == [0o644, 0o755]


def test_a_long_name_is_no_matter(tmp_path):
    path = tmp_path / ("n" * 250)
    write_text("new", path)
    assert path.read_text() == "new"


def test_names_that_are_not_utf8_are_escaped(tmp_path):
    write_text("caf\udce9 é", tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text("utf-8") == "caf\\udce9 é"


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("folder", "is a folder"),
        ("no/a.txt", "the folder does not exist"),
        ("file/a.txt", "its parent is not a folder"),
        ("n" * 300, "the name is too long"),
    ],
)
def test_where_nothing_can_be_written(tmp_path, place, said):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=said) as error:
        write_text("new", tmp_path / place)
    assert str(error.value).startswith(f"{tmp_path / place}: ")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_an_error_without_a_remedy_of_its_own_is_named(tmp_path, monkeypatch):
    failing(monkeypatch, "fsync", errno.EIO)
    with pytest.raises(InputError, match=r"cannot be written \(Input/output error\); choose"):
        write_text("new", tmp_path / "a.txt")


@pytest.mark.parametrize("there", [False, True], ids=["new", "empty"])
def test_a_folder_takes_its_name_at_the_end(tmp_path, there):
    path = tmp_path / "out"
    if there:
        path.mkdir()
    with complete_folder(path) as folder:
        (folder / "below").mkdir()
        (folder / "below" / "a.txt").write_bytes(b"new")
        assert path.exists() == there and partial_files(path) == [folder]
    assert (path / "below" / "a.txt").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["out"]


@ends
def test_a_folder_is_replaced_only_when_complete(tmp_path, end):
    path = tmp_path / "out"
    path.mkdir()
    (path / "old").touch()
    with pytest.raises(type(end)), complete_folder(path, replace=True) as folder:
        (folder / "new").touch()
        raise end
    assert os.listdir(tmp_path) == ["out"] and os.listdir(path) == ["old"]
    with complete_folder(path, replace=True) as folder:
        (folder / "new").touch()
    assert os.listdir(tmp_path) == ["out"] and os.listdir(path) == ["new"]


@pytest.mark.parametrize("end", [OSError(errno.EIO, "worn out"), KeyboardInterrupt()])
def test_a_folder_whose_exchange_fails_is_put_back(tmp_path, monkeypatch, end):
    path = tmp_path / "out"
    path.mkdir()
    (path / "old").touch()
    rename, calls = os.rename, []

    def second_fails(source, target):
        calls.append(source)
        if len(calls) == 2:
            raise end
        rename(source, target)

    monkeypatch.setattr(os, "rename", second_fails)
    with pytest.raises(type(end)), complete_folder(path, replace=True) as folder:
        (folder / "new").touch()
    assert os.listdir(tmp_path) == ["out"] and os.listdir(path) == ["old"]


def test_a_full_disk_leaves_no_folder(tmp_path, monkeypatch):
    failing(monkeypatch, "fsync")
    path = tmp_path / "out"
    with (
        pytest.raises(InputError, match="out: the disk is full"),
        write_errors(path),
        complete_folder(path) as folder,
    ):
        (folder / "a.txt").touch()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("replace", [False, True])
def test_a_folder_takes_no_place_that_it_should_not(tmp_path, replace):
    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "old").touch()
    for name in ["file"] if replace else ["file", "full"]:
        with (
            pytest.raises(InputError, match=f"{name}: exists already; name a new"),
            write_errors(tmp_path / name),
            complete_folder(tmp_path / name, replace=replace),
        ):
            pass
    assert sorted(os.listdir(tmp_path)) == ["file", "full"]


def test_a_folder_that_filled_up_meanwhile_stays(tmp_path):
    path = tmp_path / "out"
    with pytest.raises(OSError) as error, complete_folder(path):
        path.mkdir()
        (path / "theirs").touch()
    assert error.value.errno in (errno.EEXIST, errno.ENOTEMPTY)
    assert os.listdir(tmp_path) == ["out"] and os.listdir(path) == ["theirs"]


def test_files_that_belong_together_come_together(tmp_path):
    path = tmp_path / "net.xml"
    path.write_bytes(b"old")
    with complete_together(path) as named:
        assert named.name == "net.xml"
        named.write_bytes(b"new")
        named.with_suffix(".bin").write_bytes(b"weights")
        assert path.read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["net.bin", "net.xml"]
    assert path.read_bytes() == b"new"
    with complete_together(tmp_path / "bundle") as named:
        named.mkdir()
        (named / "a.txt").touch()
    assert os.listdir(tmp_path / "bundle") == ["a.txt"]


@ends
def test_files_that_belong_together_stay_away_together(tmp_path, end):
    with pytest.raises(type(end)), complete_together(tmp_path / "net.xml") as named:
        named.write_bytes(b"new")
        raise end
    assert os.listdir(tmp_path) == []


def test_the_hash_is_that_of_the_content(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_of(tmp_path / "a.txt") == expected
