"""Guided mode from end to end, on the synthetic people of the demo."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ds2f.cli import main
from ds2f.config import Evaluate
from ds2f.dataset import Dataset
from ds2f.demo import samples
from ds2f.errors import UserError
from ds2f.evaluation import guided
from ds2f.evaluation.bootstrap import Bootstrap
from ds2f.evaluation.guided import Restorer, spoil
from ds2f.evaluation.restoration import psnr
from ds2f.evaluation.results import Restoration
from ds2f.evaluation.run import evaluate
from ds2f.evaluation.subjects import load
from ds2f.face.attributes import IdentityAttributes
from ds2f.io.media import decode
from ds2f.models.guide import DEGRADATIONS, named
from ds2f.speech2face.model import Speech2Face
from ds2f.speech2face.settings import SamplingSettings
from ds2f.types import Progress
from helpers import tiny_decoder

CLIPS = 2
FACES = CLIPS * 2 * 12  # with and without the voice; four kinds, three strengths
SETTINGS = Evaluate(bootstrap=20, guided_clips=CLIPS)
CONFIG = """
[audio]
keep_seconds = 6.0
[split]
val = 0.0
test = 1.0
[generate]
steps = 1
size = 64
[evaluate]
bootstrap = 20
guided_clips = 2
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ds2f.toml and a dataset of four people, all in test."""
    folder = tmp_path_factory.mktemp("guided")
    (folder / "videos").mkdir()
    for clip in sorted(samples().glob("*.mp4"))[:4]:
        shutil.copy(clip, folder / "videos")
    (folder / "ds2f.toml").write_text(CONFIG)
    told = ["--config", str(folder / "ds2f.toml"), "--database", str(folder / "dataset.db")]
    assert main(["ingest", str(folder / "videos"), *told]) == 0
    assert main(["extract", "--workers", "1", *told]) == 0
    return folder


@pytest.fixture(scope="module")
def model() -> Speech2Face:
    """A tiny decoder that takes guides, untrained."""
    shipped = Speech2Face.from_pretrained(device="cpu")
    return Speech2Face(shipped.prior, tiny_decoder(every_condition=True), shipped.folder, torch.device("cpu"))


def test_the_command_measures_every_degradation(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guided, "LEVELS", (0.0, 1.0))  # the least and the most
    faces = FACES * 2 // 3
    told = ["--config", str(home / "ds2f.toml"), "--database", str(home / "dataset.db")]
    assert main(["evaluate", "--guided", *told, "--out", str(home / "report")]) == 0
    said = capsys.readouterr()
    assert f"restore: {faces} of {faces}" in said.err
    assert "pixelated, 8 blocks" in " ".join(said.out.split())
    written = json.loads((home / "report" / "metrics.json").read_text())
    assert written["provenance"]["guided"]["steps"] == 1
    found = written["guided"]
    assert len(found) == 3 * len(DEGRADATIONS) * 2
    assert {row["clips"] for row in found} == {CLIPS}
    by_name = {(row["kind"], row["level"], row["picture"]): row for row in found}
    for kind in DEGRADATIONS:
        ratios = [by_name[kind, level, "spoilt"]["psnr"]["value"] for level in guided.LEVELS]
        assert 35 > ratios[0] > ratios[1] > 10
    alone, voiced = (by_name["pixelate", 1.0, name] for name in ("restored", "with the voice"))
    assert alone["psnr"]["value"] > 15
    assert alone["psnr"] != voiced["psnr"]  # the voice is heard
    for row in found:
        kept = row["spaces"]["dlib"]
        assert row["psnr"]["low"] <= row["psnr"]["value"] <= row["psnr"]["high"]
        assert -1 <= kept["likeness"]["value"] <= 1
        assert 0 <= kept["r_at_1"]["value"] <= kept["r_at_10"]["value"] <= 1
    page = (home / "report" / "report.html").read_text()
    assert "Completing degraded faces" in page
    for kind in DEGRADATIONS:
        assert all(page.count(named(kind, level)) == 2 for level in guided.LEVELS)  # a row of pictures, one of numbers
    files = list((home / "report" / "guided").rglob("*.png"))
    assert len(files) == faces
    with Image.open(files[0]) as picture:
        assert picture.info["Title"] == "Generated face"


def test_a_run_that_was_stopped_goes_on(
    home: Path, model: Speech2Face, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guided, "LEVELS", (1.0,))
    monkeypatch.setattr(guided, "DEGRADATIONS", {kind: DEGRADATIONS[kind] for kind in ("pixelate", "box")})
    faces = FACES // 6
    told: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        if done >= 2 * CLIPS:
            raise KeyboardInterrupt

    with Dataset(home / "dataset.db") as data:
        subjects = load(data, "test", IdentityAttributes())
    clips = np.arange(CLIPS)
    bootstrap = Bootstrap([str(i) for i in clips], 20)

    def run(seed: int, progress: Progress | None) -> tuple[Restoration, ...]:
        restorer = Restorer(model, SamplingSettings(steps=1), seed, progress)
        with Dataset(home / "dataset.db") as data:
            return restorer.measure_restoration(data, "test", subjects, clips, bootstrap, tmp_path).measures

    with pytest.raises(KeyboardInterrupt):
        run(0, stop)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")}
    assert len(before) == 2 * CLIPS
    first = run(0, lambda *tick: told.append(tick))
    assert told[-1] == (faces, faces)
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert run(0, None) == first
    assert run(1, None) != first


def test_what_loses_nothing_scores_full_marks(
    home: Path, model: Speech2Face, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The true face as the spoilt one; and a decoder that hands its guide back."""

    def unchanged(image: Tensor, level: float) -> Tensor:
        return image

    monkeypatch.setattr(guided, "DEGRADATIONS", {"pixelate": unchanged})
    large = Speech2Face.from_pretrained(device="cpu", size=64)
    monkeypatch.setattr(large, "sample_images", lambda *args, guides, **kwargs: guides)
    restorer = Restorer(large, SamplingSettings(), 0)
    found = evaluate(home / "dataset.db", {}, "test", tmp_path, SETTINGS, restorer=restorer).guided
    for row in found:
        assert (row.psnr.value, row.ssim.value) == (100, pytest.approx(1))
        kept = row.spaces["dlib"]
        assert kept.likeness is not None
        assert kept.likeness.value > 0.8  # what is stored was seen in a larger picture
        assert kept.r_at_1.value == 1


