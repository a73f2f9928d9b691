"""An ingested folder or tar that has been moved or renamed since: what was extracted from its files stays."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ds2f.dataset import outputs
from ds2f.dataset.ingest import PERSON_IN, SIDE_FILES_OF
from ds2f.dataset.keys import file_in
from ds2f.dataset.queries import Dataset
from ds2f.dataset.shards import shards_beside

SAMPLE = 1000  # files of a folder that are looked at


class Earlier(NamedTuple):
    """A folder that is gone, and most of whose files are in another. path: its own; moved: whether the dataset now
    knows it as the other; False if their times differ, or if both were ingested, so that their files count twice."""

    path: str
    moved: bool


def follow(dataset: Dataset, root: Path) -> Earlier | None:
    """Let the dataset, its shards and the record of what was drawn from it call a moved folder or tar by its new path.

    A folder has been moved to `root` if it is gone and most of its files are there, with the same size and time.
    root: absolute; about to be ingested. Returns None if no such folder was ingested.
    """
    sql = dataset.connection
    roots = {path: number for number, path in sql.execute("SELECT id, path FROM roots")}
    for old, number in roots.items():
        if not _is_gone(old) or not (hits := _hits(sql, number, old, root)):
            continue
        if not hits.moved or str(root) in roots:
            return Earlier(old, moved=False)
        names = _new_names(sql, old, root)
        for folder in outputs.remembered(dataset, "faces"):
            outputs.rename_roots(folder, names)
        for path in shards_beside(dataset):
            with Dataset(path) as shard:
                _rename(shard, names)
        _rename(dataset, names)
        return hits
    return None


def _is_gone(path: str) -> bool:
    """Also if links to its new place are left at the old one: ingested folders are known by paths without links."""
    return not os.path.exists(path) or os.path.realpath(path) != path


def _hits(sql: sqlite3.Connection, number: int, old: str, root: Path) -> Earlier | None:
    rows = sql.execute("SELECT * FROM videos WHERE root_id = ? LIMIT ?", (number, SAMPLE)).fetchall()
    sizes = times = 0
    for row in rows:
        inside = row["tar_offset"] is not None
        try:
            status = os.stat(root if inside else root / file_in(row))
        except OSError:
            continue
        if inside:  # the index of a tar is not read for this
            same = root.name == os.path.basename(old) and row["tar_offset"] + row["size"] <= status.st_size
        else:
            same = status.st_size == row["size"]
        sizes += same
        times += same and status.st_mtime_ns == row["mtime_ns"]
    return Earlier(old, 2 * times > len(rows)) if 2 * sizes > len(rows) else None


def _new_names(sql: sqlite3.Connection, old: str, root: Path) -> dict[str, str]:
    """{old path: new path} of a moved folder, of those in it, and of those beside it that only give people their names,
    if they have moved along."""
    before, after = Path(old), root
    while before.name and before.name == after.name:  # C: and D: have no name, and are their own parents
        before, after = before.parent, after.parent
    roots = sql.execute("SELECT path, EXISTS (SELECT 1 FROM videos v WHERE v.root_id = r.id) FROM roots r")
    nearby = [path for path, used in roots if Path(path).is_relative_to(old if used else before) and _is_gone(path)]
    along = {path: str(after / Path(path).relative_to(before)) for path in nearby}
    return {old: str(root), **{path: new for path, new in along.items() if os.path.exists(new)}}


def _rename(dataset: Dataset, names: Mapping[str, str]) -> None:
    with dataset.transaction():
        for old, new in names.items():
            dataset.connection.execute("UPDATE OR IGNORE roots SET path = ? WHERE path = ?", (new, old))
            for prefix in (PERSON_IN, SIDE_FILES_OF):
                keys = prefix + new, prefix + old
                dataset.connection.execute("UPDATE OR REPLACE meta SET key = ? WHERE key = ?", keys)
