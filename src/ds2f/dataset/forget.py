"""Forgetting a person: removes their rows, their recordings and pictures, and what was derived from them: generated
faces, records in exports, and reports that show them.

Files are deleted first, then the rows in shards next to the database, then all rows in one transaction. Finally the
database is rewritten, so that nothing remains in free pages or in the log. The next run finishes one that was
interrupted. What remains is a hash, so that later ingests leave the person out.
"""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from ds2f.dataset import outputs
from ds2f.dataset.forgotten import is_forgotten, remember
from ds2f.dataset.ingest import PERSON_IN, SIDE_FILES_OF
from ds2f.dataset.joining import join
from ds2f.dataset.keys import FileKey, file_in, part_of
from ds2f.dataset.queries import Dataset
from ds2f.dataset.schema import PERSON
from ds2f.dataset.shards import shards_beside
from ds2f.errors import UserError

UNWIPED = "unwiped"
"""Key in `meta`: rows were removed, but the file has not been rewritten since."""


@dataclass(frozen=True)
class Person:
    """A person in the dataset. corpus, name: as requested; keys: of all entries; files: (root, path) of recordings and
    pictures, in all corpora; inside: (tar, member) of files in a tar, and (recording, part) of recordings that others
    are in too; also: (corpus, name) under which other corpora know them."""

    corpus: str
    name: str
    keys: tuple[FileKey, ...]
    files: tuple[tuple[Path, str], ...]
    inside: tuple[tuple[Path, str], ...]
    also: tuple[tuple[str, str], ...] = ()

    @property
    def identities(self) -> tuple[tuple[str, str], ...]:
        """(corpus, name) of all their identities in this dataset."""
        return ((self.corpus, self.name), *self.also)

    @property
    def traces(self) -> list[outputs.Traces]:
        """What identifies them in outputs, one entry per name."""
        return [outputs.Traces(corpus, name, frozenset(self.keys)) for corpus, name in self.identities]

    @property
    def linked(self) -> list[Path]:
        """Files outside the ingested folders that symbolic links in them point to; they are deleted too."""
        ends = {root / path: _names(root / path)[-1] for root, path in self.files}
        return sorted(end for file, end in ends.items() if end != file)


@dataclass(frozen=True)
class Removed:
    """rows: {table: rows removed}, including shards next to the database; files: originals deleted; faces: generated
    pictures deleted; records: removed from exports; reports: report files deleted; hard_links: {deleted original:
    number of other names under which the same bytes are still on disk}."""

    rows: dict[str, int]
    files: int
    faces: int
    records: int
    reports: int
    hard_links: dict[Path, int]


def find(dataset: Dataset, identity: str) -> Person | None:
    """identity: "corpus/name", or the name alone if only one corpus has it. Returns None if they have already been
    forgotten.

    Raises UserError if there is no such person, or more than one.
    """
    sql = dataset.connection
    rows = sql.execute(
        f"SELECT id, corpus, name, {PERSON} AS person FROM identities i WHERE corpus || '/' || name = ?1 OR name = ?1"
        " ORDER BY corpus",
        (identity,),
    ).fetchall()
    if not rows:
        if is_forgotten(sql, identity):
            return None
        like = sql.execute("SELECT corpus || '/' || name FROM identities WHERE instr(name, ?) LIMIT 3", (identity,))
        hint = f"perhaps {' or '.join(found)}" if (found := [row[0] for row in like]) else "names are corpus/name"
        raise UserError(
            f"Nobody in {dataset.path} is called {identity!r}; {hint}. "
            f"All names: ds2f status --names --database {dataset.path}"
        )
    if len({row["person"] for row in rows}) > 1:
        names = ", ".join(f"{row['corpus']}/{row['name']}" for row in rows)
        raise UserError(f"{identity!r} may be {names}; give one of these.")
    theirs = f"FROM identities i WHERE {PERSON} = ?"
    everywhere = [(r[0], r[1]) for r in sql.execute(f"SELECT i.corpus, i.name {theirs}", (rows[0]["person"],))]
    keys, files, inside = _entries(sql, [row[0] for row in sql.execute(f"SELECT i.id {theirs}", (rows[0]["person"],))])
    corpus, name = rows[0]["corpus"], rows[0]["name"]
    also = tuple(identity for identity in everywhere if identity != (corpus, name))
    return Person(corpus, name, keys, files, inside, also)


