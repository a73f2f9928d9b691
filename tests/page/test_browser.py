"""The page as a person meets it, in a real headless Chromium."""

from __future__ import annotations

import base64
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ds2f.demo import samples
from ds2f.io.media import decode
from helpers import write_audio

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
FLAGS += ["--disable-sync", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
CLIP, OTHER = samples() / "person-5.mp4", samples() / "person-1.mp4"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    sound = write_audio(tmp_path_factory.mktemp("microphone") / "talk.wav", decode(CLIP, frames=0).audio)
    with playwright.sync_playwright() as driver:
        microphone = f"--use-file-for-fake-audio-capture={sound}"
        launched = driver.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, microphone])
        yield launched
        launched.close()


@pytest.fixture
def page(browser, address: str) -> Iterator[object]:  # type: ignore[no-untyped-def]
    """The page, opened; fails afterwards if it complained or asked anybody else."""
    opened = browser.new_page(viewport={"width": 1100, "height": 900})
    complaints: list[str] = []
    opened.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.set_default_timeout(120_000)
    opened.goto(address)
    opened.wait_for_selector("body[data-ready]")
    opened.evaluate("document.getElementById('steps').value = 2")
    yield opened
    opened.close()
    assert [text for text in complaints if "422" not in text] == []
    assert all(url.startswith((address, "data:", "blob:")) for url in asked)


def _hear(page, clip: Path, card: int = 0) -> None:  # type: ignore[no-untyped-def]
    voice = page.locator(".voice").nth(card)
    voice.locator("input[type=file]").set_input_files(clip)
    voice.get_by_text("Heard ").wait_for()


def _draw(page) -> list[str]:  # type: ignore[no-untyped-def]
    page.get_by_role("button", name="Imagine faces").click()
    page.get_by_text("Done:").wait_for()
    return [image.get_attribute("src") for image in page.locator("#results img").all()]


def _same(some: list[str], others: list[str]) -> bool:
    """Whether two lists of data URLs show the same pictures, to rounding. Each signature has a number of its own, so
    their bytes always differ."""

    def pixels(url: str) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))), int)

    return len(some) == len(others) and all(
        np.abs(pixels(one) - pixels(other)).max() <= 2 for one, other in zip(some, others, strict=True)
    )


def test_upload_see_faces_change_the_seed_see_others(page) -> None:  # type: ignore[no-untyped-def]
    assert page.get_by_text("this is not an identification").is_visible()
    assert page.get_by_role("button", name="Imagine faces").is_disabled()
    _hear(page, CLIP)
    assert page.locator(".gender").get_attribute("aria-label").startswith("female")
    assert not page.get_by_role("button", name="Save settings").is_visible()
    shown, whole = (page.locator(name).bounding_box()["width"] for name in (".gender .share", ".gender"))
    assert 0.5 < shown / whole < 1
    heights = page.evaluate("[...document.querySelectorAll('.ages i')].map(bar => bar.offsetHeight)")
    assert len(heights) == 9
    assert max(heights) > 20 > min(heights)
    assert "of what makes a face" in page.locator(".settled").inner_text()
    page.get_by_label("Faces per voice").fill("3")
    first = _draw(page)
    assert len(first) == 3
    assert all(url.startswith("data:image/png") for url in first)
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    page.get_by_label("Seed", exact=True).fill("100")
    second = _draw(page)
    assert not any(_same([one], [other]) for one, other in zip(first, second, strict=True))
    page.get_by_label("Seed", exact=True).fill("0")
    assert _same(_draw(page), first)
    page.get_by_label("Gender").select_option("male")
    page.get_by_label("Age in years").fill("70")
    assert not any(_same([one], [other]) for one, other in zip(first, _draw(page), strict=True))


