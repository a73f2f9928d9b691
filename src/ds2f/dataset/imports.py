"""Turns exported shards back into a database, so that a machine that only has a copy of the shards can train on them.
The database holds everything that models learn from, with the row numbers of the original dataset, so that rows come in
the same order; it does not hold sound, recipes or failures."""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ds2f.dataset.export import read_header
from ds2f.dataset.formats import README
from ds2f.dataset.queries import FINGERPRINT, Dataset, to_blob
from ds2f.dataset.records import Record
from ds2f.errors import UserError
from ds2f.io.files import alone, make_folder
from ds2f.types import Progress

BATCH = 512  # records per transaction, and of a Parquet table in memory
Header = Mapping[str, Any]


def local_copy(exports: Sequence[Path], folder: Path, progress: Progress | None = None) -> Path:
    """The database for some exports of one dataset, created in `folder` unless it exists. If several processes ask for
    it, one creates it and the others wait.

    progress: called with (records read, total).
    Raises UserError for a folder that is not an export in shards, or for exports of different datasets.
    """
    headers = [_header(export) for export in exports]
    if len({header["dataset"] for header in headers}) > 1:
        raise UserError(f"{', '.join(map(str, exports))} are exports of different datasets; use one at a time.")
    told = json.dumps([{**header, "shards": sorted(s["file"] for s in header["shards"])} for header in headers])
    path = folder / f"shards-{hashlib.sha256(told.encode()).hexdigest()[:12]}.db"
    if not path.exists():
        make_folder(folder)
        with alone(folder / "shards.lock"):
            if not path.exists():
                _make(path, list(zip(exports, headers, strict=True)), progress)
    return path


def _header(export: Path) -> Header:
    found = read_header(export)
    if found is None or found.get("format") not in READERS:
        raise UserError(f"{export} holds no shards; make them with: ds2f export --format webdataset --out {export}")
    if any(column.get("source") and "role" not in column for column in found["columns"]):
        raise UserError(f"{export} was made by another version of ds2f ({found.get('version')}); export again.")
    return found


def _make(path: Path, exports: Sequence[tuple[Path, Header]], progress: Progress | None) -> None:
    aside = path.with_name(path.name + ".part")
    for torso in path.parent.glob(aside.name + "*"):
        torso.unlink()
    total, done = sum(sum(header["records"].values()) for _, header in exports), 0
    with Dataset(aside, create=True) as dataset:
        sql = dataset.connection
        first = exports[0][1]
        for name, value in (("name", first["dataset"]), (FINGERPRINT, first["fingerprint"])):
            sql.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))
        for export, header in exports:
            columns = _Columns(header)
            for records in _batches(export, header):
                with dataset.transaction():
                    for record in records:
                        try:
                            columns.enter(sql, record)
                        except sqlite3.IntegrityError as error:
                            raise UserError(
                                f"The record {record.key} of {export} does not fit a dataset ({error}); export again."
                            ) from None
                done += len(records)
                if progress:
                    progress(done, total)
        sql.execute("INSERT OR REPLACE INTO meta VALUES ('changes', ?)", (str(first["changes"]),))
        sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    aside.replace(path)


def _batches(export: Path, header: Header) -> Iterator[list[Record]]:
    found: list[Record] = []
    for shard in header["shards"]:
        for record in READERS[header["format"]](export / shard["file"], header):
            found.append(record)
            if len(found) == BATCH:
                yield found
                found = []
    yield found


def _read_tar(path: Path, header: Header) -> Iterator[Record]:
    with tarfile.open(path, "r|") as tar:
        record: Record | None = None
        for member in tar:
            key, _, kind = member.name.partition(".")
            if record is None or record.key != key:
                if record is not None:
                    yield record
                record = Record(key, {}, {}, None, None)
            if kind in ("flac", "opus") or (file := tar.extractfile(member)) is None:
                continue
            if kind == "json":
                record.values.update(json.loads(file.read()))
            elif kind == "webp":
                record = Record(key, record.values, record.vectors, file.read(), None)
            else:
                record.vectors[kind.removesuffix(".npy")] = np.load(io.BytesIO(file.read()))
        if record is not None:
            yield record


def _read_table(path: Path, header: Header) -> Iterator[Record]:
    import pyarrow.parquet

    kinds = {column["name"]: column["kind"] for column in header["columns"]}
    for batch in pyarrow.parquet.ParquetFile(path).iter_batches(BATCH):
        for row in batch.to_pylist():
            crop = row.pop("crop")
            vectors = {n: np.array(v, np.float32) for n, v in row.items() if kinds[n] == "vector" and v is not None}
            values = {
                n: json.loads(v) if kinds[n] == "json" and v is not None else v
                for n, v in row.items()
                if kinds[n] != "vector"
            }
            yield Record(f"{row['video_id']:09d}", values, vectors, crop, None)


READERS = {"webdataset": _read_tar, "parquet": _read_table}


