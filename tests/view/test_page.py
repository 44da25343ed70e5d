"""The real page in a real browser: dropped, upscaled, looked at, downloaded."""

import gzip
import io
import os
import zipfile
from importlib.resources import files
from pathlib import Path

import nibabel
import numpy as np
import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="pip install 'iconet[dev]'")
pytest.importorskip("uvicorn", reason="pip install 'iconet[view]'")

from PIL import Image  # noqa: E402

from iconet import cli, demo  # noqa: E402
from iconet.images.dicom.series import read_series  # noqa: E402
from iconet.view.app import PAGE  # noqa: E402

from .conftest import chromium  # noqa: E402
from .test_desk import files_in, mr_series  # noqa: E402
from .test_run import running  # noqa: E402

CHROMIUM = chromium()
WEB = Path(__file__).parents[2] / "web"
AXE = WEB / "node_modules" / "axe-core" / "axe.min.js"
PICTURES = os.environ.get("ICONET_PICTURES")  # a folder for the pictures of docs/view.md
PATIENCE = 300_000  # milliseconds: no test of time

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
    pytest.mark.skipif(not (PAGE / "index.html").is_file(), reason="not built: make web"),
]
expect = playwright.expect


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with running(tmp_path_factory.mktemp("temporary")) as (_, found):
        yield found


@pytest.fixture
def tab(browser, address):
    """The page in a tab; whatever it logs as an error, or asks for elsewhere, fails the test."""
    context = browser.new_context(
        viewport={"width": 1440, "height": 960}, accept_downloads=True, bypass_csp=False
    )
    context.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    page, wrong, asked = context.new_page(), [], []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address, wait_until="commit")
    expect(page.locator("#arrangement label").first).to_be_visible()
    yield page
    for left in reversed(range(page.locator("#list li").count())):
        page.get_by_role("button", name="Remove").first.click()
        expect(page.locator("#list li")).to_have_count(left)
    context.close()
    base = address.partition("/?")[0]
    assert [url for url in asked if not url.startswith((base, "data:", "blob:"))] == []
    assert [line for line in wrong if "400 (Bad Request)" not in line] == []


def scan(tab, name):
    return tab.locator("#list li").filter(has_text=name)


def picture(tab, side):
    """What a canvas shows."""
    shown = tab.locator(f"#{side} canvas").screenshot()
    return np.asarray(Image.open(io.BytesIO(shown)).convert("RGB")).astype(int)


def settled(tab):
    expect(tab.locator("[aria-busy=true]")).to_have_count(0)
    tab.wait_for_timeout(300)


def radio(tab, where, name):
    return tab.locator(where).get_by_role("radio", name=name, exact=True)


def slide(tab, name, value):
    tab.locator(f"#{name}").fill(str(value))
    settled(tab)


def demo_scan(folder):
    path = folder / demo.SCAN
    path.write_bytes((files("iconet") / "demo_scan" / demo.SCAN).read_bytes())
    return path


