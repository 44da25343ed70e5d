"""What becomes of series: one node, one archive, both of this project's own."""

import pytest

from .parts import archive, mr_series, node, send, until


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    rules = [
        {
            "name": "thick",
            "match": {"description": "thick"},
            "upscale": {"isotropic": True},
            "send_to": ["pacs"],
        },
        {
            "name": "mr",
            "match": {"modality": ["MR"], "not_description": "survey"},
            "send_to": ["pacs"],
        },
    ]
    with archive() as pacs:
        folder = tmp_path_factory.mktemp("node")
        with node(folder, peers={"pacs": pacs.peer}, rules=rules) as running:
            yield running, pacs


def state_of(running, series):
    from iconet.node.queue import Queue

    queue = Queue(running.folder / "spool", reading=True)
    try:
        (row,) = queue.rows("SELECT * FROM series WHERE uid=?", series)
    finally:
        queue.close()
    return dict(row)


def ended(running, images):
    """What the queue says of a series at its end."""

    def look():
        row = state_of(running, images[0].SeriesInstanceUID)
        return row if row["state"] not in ("receiving", "running", "sending") else None

    return until(look)


def results_of(pacs, images):
    """Images in the archive by the series they are in, of one study."""
    found = {}
    for image in pacs.images:
        if image.StudyInstanceUID == images[0].StudyInstanceUID:
            found.setdefault(image.SeriesInstanceUID, []).append(image)
    return found


def test_a_result_is_of_the_rule_that_fits(both):
    running, pacs = both
    images = mr_series(SeriesDescription="t1 thick")
    send(running.port, images)
    row = ended(running, images)
    assert (row["state"], row["rule"]) == ("done", "thick")
    (result,) = results_of(pacs, images).values()
    assert len(result) == 8  # 3 mm slices as fine as 1.5 mm pixels


def test_late_images_make_a_series_run_again(both):
    running, pacs = both
    images = mr_series(images=6)
    send(running.port, images[:4])
    assert ended(running, images)["state"] == "done"
    send(running.port, images[4:])
    until(lambda: len(results_of(pacs, images)) == 2)
    assert ended(running, images)["state"] == "done"
    assert sorted(map(len, results_of(pacs, images).values())) == [4, 6]


def test_images_of_one_series_by_two_associations_become_one_result(both):
    running, pacs = both
    images = mr_series(images=6)
    send(running.port, images[::2])
    send(running.port, images[1::2])
    assert ended(running, images)["state"] == "done"
    (result,) = results_of(pacs, images).values()
    assert len(result) == 6


def test_a_result_that_comes_back_is_not_upscaled_again(both):
    running, pacs = both
    images = mr_series()
    send(running.port, images)
    ended(running, images)
    (result,) = results_of(pacs, images).values()
    assert send(running.port, result) == [0] * 4
    assert ended(running, result)["state"] == "own"
    assert len(results_of(pacs, images)) == 1


def test_a_series_that_no_rule_is_for_is_ignored(both):
    running, pacs = both
    images = mr_series(SeriesDescription="survey")
    send(running.port, images)
    assert ended(running, images)["state"] == "ignored"
    assert not results_of(pacs, images)


def test_what_is_refused_is_said_with_the_reason(both):
    running, _ = both
    images = mr_series(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    send(running.port, images)
    row = ended(running, images)
    assert row["state"] == "refused"
    assert "localizer" in row["line"]
    assert str(running.folder) not in row["line"]
    assert any("localizer" in problem["line"] for problem in running.status()["problems"])
    assert "localizer" in running.log.read_text()


def test_an_image_with_other_contents_takes_the_place_of_the_first(both):
    running, pacs = both
    images = mr_series()
    send(running.port, images)
    ended(running, images)
    first = state_of(running, images[0].SeriesInstanceUID)["runs"]
    images[0].PixelData = bytes(len(images[0].PixelData))
    send(running.port, images[:1])
    until(lambda: state_of(running, images[0].SeriesInstanceUID)["runs"] == first + 1)
    assert ended(running, images)["state"] == "done"
    assert len(results_of(pacs, images)) == 1
    assert "other contents" in running.log.read_text()


def test_damaged_pixels_do_not_end_the_node(both):
    running, _ = both
    images = mr_series()
    for image in images:
        image.PixelData = image.PixelData[:100]
    send(running.port, images)
    assert ended(running, images)["state"] == "refused"
