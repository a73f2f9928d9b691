"""extract, merge and status on files that are bad, and on a run that is stopped."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ds2f.cli import main
from ds2f.demo import samples
from helpers import grey_ramp, noise, silence, write_video


def test_bad_items_become_failures_in_shards_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], refused: Callable[..., str]
) -> None:
    """The rows of merged shards are tested in tests/dataset/test_shards.py."""
    videos, whole = tmp_path / "videos", str(tmp_path / "dataset.db")
    videos.mkdir()
    write_video(videos / "no-sound.mp4", grey_ramp(10))
    write_video(videos / "silent.mp4", grey_ramp(10), silence(2))
    write_video(videos / "noise.mp4", grey_ramp(10), noise(2))
    (videos / "empty.mp4").touch()
    (videos / "text.mp4").write_text("this is not a film")
    assert main(["ingest", str(videos), "--database", whole]) == 0
    assert "--shard takes" in refused("extract", "--database", whole, "--shard", "two")
    shards = [str(tmp_path / f"dataset.shard-{index}-of-2.db") for index in (1, 2)]
    for index in ("1/2", "2/2"):
        assert main(["extract", "--database", whole, "--shard", index, "--workers", "1"]) == 0
    assert main(["merge", *shards, "--database", whole]) == 0
    assert "Merged 5 files" in capsys.readouterr().out
    assert main(["status", "--json", "--database", whole]) == 0
    status = json.loads(capsys.readouterr().out)
    assert status["files"]["video"] == {"new": 0, "done": 0, "failed": 5}
    reasons = " | ".join(failure["reason"] for failure in status["failures"])
    for reason in ("without sound", "silence", "no speech", "zero bytes", "not a media file"):
        assert reason in reasons
    assert main(["status", "--database", whole]) == 0
    assert "why files failed" in capsys.readouterr().out
    assert main(["extract", "--database", whole]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Nothing is missing." in said
    assert f"ds2f extract --retry-failed --database {whole}".replace(" ", "") in said.replace(" ", ""), "lines break"
    assert "not a shard of" in refused("merge", whole, "--database", whole)


def test_ctrl_c_stops_extraction_and_the_next_run_goes_on(tmp_path: Path) -> None:
    count = 3
    for sample in sorted(samples().glob("*.mp4"))[:count]:
        target = tmp_path / "videos" / sample.name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(sample.read_bytes())
    database = tmp_path / "dataset.db"
    assert main(["ingest", str(tmp_path / "videos"), "--database", str(database)]) == 0
    command = [sys.executable, "-m", "ds2f", "extract", "--workers", "1"]
    # A shell that runs tests in the background makes them ignore ctrl-C; here it must count.
    listening = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, **listening)
    deadline = time.monotonic() + 120
    while _done(database) < 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "run `ds2f extract` again to resume" in said
    assert "Traceback" not in said
    assert 1 <= _done(database) < count
    assert main(["extract", "--workers", "1", "--database", str(database)]) == 0
    assert _done(database) == count


def _done(database: Path) -> int:
    with sqlite3.connect(database) as connection:
        return int(connection.execute("SELECT count(*) FROM videos WHERE state = 'done'").fetchone()[0])
