from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ds2f.cli import main
from ds2f.demo import samples
from ds2f.io.check import check_file
from ds2f.io.images import details_of
from ds2f.speech2face import upscale
from helpers import grey_ramp, noise, silence, tone, write_audio, write_video

VOICE = samples() / "person-1.mp4"


def test_generate_refuses_what_has_no_voice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_audio(tmp_path / "silence.wav", silence(2))
    write_audio(tmp_path / "noise.wav", noise(2))
    (tmp_path / "text.wav").write_text("no sound")
    (tmp_path / "empty.wav").touch()
    write_video(tmp_path / "mute.mp4", grey_ramp(10))
    names = ["silence.wav", "noise.wav", "text.wav", "empty.wav", "mute.mp4", "missing.wav"]
    code = main(["generate", *(str(tmp_path / n) for n in names), "--out", str(tmp_path / "faces")])
    said = capsys.readouterr().err
    assert code == 2
    wanted = ["silence", "no speech", "not a media file", "zero bytes", "without sound", "does not exist"]
    for name, reason in zip(names, wanted, strict=True):
        line = next(line for line in said.splitlines() if name in line and "ds2f generate" in line)
        assert reason in line
    assert not list((tmp_path / "faces").glob("*.png"))


def test_generate_refuses_what_cannot_work(tmp_path: Path, refused: Callable[..., str]) -> None:
    sound, out = write_audio(tmp_path / "a.wav", tone(2)), tmp_path / "faces"
    assert "Give either" in refused("generate", "--out", out)
    missing = tmp_path / "missing.wav"
    assert "There is no recording" in refused("generate", missing, "--out", out, "--model", tmp_path / "m")
    assert not out.exists(), "a wrong path leaves no folder behind"
    assert "faces of 64, 128 or 256 px, not 512" in refused("generate", sound, "--out", out, "--size", "512")
    assert "temperature" in refused("generate", sound, "--out", out, "--temperature", "-1")
    assert "no model folder" in refused("generate", sound, "--out", out, "--model", tmp_path / "m")
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    assert "cannot be written" in refused("generate", sound, "--out", blocked / "faces")
    assert "years from 0 to 100" in refused("generate", VOICE, "--out", out, "--age", "400")
    assert "The guide" in refused("generate", VOICE, "--out", out, "--guide", tmp_path / "none.png")
    assert "are for recordings" in refused("generate", "--database", "d.db", "--out", out, "--age", "30")


def test_a_voice_gives_faces_and_the_same_seed_the_same_face(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for out in ("one", "two"):
        settings = ["--count", "2", "--seed", "7", "--steps", "4", "--size", "64"]
        assert main(["generate", str(VOICE), "--out", str(tmp_path / out), *settings]) == 0
        said = capsys.readouterr()
        assert said.out.split() == [str(tmp_path / out / f"person-1-{i}.png") for i in (0, 1)]
        assert "These faces are imagined" in said.err
    one, other = (
        [np.array(Image.open(tmp_path / out / f"person-1-{i}.png")) for i in (0, 1)] for out in ("one", "two")
    )
    assert np.array_equal(one, other)
    assert not np.array_equal(*one)
    with Image.open(tmp_path / "one" / "person-1-0.png") as image:
        assert image.info["Title"] == "Generated face"
    record = json.loads((tmp_path / "one" / "generation.json").read_text())
    assert [face["seed"] for face in record["faces"]] == [7, 8]
    assert record["settings"]["steps"] == 4
    assert (tmp_path / "one" / record["identity_vectors"]).exists()


@pytest.mark.parametrize("wish", [[], ["--age", "60"]])
def test_what_of_a_long_recording_is_heard_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wish: list[str]
) -> None:
    (tmp_path / "ds2f.toml").write_text("[audio]\nmax_seconds = 4.0\nmin_speech = 0.5\n")
    settings = ["--config", str(tmp_path / "ds2f.toml"), "--count", "1", "--size", "64", *wish]
    assert main(["generate", str(VOICE), "--out", str(tmp_path), *settings]) == 0
    assert f"{VOICE}: heard only from 0 to 4 s of 7 s" in capsys.readouterr().err
    assert main(["describe", str(VOICE), *settings[:2]]) == 0
    assert "s, heard from 0 to 4 s of 7 s" in capsys.readouterr().out


