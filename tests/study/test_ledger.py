"""The record of a folder of results: what it remembers, and what a crash costs it."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import iconet
from iconet.errors import InputError
from iconet.study import ledger as ledger_module
from iconet.study.ledger import NAME, Ledger, fingerprint, sizes, unchanged


@pytest.fixture
def files(tmp_path):
    made = [tmp_path / name for name in ("out.nii", "in.nii")]
    for path in made:
        path.write_bytes(path.name.encode())
    return made


def finish(ledger, files, how, output="out.nii"):
    made, read = map(fingerprint, files)
    ledger.finish(output, [made], [read], how)


def test_what_is_complete_is_remembered_with_all_it_depends_on(tmp_path, files):
    ledger = Ledger(tmp_path)
    ledger.begin("out.nii")
    ((output, (entry,)),) = ledger.entries().items()
    assert output == entry["output"] == "out.nii" and entry["pid"] == os.getpid()
    finish(ledger, files, {"weights": ["a"], "plane": "auto"})
    latest = ledger.entries()["out.nii"][-1]
    assert latest["how"] == {"weights": ["a"], "plane": "auto"}
    assert unchanged(files[:1], latest["files"]) and unchanged(files[1:], latest["inputs"])
    assert not unchanged(files, latest["files"]) and not unchanged(files[:1], None)


def test_a_file_is_the_same_by_time_and_size_or_else_by_content(files):
    known = [fingerprint(files[0])]
    os.utime(files[0], ns=(0, 0))
    assert unchanged(files[:1], known)
    files[0].write_bytes(b"OUT.NII")  # as long as before
    assert not unchanged(files[:1], known)
    files[0].unlink()
    assert not unchanged(files[:1], known)


def test_a_line_that_was_cut_off_costs_itself_alone(tmp_path, files):
    ledger = Ledger(tmp_path)
    ledger.begin("a")
    with ledger.path.open("ab") as file:
        file.write(b'\n{"output": "b", "fil')
    ledger.begin("c")
    for damaged in (b"[]", b"3", b"\xff", b"[" * 100_000, b'{"pid": 1}'):
        with ledger.path.open("ab") as file:
            file.write(b"\n" + damaged)
    assert set(ledger.entries()) == {"a", "c"}


def test_lines_of_several_writers_do_not_mix(tmp_path):
    names = [f"{number}-{'x' * 500}" for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: Ledger(tmp_path).begin(name), names))
    assert set(Ledger(tmp_path).entries()) == set(names)


def test_a_record_of_nothing_is_removed_and_one_of_something_stays(tmp_path, files):
    ledger = Ledger(tmp_path)
    ledger.begin("a")
    ledger.give_up("a")
    assert ledger.entries()["a"][-1]["files"] == []
    assert ledger.discard_if_unused() and not ledger.path.exists()
    finish(ledger, files, None)
    assert not ledger.discard_if_unused() and ledger.path.exists()


def test_a_record_that_cannot_be_written_is_said_in_one_line(tmp_path, monkeypatch):
    (tmp_path / NAME).mkdir()
    with pytest.raises(InputError, match="cannot be written") as error:
        Ledger(tmp_path).begin("a")
    assert "\n" not in str(error.value)
    assert Ledger(tmp_path).entries() == {}


def test_entries_are_json_lines_that_other_programs_read(tmp_path, files):
    finish(Ledger(tmp_path), files, {}, "out ü.nii")
    (line,) = [json.loads(line) for line in (tmp_path / NAME).read_text().splitlines() if line]
    assert line["output"] == "out ü.nii"
    assert {"name", "size", "mtime_ns", "sha256"} == set(line["files"][0])


def test_several_processes_write_whole_lines(tmp_path):
    ledger = Ledger(tmp_path)
    program = (
        "import sys\nfrom pathlib import Path\nfrom iconet.study.ledger import Ledger\n"
        "for number in range(200): Ledger(Path(sys.argv[1])).begin(f'{sys.argv[2]}{number}')"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(iconet.__file__).parents[1])}
    processes = [
        subprocess.Popen([sys.executable, "-c", program, str(ledger.folder), name], env=environment)
        for name in "ab"
    ]
    assert [process.wait(600) for process in processes] == [0, 0]
    found = {entry["pid"] for known in ledger.entries().values() for entry in known}
    assert found == {process.pid for process in processes}
    assert set(ledger.entries()) == {f"{name}{number}" for name in "ab" for number in range(200)}


def test_files_are_those_of_the_record_in_number_order_and_name(files):
    file, other = files
    both = [fingerprint(file), fingerprint(other)]
    assert unchanged([file, other], both)
    assert not unchanged([other, file], both)
    assert not unchanged([file], both)
    assert not unchanged([file, other], both[:1])
    for damaged in (None, "a.nii", [None], [{}], [{"name": "a.nii"}]):
        assert not unchanged([file], damaged)


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    ledger = Ledger(tmp_path)
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, line: real(descriptor, line[:5]))
    with pytest.raises(InputError, match="No space left"):
        ledger.begin("a.nii")
    monkeypatch.setattr(os, "write", real)
    ledger.begin("b.nii")
    assert list(ledger.entries()) == ["b.nii"]


def test_a_line_that_another_process_is_writing_is_read_once_it_is_complete(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.begin("a")
    assert set(ledger.entries()) == {"a"}
    with ledger.path.open("ab", buffering=0) as file:
        file.write(b'\n{"output": "b", "pi')
        assert set(ledger.entries()) == {"a"}
        file.write(b'd": 1}')
    assert ledger.entries()["b"] == [{"output": "b", "pid": 1}]
    assert len(ledger.entries()["a"]) == 1, "nothing is read twice"


def test_shards_write_files_of_their_own_and_know_what_all_have_made(tmp_path, files):
    one, two = Ledger(tmp_path, "1-of-2"), Ledger(tmp_path, "2-of-2")
    finish(one, files, {}, "a")
    finish(two, files, {}, "b")
    assert sorted(sizes(tmp_path)) == [".iconet.1-of-2.jsonl", ".iconet.2-of-2.jsonl"]
    for ledger in (one, two, Ledger(tmp_path), Ledger(tmp_path, "5-of-7")):
        ledger.look()
        assert ledger.of("a") and ledger.of("b")
    finish(two, files, {}, "c")
    one.look()
    assert not one.of("c"), "the files of others are read once"
    one.look(everywhere=True)
    assert one.of("c")


def test_the_later_line_counts_whichever_file_has_it(tmp_path, monkeypatch):
    clock = iter([3.0, 2.0, 4.0, 1.0])  # the last one is that of a machine that is late
    monkeypatch.setattr(ledger_module.time, "time", lambda: next(clock))
    Ledger(tmp_path, "1-of-2").begin("a", "second")
    Ledger(tmp_path, "2-of-2").begin("a", "first")
    Ledger(tmp_path).begin("a", "third")
    Ledger(tmp_path).begin("a", "fourth")
    said = [entry["how"] for entry in Ledger(tmp_path).entries()["a"]]
    assert said == ["first", "second", "third", "fourth"]


def test_a_run_that_replaces_everything_counts_from_its_beginning(tmp_path):
    Ledger(tmp_path, "1-of-2").begin("a")
    since = sizes(tmp_path)
    assert Ledger(tmp_path, "1-of-2", since).entries() == {}
    Ledger(tmp_path, "1-of-2").begin("b")
    assert set(Ledger(tmp_path, "1-of-2", since).entries()) == {"b"}


def test_an_unused_file_goes_and_those_of_other_shards_stay(tmp_path, files):
    one, two = Ledger(tmp_path, "1-of-2"), Ledger(tmp_path, "2-of-2")
    one.begin("a")
    finish(two, files, {}, "b")
    assert not one.discard_if_unused() and not one.path.exists() and two.path.exists()