def faults(tab):
    """What axe-core finds that is serious; its script may not run under the page's own policy."""
    tab.evaluate(AXE.read_text())
    found = tab.evaluate("axe.run()")["violations"]
    return [
        (one["id"], [node["html"] for node in one["nodes"]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def keep(tab, name):
    if PICTURES:
        tab.screenshot(path=Path(PICTURES) / f"{name}.png", timeout=PATIENCE)


def test_the_demo_scan_from_the_drop_to_the_download(tab, tmp_path, capsys):
    source = demo_scan(tmp_path)
    tab.locator("#files").set_input_files(source)
    expect(scan(tab, source.name)).to_contain_text("Ready")
    expect(tab.locator("#place")).to_contain_text("mm")
    settled(tab)
    before = picture(tab, "left")
    assert before.std() > 10
    assert (before[..., 0] - before[..., 2] > 60).sum() > 200  # the crosshair
    if AXE.exists():
        assert faults(tab) == []

    tab.get_by_label("Show where the network guessed").check()
    tab.get_by_role("button", name="Upscale").click()
    expect(scan(tab, source.name)).to_contain_text("Done")
    expect(tab.get_by_role("radio", name="ICONet").nth(1)).to_be_checked()
    settled(tab)
    left, right = picture(tab, "left"), picture(tab, "right")
    assert left.std() > 10 and right.std() > 10
    assert np.abs(left - right).max() > 20
    expect(tab.locator("#facts")).to_contain_text("Acquired matrix")
    expect(tab.locator("#result")).to_contain_text("Made coarse again, the result")
    expect(tab.locator("#live")).to_contain_text("Done")
    expect(tab.locator("#histogram")).to_be_visible()
    keep(tab, "view-light")

    look_around(tab, left, right)
    download(tab, source, tmp_path)


def look_around(tab, left, right):
    """Slice, zoom, window, crosshair, layers and divider."""
    slide(tab, "slice", 2)
    moved = picture(tab, "left"), picture(tab, "right")
    assert np.abs(moved[0] - left).max() > 20 and np.abs(moved[1] - right).max() > 20
    expect(tab.locator("#right canvas")).to_have_attribute("aria-label", match("slice 2 of"))
    # A click in one picture moves the crosshair in the other one.
    place = tab.locator("#place").text_content()
    box = tab.locator("#left canvas").bounding_box()
    tab.mouse.click(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.4)
    expect(tab.locator("#place")).not_to_have_text(place)
    settled(tab)
    assert np.abs(picture(tab, "right") - moved[1]).max() > 20
    # Keys.
    tab.locator("#left canvas").focus()
    tab.keyboard.press("ArrowUp")
    expect(tab.locator("#right canvas")).to_have_attribute("aria-label", match("slice 3 of"))
    tab.keyboard.press("+")
    expect(tab.locator("#zoom")).not_to_have_value("100")
    tab.keyboard.press("0")
    expect(tab.locator("#zoom")).to_have_value("100")
    level = float(tab.locator("#level").input_value())
    slide(tab, "level", level * 2)
    assert picture(tab, "left").mean() < left.mean()
    tab.get_by_role("button", name="Reset").click()
    for layer in ("Interpolation", "Difference", "Consistency", "Uncertainty"):
        shown = picture(tab, "right")
        radio(tab, "#right", layer).click()
        settled(tab)
        expect(tab.locator("#right canvas")).to_have_attribute("aria-label", match(layer))
        assert np.abs(picture(tab, "right") - shown).max() > 10
    keep(tab, "view-uncertainty")
    radio(tab, "#right", "Difference").click()
    settled(tab)
    keep(tab, "view-difference")
    radio(tab, "#right", "ICONet").click()
    radio(tab, "#arrangement", "Swipe").click()
    settled(tab)
    shown = {}
    for percent in (0, 100):
        slide(tab, "swipe", percent)
        shown[percent] = tab.locator("#views").screenshot()
    assert shown[0] != shown[100]
    slide(tab, "swipe", 50)
    keep(tab, "view-swipe")
    bar = tab.locator("#bar").bounding_box()
    tab.mouse.move(bar["x"] + bar["width"] / 2, bar["y"] + 40)
    tab.mouse.down()
    tab.mouse.move(bar["x"] - 150, bar["y"] + 40)
    tab.mouse.up()
    assert float(tab.locator("#swipe").input_value()) < 50
    if AXE.exists():
        assert faults(tab) == []
    radio(tab, "#arrangement", "Side by side").click()
    dark_and_narrow(tab)


def dark_and_narrow(tab):
    tab.emulate_media(color_scheme="dark")
    settled(tab)
    keep(tab, "view-dark")
    if AXE.exists():
        assert faults(tab) == []
    tab.emulate_media(color_scheme="light")
    tab.set_viewport_size({"width": 390, "height": 844})
    settled(tab)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    keep(tab, "view-phone")
    tab.set_viewport_size({"width": 1440, "height": 960})


def match(text):
    import re

    return re.compile(text)


def download(tab, source, folder):
    """What is downloaded is the command line's result, voxel for voxel."""
    with tab.expect_download() as started:
        tab.get_by_role("link", name="Image").click()
    path = folder / started.value.suggested_filename
    started.value.save_as(path)
    assert path.name == "sub-01_T1w_slab-iconet.nii.gz"
    assert cli.run(["upscale", str(source), "-o", str(folder / "out.nii.gz")]) == 0
    ours, theirs = nibabel.load(path), nibabel.load(folder / "out.nii.gz")
    assert np.array_equal(np.asarray(ours.dataobj), np.asarray(theirs.dataobj))
    assert np.array_equal(ours.affine, theirs.affine)


def test_a_dicom_folder_in_and_a_derived_series_out(tab, tmp_path):
    folder = mr_series(tmp_path / "series")
    packed = tmp_path / "series.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files_in(folder, "series"):
            archive.writestr(name, data)
    tab.locator("#files").set_input_files(packed)
    expect(scan(tab, "series.zip")).to_contain_text("Ready")
    tab.locator("#folder").set_input_files(folder)
    expect(tab.locator("#list li")).to_have_count(2)
    tab.get_by_role("button", name="Upscale").click()
    tab.get_by_role("link", name="DICOM series").click(trial=True)
    with tab.expect_download() as started:
        tab.get_by_role("link", name="DICOM series").click()
    with zipfile.ZipFile(started.value.path()) as archive:
        archive.extractall(tmp_path / "ours")
    assert read_series(tmp_path / "ours").array.shape == (40, 48, 5)


def test_files_chosen_before_the_page_is_ready_wait(browser, address, nifti):
    page, let_go = browser.new_page(), []
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    page.route("**/assets/main.js", lambda route: let_go.append(route))
    page.goto(address, wait_until="commit")
    expect(page.locator("#files")).to_be_visible()
    page.locator("#files").set_input_files(nifti("early.nii.gz"))
    expect(page.locator("#sending")).to_have_text("The page is still loading. Your files wait.")
    let_go.pop().continue_()
    expect(scan(page, "early")).to_contain_text("Ready")
    page.get_by_role("button", name="Remove").first.click()
    expect(page.locator("#list li")).to_have_count(0)
    page.close()


def test_a_broken_file_gets_its_line_and_a_run_is_cancelled(tab, nifti, tmp_path):
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(gzip.compress(bytes(400))[:20])
    tab.locator("#files").set_input_files(broken)
    expect(scan(tab, "broken")).to_contain_text("Cannot be used")
    expect(tab.locator("#result")).to_contain_text("broken.nii.gz: ")
    expect(tab.locator("#live")).to_contain_text("Cannot be used")
    expect(tab.get_by_role("button", name="Upscale")).to_be_disabled()
    large = nifti("large.nii.gz", shape=(224, 224, 60))
    tab.locator("#files").set_input_files(large)
    expect(scan(tab, "large")).to_contain_text("Ready")
    tab.get_by_role("button", name="Upscale").click()
    expect(scan(tab, "large")).to_contain_text("slice")
    tab.get_by_role("button", name="Cancel large.nii.gz").click()
    expect(scan(tab, "large")).to_contain_text("Ready")
    expect(tab.locator("#result")).to_contain_text("Cancelled.")


def test_two_tabs_show_the_same_and_a_closed_one_disturbs_nobody(tab, browser, address, nifti):
    other = browser.new_page()
    other.goto(address, wait_until="commit")
    tab.locator("#files").set_input_files(nifti("small.nii.gz"))
    expect(other.locator("#list li")).to_contain_text("Ready")
    tab.get_by_role("button", name="Upscale").click()
    other.close()
    expect(scan(tab, "small")).to_contain_text("Done")
