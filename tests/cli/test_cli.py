"""The command line as a user meets it: real processes, real files, one sentence for every mistake."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ds2f.cli import main
from ds2f.demo.run import samples
from helpers import grey_ramp, noise, silence, tone, write_audio, write_video


def ds2f(*arguments: str | Path, cwd: Path, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ds2f", *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=timeout
    )


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The one sentence with which a command refuses; fails if it is a traceback or the exit code is 0."""
    code = main([str(a) for a in arguments])
    said = capsys.readouterr().err.strip()
    assert code == 2, said
    assert said.startswith("ds2f ")
    assert "Traceback" not in said
    return said.splitlines()[-1]


def test_help_is_there_and_does_not_import_torch() -> None:
    code = "import sys, ds2f.cli; ds2f.cli.build_parser().format_help(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_init_writes_a_configuration_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init"]) == 0
    assert "[paths]" in (tmp_path / "ds2f.toml").read_text()
    assert "exists already" in refused(capsys, "init")


def test_bad_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ds2f.toml"
    path.write_text("[generate]\nstepz = 3\n")
    assert "unknown key 'stepz'" in refused(capsys, "status", "--config", path)
    path.write_text("[generate\n")
    assert "not valid TOML" in refused(capsys, "status", "--config", path)


def test_ingest_refuses_what_is_not_a_corpus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database = tmp_path / "d.db"
    assert "no folder" in refused(capsys, "ingest", tmp_path / "nowhere", "--database", database)
    (tmp_path / "sounds").mkdir()
    sound = write_audio(tmp_path / "sounds" / "a.wav", tone(1))
    assert "sound without a picture" in refused(capsys, "ingest", sound, "--database", database)
    assert "Sound without a picture" in refused(capsys, "ingest", sound.parent, "--database", database)
    assert not database.exists()


def test_a_database_that_is_not_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.db"
    for command in ("status", "extract"):
        assert "no database" in refused(capsys, command, "--database", other)
    other.write_text("hello, I am a text file")
    assert "not an SQLite file" in refused(capsys, "status", "--database", other)
    other.unlink()
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE t (x)")
    assert "not a ds2f dataset" in refused(capsys, "extract", "--database", other)


def test_bad_items_become_failures_and_the_run_goes_on(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    write_video(videos / "no-sound.mp4", grey_ramp(10))
    write_video(videos / "silent.mp4", grey_ramp(10), silence(2))
    write_video(videos / "noise.mp4", grey_ramp(10), noise(2))
    (videos / "empty.mp4").touch()
    (videos / "text.mp4").write_text("this is not a film")
    assert ds2f("ingest", videos, cwd=tmp_path).returncode == 0
    extracted = ds2f("extract", "--workers", "1", cwd=tmp_path)
    assert extracted.returncode == 0, extracted.stderr
    status = json.loads(ds2f("status", "--json", cwd=tmp_path).stdout)
    assert status["files"]["video"] == {"new": 0, "done": 0, "failed": 5}
    reasons = " | ".join(failure["reason"] for failure in status["failures"])
    for reason in ("without sound", "silence", "no speech", "zero bytes", "not a media file"):
        assert reason in reasons
    shown = ds2f("status", cwd=tmp_path).stdout
    assert "why files failed" in shown
    assert "Nothing is missing" in ds2f("extract", cwd=tmp_path).stdout


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


def test_generate_refuses_what_cannot_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sound, out = write_audio(tmp_path / "a.wav", tone(2)), tmp_path / "faces"
    assert "Give either" in refused(capsys, "generate", "--out", out)
    missing = tmp_path / "missing.wav"
    assert "There is no recording" in refused(capsys, "generate", missing, "--out", out, "--model", tmp_path / "m")
    assert not out.exists(), "a wrong path leaves no folder behind"
    assert "faces of 64 and 128 px, not 512" in refused(capsys, "generate", sound, "--out", out, "--size", "512")
    assert "temperature" in refused(capsys, "generate", sound, "--out", out, "--temperature", "-1")
    assert "no model folder" in refused(capsys, "generate", sound, "--out", out, "--model", tmp_path / "m")
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    assert "cannot be written" in refused(capsys, "generate", sound, "--out", blocked / "faces")


def test_a_voice_gives_faces_and_the_same_seed_the_same_face(tmp_path: Path) -> None:
    voice = sorted(samples().glob("*.mp4"))[0]
    for out in ("one", "two"):
        made = ds2f("generate", voice, "--out", out, "--count", "2", "--seed", "7", "--steps", "4", cwd=tmp_path)
        assert made.returncode == 0, made.stderr
        assert made.stdout.split() == [f"{out}/{voice.stem}-0.png", f"{out}/{voice.stem}-1.png"]
    pictures = [
        np.array(Image.open(tmp_path / out / f"{voice.stem}-{i}.png")) for out in ("one", "two") for i in (0, 1)
    ]
    assert np.array_equal(pictures[0], pictures[2])
    assert not np.array_equal(pictures[0], pictures[1])
    with Image.open(tmp_path / "one" / f"{voice.stem}-0.png") as image:
        assert image.info["Title"] == "Generated face"
    record = json.loads((tmp_path / "one" / "generation.json").read_text())
    assert [face["seed"] for face in record["faces"]] == [7, 8]
    assert record["settings"]["steps"] == 4
    assert (tmp_path / "one" / record["identity_vectors"]).exists()


def test_ctrl_c_stops_extraction_and_the_next_run_goes_on(tmp_path: Path) -> None:
    for sample in sorted(samples().glob("*.mp4"))[:4]:
        for copy in range(2):
            target = tmp_path / "videos" / f"{sample.stem}-{copy}.mp4"
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(sample.read_bytes())
    assert ds2f("ingest", "videos", cwd=tmp_path).returncode == 0
    command = [sys.executable, "-m", "ds2f", "extract", "--workers", "1"]
    # A shell that runs tests in the background makes them ignore ctrl-C; here it must count.
    listening = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, **listening)
    deadline = time.monotonic() + 120
    while _done(tmp_path / "dataset.db") < 1 and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "run `ds2f extract` again to go on" in said
    assert "Traceback" not in said
    before = _done(tmp_path / "dataset.db")
    assert 1 <= before < 8
    assert ds2f("extract", "--workers", "1", cwd=tmp_path).returncode == 0
    assert _done(tmp_path / "dataset.db") == 8


