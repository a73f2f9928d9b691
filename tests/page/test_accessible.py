"""The page for those who see little, hear it read, or have only a keyboard: axe-core's rules in every state, light and
dark, wide and as narrow as a phone; and the tree that a screen reader goes by."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ds2f import GeneratedFace
from ds2f.demo import samples
from ds2f.page import serve

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

CLIP = samples() / "person-5.mp4"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
FLAGS += ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
RULES = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}
LOOKS = [("light", 1100), ("dark", 1100), ("light", 320), ("dark", 390)]


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


def complaints(page, look: tuple[str, int]) -> list[str]:  # type: ignore[no-untyped-def]
    """What axe, which the page has been given, finds in some colours and width, and what is wider than the screen."""
    scheme, width = look
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    found = [
        f"{look}: {rule['id']}: {node['html'][:150]}"
        for rule in page.evaluate("rules => axe.run(rules).then(found => found.violations)", RULES)
        for node in rule["nodes"]
    ]
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return [*found, *([f"{look}: {wide} px stick out"] if wide > 0 else [])]


def test_no_complaint_in_any_state_and_look(browser, address: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    page = browser.new_page()
    page.set_default_timeout(300_000)
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    page.evaluate(axe.Axe().axe_script)  # once, and only complaints come back: that is most of its time
    found: list[str] = []

    def look(state: str, looks: list[tuple[str, int]] = LOOKS) -> None:
        found.extend(f"{state}: {complaint}" for one in looks for complaint in complaints(page, one))

    look("start")
    page.get_by_role("button", name="Record", exact=True).click()
    page.get_by_role("button", name="Stop (0 s)").wait_for()
    look("recording", LOOKS[-1:])
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Compare with a second voice").click()
    for card, clip in enumerate((CLIP, samples() / "person-1.mp4")):
        page.locator(".voice input[type=file]").nth(card).set_input_files(clip)
    look("listening", LOOKS[:1])
    page.locator(".voice").nth(1).get_by_text("Heard ").wait_for()
    look("two voices heard")
    page.get_by_role("button", name="Remove this voice").nth(0).click()
    if page.get_by_label("fast decoder").is_visible():
        page.get_by_label("fast decoder").uncheck()
    page.evaluate("document.getElementById('steps').value = 50; document.getElementById('count').value = 8")
    page.get_by_role("button", name="Imagine faces").click()
    page.locator("#results img[src^='data:image/webp']").first.wait_for()
    look("drawing", LOOKS[:1])
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped.").wait_for()
    page.evaluate("document.getElementById('steps').value = 2; document.getElementById('count').value = 2")
    page.get_by_role("button", name="Imagine faces").click()
    page.get_by_text("Done:").wait_for()
    look("done")
    (tmp_path / "letter.wav").write_text("Dear Sir or Madam")
    page.locator("input[type=file]").first.set_input_files(tmp_path / "letter.wav")
    page.get_by_text("Not a media file").wait_for()
    page.get_by_text("Where does a picture come from?").click()
    Image.new("RGB", (80, 80), "teal").save(tmp_path / "plain.png")
    page.get_by_label("Choose a picture").set_input_files(tmp_path / "plain.png")
    page.get_by_text("no mark found").wait_for()
    look("error, and a picture checked", LOOKS[1:3])
    GeneratedFace(Image.new("RGB", (80, 80), "teal"), np.zeros(128), 1, {}).save(tmp_path / "stated.png")
    page.get_by_label("Choose a picture").set_input_files(tmp_path / "stated.png")
    page.get_by_text("says that it was drawn by ds2f").wait_for()
    look("a picture that says something")
    assert found == []
    tree = page.locator("body").aria_snapshot()
    page.close()
    for line in (
        '- article "Voice"',
        'slider "Variety"',
        'region "2 Faces"',
        'img "Imagined face for the voice, seed 1"',
    ):
        assert line in tree, tree
    assert tree.count("- status") == 3, "one each for voice, drawing and picture speak by themselves"


def test_colours_of_controls_can_be_told_from_the_card() -> None:
    """WCAG 1.4.11, which axe does not measure: 3 : 1 between a control's edge and what it lies on."""

    style = (Path(serve.__file__).parent / "page.css").read_text()
    for colours in style.split("@media (prefers-color-scheme: dark)", 1)[:2]:
        named = dict(re.findall(r"--([\w-]+): (#\w{6})", colours.partition("* {")[0]))
        for ground in ("card", "ground"):
            assert _contrast(named["edge"], named[ground]) >= 3, (named["edge"], named[ground])


def _contrast(one: str, other: str) -> float:
    """WCAG 2.2: (L1 + 0.05) / (L2 + 0.05) of relative luminances."""

    def luminance(colour: str) -> float:
        channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)
