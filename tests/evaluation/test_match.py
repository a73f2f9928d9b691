"""`ds2f match` as a user meets it, on the synthetic people of the demo."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from ds2f.cli import main
from ds2f.demo import samples
from ds2f.evaluation.match import Matcher
from ds2f.io.media import decode
from ds2f.models import folders
from helpers import noise, picture, silence, write_audio


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A picture of three of the people."""
    folder = tmp_path_factory.mktemp("faces")
    paths = [folder / f"{video.stem}.png" for video in sorted(samples().glob("*.mp4"))[:3]]
    for path in paths:
        Image.fromarray(decode(samples() / f"{path.stem}.mp4", frames=1).frames[0].image).save(path)
    return paths


@pytest.fixture(scope="module")
def matcher() -> Matcher:
    return Matcher()


def test_faces_come_best_first_and_shares_sum_to_one(matcher: Matcher, faces: list[Path]) -> None:
    voice = samples() / "person-1.mp4"
    found = matcher.match(voice, faces).faces
    assert {m.face for m in found} == set(faces)
    assert [m.fits for m in found] == sorted((m.fits for m in found), reverse=True)
    assert sum(m.share for m in found) == pytest.approx(1.0, abs=1e-5)
    alone = matcher.match(voice, [found[0].face]).faces[0]
    assert (alone.fits, alone.share) == (pytest.approx(found[0].fits, abs=1e-5), 1.0)


def test_another_voice_gives_other_odds(matcher: Matcher, faces: list[Path]) -> None:
    fits = [[m.fits for m in matcher.match(samples() / f"person-{i}.mp4", faces).faces] for i in (1, 2)]
    assert fits[0] != pytest.approx(fits[1], abs=1e-3)


def test_the_command_says_what_fits_what_is_chance_and_what_was_refused(
    faces: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture(tmp_path / "noise.png")
    code = main(["match", str(samples() / "person-1.mp4"), *map(str, faces), str(tmp_path / "noise.png")])
    said = capsys.readouterr()
    assert code == 1
    assert "33 %" in said.out.splitlines()[-1]
    assert "noise.png: no face found" in " ".join(said.err.split())
    assert "identifies nobody" in said.err


def test_what_of_a_long_recording_is_heard_is_said(
    faces: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ds2f.toml").write_text("[audio]\nmax_seconds = 4.0\nmin_speech = 0.5\n")
    voice = samples() / "person-1.mp4"
    assert main(["match", str(voice), str(faces[0]), "--config", str(tmp_path / "ds2f.toml")]) == 0
    assert f"{voice}: heard only from 0 to 4 s of 7 s" in capsys.readouterr().err


def test_bad_input_gets_a_sentence(faces: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    face, voice = str(faces[0]), str(samples() / "person-1.mp4")
    write_audio(tmp_path / "silent.wav", silence(3.0))
    write_audio(tmp_path / "hiss.wav", noise(3.0))
    picture(tmp_path / "noise.png")
    for arguments, sentence in (
        ((str(tmp_path / "nowhere.wav"), face), "nowhere.wav"),
        ((voice, face, str(tmp_path / "nowhere.png")), "There is no picture"),
        ((str(tmp_path / "silent.wav"), face), "silence"),
        ((str(tmp_path / "hiss.wav"), face), "no speech found"),
        ((voice, str(tmp_path / "noise.png")), "None of the pictures shows a face"),
        ((voice, face, "--model", str(tmp_path / "empty")), "no model folder"),
    ):
        assert main(["match", *arguments]) == 2
        error = " ".join(capsys.readouterr().err.split())
        assert sentence in error
        assert "Traceback" not in error


def test_the_shipped_alignment_is_small_and_says_how_well_it_was_measured() -> None:
    assert (folders.shipped() / "alignment.safetensors").stat().st_size < 500_000
    measures = folders.description(folders.shipped(), "alignment")["card"]["measures"]
    assert measures["alignment"][0]["choice"]["2"]["low"] > 0.5 < measures["linear"][0]["choice"]["2"]["low"]