def _entries(
    sql: sqlite3.Connection, identities: list[int]
) -> tuple[tuple[FileKey, ...], tuple[tuple[Path, str], ...], tuple[tuple[Path, str], ...]]:
    """Keys, files, and what lies inside other files; see `Person`. A recording of which only parts are theirs is
    deleted too, unless somebody else is in it."""
    marks = ", ".join("?" * len(identities))
    query = "SELECT r.path AS root, v.* FROM videos v JOIN roots r ON r.id = v.root_id WHERE v.identity_id"
    found = sql.execute(f"{query} IN ({marks}) ORDER BY v.id", identities).fetchall()
    recordings = {row["id"]: (Path(row["root"]), file_in(row)) for row in found}
    shared: set[tuple[Path, str]] = set()
    if any(part_of(row) for row in found):
        others = sql.execute(f"{query} NOT IN ({marks})", identities)
        shared = {(Path(row["root"]), file_in(row)) for row in others if part_of(row)}
    files: dict[tuple[Path, str], None] = {}
    inside: list[tuple[Path, str]] = []
    for row in found:
        root, path = recordings[row["id"]]
        if row["tar_offset"] is not None:
            inside.append((root, row["path"]))
        elif (root, path) in shared:
            inside.append((root / path, part_of(row)))
        else:
            files |= dict.fromkeys([(root, path), *_sound_of(root, path)])
    return tuple(FileKey(row["root"], row["path"]) for row in found), tuple(files), tuple(inside)


def _sound_of(root: Path, path: str) -> list[tuple[Path, str]]:
    """The sound that VoxCeleb2 publishes for a clip besides its video, aac/PERSON/YTID/N.m4a for mp4/PERSON/YTID/N.mp4,
    if it exists. Of the two, only the video is entered."""
    video = root / path
    if len(video.parts) < 5 or video.parents[2].name != "mp4":
        return []
    sounds = video.parents[3] / "aac"
    sound = f"{video.parents[1].name}/{video.parents[0].name}/{video.stem}.m4a"
    return [(sounds, sound)] if (sounds / sound).is_file() else []


def forget(dataset: Dataset, person: Person, faces: Path, keep_files: bool = False) -> Removed:
    """Remove a person. faces: a folder of generated faces, in addition to those that the dataset has recorded;
    keep_files: do not delete the originals. Call `wipe` afterwards.

    Raises UserError if a file cannot be deleted, or a shard is in use; no row of the dataset has then been touched.
    """
    traces = person.traces
    folders = {*outputs.remembered(dataset, "faces"), Path(os.path.abspath(faces))}
    drawn = sum(outputs.take_out_of_faces(folder, t) for folder in sorted(folders) for t in traces)
    records = sum(outputs.take_out_of_export(f, t) for f in outputs.remembered(dataset, "export") for t in traces)
    reports = sum(outputs.take_out_of_report(f, t) for f in outputs.remembered(dataset, "report") for t in traces)
    for folder in outputs.remembered(dataset, "training"):
        outputs.take_out_of_training(folder)
    files, hard_links = (0, {}) if keep_files else _delete_originals(person)
    rows: dict[str, int] = {}
    for path in shards_beside(dataset):
        with Dataset(path) as shard:
            _add(rows, _forget_rows(shard, person))
            wipe(shard)
    _add(rows, _forget_rows(dataset, person))
    return Removed(rows, files, drawn, records, reports, hard_links)


def _forget_rows(dataset: Dataset, person: Person) -> dict[str, int]:
    """{table: rows removed}, in one transaction."""
    sql = dataset.connection
    sql.execute("PRAGMA secure_delete = ON")
    rows: dict[str, int] = {}
    with dataset.transaction():
        for who in person.identities:
            _add(rows, _forget_identity(sql, who))
        _drop_unused_roots(sql)
        sql.execute("INSERT OR IGNORE INTO meta VALUES (?, '')", (UNWIPED,))
    return rows


def find_root(dataset: Dataset, folder: Path) -> tuple[Path, int]:
    """An ingested folder or tar as the dataset knows it, and how many entries it has. Raises UserError for another.

    folder: may be known by the path as it is, which may be a link by now, or by the path without links.
    """
    query = "SELECT r.path, (SELECT count(*) FROM videos WHERE root_id = r.id) FROM roots r WHERE path = ?"
    for path in (os.path.abspath(folder), os.path.realpath(folder)):
        row = dataset.connection.execute(query, (path,)).fetchone()
        if row and row[1]:  # others only give people their names
            return Path(row[0]), row[1]
    known = dataset.connection.execute("SELECT path FROM roots WHERE id IN (SELECT root_id FROM videos) ORDER BY path")
    there = ", ".join(row[0] for row in known) or "none"
    raise UserError(f"{folder} is not an ingested folder of {dataset.path}; these are: {there}.")


def drop_root(dataset: Dataset, root: Path) -> None:
    """Remove the files of an ingested folder from the dataset, with all that was extracted from them. The files stay on
    the disk, and may be ingested again. Call `wipe` afterwards."""
    sql = dataset.connection
    with dataset.transaction():
        sql.execute("DELETE FROM videos WHERE root_id = (SELECT id FROM roots WHERE path = ?)", (str(root),))
        sql.execute("DELETE FROM identities WHERE id NOT IN (SELECT identity_id FROM videos)")
        _drop_unused_roots(sql)
        join(sql, sql.execute("SELECT coalesce(max(id), 0) FROM identities").fetchone()[0])
        sql.execute("INSERT OR IGNORE INTO meta VALUES (?, '')", (UNWIPED,))


