from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ds2f.dataset import Dataset, schema
from ds2f.dataset.splits import SplitRule
from ds2f.errors import UserError
from helpers import item


def test_a_vector_takes_little_more_than_its_numbers(dataset: Dataset, tmp_path: Path) -> None:
    dataset.add_items(tmp_path, "video", [item(f"{n}.mp4") for n in range(300)], SplitRule())
    sql = dataset.connection
    sql.execute("INSERT INTO speech SELECT id, 0, 1, 0, '1 of 1' FROM videos")
    sql.execute("INSERT INTO clips SELECT id, 6, 1, 6 FROM videos")
    before = sql.execute("PRAGMA page_count").fetchone()[0]
    sql.execute("INSERT INTO voice_embeddings SELECT id, 6, 'campplus-frames', zeroblob(1024) FROM videos")
    grown = (sql.execute("PRAGMA page_count").fetchone()[0] - before) * 4096 / 300
    assert 1024 < grown < 1.6 * 1024


def test_what_refers_to_a_row_is_found_by_an_index(dataset: Dataset) -> None:
    """Otherwise SQLite reads the whole table for each row that is deleted: 20,000 people took half a minute."""
    sql = dataset.connection
    for (table,) in sql.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        first = {row["name"] for row in sql.execute(f"PRAGMA table_info({table})") if row["pk"] == 1}
        for index in sql.execute(f"PRAGMA index_list({table})").fetchall():
            first.add(sql.execute(f"PRAGMA index_info({index['name']})").fetchone()["name"])
        for key in sql.execute(f"PRAGMA foreign_key_list({table})").fetchall():
            # There are few recipes, and they stay; of several columns, one narrows it down.
            assert key["table"] == "recipes" or key["seq"] or key["from"] in first, (table, key["from"])


@pytest.mark.parametrize("pragma", ["application_id = 1", f"user_version = {schema.SCHEMA_VERSION + 1}"])
def test_what_cannot_be_opened_is_closed_again(pragma: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "dataset.db"
    Dataset(path, create=True).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA {pragma}")
    opened: list[sqlite3.Connection] = []

    def connect(*arguments: object, **more: object) -> sqlite3.Connection:
        opened.append(real(*arguments, **more))  # type: ignore[arg-type, call-overload]
        return opened[-1]

    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", connect)
    with pytest.raises(UserError, match=r"not a ds2f dataset|has schema version"):
        Dataset(path)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened[0].execute("SELECT 1")


@pytest.mark.parametrize("name", ["a name?mode=memory.db", "hundred%20.db", "file:x.db"])
def test_a_database_may_have_any_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Dataset(Path(name), create=True) as made, Dataset(Path(name), read_only=True) as read:
        made.add_items(tmp_path, "video", [item("a.mp4")], SplitRule())
        assert read.counts()["video"]["new"] == 1
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            read.connection.execute("DELETE FROM videos")
    assert (tmp_path / name).is_file()


def test_a_database_that_another_process_makes_in_the_meantime_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "dataset.db"
    opened = schema._opened

    def late(place: Path) -> sqlite3.Connection:
        monkeypatch.setattr(schema, "_opened", opened)
        schema.create(place).close()
        return opened(place)

    monkeypatch.setattr(schema, "_opened", late)
    with closing(schema.create(path)) as connection:
        assert connection.execute("SELECT count(*) FROM videos").fetchone()[0] == 0