@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_spoilt_pictures_lose_more_the_higher_the_level(kind: str) -> None:
    frame = decode(samples() / "person-1.mp4", frames=1, sound=False).frames[0].image
    true = np.array(Image.fromarray(frame).resize((64, 64)))[None]
    ratios = [float(psnr(spoil(true, kind, level), true)[0]) for level in guided.LEVELS]
    assert ratios == sorted(ratios, reverse=True)
    assert len({named(kind, level) for level in guided.LEVELS}) == 3


def test_what_the_user_can_mend(home: Path, model: Speech2Face, tmp_path: Path) -> None:
    plain = Speech2Face(model.prior, tiny_decoder(), model.folder, torch.device("cpu"))
    with pytest.raises(UserError, match="cannot complete pictures; leave out --guided"):
        Restorer(plain, SamplingSettings())


def test_another_model_can_be_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = ["--config", str(home / "ds2f.toml"), "--database", str(home / "dataset.db"), "--out", str(home / "none")]
    assert main(["evaluate", "--guided", *told, "--model", str(home / "videos")]) == 2
    assert "has no prior; make it with: ds2f train prior" in " ".join(capsys.readouterr().err.split())


def test_nothing_to_measure_gets_a_sentence(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--database", str(home / "dataset.db"), "--out", str(home / "none")]) == 2
    assert "--images [NAME=]FOLDER, or --guided" in " ".join(capsys.readouterr().err.split())
    assert not (home / "none").exists()
