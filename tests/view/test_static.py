"""The page without a server, in a real browser: what it makes is what the command line makes."""

import os
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

playwright = pytest.importorskip("playwright.sync_api", reason="pip install 'iconet[dev]'")
pytest.importorskip("onnx", reason="pip install 'iconet[onnx]'")

from iconet import cli  # noqa: E402
from iconet.demo import SCAN  # noqa: E402
from iconet.physics.kspace import resize_kspace  # noqa: E402

from .conftest import chromium  # noqa: E402

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"
CHROMIUM = chromium()
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
NPX = shutil.which("npx", path=PATH)
PICTURES = os.environ.get("ICONET_PICTURES")  # a folder for the pictures of docs/view.md
PATIENCE = 120_000  # milliseconds: no test of time
AGREEMENT = 1e-3  # of the range

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
    pytest.mark.skipif(NPX is None, reason="no npm: make web"),
    pytest.mark.skipif(
        not (WEB / "node_modules" / "onnxruntime-web").is_dir(), reason="no packages: make web"
    ),
]
expect = playwright.expect


class Isolated(SimpleHTTPRequestHandler):
    """A server of files with the headers that let pages use threads."""

    def end_headers(self):
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, *said):
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The page, built and served from a folder below the server's root."""
    root = tmp_path_factory.mktemp("server")
    out = root / "some" / "place"
    how = ["--mode", "static", "--minify", "false", "--logLevel", "error", "--outDir", str(out)]
    build = [NPX, "vite", "build", *how]
    env = {**os.environ, "PATH": PATH}
    done = subprocess.run(build, cwd=WEB, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        from static_page import add_models
    finally:
        sys.path.pop(0)
    add_models(out)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Isolated, directory=str(root))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/some/place/"
        server.shutdown()


@pytest.fixture
def tab(browser, site):
    """The page in a tab; whatever it logs as an error, or asks for elsewhere, fails the test."""
    context = browser.new_context(viewport={"width": 1440, "height": 960}, accept_downloads=True)
    context.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    page, wrong, asked = context.new_page(), [], []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    context.on("request", lambda request: asked.append((request.method, request.url)))
    page.goto(site)
    yield page
    context.close()
    ours = (site, "data:", "blob:")
    assert [one for one in asked if one[0] != "GET" or not one[1].startswith(ours)] == []
    assert wrong == []


def part(path, box, dtype=None):
    """A part of the demo scan as a scan of its own."""
    whole = nibabel.load(ROOT / "src" / "iconet" / "demo_scan" / SCAN)
    image = whole.slicer[box]
    data = np.asarray(image.dataobj, dtype)
    nibabel.Nifti1Image(data, image.affine, image.header).to_filename(path)
    return path


def zero_filled(path):
    """Slices as consoles store them, on a larger matrix than was acquired."""
    whole = nibabel.load(ROOT / "src" / "iconet" / "demo_scan" / SCAN)
    slices = torch.from_numpy(np.asarray(whole.dataobj, np.float32)[..., 20:23]).permute(2, 0, 1)
    stored = resize_kspace(resize_kspace(slices, (72, 96)), (96, 128)).abs().permute(1, 2, 0)
    affine = whole.affine @ np.diag([2, 2, 1, 1])
    nibabel.Nifti1Image(stored.numpy().round().astype(np.int16), affine).to_filename(path)
    return path


def scan(tab, name):
    return tab.locator("#list li").filter(has_text=name)


def upscaled(tab, path, folder, scale="2"):
    """What the page makes of a scan."""
    tab.locator("#files").set_input_files(path)
    expect(scan(tab, path.name)).to_contain_text("Ready")
    expect(tab.locator("#details-title")).to_have_text(path.name)
    if scale != "2":
        tab.get_by_label("Scale").select_option(scale)
    tab.get_by_role("button", name="Upscale").click()
    expect(scan(tab, path.name)).to_contain_text("Done")
    with tab.expect_download() as started:
        tab.get_by_role("link", name="Image").click()
    target = folder / started.value.suggested_filename
    started.value.save_as(target)
    return target


def compare(path, source, folder, *options):
    """With the command line, in its own precision."""
    wanted = folder / f"{source.name}-wanted.nii.gz"
    call = ["upscale", str(source), "-o", str(wanted), "--precision", "fp32", "--backend", "torch"]
    assert cli.run([*call, *options]) == 0
    ours, theirs = nibabel.load(path), nibabel.load(wanted)
    assert ours.header.get_data_dtype() == theirs.header.get_data_dtype()
    assert ours.header["descrip"] == theirs.header["descrip"]
    np.testing.assert_allclose(ours.affine, theirs.affine, atol=1e-5)
    for code in ("qform_code", "sform_code", "xyzt_units", "scl_slope", "scl_inter"):
        np.testing.assert_array_equal(ours.header[code], theirs.header[code])
    np.testing.assert_allclose(ours.get_qform(), theirs.get_qform(), atol=1e-4)
    a, b = ours.get_fdata(), theirs.get_fdata()
    assert a.shape == b.shape
    difference = np.abs(a - b).max() / np.ptp(b)
    assert difference <= max(AGREEMENT, 1.01 / np.ptp(b)), difference