def _done(database: Path) -> int:
    with sqlite3.connect(database) as connection:
        return int(connection.execute("SELECT count(*) FROM videos WHERE state = 'done'").fetchone()[0])


def test_the_demo_goes_the_whole_way(tmp_path: Path) -> None:
    made = ds2f("demo", "--out", "out", cwd=tmp_path, timeout=400)
    assert made.returncode == 0, made.stderr
    assert "contact-sheet.png" in made.stdout
    with Image.open(tmp_path / "out" / "contact-sheet.png") as sheet:
        assert sheet.width > 600
    metrics = json.loads((tmp_path / "out" / "report" / "metrics.json").read_text())
    ours = next(method for method in metrics["methods"] if method["name"] == "ds2f")
    assert ours["missing"] == 0
    assert len(metrics["clips"]) >= 6
    assert "<html" in (tmp_path / "out" / "report" / "report.html").read_text()


def test_shards_by_hand_give_what_one_run_gives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On files that all fail quickly: the commands are tested here, the rows in tests/dataset/test_shards.py."""
    videos = tmp_path / "videos"
    videos.mkdir()
    for number in range(5):
        (videos / f"{number}.mp4").write_text("Dear Sir or Madam")
    whole = tmp_path / "dataset.db"
    assert main(["ingest", str(videos), "--database", str(whole)]) == 0
    assert "--shard takes" in refused(capsys, "extract", "--database", whole, "--shard", "two")
    shards = [tmp_path / f"dataset.shard-{index}-of-2.db" for index in (1, 2)]
    for index in ("1/2", "2/2"):
        assert main(["extract", "--database", str(whole), "--shard", index, "--workers", "1"]) == 0
    assert all(shard.exists() for shard in shards)
    capsys.readouterr()
    assert main(["merge", *map(str, shards), "--database", str(whole)]) == 0
    assert "Merged 5 files" in capsys.readouterr().out
    assert main(["status", "--json", "--database", str(whole)]) == 0
    assert json.loads(capsys.readouterr().out)["files"]["video"] == {"new": 0, "done": 0, "failed": 5}
    assert "not a shard of" in refused(capsys, "merge", whole, "--database", whole)


def test_wishes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    voice, out = samples() / "person-1.mp4", tmp_path / "faces"
    assert "years from 0 to 100" in refused(capsys, "generate", voice, "--out", out, "--age", "400")
    assert "The guide" in refused(capsys, "generate", voice, "--out", out, "--guide", tmp_path / "none.png")
    assert "are for recordings" in refused(capsys, "generate", "--database", "d.db", "--out", out, "--age", "30")
    wish = ["--age", "60", "--gender", "female", "--count", "1", "--steps", "2"]
    assert main(["generate", str(voice), "--out", str(out), *wish]) == 0
    with Image.open(out / "person-1-0.png") as picture:
        said = json.loads(picture.info["ds2f"])
    assert (said["age"], said["gender"]) == (60.0, "female")
    assert json.loads((out / "generation.json").read_text())["settings"]["gender"] == "female"


def test_verify_refuses_what_cannot_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trials = tmp_path / "trials.txt"
    assert "cannot be read" in refused(capsys, "verify", trials)
    trials.write_text("1 a.wav b.wav\n0 a.wav c.wav\n")
    out = tmp_path / "out"
    assert "no speaker encoder 'ecapa'" in refused(capsys, "verify", trials, "--encoder", "ecapa", "--out", out)
    assert main(["verify", str(trials), "--root", str(tmp_path), "--out", str(out)]) == 2
    assert "Too few recordings can be used: 3 were refused" in capsys.readouterr().err.splitlines()[-1]