class _Columns:
    """Maps the columns of an export to tables."""

    def __init__(self, header: Header) -> None:
        of_models = [column for column in header["columns"] if column.get("source")]
        by_role: dict[str, list[dict[str, Any]]] = {}
        for column in of_models:
            by_role.setdefault(column["role"], []).append(column)
        self.voices = {c["name"]: (c["seconds"], c["source"]) for c in by_role.get("voice", ())}
        self.faces = {c["name"]: c["source"] for c in by_role.get("face", ())}
        self.acoustics = [c["name"] for c in by_role.get("acoustics", ())]
        self.looks = [(c["name"], role, c["source"]) for role in LOOKS for c in by_role.get(role, ())]
        self.languages = [(c["name"], c["source"]) for c in by_role.get("language", ())]

    def enter(self, sql: sqlite3.Connection, record: Record) -> None:
        """Insert all rows of one file."""
        values, file = record.values, record.values["video_id"]
        _enter_file(sql, values)
        for attribute, value in (values["labels"] or {}).items():
            sql.execute("INSERT OR IGNORE INTO labels VALUES (?, ?, ?)", (file, attribute, value))
        if values["speech_seconds"] is not None:
            self._enter_voice(sql, record)
        if record.crop is not None:
            self._enter_face(sql, record)

    def _enter_voice(self, sql: sqlite3.Connection, record: Record) -> None:
        values, file = record.values, record.values["video_id"]
        sql.execute("INSERT OR IGNORE INTO speech VALUES (?, 0, ?, NULL, NULL)", (file, values["speech_seconds"]))
        for name, (seconds, encoder) in self.voices.items():
            if (vector := record.vectors.get(name)) is not None:
                sql.execute("INSERT OR IGNORE INTO clips VALUES (?, ?, ?, 1)", (file, seconds, seconds))
                row = (file, seconds, encoder, to_blob(vector))
                sql.execute("INSERT OR IGNORE INTO voice_embeddings VALUES (?, ?, ?, ?)", row)
        for column, model in self.languages:
            if (code := values.get(column)) is not None:
                share = values[column.replace("language", "language_probability", 1)]
                sql.execute("INSERT OR IGNORE INTO languages VALUES (?, ?, ?, ?)", (file, model, code, share))
        measured = [values.get(name) for name in self.acoustics]
        if any(value is not None for value in measured):
            marks = ", ".join("?" * (1 + len(measured)))
            names = ", ".join(("video_id", *self.acoustics))
            sql.execute(f"INSERT OR IGNORE INTO acoustics ({names}) VALUES ({marks})", (file, *measured))

    def _enter_face(self, sql: sqlite3.Connection, record: Record) -> None:
        values, file = record.values, record.values["video_id"]
        points = to_blob(np.array(values.get("landmarks") or []))
        facts = (values[name] for name in ("face_time", "face_score", "face_quality", "coverage", "people"))
        sql.execute(
            "INSERT OR IGNORE INTO faces (video_id, x, y, w, h, landmarks, time, score, quality, coverage, people)"
            " VALUES (?, 0, 0, 0, 0, ?, ?, ?, ?, ?, ?)",
            (file, points, *facts),
        )
        sql.execute("INSERT OR IGNORE INTO crops VALUES (?, 'canonical', ?)", (file, record.crop))
        for name, encoder in self.faces.items():
            if (vector := record.vectors.get(name)) is not None:
                row = (file, encoder, to_blob(vector))
                sql.execute("INSERT OR IGNORE INTO face_embeddings VALUES (?, ?, ?)", row)
        for column, attribute, model in self.looks:
            if (value := values.get(column)) is not None:
                shares = json.dumps(values[f"{column}_distribution"])
                sql.execute(
                    "INSERT OR IGNORE INTO face_attributes VALUES (?, ?, ?, ?, NULL, ?)",
                    (file, model, attribute, value, shares),
                )


LOOKS = ("age", "gender", "ethnicity")


def _enter_file(sql: sqlite3.Connection, values: Mapping[str, Any]) -> None:
    """Insert the file and its person. Exports do not say which root a path belongs to, so equal paths get different
    roots."""
    corpus, _, name = values["person"].partition("/")
    own = _identity(sql, values["corpus"], values["identity"], values["split"])
    person = _identity(sql, corpus, name, values["split"])
    if own != person:
        sql.execute("UPDATE identities SET person_id = ? WHERE id = ?", (person, own))
    facts = (values[name] for name in ("duration", "width", "height", "fps"))
    row = (values["video_id"], values["path"], values["kind"], own, *facts)
    if sql.execute("SELECT 1 FROM videos WHERE id = ?", (values["video_id"],)).fetchone():
        return
    root = 1
    while sql.execute("SELECT 1 FROM videos WHERE root_id = ? AND path = ?", (root, values["path"])).fetchone():
        root += 1
    sql.execute("INSERT OR IGNORE INTO roots (id, path) VALUES (?, ?)", (root, f"/{README}#{root}"))
    sql.execute(
        "INSERT INTO videos (id, root_id, path, kind, identity_id, size, mtime_ns, state, duration, width,"
        f" height, fps) VALUES (?, {root}, ?, ?, ?, 0, 0, 'done', ?, ?, ?, ?)",
        row,
    )


def _identity(sql: sqlite3.Connection, corpus: str, name: str, split: str) -> int:
    find = "SELECT id FROM identities WHERE corpus = ? AND name = ?"
    found = sql.execute(find, (corpus, name)).fetchone()
    if found is None:
        sql.execute("INSERT INTO identities (corpus, name, split) VALUES (?, ?, ?)", (corpus, name, split))
        found = sql.execute(find, (corpus, name)).fetchone()
    return int(found[0])