def _drop_unused_roots(sql: sqlite3.Connection) -> None:
    """Traces of people may remain in the names of folders."""
    named = "EXISTS (SELECT 1 FROM identities WHERE substr(name, 1, length(roots.name) + 1) = roots.name || '/')"
    sql.execute(f"DELETE FROM roots WHERE id NOT IN (SELECT root_id FROM videos) AND coalesce({named}, 0) = 0")
    for prefix in (PERSON_IN, SIDE_FILES_OF):  # their keys name the root
        sql.execute(
            "DELETE FROM meta WHERE substr(key, 1, length(:prefix)) = :prefix"
            " AND substr(key, length(:prefix) + 1) NOT IN (SELECT path FROM roots)",
            {"prefix": prefix},
        )


def _forget_identity(sql: sqlite3.Connection, who: tuple[str, str]) -> dict[str, int]:
    """{table: rows removed} for one (corpus, name). It is remembered as forgotten, as are the names that other corpora
    use for the same person."""
    whose = "SELECT v.id FROM videos v JOIN identities i ON i.id = v.identity_id WHERE i.corpus = ? AND i.name = ?"
    rows = {
        table: sql.execute(f"SELECT count(*) FROM {table} WHERE video_id IN ({whose})", who).fetchone()[0]
        for table in _tables(sql)
    }
    rows["videos"] = sql.execute(f"DELETE FROM videos WHERE id IN ({whose})", who).rowcount
    sql.execute("DELETE FROM identities WHERE corpus = ? AND name = ?", who)
    lines = "(source, row) IN (SELECT source, row FROM known_as WHERE corpus = ? AND name = ?)"
    for alias in [who, *sql.execute(f"SELECT corpus, name FROM known_as WHERE {lines}", who).fetchall()]:
        remember(sql, *alias)
    sql.execute(f"DELETE FROM known_as WHERE {lines}", who)
    return rows


def _add(total: dict[str, int], rows: dict[str, int]) -> None:
    for table, count in rows.items():
        if count:
            total[table] = total.get(table, 0) + count


def finish(dataset: Dataset) -> None:
    """Complete a forgetting that was interrupted. Raises UserError as `wipe` does."""
    if dataset.connection.execute("SELECT 1 FROM meta WHERE key = ?", (UNWIPED,)).fetchone():
        wipe(dataset)


def wipe(dataset: Dataset) -> None:
    """Rewrite the database so that it holds only what its tables hold, and empty its log.

    Raises UserError if another process keeps the database open, and sqlite3.OperationalError if the disk is full.
    """
    busy = False
    try:
        dataset.connection.execute("VACUUM")
        busy = bool(dataset.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise
        busy = True
    if busy:
        raise UserError(
            f"The rows are gone, but another process uses {dataset.path}, so old pages may still be in its files; "
            "when it has ended, run this command again."
        )
    with dataset.transaction():
        dataset.connection.execute("DELETE FROM meta WHERE key = ?", (UNWIPED,))


def _tables(sql: sqlite3.Connection) -> list[str]:
    """Tables with a video_id."""
    names = [row[0] for row in sql.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    return [name for name in names if any(r[1] == "video_id" for r in sql.execute(f"PRAGMA table_info({name})"))]


# ── originals ─────────────────────────────────────────────────────────────────────────────────────────────────


def _delete_originals(person: Person) -> tuple[int, dict[Path, int]]:
    """Delete recordings and pictures, and the targets of symbolic links: a request to be forgotten covers the recording
    itself.

    Returns how many existed, and {file: names left} for those whose bytes have other names through hard links.
    """
    count = 0
    names_left: dict[tuple[int, int], tuple[Path, int]] = {}
    for root, path in person.files:
        names = _names(root / path)
        try:
            status = names[-1].stat()
        except OSError:
            status = None
        for name in names[:0:-1]:
            outputs.delete(name.parent, name.name)
        outputs.delete(root, path)
        if status is not None:
            count += 1
            names_left[status.st_dev, status.st_ino] = names[-1], status.st_nlink - 1
    return count, {path: left for path, left in names_left.values() if left}


def _names(file: Path) -> list[Path]:
    """A file and, if it is a symbolic link, everything along the chain of links; the last is not a link."""
    names = [file]
    while names[-1].is_symlink() and len(names) < 40:  # Linux's limit
        names.append(Path(os.path.normpath(names[-1].parent.resolve() / os.readlink(names[-1]))))
    return names