def keep(tab, name):
    if PICTURES:
        tab.screenshot(path=Path(PICTURES) / f"{name}.png", timeout=PATIENCE)


def test_what_it_makes_is_what_the_command_line_makes(tab, tmp_path):
    # One test: pytest-xdist would build the page in every process that has one of several.
    refusals(tab, tmp_path)
    at_2_times(tab, tmp_path)
    at_4_times(tab, tmp_path)
    zero_filled_by_the_scanner(tab, tmp_path)
    made_smaller_by_a_program(tab, tmp_path)


def at_2_times(tab, tmp_path):
    expect(tab.locator("header")).to_contain_text("never leave this computer")
    source = part(tmp_path / "head_T1w.nii.gz", np.s_[:, :, 20:22], np.float32)
    path = upscaled(tab, source, tmp_path)
    assert path.name == "head_T1w-iconet.nii.gz"
    compare(path, source, tmp_path)
    expect(tab.locator("#result")).to_contain_text("Takes about")
    expect(tab.locator("#result")).to_contain_text("Made coarse again, the result")
    for layer in ("Interpolation", "Difference", "Consistency"):
        tab.locator("#right").get_by_role("radio", name=layer, exact=True).click()
        expect(tab.locator("[aria-busy=true]")).to_have_count(0)
        expect(tab.locator("#right canvas")).to_have_attribute("aria-label", re.compile(layer))
    tab.locator("#right").get_by_role("radio", name="ICONet", exact=True).click()
    expect(tab.locator("[aria-busy=true]")).to_have_count(0)
    tab.wait_for_timeout(300)
    keep(tab, "view-static")


def at_4_times(tab, tmp_path):
    # Of the first all is taken for acquired, of the second not.
    for name, box in (
        ("cut.nii", np.s_[70:120, 40:90, 22:24]),
        ("small.nii", np.s_[60:124, 80:150, 22:24]),
    ):
        source = part(tmp_path / name, box)
        compare(upscaled(tab, source, tmp_path, "4"), source, tmp_path, "--scale", "4")


def zero_filled_by_the_scanner(tab, tmp_path):
    filled = zero_filled(tmp_path / "filled.nii.gz")
    path = upscaled(tab, filled, tmp_path)
    expect(tab.locator("#facts")).to_contain_text(re.compile("72.96, stored as 96.128"))
    compare(path, filled, tmp_path)


def refusals(tab, tmp_path):
    for name, box, says in (
        ("sub-01_dseg.nii.gz", np.s_[:, :, 20:22], "labels, by its name"),
        ("thin.nii.gz", np.s_[:, 0:12, 20:29], "at least 16 x 16"),
    ):
        path = part(tmp_path / name, box)
        tab.locator("#files").set_input_files(path)
        expect(scan(tab, name)).to_contain_text("Cannot be used")
        scan(tab, name).get_by_role("button").first.click()
        expect(tab.locator("#result")).to_contain_text(f"{name}: ")
        expect(tab.locator("#result")).to_contain_text(says)
        expect(tab.get_by_role("button", name="Upscale")).to_be_disabled()
    cut = tmp_path / "broken.nii.gz"
    cut.write_bytes(path.read_bytes()[:3000])
    tab.locator("#files").set_input_files(cut)
    expect(scan(tab, "broken")).to_contain_text("Cannot be used")
    tab.locator("#list li").filter(has_text="broken").get_by_role("button").first.click()
    expect(tab.locator("#result")).to_contain_text("damaged, or cut off")


def made_smaller_by_a_program(tab, tmp_path):
    """By linear interpolation of a noisy scan, which a network is sure not to be a scanner's."""
    whole = nibabel.load(ROOT / "src" / "iconet" / "demo_scan" / SCAN)
    data = np.asarray(whole.dataobj, np.float32)[..., 20:22]
    noisy = np.abs(data + np.random.default_rng(0).normal(0, 30, data.shape)).astype(np.float32)
    slices = torch.from_numpy(noisy).permute(2, 0, 1)[:, None]
    small = torch.nn.functional.interpolate(slices, (96, 128), mode="bilinear", antialias=True)
    source = tmp_path / "smaller.nii.gz"
    affine = whole.affine @ np.diag([2, 2, 1, 1])
    nibabel.Nifti1Image(small[:, 0].permute(1, 2, 0).numpy(), affine).to_filename(source)
    path = upscaled(tab, source, tmp_path)
    expect(tab.locator("#result")).to_contain_text("seems to have been blurred, filtered")
    expect(tab.locator("#result")).to_contain_text("enlarged by mri-any-x2")
    compare(path, source, tmp_path)
