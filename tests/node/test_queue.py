import time

import pytest

from iconet.errors import InputError
from iconet.node.facts import Facts
from iconet.node.queue import Queue, wait_after
from iconet.node.settings import Retry

from .parts import archive  # noqa: F401 - skips without pynetdicom


def facts(image, series="1.2", own=False):
    return Facts("1.1", image, series, "1.9", "MR", "t1", "BRAIN", 1.0, 1.0, 1, None, own)


@pytest.fixture
def queue(tmp_path):
    made = Queue(tmp_path)
    yield made
    made.close()


def state(queue, series="1.2"):
    ((row),) = queue.rows("SELECT state FROM series WHERE uid=?", series)
    return row["state"]


def delivered(queue, images=("8.1", "8.2"), result="8", peers=("pacs",)):
    row = queue.take(0)
    named = [(uid, f"{uid}.dcm") for uid in images]
    assert queue.deliver(row, result, "results/a", named, peers, "made", "mr")
    return row


def test_a_series_is_taken_when_it_is_quiet(queue):
    queue.add(facts("1.2.1"), "a", "p")
    assert queue.take(60) is None
    assert queue.take(0)["uid"] == "1.2"
    assert queue.take(0) is None


def test_a_series_is_taken_at_once_when_its_count_fits(queue):
    queue.add(facts("1.2.1"), "a", "p", expected=2)
    assert queue.take(60) is None
    queue.add(facts("1.2.2"), "b", "q")
    assert queue.take(60)["uid"] == "1.2"


def test_images_that_come_while_a_series_runs_make_it_run_again(queue):
    queue.add(facts("1.2.1"), "a", "p")
    row = queue.take(0)
    queue.add(facts("1.2.2"), "b", "q")
    assert not queue.deliver(row, "8", "results/a", [], ["pacs"], "made", "mr")
    queue.end(row, "refused", "no")
    assert state(queue) == "receiving"
    assert queue.take(0)["runs"] == 2


def test_a_killed_run_is_taken_up_again(queue, tmp_path):
    queue.add(facts("1.2.1"), "a", "p")
    queue.take(0)
    other = Queue(tmp_path)
    assert other.recover() == 1
    assert other.take(0)["uid"] == "1.2"
    other.close()


def test_what_a_peer_has_is_not_sent_again(queue):
    queue.add(facts("1.2.1"), "a", "p")
    delivered(queue)
    queue.sent("pacs", ["8.1"])
    delivery = queue.due("pacs")
    assert [row["uid"] for row in queue.unsent(delivery)] == ["8.2"]
    queue.sent("pacs", ["8.2"])
    queue.delivered(delivery, "done")
    assert state(queue) == "done"
    queue.add(facts("1.2.1"), "other contents", "p")  # runs again, to the same UIDs
    delivered(queue)
    assert queue.unsent(queue.due("pacs")) == []


def test_a_series_is_done_when_all_peers_have_its_result(queue):
    queue.add(facts("1.2.1"), "a", "p")
    delivered(queue, peers=("pacs", "web"))
    queue.delivered(queue.due("pacs"), "done")
    assert state(queue) == "sending"
    queue.delivered(queue.due("web"), "failed", "gone")
    assert state(queue) == "failed"
    assert queue.retry() == 1
    assert state(queue) == "sending"
    queue.delivered(queue.due("web"), "done")
    assert state(queue) == "done"


def test_a_result_that_was_not_begun_gives_way_to_its_successor(queue):
    queue.add(facts("1.2.1"), "a", "p")
    delivered(queue)
    queue.add(facts("1.2.2"), "b", "q")
    delivered(queue, ("9.1",), result="9")
    assert queue.due("pacs")["result"] == "9"
    queue.delivered(queue.due("pacs"), "done")
    assert queue.due("pacs") is None
    assert state(queue) == "done"


def test_a_delivery_waits_after_a_failure(queue):
    queue.add(facts("1.2.1"), "a", "p")
    delivered(queue)
    queue.later(queue.due("pacs"), 3600, "down")
    assert queue.due("pacs") is None


def test_waits_double_up_to_the_longest():
    retry = Retry(first=10, longest=100)
    assert [wait_after(tries, retry) for tries in (0, 1, 2, 5, 10**6)] == [10, 20, 40, 100, 100]


def test_duplicates_change_nothing(queue):
    queue.add(facts("1.2.1"), "a", "p")
    delivered(queue)
    queue.delivered(queue.due("pacs"), "done")
    queue.add(facts("1.2.1"), "a", "again")
    assert state(queue) == "done"


def test_refused_series_can_be_taken_up_again(queue):
    queue.add(facts("1.2.1"), "a", "p")
    queue.end(queue.take(0), "refused", "no")
    assert queue.take(0) is None
    assert queue.retry("1.2") == 1
    assert queue.take(0) is not None


def test_what_is_forgotten_is_known_as_deleted(queue):
    queue.add(facts("1.2.1"), "a", "p")
    delivered(queue)
    queue.delivered(queue.due("pacs"), "done")
    (series,) = queue.rows("SELECT * FROM series")
    assert queue.forget(series) == (["p"], ["results/a"])
    assert queue.image("1.2.1")["path"] is None


def test_a_series_that_changed_is_not_forgotten(queue):
    queue.add(facts("1.2.1"), "a", "p")
    (series,) = queue.rows("SELECT * FROM series")
    time.sleep(0.01)
    queue.add(facts("1.2.2"), "b", "q")
    assert queue.forget(series) == ([], [])


def test_a_queue_of_another_version_is_refused(queue, tmp_path):
    with queue.change() as db:
        db.execute("PRAGMA user_version=99")
    with pytest.raises(InputError, match="another version"):
        Queue(tmp_path)


def test_looking_makes_no_queue(tmp_path):
    with pytest.raises(InputError, match="no node has run"):
        Queue(tmp_path / "none", reading=True)
