"""Makes the pictures of README and documentation: the contact sheet of `ds2f demo`, the page with two voices, faces
before and after super-resolution, and tightly cropped guides, completed. Run it after the bundled model, or how it
draws, has changed; it needs playwright and Chromium.

    python scripts/make_pictures.py
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import requests
from PIL import Image
from playwright.sync_api import sync_playwright

from ds2f.demo import samples
from ds2f.face.align import canonical_crop
from ds2f.face.encode import FaceEncoder, enlarged
from ds2f.io.images import write_grid
from ds2f.io.media import decode
from ds2f.speech2face.model import Speech2Face

IMAGES = Path(__file__).parents[1] / "docs" / "images"
CLIPS = ("person-4.mp4", "person-6.mp4")
SAMPLES = (1, 3, 4, 6, 8)
TIGHT, ACROSS = (1, 2, 3, 6), 2.5  # people, and the width of their guides in eye distances
WIDTH, SHOWN, PATIENCE = 1100, 800, 120  # pixels of the page, and of its picture; seconds


def sheet(folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "ds2f", "demo", "--out", str(folder / "demo")], check=True)
    _save(folder / "demo" / "contact-sheet.png", IMAGES / "demo.jpg")


def page(folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    server = subprocess.Popen([sys.executable, "-m", "ds2f", "serve", "--port", str(port)])
    try:
        _wait(address)
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            opened = browser.new_page(viewport={"width": WIDTH, "height": 900})
            opened.set_default_timeout(1000 * PATIENCE)
            opened.goto(address)
            opened.wait_for_selector("body[data-ready]")
            for number, clip in enumerate(CLIPS):
                if number:
                    opened.get_by_role("button", name="+ Compare with a second voice").click()
                voice = opened.locator(".voice").nth(number)
                voice.locator("input[type=file]").set_input_files(samples() / clip)
                voice.get_by_text("Heard ").wait_for()
            opened.get_by_role("button", name="Imagine faces").click()
            opened.get_by_text("Done:").wait_for()
            opened.screenshot(path=folder / "page.png", full_page=True)
            browser.close()
    finally:
        server.terminate()
        server.wait()
    _save(folder / "page.png", IMAGES / "page.jpg")


def finer() -> None:
    """The decoder's pictures; below, the finished ones."""
    soft, sharp = (Speech2Face.from_pretrained(device="cpu") for _ in range(2))
    soft.drawing = replace(soft.drawing, super_resolution=False)
    rows = []
    for model in (soft, sharp):
        drawn = [model(samples() / f"person-{number}.mp4", 1, seed=number)[0].image for number in SAMPLES]
        rows.append(np.stack([np.asarray(face) for face in drawn]))
    with tempfile.TemporaryDirectory() as folder:
        write_grid(Path(folder) / "finer.png", rows, scale=1)
        _save(Path(folder) / "finer.png", IMAGES / "super-resolution.jpg")


def tight() -> None:
    """Tightly cropped faces, of 160 px and of 12 px; completed as if their repeated border were part of the picture; as
    they are completed now."""
    model, encoder, size = Speech2Face.from_pretrained(device="cpu"), FaceEncoder(), 192
    columns = []
    for number in TIGHT:
        clip = samples() / f"person-{number}.mp4"
        frame = decode(clip, frames=1, sound=False).frames[0].image
        points = encoder.detect(frame)[0].landmarks
        side = round(ACROSS * float(np.linalg.norm(points[1] - points[0])))
        left, top = np.round(points.mean(0) - side / 2).astype(int)
        for pixels in (160, 12):
            cut = cv2.resize(frame[top : top + side, left : left + side], (pixels,) * 2, interpolation=cv2.INTER_AREA)
            bordered = canonical_crop(enlarged(cut), (points - (left, top)) * len(enlarged(cut)) / side, model.size)
            drawn = [np.asarray(model(clip, 1, guide=guide)[0].image) for guide in (bordered, cut)]
            shown = cv2.resize(cut, (size, size), interpolation=cv2.INTER_NEAREST)
            columns.append([shown, *(cv2.resize(face, (size, size), interpolation=cv2.INTER_AREA) for face in drawn)])
    with tempfile.TemporaryDirectory() as folder:
        write_grid(Path(folder) / "tight.png", [np.stack(row) for row in zip(*columns, strict=True)], scale=1)
        _save(Path(folder) / "tight.png", IMAGES / "tight-guides.jpg")


def _wait(address: str) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            requests.get(address, timeout=5).raise_for_status()
            return
        except requests.ConnectionError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


def _save(picture: Path, out: Path) -> None:
    image = Image.open(picture).convert("RGB")
    if image.width == WIDTH:
        image = image.resize((SHOWN, round(image.height * SHOWN / WIDTH)), Image.Resampling.LANCZOS)
    image.save(out, quality=88)
    print(f"{out}: {out.stat().st_size / 1e3:.0f} kB")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        sheet(Path(folder))
        page(Path(folder))
    finer()
    tight()


if __name__ == "__main__":
    main()