def test_faces_appear_while_they_are_drawn_and_can_be_stopped(page) -> None:  # type: ignore[no-untyped-def]
    _hear(page, CLIP)
    if page.get_by_label("fast decoder").is_visible():
        page.get_by_label("fast decoder").uncheck()
    page.evaluate("document.getElementById('steps').value = 50; document.getElementById('count').value = 8")
    page.get_by_role("button", name="Imagine faces").click()
    page.locator("#results img[src^='data:image/webp']").first.wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped.").wait_for()
    assert page.get_by_role("button", name="Imagine faces").is_enabled()


def test_a_bad_file_gets_its_sentence_and_the_page_goes_on(page, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "letter.wav").write_text("Dear Sir or Madam")
    page.locator("input[type=file]").first.set_input_files(tmp_path / "letter.wav")
    page.get_by_text("Not a media file, or damaged").wait_for()
    assert page.get_by_role("button", name="Imagine faces").is_disabled()
    assert page.locator("audio").is_hidden(), "there is nothing to play"
    (tmp_path / "large.wav").write_bytes(bytes(2_100_000))
    page.locator("input[type=file]").first.set_input_files(tmp_path / "large.wav")
    page.get_by_text("larger than 2 MB").wait_for()
    _hear(page, CLIP)
    page.get_by_label("Age in years").fill("101")
    page.evaluate("document.getElementById('settings').noValidate = true")
    page.get_by_role("button", name="Imagine faces").click()
    page.get_by_text("age must be a number from 0 to 100").wait_for()


def test_the_recording_chosen_last_is_heard_whichever_answer_comes_first(page) -> None:  # type: ignore[no-untyped-def]
    held: list[object] = []
    page.route("**/v1/voices", lambda route: route.continue_() if held else held.append(route))
    page.locator("input[type=file]").first.set_input_files(OTHER)
    page.get_by_text(f"Listening to {OTHER.name}").wait_for()
    _hear(page, CLIP)
    with page.expect_response("**/v1/voices"):
        held[0].continue_()  # type: ignore[attr-defined]
    page.wait_for_timeout(300)
    assert page.get_by_text(f"Heard {CLIP.name}.").is_visible()
    assert page.locator(".gender").get_attribute("aria-label").startswith("female")


def test_two_voices_are_compared_seed_by_seed(page) -> None:  # type: ignore[no-untyped-def]
    page.get_by_role("button", name="Compare with a second voice").click()
    _hear(page, CLIP, 0)
    _hear(page, OTHER, 1)
    assert not page.get_by_role("button", name="Compare").is_visible()
    faces = _draw(page)
    assert len(faces) == 8
    assert not any(_same([faces[i]], [faces[j]]) for i in range(8) for j in range(i))
    assert [title.inner_text() for title in page.locator("#results h3").all()] == ["First voice", "Second voice"]
    assert page.get_by_alt_text("Imagined face for the second voice, seed 2").count() == 1
    page.get_by_role("button", name="Remove this voice").click()
    assert page.locator(".voice").count() == 1
    assert page.locator(".voice h3").is_hidden()
    assert page.get_by_role("button", name="Compare").is_visible()
    assert _same(_draw(page), faces[:4])


def test_the_quick_way_and_the_fine_one_keep_their_steps(page) -> None:  # type: ignore[no-untyped-def]
    quick, steps = page.get_by_label("fast decoder"), page.locator("#steps")
    if quick.is_hidden():
        pytest.skip("the model in the box has no fast decoder")
    page.reload()
    page.wait_for_selector("body[data-ready]")
    taught = steps.input_value()
    assert (steps.is_disabled(), page.locator("#steps-shown").inner_text()) == (True, taught)
    quick.uncheck()
    assert (steps.is_enabled(), steps.input_value()) == (True, "10")
    steps.fill("20")
    quick.check()
    assert steps.input_value() == taught
    quick.uncheck()
    assert steps.input_value() == "20"


