"""Small versions of benchmarks/kill.py: what was killed is gone on with, and ends as if nothing had been."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from kill import WORKS, torture
from killing import Extraction, differences, tree, unlike

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")


def test_a_killed_extraction_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    work = Extraction(tmp_path, "local", clips=3)
    result = torture(work, tmp_path, kills=2, seed=13)
    assert (result.kills, result.faults) == (2, [])
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(tmp_path / "undisturbed" / "dataset.db")) as sql:
        sql.execute("VACUUM INTO ?", (str(other),))
    with closing(sqlite3.connect(other)) as sql, sql:
        sql.execute("DELETE FROM voice_embeddings WHERE video_id = 1")
        sql.execute("UPDATE videos SET state = 'new' WHERE path = 'person-2.mp4'")
    found = differences(tmp_path / "undisturbed" / "dataset.db", other)
    assert len(found) == 2, "the comparison itself can see"


@pytest.mark.parametrize("name", ["download", "export", "forget"])
def test_other_works_go_on_and_end_the_same(tmp_path: Path, name: str) -> None:
    work = WORKS[name](tmp_path)
    try:
        result = torture(work, tmp_path, kills=6, seed=3)
    finally:
        work.close()
    assert (result.kills, result.faults) == (6, [])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "b").write_bytes(b"half"), "b differs"),
        (lambda folder: (folder / "b").unlink(), "b is missing"),
        (lambda folder: (folder / ".b.part").touch(), ".b.part is left over"),
    ],
)
def test_files_are_compared(tmp_path: Path, change: Callable[[Path], object], said: str) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(b"whole")
    wanted = tree(tmp_path)
    assert unlike(wanted, tree(tmp_path)) == []
    change(tmp_path)
    assert unlike(wanted, tree(tmp_path)) == [said]
