"""Files come whole, into a private place, or nothing of them stays."""

import asyncio
import json
import shutil

import pytest

from iconet.errors import InputError
from iconet.view import drops, folder
from iconet.view.drops import LARGEST, MOST_FILES, claim, take


def claimed(tmp_path, *names, size=3):
    return claim({"files": [{"name": name, "size": size} for name in names]}, tmp_path / "drop")


@pytest.mark.parametrize(
    "name",
    [
        *("../a.nii", "a/../../b.nii", "/etc/passwd", "..", ".", "", "a//b.nii", "a/./b.nii"),
        *("..\\a.nii", "C:\\a.nii", "C:a.nii", "a\0.nii", "a\n.nii", "a\u202e.nii", "b" * 300),
        "/".join("a" * 100),
    ],
)
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    with pytest.raises(InputError) as refused:
        claimed(tmp_path, name)
    assert str(refused.value).isprintable()
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("scan.nii.gz", "scan.nii.gz"),
        ("a/b/Köpf (1).nii.gz", "K_pf _1_.nii.gz"),
        (".hidden.nii", "hidden.nii"),
        ("~root;$(x).nii", "_root___x_.nii"),
        ("x" * 240 + ".nii.gz", "x" * 143 + ".nii.gz"),
        ("...", None),
    ],
)
def test_of_a_name_only_its_last_part_is_kept_in_plain_characters(tmp_path, name, plain):
    (path,) = claimed(tmp_path, name).paths
    assert path.parent.parent == tmp_path / "drop"
    assert path.name == (plain or "file0")


def test_folders_become_numbers_and_no_two_files_share_a_place(tmp_path):
    drop = claimed(tmp_path, "a/IM1", "b/IM1", "b/IM/2", "b/ä", "b/ö")
    assert len(set(drop.paths)) == 5
    assert drop.paths[0].parent != drop.paths[1].parent == drop.paths[3].parent


@pytest.mark.parametrize(
    "content",
    [
        *(None, [], {}, {"files": []}, {"files": 3}, {"files": [3]}, {"files": [{"name": "a"}]}),
        *({"files": [{"name": "a", "size": size}]} for size in (-1, 1.5, True, "3", None)),
        {"files": [{"name": 3, "size": 3}]},
        {"files": [{"name": "a", "size": 0}] * (MOST_FILES + 1)},
    ],
)
def test_claims_that_make_no_sense_are_refused(tmp_path, content):
    with pytest.raises(InputError):
        claim(content, tmp_path / "drop")
    assert [*tmp_path.iterdir()] == []


def test_too_much_is_refused_before_anything_comes(tmp_path, page):
    with pytest.raises(InputError, match=r"10\.0 GB.*at most 4 GB.*command line"):
        claimed(tmp_path, "a.nii", size=10**10)
    with pytest.raises(InputError, match="at most"):
        claimed(tmp_path, "a.nii", "b.nii", size=LARGEST // 2 + 1)
    before = files_below(page)
    answer = page.client.post("/api/drops", json={"files": [{"name": "a.nii", "size": 10**10}]})
    assert (answer.status_code, "10.0 GB" in answer.json()["line"]) == (400, True)
    assert files_below(page) == before


def test_the_disk_is_not_filled(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=folder.LEAST_FREE + 10)
    monkeypatch.setattr(folder.shutil, "disk_usage", lambda path: usage)
    claimed(tmp_path, "a.nii", size=10).discard()
    with pytest.raises(InputError, match=r"do not fit.*TMPDIR"):
        claimed(tmp_path, "a.nii", size=11)
    assert [*tmp_path.iterdir()] == []


def files_below(page):
    return sorted(path for path in page.desk.folder.rglob("*"))


@pytest.mark.parametrize("sent", [b"", b"12", b"1234"], ids=["nothing", "less", "more"])
def test_more_or_less_than_was_claimed_is_refused_and_leaves_nothing(page, sent):
    before = files_below(page)
    drop = page.client.post("/api/drops", json={"files": [{"name": "a.nii", "size": 3}]}).json()
    answer = page.client.put(f"/api/drops/{drop['drop']}/0", content=sent)
    assert answer.status_code == 400 and answer.json()["line"].startswith("a.nii: ")
    assert files_below(page) == before
    assert page.client.post(f"/api/drops/{drop['drop']}/done").status_code == 400


def test_a_file_comes_once_and_all_have_to_come(page):
    before = files_below(page)
    listed = [{"name": name, "size": 1} for name in ("a.nii", "b.nii")]
    drop = page.client.post("/api/drops", json={"files": listed}).json()["drop"]
    assert page.client.put(f"/api/drops/{drop}/7", content=b"1").status_code == 400
    assert page.client.put(f"/api/drops/{drop}/0", content=b"1").status_code == 200
    done = page.client.post(f"/api/drops/{drop}/done")
    assert (done.status_code, "incomplete" in done.json()["line"]) == (400, True)
    assert files_below(page) == before
    drop = page.client.post("/api/drops", json={"files": listed}).json()["drop"]
    page.client.put(f"/api/drops/{drop}/0", content=b"1")
    assert "twice" in page.client.put(f"/api/drops/{drop}/0", content=b"1").json()["line"]
    assert files_below(page) == before


class Slow:
    """A request whose bytes come slowly."""

    def __init__(self, pieces):
        self.pieces = pieces

    async def stream(self):
        for seconds, piece in self.pieces:
            await asyncio.sleep(seconds)
            yield piece


def test_what_comes_too_slowly_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(drops, "PATIENCE", 0.05)
    drop = claimed(tmp_path, "a.nii")
    with pytest.raises(InputError, match=r"a\.nii: nothing came for"):
        asyncio.run(take(Slow([(0.3, b"123")]), drop, 0))
    drop.discard()
    drop = claimed(tmp_path, "a.nii", size=10**6)
    with pytest.raises(InputError, match="too slowly"):
        asyncio.run(take(Slow([(0.04, b"1")] * 30), drop, 0))


def test_drops_that_nobody_goes_on_with_are_removed(page, monkeypatch):
    before = files_below(page)
    drop = page.client.post("/api/drops", json={"files": [{"name": "a", "size": 3}]}).json()["drop"]
    page.desk.drops[drop].active -= 1000
    page.client.portal.call(page.desk.sweep)
    assert files_below(page) == before and drop not in page.desk.drops


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b'"' + b"x" * 5_000_000 + b'"'])
def test_what_is_no_json_is_refused(page, body):
    answer = page.client.post("/api/drops", content=body)
    assert answer.status_code == 400
    assert "\n" not in json.loads(answer.content)["line"]
