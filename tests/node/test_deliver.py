"""Archives that are down, full or guarded."""

import os
import threading
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from iconet.errors import InputError
from iconet.node import web_peer
from iconet.node.settings import Peer

from .parts import Archive, archive, free_port, mr_series, node, orthanc, send, until


def test_an_archive_that_is_full_gets_all_of_it_later(tmp_path):
    images = mr_series()
    with archive(status=0xA700) as pacs, node(tmp_path, peers={"pacs": pacs.peer}) as running:
        send(running.port, images)
        until(lambda: len(running.events("unsent")) >= 2)
        assert "0xA700" in running.status()["peers"]["pacs"]["line"]
        pacs.status = 0x0000
        until(lambda: running.states() == {"done": 1})
        assert len(pacs.images) == len({image.SOPInstanceUID for image in pacs.images}) == 4


def test_a_delivery_is_given_up_and_taken_up_again(tmp_path):
    images, port = mr_series(), free_port()
    peer = {"ae_title": "PACS", "host": "127.0.0.1", "port": port}
    retry = {"first": 0.2, "longest": 0.2, "hours": 1 / 3600}
    with node(tmp_path, peers={"pacs": peer}, retry=retry) as running:
        send(running.port, images)
        until(lambda: running.states() == {"failed": 1})
        assert "given up" in running.events("failed")[-1]["line"]
        pacs = Archive(port=port)
        try:
            from iconet import cli

            assert cli.run(["node", "retry", str(running.config)]) == 0
            until(lambda: running.states() == {"done": 1})
            assert len(pacs.images) == 4
        finally:
            pacs.close()


def credentials(path, **content):
    import yaml

    path.write_text(yaml.safe_dump(content))
    path.chmod(0o600)
    return path


def test_a_web_archive_wants_a_password(tmp_path):
    guarded = {"AuthenticationEnabled": True, "RegisteredUsers": {"node": "secret"}}
    with orthanc(tmp_path / "orthanc", user="node:secret", **guarded) as pacs:
        good = credentials(tmp_path / "good.yaml", user="node", password="secret")
        bad = credentials(tmp_path / "bad.yaml", user="node", password="other")
        web_peer.reach(Peer(url=pacs.url, credentials=good))
        with pytest.raises(InputError, match="401"):
            web_peer.reach(Peer(url=pacs.url, credentials=bad))


class Service(BaseHTTPRequestHandler):
    """A DICOMweb service that wants OAuth tokens, and gives them."""

    given = 0

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        basic = b64encode(b"node:secret").decode()
        assert self.headers["Authorization"] == f"Basic {basic}"
        type(self).given += 1
        self.answer(b'{"access_token": "token", "expires_in": 300}')

    def do_GET(self):
        known = self.headers.get("Authorization") == "Bearer token"
        self.answer(b"[]", 200 if known else 401)

    def answer(self, content, code=200):
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def service():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_web_archive_wants_a_token(tmp_path, service):
    keys = {"client_id": "node", "client_secret": "secret"}
    path = credentials(tmp_path / "oauth.yaml", token_url=f"{service}/token", **keys)
    web_peer.reach(Peer(url=service, credentials=path))
    assert Service.given == 1
    web_peer.reach(Peer(url=service, credentials=credentials(tmp_path / "t.yaml", token="token")))
    with pytest.raises(InputError, match="401"):
        web_peer.reach(Peer(url=service))


def test_credentials_that_others_can_read_are_refused(tmp_path):
    path = credentials(tmp_path / "open.yaml", token="secret")
    os.chmod(path, 0o644)
    with pytest.raises(InputError, match="chmod 600") as error:
        web_peer.reach(Peer(url="http://127.0.0.1:1", credentials=path))
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "content", [{}, {"user": "a"}, {"token": "a", "user": "b", "password": "c"}]
)
def test_half_credentials_are_refused(tmp_path, content):
    path = credentials(tmp_path / "half.yaml", **(content or {"scope": "x"}))
    with pytest.raises(InputError, match="give user and password, or token"):
        web_peer.read_credentials(path)


def test_a_web_archive_that_is_down_is_said():
    with pytest.raises(InputError, match="does not answer"):
        web_peer.reach(Peer(url=f"http://127.0.0.1:{free_port()}"))
