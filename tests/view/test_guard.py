"""Only the page itself may ask."""

import pytest
from starlette.testclient import TestClient

from iconet.view.app import make_app
from iconet.view.desk import Desk

from .conftest import BASE, PORT, TOKEN


@pytest.fixture
def client(tmp_path):
    app = make_app(Desk(tmp_path), port=PORT, token=TOKEN, ticket="once")
    return TestClient(app, base_url=BASE, follow_redirects=False)


def test_the_token_is_exchanged_for_a_cookie_and_leaves_the_address(client):
    answer = client.get(f"/?token={TOKEN}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite" in cookie and str(PORT) in cookie
    assert client.get("/api/offered").status_code == 200


def test_a_ticket_is_good_for_one_use(client):
    assert client.get("/?token=once").status_code == 303
    client.cookies.clear()
    assert client.get("/?token=once").status_code == 403


@pytest.mark.parametrize("query", ["", "?token=", "?token=wrong", "?token=%00", "?tokens=1"])
def test_without_the_token_nothing_is_answered(client, query):
    for path in (f"/{query}", "/api/offered", "/api/events", "/assets/index.js"):
        answer = client.get(path)
        assert answer.status_code == 403
        assert "open the address" in answer.text
    for cookie in ("wrong", "é", ""):
        sent = f"iconet-view-{PORT}={cookie}".encode()
        assert client.get("/api/offered", headers={"Cookie": sent}).status_code == 403


@pytest.mark.parametrize(
    "host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", f"127.0.0.1:{PORT + 1}", ""]
)
def test_another_name_for_this_computer_is_refused(client, host):
    client.get(f"/?token={TOKEN}")
    answer = client.get("/api/offered", headers={"Host": host})
    assert answer.status_code == 403
    assert client.get(f"/?token={TOKEN}", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", f"https://127.0.0.1:{PORT}", None]
)
def test_another_page_changes_nothing(client, origin):
    client.get(f"/?token={TOKEN}")
    headers = {} if origin is None else {"Origin": origin}
    answer = client.post("/api/drops", json={"files": []}, headers=headers)
    assert (answer.status_code, "another page" in answer.text) == (403, True)


def test_another_page_reads_nothing(client):
    client.get(f"/?token={TOKEN}")
    answer = client.get("/api/offered", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


def test_nothing_from_outside_may_be_loaded(client):
    for answer in (client.get("/"), client.get(f"/?token={TOKEN}"), client.get("/api/offered")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert "http" not in policy and "*" not in policy and "unsafe-eval" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
