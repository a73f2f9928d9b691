"""Databases of every earlier version, as SQL in versions/, are opened, keep their rows, and become like a new one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ds2f.dataset import Dataset, migrations
from ds2f.dataset.migrations import MIGRATIONS
from ds2f.dataset.schema import SCHEMA_VERSION
from ds2f.dataset.splits import SplitRule
from ds2f.errors import UserError
from helpers import item

VERSIONS = Path(__file__).parent / "versions"
ROWS = {"videos": 2, "identities": 2, "voice_embeddings": 1, "faces": 1, "crops": 1, "labels": 1, "failures": 1}


def old_database(path: Path, version: int) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((VERSIONS / f"{version}.sql").read_text())
    return path


def shape(connection: sqlite3.Connection) -> dict[str, list[tuple[object, ...]]]:
    """Columns, references and indices of every table."""
    names = [r[0] for r in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    return {
        name: sorted(
            (pragma, *map(str, row))
            for pragma in ("table_info", "foreign_key_list", "index_list")
            for row in map(lambda r: tuple(r)[1:], connection.execute(f"PRAGMA {pragma}('{name}')"))
        )
        for name in names
    }


def test_every_earlier_version_can_be_opened() -> None:
    assert sorted(MIGRATIONS) == list(range(min(MIGRATIONS), SCHEMA_VERSION))
    assert {int(file.stem) for file in VERSIONS.glob("*.sql")} == set(MIGRATIONS)


@pytest.mark.parametrize("version", sorted(MIGRATIONS))
def test_an_older_database_becomes_like_a_new_one_and_keeps_its_rows(version: int, tmp_path: Path) -> None:
    with (
        Dataset(old_database(tmp_path / "old.db", version)) as opened,
        Dataset(tmp_path / "new.db", create=True) as new,
    ):
        assert shape(opened.connection) == shape(new.connection)
        for table, rows in ROWS.items():
            assert opened.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == rows, table
        assert not opened.connection.execute("PRAGMA foreign_key_check").fetchall()
        assert opened.connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = old_database(tmp_path / "old.db", 2)
    broken = {2: "CREATE TABLE further (id INTEGER);\nDELETE FROM identities;\n"}  # videos would belong to nobody
    monkeypatch.setattr(migrations, "MIGRATIONS", broken)
    with pytest.raises(UserError, match=r"cannot be upgraded .*videos.* stays as it is"), Dataset(path):
        pass
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == 2
        assert connection.execute("SELECT count(*) FROM identities").fetchone()[0] == 2
        assert not connection.execute("SELECT name FROM sqlite_master WHERE name = 'further'").fetchall()


def test_an_older_database_that_is_only_read_is_not_upgraded(tmp_path: Path) -> None:
    path = old_database(tmp_path / "old.db", 2)
    before = path.read_bytes()
    with pytest.raises(UserError, match="upgrade it once, with: ds2f status"):
        Dataset(path, read_only=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("old", [True, False])
def test_the_number_of_a_file_is_never_given_again(old: bool, tmp_path: Path) -> None:
    path = tmp_path / "dataset.db"
    with Dataset(old_database(path, 2) if old else path, create=True) as dataset:
        sql = dataset.connection
        dataset.add_items(tmp_path, "video", [item("a.mp4")], SplitRule())
        last = sql.execute("SELECT max(id) FROM videos").fetchone()[0]
        sql.execute("DELETE FROM videos WHERE id = ?", (last,))
        dataset.add_items(tmp_path, "video", [item("b.mp4")], SplitRule())
        assert sql.execute("SELECT max(id) FROM videos").fetchone()[0] > last