def test_a_guide_picture_is_followed_and_can_be_taken_away(page, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    if page.locator("#guide-field").is_hidden():
        pytest.skip("the model in the box was not taught to follow a guide")
    Image.linear_gradient("L").resize((16, 16)).save(tmp_path / "guide.png")
    _hear(page, CLIP)
    page.get_by_label("Faces per voice").fill("1")
    without = _draw(page)
    page.get_by_label("Guide picture").set_input_files(tmp_path / "guide.png")
    assert not _same(_draw(page), without)
    page.get_by_role("button", name="Without it").click()
    assert _same(_draw(page), without)


def test_the_microphone(page) -> None:  # type: ignore[no-untyped-def]
    page.get_by_role("button", name="Record", exact=True).click()
    page.get_by_role("button", name="Stop (4 s)").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Heard your recording").wait_for()
    assert len(_draw(page)) == 4


def test_saved_pictures_are_marked_and_settings_can_be_saved(page) -> None:  # type: ignore[no-untyped-def]
    page.get_by_role("button", name="Use a sample").click()
    page.get_by_text("Heard sample 1").wait_for()
    _draw(page)
    with page.expect_download() as saving:
        page.get_by_role("link", name="Save the face of seed 1").click()
    assert saving.value.suggested_filename == "imagined-1-seed-1.png"
    with Image.open(io.BytesIO(Path(saving.value.path()).read_bytes())) as picture:
        assert picture.info["DigitalSourceType"].endswith("/trainedAlgorithmicMedia")
        assert json.loads(picture.info["ds2f"])["seed"] == 1
    with page.expect_download() as saving:
        page.get_by_role("button", name="Save settings").click()
    record = json.loads(Path(saving.value.path()).read_text())
    assert record["asked"]["count"] == 4
    assert "Imagined face" in record["notice"]
    assert "voices" not in record["asked"]


def test_a_picture_says_where_it_comes_from(page, model, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    model(CLIP, count=1)[0].save(tmp_path / "drawn.png")
    Image.new("RGB", (80, 80), "teal").save(tmp_path / "plain.png")
    page.get_by_text("Where does a picture come from?").click()
    picture = page.get_by_label("Choose a picture")
    picture.set_input_files(tmp_path / "drawn.png")
    page.locator("#verdict").get_by_text("drawn by ds2f").wait_for()
    assert page.locator("#layers li").count() >= 2
    picture.set_input_files(tmp_path / "plain.png")
    page.get_by_text("plain.png: no mark found; this says nothing about where it comes from.").wait_for()
    (tmp_path / "letter.png").write_text("Dear Sir or Madam")
    picture.set_input_files(tmp_path / "letter.png")
    page.locator("#verdict.bad").wait_for()
    assert page.locator("#layers").is_hidden()


def test_the_keyboard_is_enough(page) -> None:  # type: ignore[no-untyped-def]
    def reach(name: str) -> None:
        """Tab until the focus is on it."""
        for _ in range(40):
            page.keyboard.press("Tab")
            if name in page.evaluate("document.activeElement.textContent || document.activeElement.id"):
                return
        raise AssertionError(f"{name} cannot be reached by the keyboard")

    reach("Use a sample")
    page.keyboard.press("Enter")
    page.get_by_text("Heard sample").wait_for()
    reach("Imagine faces")
    page.keyboard.press("Enter")
    page.get_by_text("Done:").wait_for()
    reach("Save")


def test_a_phone_shows_all_of_it(browser, address: str) -> None:  # type: ignore[no-untyped-def]
    phone = browser.new_page(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    phone.set_default_timeout(120_000)
    phone.goto(address)
    phone.wait_for_selector("body[data-ready]")
    phone.get_by_role("button", name="Use a sample").tap()
    phone.get_by_text("Heard sample").wait_for()
    phone.get_by_role("button", name="Imagine faces").tap()
    phone.get_by_text("Done:").wait_for()
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out"
    small = phone.evaluate(
        "[...document.querySelectorAll('button, select, .file')].filter(e => e.offsetHeight && e.offsetHeight < 40)"
        ".map(e => e.textContent)"
    )
    assert small == [], "fingers need 40 px"
    phone.close()