def test_wishes(tmp_path: Path) -> None:
    wish = ["--age", "60", "--gender", "female", "--count", "1", "--steps", "2", "--size", "64"]
    assert main(["generate", str(VOICE), "--out", str(tmp_path), *wish]) == 0
    with Image.open(tmp_path / "person-1-0.png") as picture:
        said = json.loads(picture.info["ds2f"])
    assert (said["age"], said["gender"]) == (60.0, "female")
    assert json.loads((tmp_path / "generation.json").read_text())["settings"]["gender"] == "female"


def test_a_folder_keeps_its_tree_and_names_that_would_meet_do_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    voices, out = tmp_path / "voices", tmp_path / "faces"
    for place in ("anna/talk.mp4", "ben/talk.mp4", "ben/Talk.mkv", ".trash/talk.mp4"):
        (voices / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(VOICE, voices / place)
    (voices / "anna" / "notes.txt").write_text("no recording")
    settings = ["--count", "1", "--size", "64", "--format", "webp", "--sheet"]
    assert main(["generate", str(voices), "--out", str(out), *settings]) == 0
    names = {path.relative_to(out).as_posix() for path in out.rglob("*.webp")}
    assert names == {"anna/talk-0.webp", "ben/talk-mp4-0.webp", "ben/Talk-mkv-0.webp"}
    record = json.loads((out / "generation.json").read_text())
    assert {Path(face["input"]).relative_to(voices).as_posix(): face["image"] for face in record["faces"]} == {
        "anna/talk.mp4": "anna/talk-0.webp",
        "ben/talk.mp4": "ben/talk-mp4-0.webp",
        "ben/Talk.mkv": "ben/Talk-mkv-0.webp",
    }
    assert record["settings"]["format"] == "webp"
    said = details_of(out / "anna" / "talk-0.webp")
    assert said is not None
    assert said["seed"] == 0
    assert str(out / "contact-sheet.png") in capsys.readouterr().out.splitlines()
    with Image.open(out / "contact-sheet.png") as sheet:
        assert sheet.height > 3 * 144
        assert "Generated" in sheet.info["Title"]
    for picture in [*out.rglob("*.webp"), out / "contact-sheet.png"]:
        assert check_file(picture).layers[:1] == ("watermark",), picture
        assert check_file(picture).layers[-1:] == ("xmp",), picture


@pytest.mark.skipif(sys.platform != "linux", reason="names are Unicode there")
def test_a_name_that_is_not_utf8_is_written_and_shown(tmp_path: Path) -> None:
    voice = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4"))
    shutil.copy(VOICE, voice)
    command = [sys.executable, "-m", "ds2f", "generate", str(voice), "--count", "1", "--size", "64", "--out", "faces"]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert made.stdout.split() == ["faces/caf_-0.png"]
    (face,) = json.loads((tmp_path / "faces" / "generation.json").read_text("utf-8"))["faces"]
    assert (face["input"], face["image"]) == (str(voice), "caf_-0.png")
    told = subprocess.run([*command[:3], "describe", str(voice)], capture_output=True, text=True, check=True).stdout
    assert "caf\\udce9.mp4\nspeech" in told


@pytest.mark.parametrize(("option", "value"), [("--split", "val"), ("--guide-guidance", "2")])
def test_an_option_that_would_do_nothing_is_refused(
    tmp_path: Path, refused: Callable[..., str], option: str, value: str
) -> None:
    assert option in refused("generate", VOICE, "--out", tmp_path / "faces", option, value)
    assert not (tmp_path / "faces").exists()


def test_a_folder_without_recordings_is_a_sentence(tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "empty").mkdir()
    assert "no sound or video in the folder" in refused("generate", tmp_path / "empty", "--out", tmp_path / "faces")
    assert not (tmp_path / "faces").exists()


def test_larger_pictures_say_so_and_are_marked_as_the_small_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upscale, "_MODEL", "REALESRGAN_ANIMAVIDEOV3_UP4X")  # of the same package, and quick
    monkeypatch.setattr(upscale, "_upscaler", upscale.Upscaler)
    settings = ["--count", "1", "--size", "64", "--upscale", "2", "--format", "jpeg"]
    assert main(["generate", str(VOICE), "--out", str(tmp_path), *settings]) == 0
    with Image.open(tmp_path / "person-1-0.jpg") as picture:
        assert picture.format == "JPEG"
        assert picture.size == (128, 128)
        assert b"trainedAlgorithmicMedia" in picture.info["xmp"]
    said = details_of(tmp_path / "person-1-0.jpg")
    assert said is not None
    assert said["upscale"] == 2
    record = json.loads((tmp_path / "generation.json").read_text())
    assert (record["size"], record["settings"]["upscale"]) == (128, 2)
