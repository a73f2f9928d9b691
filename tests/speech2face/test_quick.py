"""The way without PyTorch draws what the other one draws, and is gone where it can give what is asked for."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ds2f import Speech2Face
from ds2f.config import Audio
from ds2f.demo import samples
from ds2f.io.media import decode
from ds2f.models import folders, processor
from ds2f.speech2face import quick
from ds2f.speech2face.settings import SamplingSettings
from ds2f.types import NO_WISH, Wish

RECORDING = samples() / "person-2.mp4"
SMALL = folders.drawing_of_size(folders.shipped(), 64)


@pytest.fixture(autouse=True)
def no_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "ACCELERATORS", ())


def can_draw(settings: SamplingSettings = SamplingSettings(), wish: Wish = NO_WISH, device: str = "cpu") -> bool:
    return quick.can_draw(folders.shipped(), SMALL, settings, wish, device)


def test_both_ways_draw_one_face() -> None:
    model = quick.QuickSpeech2Face(folders.shipped(), SMALL, Audio())
    other = Speech2Face.from_pretrained(device="cpu", size=64)
    (mine,), (theirs,) = model(RECORDING, 1, 3), other(RECORDING, 1, 3)
    (exact,) = other(RECORDING, 1, 3, settings=SamplingSettings(precision="float32"))
    assert mine.details == theirs.details
    np.testing.assert_array_equal(mine.identity, theirs.identity)
    np.testing.assert_array_equal(mine.image, theirs.image)
    np.testing.assert_allclose(mine.identity, exact.identity, atol=1e-4)
    pixels = [np.asarray(face.image, float) for face in (mine, exact)]
    assert np.abs(pixels[0] - pixels[1]).mean() < 3, "of 255: the decoder's products are of whole numbers"
    (another,) = model(RECORDING, 1, 4)
    assert np.abs(pixels[0] - np.asarray(another.image, float)).mean() > 10


def test_it_is_for_what_is_drawn_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert can_draw()
    assert can_draw(SamplingSettings(temperature=1.0, noise=1.0, voice_guidance=1.0), device="auto")
    for given in ({"steps": 20}, {"fast": False}, {"direct": True}, {"precision": "float32"}, {"guidance": 1.0}):
        assert not can_draw(replace(SamplingSettings(), **given)), given
    assert not can_draw(wish=Wish(gender="female"))
    assert not can_draw(wish=Wish(guide=np.zeros((64, 64, 3), np.uint8)))
    assert not can_draw(device="cuda")
    for drawing in folders.drawings(folders.shipped()):
        assert quick.can_draw(folders.shipped(), drawing, SamplingSettings(), NO_WISH, "cpu"), drawing.size
    for file in SMALL.folder.iterdir():
        shutil.copy(file, tmp_path)
    (tmp_path / "fast-decoder.onnx").unlink()
    assert not quick.can_draw(folders.shipped(), replace(SMALL, folder=tmp_path), SamplingSettings(), NO_WISH, "cpu")
    monkeypatch.setattr(processor, "ACCELERATORS", (sys.executable,))
    assert not can_draw(device="auto"), "PyTorch knows what to do with it"


def test_both_ways_say_the_same_of_a_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Speech2Face.from_pretrained(device="cpu", size=64).describe(RECORDING)
    mine = quick.QuickDescriber(folders.shipped(), Audio()).describe(RECORDING)
    assert mine.age_years == told.age_years
    assert mine.determined == pytest.approx(told.determined, abs=1e-4)
    for ours, theirs in ((mine.age, told.age), (mine.gender, told.gender)):
        assert ours.probabilities == pytest.approx(theirs.probabilities, abs=1e-4)
        assert ours.before == pytest.approx(theirs.before, abs=1e-4)
    assert quick.can_describe(folders.shipped(), "cpu")
    assert not quick.can_describe(folders.shipped(), "cuda")
    monkeypatch.setattr(quick, "installed", lambda name: name != "onnxruntime")
    assert not quick.can_describe(folders.shipped(), "cpu")


@pytest.mark.parametrize("command", ["generate", "describe", "match", "verify"])
def test_from_the_shell_none_loads_torch(command: str, tmp_path: Path) -> None:
    face, trials, out = tmp_path / "face.png", tmp_path / "trials.txt", tmp_path / "out"
    Image.fromarray(decode(RECORDING, frames=1).frames[0].image).save(face)
    trials.write_text("".join(f"{i % 2} person-{i}.mp4 person-{j}.mp4\n" for i, j in ((1, 2), (2, 3), (3, 4), (4, 1))))
    words = {
        "generate": [RECORDING, "--out", out, "--count", "1", "--size", "64", "--device", "cpu"],
        "describe": [RECORDING, "--device", "cpu"],
        "match": [RECORDING, face],
        "verify": [trials, "--root", samples(), "--out", out, "--device", "cpu"],
    }[command]
    run = [sys.executable, "-X", "importtime", "-m", "ds2f", command, *map(str, words)]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert any(name.startswith("onnxruntime.") for name in loaded)
    assert "torch" not in loaded
    if command == "generate":
        assert (out / "person-2-0.png").is_file()
        assert (out / "identities.safetensors").stat().st_mode & 0o777 == 0o644
