"""Independent runs on one dataset, for batch queues: each works in a small database of its own, and the results are
merged at the end. Two machines never write to the same SQLite file, because SQLite's locking is not reliable on network
storage."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ds2f.dataset import schema
from ds2f.dataset.plan import Plan, Shard, waiting
from ds2f.dataset.queries import Dataset
from ds2f.dataset.weights import adopt, drop, noted, outdated, times_changed
from ds2f.errors import UserError

# What extraction writes about a file, in an order in which it can be inserted. Labels are not among it: they come from
# ingest, and the whole dataset may have newer ones than its shards.
OF_A_FILE = (
    "speech",
    "speech_audio",
    "clips",
    "voice_embeddings",
    "languages",
    "acoustics",
    "faces",
    "crops",
    "face_embeddings",
    "face_attributes",
    "failures",
)

SHARD_OF = "shard_of"  # key in the meta of a shard: name of the whole dataset
WEIGHTS_CHANGED = "shard_of/weights-changed"  # likewise: how often the weights of the whole had changed
MERGED = "merged/"  # followed by the name of a shard, in the meta of the whole: what its last merge found


@dataclass(frozen=True)
class Merged:
    """files: merged, none of a shard that has not changed since it was last merged; changed: left out, because the file
    has been ingested again since the shard was made."""

    files: int
    changed: int


def shard_path(database: Path, shard: Shard) -> Path:
    """Path of a shard of `database`: next to it."""
    return database.with_name(f"{database.stem}.shard-{shard.index}-of-{shard.count}.db")


def shards_beside(dataset: Dataset) -> list[Path]:
    """Shards of a dataset that lie next to it."""
    return [path for path in sorted(dataset.path.parent.glob("*.shard-*-of-*.db")) if _is_shard_of(dataset, path)]


def split_off(database: Path, shard: Shard, plan: Plan, retry_failed: bool = False) -> Path:
    """Copy the files of a shard that lack something in the plan into the shard's own database. The whole dataset is
    only read: several machines may be doing this at the same time.

    An existing shard keeps its results and receives what has been ingested since. retry_failed: include failed files.
    Returns the path of the shard.
    """
    path = shard_path(database, shard)
    with Dataset(database, read_only=True) as whole:
        ids = waiting(whole, plan, shard, outdated(whole, dict(plan.weights)))
        if retry_failed:
            failed = whole.connection.execute("SELECT id FROM videos WHERE state = 'failed'")
            ids += [row[0] for row in failed if row[0] % shard.count == shard.index % shard.count]
        facts = {SHARD_OF: whole.name(), WEIGHTS_CHANGED: str(times_changed(whole))}
    with Dataset(path, create=True) as part:
        sql = part.connection
        sql.execute("ATTACH ? AS whole", (schema.read_only_name(database),))
        with part.transaction():
            theirs = noted(part, "whole")
            adopt(part, theirs | dict(plan.weights))
            # People forgotten since, and files that have changed.
            sql.execute("DELETE FROM main.videos WHERE id NOT IN (SELECT id FROM whole.videos)")
            _renew_people(part)
            sql.execute("DELETE FROM main.roots WHERE (id, path) NOT IN (SELECT id, path FROM whole.roots)")
            _choose(part, ids)
            sql.execute("DELETE FROM chosen WHERE id IN (SELECT id FROM main.videos)")
            sql.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", facts.items())
            for table in ("roots", "recipes"):
                sql.execute(f"INSERT OR IGNORE INTO main.{table} SELECT * FROM whole.{table}")
            sql.execute("INSERT INTO main.videos SELECT * FROM whole.videos WHERE id IN (SELECT id FROM chosen)")
            _copy(part, "whole", "main")
            drop(part, outdated(part, theirs), "SELECT id FROM chosen")
    return path


def merge(database: Path, shards: Sequence[Path]) -> Merged:
    """Copy the results of shards into the whole dataset, each shard in one transaction; merging twice changes nothing,
    even if the whole has been extracted further in between.

    If the shards were extracted with other weights than the whole, the whole's rows by the earlier weights are removed.
    Raises UserError for a database that is not a shard of this one, and for a shard by other weights if those of the
    whole have themselves changed since the shard was made.
    """
    files = changed = 0
    with Dataset(database) as whole:
        sql = whole.connection
        for path in shards:
            if not _is_shard_of(whole, path):
                raise UserError(f"{path} is not a shard of {database}; give what `ds2f extract --shard` made.")
            with _attached(sql, path), whole.transaction():
                weights = noted(whole, "part")
                other = outdated(whole, weights)
                if other and _value(sql, "part", WEIGHTS_CHANGED) != str(times_changed(whole)):
                    raise UserError(
                        f"{path} has rows of {other[0]} by other weights than {database}; extract it again: "
                        f"ds2f extract --database {path}"
                    )
                same = (
                    "m.id = p.id AND m.path = p.path AND m.size = p.size AND m.mtime_ns = p.mtime_ns AND (SELECT path"
                    " FROM main.roots WHERE id = m.root_id) = (SELECT path FROM part.roots WHERE id = p.root_id)"
                )
                tried = "FROM part.videos p LEFT JOIN main.videos m ON {} WHERE p.state != 'new' AND m.id IS {} NULL"
                ids = [r[0] for r in sql.execute("SELECT p.id " + tried.format(same, "NOT"))]
                left_out = [r[0] for r in sql.execute("SELECT p.id " + tried.format(same, ""))]
                changed += len(left_out)
                mark = MERGED + str(_value(sql, "part", "name"))
                changes = _value(sql, "part", "changes")
                before = json.loads(_value(sql, "main", mark) or "{}")
                if before and before["changes"] == changes:
                    # The whole may have newer results than a shard that has not changed. Only what was left out then
                    # is still to come, for example because its folder had been moved and is back.
                    ids = sorted(set(ids) & set(before["left_out"]))
                    if not ids:
                        continue
                adopt(whole, weights)
                _choose(whole, ids)
                found = json.dumps({"changes": changes, "left_out": left_out})
                sql.execute("INSERT OR REPLACE INTO main.meta VALUES (?, ?)", (mark, found))
                sql.execute("INSERT OR IGNORE INTO main.recipes SELECT * FROM part.recipes")
                for table in ("speech", "faces", "failures"):  # the others are deleted by cascade
                    sql.execute(f"DELETE FROM main.{table} WHERE video_id IN (SELECT id FROM chosen)")
                _copy(whole, "part", "main")
                files += sql.execute(
                    "UPDATE main.videos AS m SET state = p.state, speech_recipe = p.speech_recipe, face_recipe ="
                    " p.face_recipe, duration = p.duration, width = p.width, height = p.height, fps = p.fps,"
                    " stream = p.stream"
                    " FROM part.videos p WHERE p.id = m.id AND m.id IN (SELECT id FROM chosen)"
                ).rowcount
    return Merged(files, changed)


@contextmanager
def _attached(sql: sqlite3.Connection, path: Path) -> Iterator[None]:
    """With a database attached as `part`."""
    sql.execute("ATTACH ? AS part", (str(path.absolute()),))
    try:
        yield
    finally:
        sql.execute("DETACH part")


def _is_shard_of(dataset: Dataset, path: Path) -> bool:
    with closing(schema.connect(path)) as part:
        return _value(part, "main", SHARD_OF) == dataset.name()


def _value(sql: sqlite3.Connection, database: str, key: str) -> str | None:
    """What the table meta of an attached database says."""
    row = sql.execute(f"SELECT value FROM {database}.meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def _renew_people(part: Dataset) -> None:
    """Take over who is who from the attached whole: people may have been renamed, joined or moved to another split
    since the shard was made."""
    sql = part.connection
    sql.execute("PRAGMA defer_foreign_keys = ON")  # until COMMIT: a renamed person goes before their files are moved
    people = "SELECT id, corpus, name FROM whole.identities"
    sql.execute(f"DELETE FROM main.identities WHERE (id, corpus, name) NOT IN ({people})")
    sql.execute(
        "INSERT INTO main.identities SELECT * FROM whole.identities WHERE true"
        " ON CONFLICT (id) DO UPDATE SET split = excluded.split, person_id = excluded.person_id"
    )
    sql.execute("UPDATE main.videos AS v SET identity_id = w.identity_id FROM whole.videos w WHERE w.id = v.id")


def _choose(dataset: Dataset, ids: Sequence[int]) -> None:
    dataset.connection.execute("DROP TABLE IF EXISTS temp.chosen")
    dataset.connection.execute("CREATE TEMP TABLE chosen (id INTEGER PRIMARY KEY)")
    dataset.connection.executemany("INSERT OR IGNORE INTO chosen VALUES (?)", [(i,) for i in ids])


def _copy(dataset: Dataset, source: str, target: str) -> None:
    for table in OF_A_FILE:
        dataset.connection.execute(
            f"INSERT INTO {target}.{table} SELECT * FROM {source}.{table} WHERE video_id IN (SELECT id FROM chosen)"
        )
