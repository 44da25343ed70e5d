"""Who may send what, and what becomes of the port when it is misused."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from .parts import close, mr_series, node, pynetdicom, send, until

NOT_UNDERSTOOD, NO_RESOURCES = 0xC000, 0xA700
QUIET = {"quiet": 3600}  # nothing is upscaled here


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    listen = {"associations": 3, "timeout": 4, "largest": 2}
    with node(tmp_path_factory.mktemp("node"), listen=listen, **QUIET) as one:
        yield one


@pytest.fixture(autouse=True)
def goes_on(request, running):
    """Whatever a test did, the node takes the next series."""
    yield
    images = mr_series(images=2)
    assert until(lambda: send(running.port, images)) == [0, 0]


def stored(running, image):
    path = running.folder / "spool/series"
    return [
        found
        for found in path.glob("*/*.dcm")
        if pydicom.dcmread(found, stop_before_pixels=True).SOPInstanceUID == image.SOPInstanceUID
    ]


def test_images_are_on_the_disk_as_they_were_sent(running):
    images = mr_series()
    assert send(running.port, images) == [0] * 4
    for image in images:
        (path,) = stored(running, image)
        kept = pydicom.dcmread(path)
        assert kept.PixelData == image.PixelData
        assert kept.file_meta.TransferSyntaxUID == image.file_meta.TransferSyntaxUID


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_compressed_images_are_kept_as_they_are(running, syntax):
    (image, *_) = mr_series(images=2, size=64)
    image.compress(syntax, generate_instance_uid=False)
    assert send(running.port, [image]) == [0]
    (path,) = stored(running, image)
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == syntax


def test_echo(running):
    entity = pynetdicom.AE(ae_title="SCANNER")
    entity.add_requested_context("1.2.840.10008.1.1")
    association = entity.associate("127.0.0.1", running.port, ae_title="ICONET")
    assert association.send_c_echo().Status == 0
    close(association)


@pytest.mark.parametrize("titles", [("STRANGER", "ICONET"), ("SCANNER", "OTHER")])
def test_a_stranger_is_rejected(running, titles):
    caller, called = titles
    (image, *_) = mr_series(images=2)
    assert send(running.port, [image], caller, called) is None
    assert stored(running, image) == []
    assert caller in running.events("rejected")[-1]["source"]


@pytest.mark.parametrize(
    "sent",
    [b"GET / HTTP/1.1\r\nHost: here\r\n\r\n", bytes(range(256)) * 400, b"\x01\x00\xff\xff\xff\xff"],
    ids=["http", "noise", "a PDU of 4 GB"],
)
def test_garbage_on_the_port_harms_nobody(running, sent):
    with socket.create_connection(("127.0.0.1", running.port), timeout=30) as connection:
        try:
            connection.sendall(sent)
            for _ in range(50):  # megabytes, of which none is kept
                connection.sendall(bytes(10**6))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1024):
                pass
        except ConnectionError:
            pass
    memory = psutil.Process(running.process.pid).memory_info().rss
    assert memory < 400e6


def test_silent_clients_do_not_keep_others_out(running):
    silent = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(20)]
    try:
        (image, *_) = mr_series(images=2)
        assert send(running.port, [image]) == [0]
    finally:
        for connection in silent:
            connection.close()


def test_an_association_that_says_nothing_more_is_ended(running):
    entity = pynetdicom.AE(ae_title="SCANNER")
    entity.add_requested_context("1.2.840.10008.1.1")
    association = entity.associate("127.0.0.1", running.port, ae_title="ICONET")
    assert association.is_established
    until(lambda: not association.is_established, 20)
    close(association)


def test_there_is_a_limit_of_associations(running):
    entity = pynetdicom.AE(ae_title="SCANNER")
    entity.add_requested_context("1.2.840.10008.1.1")

    def associate(_):
        return entity.associate("127.0.0.1", running.port, ae_title="ICONET")

    with ThreadPoolExecutor(8) as pool:
        associations = list(pool.map(associate, range(8)))
    assert sum(one.is_established for one in associations) == 3
    for one in associations:
        close(one)


def test_a_deflated_bomb_is_refused(running):
    (image, *_) = mr_series(images=2)
    image.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    image.PixelData = bytes(200_000_000)
    start = time.monotonic()
    assert send(running.port, [image]) == [NOT_UNDERSTOOD]
    assert time.monotonic() - start < 60
    assert stored(running, image) == []


def test_an_image_that_is_too_large_ends_its_association(running):
    (image, *_) = mr_series(images=2)
    image.PixelData = bytes(30_000_000)
    # pynetdicom's sender notices when it has sent all, or never.
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(send, running.port, [image])
        until(lambda: "2 MB" in running.events("rejected")[-1]["line"])
        assert answer.result() == [None]
    assert stored(running, image) == []
    until(lambda: not list((running.folder / "spool/arriving").iterdir()))


def test_an_image_without_its_names_is_refused_and_said(running):
    (image, *_) = mr_series(images=2)
    del image.SeriesInstanceUID
    assert send(running.port, [image]) == [NOT_UNDERSTOOD]
    assert "SeriesInstanceUID" in running.events("refused")[-1]["line"]


def test_an_image_that_came_is_a_duplicate(running):
    images = mr_series(images=2)
    send(running.port, images)
    before = [stored(running, image) for image in images]
    assert send(running.port, images) == [0, 0]
    assert [stored(running, image) for image in images] == before


def test_no_name_is_in_log_or_audit(running):
    send(running.port, mr_series(images=2))
    audit = (running.folder / "spool/audit.jsonl").read_text()
    for text in (audit, running.log.read_text()):
        assert "Secret" not in text
        assert "4711" not in text


def test_a_full_disk_is_said_before_anything_is_taken(tmp_path):
    (image, *_) = mr_series(images=2)
    with node(tmp_path, disk={"least_free": 10**9}, **QUIET) as full:
        assert send(full.port, [image]) is None
        assert "disk is full" in full.events("rejected")[-1]["line"]
        assert full.status()["disk"]["least_free_gb"] == 10**9


def test_addresses_are_checked(tmp_path):
    (image, *_) = mr_series(images=2)
    callers = [{"ae_title": "SCANNER", "addresses": ["10.1.0.0/16"]}]
    with node(tmp_path, listen={"callers": callers}, **QUIET) as strict:
        assert send(strict.port, [image]) is None
        assert "address" in strict.events("rejected")[-1]["line"]
