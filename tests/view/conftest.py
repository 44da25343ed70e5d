"""A page without a browser, with a client that has the token; and a browser."""

import shutil
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest

pytest.importorskip("starlette", reason="pip install 'iconet[view]'")
pytest.importorskip("httpx2", reason="pip install 'iconet[dev]'")

from starlette.testclient import TestClient

from iconet.view.app import make_app
from iconet.view.desk import Desk

PORT = 8321
BASE = f"http://127.0.0.1:{PORT}"
TOKEN = "a-token-of-tests"


def chromium():
    """Where the browser is; None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Page:
    """What the page does, without a browser."""

    def __init__(self, client, desk):
        self.client, self.desk = client, desk

    def drop(self, *files):
        """Drop files, each (name, bytes); the answer to the last request."""
        listed = [{"name": name, "size": len(data)} for name, data in files]
        claimed = self.client.post("/api/drops", json={"files": listed})
        if claimed.status_code != 200:
            return claimed
        drop = claimed.json()["drop"]
        for index, (_, data) in enumerate(files):
            put = self.client.put(f"/api/drops/{drop}/{index}", content=data)
            if put.status_code != 200:
                return put
        return self.client.post(f"/api/drops/{drop}/done")

    def one(self, *files):
        """Drop one scan, and wait until it was looked at."""
        (number,) = self.drop(*files).json()["scans"]
        return self.wait(number, "ready", "choose", "refused")

    def wait(self, number, *states, seconds=120):
        """The scan, once it is in one of these states."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            item = self.desk.items[number]
            if item.state in states:
                return item
            time.sleep(0.02)
        raise AssertionError(f"is {item.state}, not {states}: {item.line}")

    def ask(self, item, what, **options):
        return self.client.post(f"/api/scans/{item.id}/{what}", json=options)

    def upscaled(self, item, **options):
        answer = self.ask(item, "upscale", **options)
        assert answer.status_code == 200, answer.text
        return self.wait(item.id, "done", "ready")

    def file(self, item, key):
        return self.client.get(f"/api/scans/{item.id}/files/{key}")

    def layer(self, item, key, **query):
        return self.client.get(f"/api/scans/{item.id}/layers/{key}", params=query)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    desk = Desk(tmp_path_factory.mktemp("private"))
    app = make_app(desk, port=PORT, token=TOKEN)
    with TestClient(app, base_url=BASE, headers={"Origin": BASE}) as client:
        client.get(f"/?token={TOKEN}", follow_redirects=False)
        yield Page(client, desk)


@pytest.fixture
def nifti(tmp_path):
    """A small scan, smooth and noisy, as a file."""

    def make(name="scan_T1w.nii.gz", shape=(24, 28, 6), dtype=np.int16):
        i, j, k = np.ogrid[tuple(slice(n) for n in shape[:3])]
        smooth = 400 + 200 * np.sin(i / 3) + 150 * np.cos(j / 4) + 10 * k
        noise = np.random.default_rng(0).normal(0, 5, shape)
        smooth = smooth if len(shape) == 3 else smooth[..., None] * np.arange(1, shape[3] + 1)
        affine = np.array([[-1.0, 0, 0, 12], [0, 1.1, 0, -9], [0, 0, 3, 4], [0, 0, 0, 1]])
        path = Path(tmp_path) / name
        nibabel.Nifti1Image((smooth + noise).astype(dtype), affine).to_filename(path)
        return path

    return make


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        made = started.chromium.launch(
            executable_path=chromium(), args=["--enable-unsafe-swiftshader", "--no-sandbox"]
        )
        yield made
        made.close()
