"""Forgetting a person: their rows, their recordings and pictures, and the faces drawn for them.

Files go first, then all rows in one transaction, then the database is rewritten, so that nothing stays in free pages or
in the log. A run that is cut short can be run again. What remains is a hash, by which a later ingest leaves the person
out.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from ds2f.dataset.forgotten import is_forgotten, remember
from ds2f.dataset.keys import FileKey
from ds2f.dataset.queries import Dataset
from ds2f.errors import UserError


@dataclass(frozen=True)
class Person:
    """Somebody in the dataset. files: (root, path) of recordings and pictures; inside: (tar, member) of those that lie
    in a tar."""

    corpus: str
    name: str
    files: tuple[tuple[Path, str], ...]
    inside: tuple[tuple[Path, str], ...]


@dataclass(frozen=True)
class Forgotten:
    """rows: {table: rows removed}; files: originals deleted; faces: generated pictures deleted."""

    rows: dict[str, int]
    files: int
    faces: int


def find(dataset: Dataset, identity: str) -> Person | None:
    """identity: "corpus/name", or the name alone where only one corpus has it; None if they are forgotten already.

    Raises UserError if there is no such person, or more than one.
    """
    sql = dataset.connection
    rows = sql.execute(
        "SELECT id, corpus, name FROM identities WHERE corpus || '/' || name = ?1 OR name = ?1 ORDER BY corpus",
        (identity,),
    ).fetchall()
    if not rows:
        corpus, _, name = identity.partition("/")
        if is_forgotten(sql, corpus, name):
            return None
        like = sql.execute("SELECT corpus || '/' || name FROM identities WHERE instr(name, ?) LIMIT 3", (identity,))
        hint = f"perhaps {' or '.join(found)}" if (found := [row[0] for row in like]) else "names are corpus/name"
        raise UserError(
            f"Nobody in {dataset.path} is called {identity!r}; {hint}. "
            f'All names: sqlite3 {dataset.path} "SELECT corpus, name FROM identities"'
        )
    if len(rows) > 1:
        names = ", ".join(f"{row['corpus']}/{row['name']}" for row in rows)
        raise UserError(f"{identity!r} may be {names}; give one of these.")
    videos = sql.execute(
        "SELECT r.path AS root, v.path, v.tar_offset FROM videos v JOIN roots r ON r.id = v.root_id"
        " WHERE v.identity_id = ? ORDER BY v.id",
        (rows[0]["id"],),
    ).fetchall()
    return Person(
        rows[0]["corpus"],
        rows[0]["name"],
        tuple((Path(v["root"]), v["path"]) for v in videos if v["tar_offset"] is None),
        tuple((Path(v["root"]), v["path"]) for v in videos if v["tar_offset"] is not None),
    )


def forget(dataset: Dataset, person: Person, faces: Path, keep_files: bool = False) -> Forgotten:
    """Remove a person. faces: the folder of `ds2f generate --database`; keep_files: leave the originals where they are.

    Raises UserError if a file cannot be deleted; then no row has been touched.
    """
    drawn = _forget_faces(faces, person)
    files = 0 if keep_files else sum(_delete(root, path) for root, path in person.files)
    sql = dataset.connection
    sql.execute("PRAGMA secure_delete = ON")
    whose = "SELECT v.id FROM videos v JOIN identities i ON i.id = v.identity_id WHERE i.corpus = ? AND i.name = ?"
    who = (person.corpus, person.name)
    with dataset.transaction():
        rows = {
            table: sql.execute(f"SELECT count(*) FROM {table} WHERE video_id IN ({whose})", who).fetchone()[0]
            for table in _tables(sql)
        }
        rows["videos"] = sql.execute(f"DELETE FROM videos WHERE id IN ({whose})", who).rowcount
        sql.execute("DELETE FROM identities WHERE corpus = ? AND name = ?", who)
        remember(sql, *who)
    return Forgotten({table: count for table, count in rows.items() if count}, files, drawn)


def wipe(dataset: Dataset) -> None:
    """Rewrite the file, so that it holds what its tables hold and nothing else, and empty its log.

    Raises UserError if another process keeps the database open.
    """
    try:
        dataset.connection.execute("VACUUM")
        busy = dataset.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.OperationalError:
        busy = True
    if busy:
        raise UserError(
            f"The rows are gone, but another process uses {dataset.path}, so old pages may still be in its files; "
            "when it has ended, run this command again."
        )


def _tables(sql: sqlite3.Connection) -> list[str]:
    """Those that hang on a file."""
    names = [row[0] for row in sql.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    return [name for name in names if any(r[1] == "video_id" for r in sql.execute(f"PRAGMA table_info({name})"))]


def _forget_faces(folder: Path, person: Person) -> int:
    """Faces drawn for the person, with their vectors and their lines in generation.json. Returns how many."""
    record = folder / "generation.json"
    if not record.is_file():
        return 0
    data = json.loads(record.read_text())
    theirs = {FileKey(str(root), path) for root, path in (*person.files, *person.inside)}
    roots = {key.root for key in theirs}  # any of them may be meant by a record of before, which names no root
    gone = {
        entry["image"]
        for entry in data["faces"]
        if "image" in entry
        and any(FileKey(root, entry["input"]) in theirs for root in ([entry["root"]] if "root" in entry else roots))
    }
    if not gone:
        return 0
    from safetensors.torch import load_file

    from ds2f.models.store import write_json, write_tensors

    vectors = folder / data["identity_vectors"]
    write_tensors(vectors, {name: v for name, v in load_file(vectors).items() if name not in gone})
    count = sum(_delete(folder, name) for name in sorted(gone))
    write_json(record, {**data, "faces": [entry for entry in data["faces"] if entry.get("image") not in gone]})
    return count


def _delete(root: Path, path: str) -> bool:
    """Delete a file, and the folders above it, up to `root`, that held nothing else: they may bear the name."""
    file = root / path
    there = file.exists()
    try:
        file.unlink(missing_ok=True)
        for folder in file.parents:
            if folder == root or not folder.is_dir() or any(folder.iterdir()):
                break
            folder.rmdir()
    except OSError as error:
        raise UserError(f"{file} cannot be deleted ({error.strerror}); mend that and run this command again.") from None
    return there
