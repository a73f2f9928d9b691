from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from helpers import tone, write_audio


def test_ingest_refuses_what_is_not_a_corpus(tmp_path: Path, refused: Callable[..., str]) -> None:
    database = tmp_path / "d.db"
    assert "no folder" in refused("ingest", tmp_path / "nowhere", "--database", database)
    (tmp_path / "sounds").mkdir()
    sound = write_audio(tmp_path / "sounds" / "a.wav", tone(1))
    assert "sound without a picture" in refused("ingest", sound, "--database", database)
    assert "Sound without a picture" in refused("ingest", sound.parent, "--database", database)
    assert not database.exists()


def test_a_database_that_is_not_ours(tmp_path: Path, refused: Callable[..., str]) -> None:
    other = tmp_path / "other.db"
    for command in ("status", "extract"):
        assert "no database" in refused(command, "--database", other)
    other.write_text("hello, I am a text file")
    assert "not an SQLite file" in refused("status", "--database", other)
    other.unlink()
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE t (x)")
    assert "not a ds2f dataset" in refused("extract", "--database", other)
