"""The dataset as flat records, as written by `ds2f export`: one for every file with a face and every sound with a
voice.

The columns depend on what the dataset holds: there are more for every encoder, attribute model and clip length.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ds2f.dataset.queries import Dataset, to_vector
from ds2f.dataset.schema import DIMENSION, PERSON
from ds2f.errors import UserError


@dataclass(frozen=True)
class Column:
    """kind: text, integer, real, json, or vector, which has its length in `dimension`; source: the name of the model
    behind it, empty if there is none; role: what that model outputs, empty without one: voice (of `seconds` of speech),
    face, age, gender, ethnicity, language, acoustics, or the probabilities of one of these; rows: how many files of the
    dataset have it."""

    name: str
    kind: str
    meaning: str
    source: str = ""
    role: str = ""
    seconds: float = 0.0
    dimension: int = 0
    rows: int = 0


@dataclass(frozen=True)
class Record:
    """One file. values: {column: value}, None or absent if there is none; vectors: {column: (d,) float32}; crop: WebP
    of the canonical crop, None for sounds; sound: 16 kHz mono speech, FLAC or Opus; None for stills, if there is no
    usable speech, or if it was not requested."""

    key: str
    values: dict[str, Any]
    vectors: dict[str, np.ndarray]
    crop: bytes | None
    sound: bytes | None


FIXED = (
    Column("video_id", "integer", "number of the file in the dataset"),
    Column("path", "text", "of the file, relative to the folder that was ingested"),
    Column("kind", "text", "video, sound or still"),
    Column("corpus", "text", "layout that recognised the file"),
    Column("identity", "text", "who it is, unique within the corpus"),
    Column("person", "text", "who it is over all corpora: corpus/identity of the one that stands for them"),
    Column("split", "text", "train, val or test; by identity"),
    Column("duration", "real", "of the file, seconds; 0 for a still"),
    Column("width", "integer", "of the file, pixels"),
    Column("height", "integer", "of the file, pixels"),
    Column("fps", "real", "frames per second"),
    Column("speech_seconds", "real", "real speech in the file"),
    Column("face_time", "real", "seconds into the file at which the face was taken"),
    Column("face_score", "real", "detector's probability, 0 to 1"),
    Column("face_quality", "real", "0 to 1"),
    Column("coverage", "real", "share of the crop that lies inside the picture, 0 to 1"),
    Column("landmarks", "json", "[x, y] of eyes, nose and corners of the mouth, pixels of the file's picture"),
    Column("people", "integer", "seen in the file"),
    Column("labels", "json", "what the corpus itself states: {attribute: value}"),
)

_RECORD = f"""
SELECT v.id AS video_id, v.path, v.kind, i.corpus, i.name AS identity, p.corpus || '/' || p.name AS person, i.split,
    v.duration, v.width, v.height, v.fps, s.seconds AS speech_seconds, f.time AS face_time, f.score AS face_score,
    f.quality AS face_quality, f.coverage, f.landmarks, f.people,
    (SELECT json_group_object(attribute, value) FROM labels WHERE video_id = v.id) AS labels,
    c.webp AS crop, CASE WHEN ? THEN (SELECT sound FROM speech_audio WHERE video_id = v.id) END AS sound
FROM videos v JOIN identities i ON i.id = v.identity_id JOIN identities p ON p.id = {PERSON}
    LEFT JOIN faces f ON f.video_id = v.id LEFT JOIN speech s ON s.video_id = v.id
    LEFT JOIN crops c ON c.video_id = v.id AND c.kind = 'canonical'
WHERE v.id = ?
"""
PARTS = {
    "pairs": "f.video_id IS NOT NULL AND s.video_id IS NOT NULL",
    "faces": "f.video_id IS NOT NULL AND s.video_id IS NULL",
    "voices": "f.video_id IS NULL AND s.video_id IS NOT NULL AND v.kind = 'sound'",
}
"""{part of an export: condition for the files in it}"""


class Records:
    """Reads records. columns: all of them, in the order in which they are written."""

    def __init__(self, dataset: Dataset, encoders: Sequence[str] = (), sound: bool = True) -> None:
        """encoders: names of the voice and face encoders whose vectors to read, none means all; sound: whether to read
        speech.

        Raises UserError for an encoder that has no rows, or two names that give the same column.
        """
        self._sql, self._sound = dataset.connection, sound
        self.columns = (*FIXED, *self._vector_columns(encoders), *self._model_columns(), *self._acoustic_columns())
        names = [column.name for column in self.columns]
        for name in names:
            if names.count(name) > 1:
                raise UserError(f"Two models both make the column {name}; export one at a time with --encoder.")
        self._names = frozenset(names)
        self._json = frozenset(column.name for column in self.columns if column.kind == "json")

    def ids(self, split: str, part: str, complete: bool = False) -> list[int]:
        """Files of a split in the order of ingest. part: a key of PARTS; complete: only files that have every
        vector."""
        having = ""
        names: list[Any] = []
        for column in self.columns if complete else ():
            if column.kind == "vector":
                table, key = self._vectors[column.name]
                where = " AND ".join(f"{name} = ?" for name in key)
                having += f" AND EXISTS (SELECT 1 FROM {table} WHERE video_id = v.id AND {where})"
                names += key.values()
        rows = self._sql.execute(
            "SELECT v.id FROM videos v JOIN identities i ON i.id = v.identity_id"
            " LEFT JOIN faces f ON f.video_id = v.id LEFT JOIN speech s ON s.video_id = v.id"
            f" WHERE i.split = ? AND {PARTS[part]}{having} ORDER BY v.id",
            (split, *names),
        )
        return [row[0] for row in rows]

    def read(self, video_id: int) -> Record:
        """The record of one file that has a face or a voice."""
        row = dict(self._sql.execute(_RECORD, (self._sound, video_id)).fetchone())
        crop, spoken, points = row.pop("crop"), row.pop("sound"), row.pop("landmarks")
        vectors = {}
        for table, name in (("voice_embeddings", _voice_column), ("face_embeddings", _face_column)):
            for found in self._sql.execute(f"SELECT * FROM {table} WHERE video_id = ?", (video_id,)):
                if (column := name(found)) in self._names:
                    vectors[column] = to_vector(found["vector"])
        for found in self._sql.execute("SELECT * FROM face_attributes WHERE video_id = ?", (video_id,)):
            column = _name(found["attribute"], found["model"])
            row[column] = found["value"]
            row[_name(column, "distribution")] = found["distribution"]
        for found in self._sql.execute("SELECT * FROM languages WHERE video_id = ?", (video_id,)):
            row[_name("language", found["model"])] = found["language"]
            row[_name("language_probability", found["model"])] = found["probability"]
        acoustics = self._sql.execute("SELECT * FROM acoustics WHERE video_id = ?", (video_id,)).fetchone()
        row |= dict(acoustics or {})
        values = {k: json.loads(v) if k in self._json and v is not None else v for k, v in row.items()}
        values["landmarks"] = to_vector(points).reshape(-1, 2).tolist() if points else None
        return Record(f"{video_id:09d}", values, vectors, crop, spoken)

    def _vector_columns(self, encoders: Sequence[str]) -> list[Column]:
        sql = self._sql
        voices = sql.execute(
            f"SELECT encoder, seconds, count(*) AS rows, max({DIMENSION}) AS dimension FROM voice_embeddings"
            " GROUP BY encoder, seconds"
        ).fetchall()
        faces = sql.execute(
            f"SELECT encoder, count(*) AS rows, max({DIMENSION}) AS dimension FROM face_embeddings GROUP BY encoder"
        ).fetchall()
        self._vectors: dict[str, tuple[str, dict[str, Any]]] = {
            **{_voice_column(r): ("voice_embeddings", {k: r[k] for k in ("encoder", "seconds")}) for r in voices},
            **{_face_column(r): ("face_embeddings", {"encoder": r["encoder"]}) for r in faces},
        }
        there = sorted({r["encoder"] for r in (*voices, *faces)})
        for wanted in encoders:
            if wanted not in there:
                raise UserError(f"There are no rows of the encoder {wanted!r}; this dataset has {', '.join(there)}.")
        of_voices = [
            Column(
                _voice_column(r),
                "vector",
                f"{r['seconds']:g} s of speech",
                r["encoder"],
                role="voice",
                seconds=r["seconds"],
                dimension=r["dimension"],
                rows=r["rows"],
            )
            for r in voices
        ]
        of_faces = [
            Column(
                _face_column(r), "vector", "the face", r["encoder"], "face", dimension=r["dimension"], rows=r["rows"]
            )
            for r in faces
        ]
        return [c for c in (*of_voices, *of_faces) if not encoders or c.source in encoders]

    def _model_columns(self) -> list[Column]:
        columns = []
        for model, attribute, rows in self._sql.execute(
            "SELECT model, attribute, count(*) FROM face_attributes GROUP BY model, attribute"
        ):
            name, kind = _name(attribute, model), "real" if attribute == "age" else "text"
            meaning = "expected age in years" if attribute == "age" else f"likeliest {attribute}"
            columns.append(Column(name, kind, meaning, model, attribute, rows=rows))
            shares = Column(
                _name(name, "distribution"), "json", "{value: probability}", model, "probabilities", rows=rows
            )
            columns.append(shares)
        for model, rows in self._sql.execute("SELECT model, count(*) FROM languages GROUP BY model"):
            columns.append(Column(_name("language", model), "text", "ISO 639-1", model, "language", rows=rows))
            share = Column(_name("language_probability", model), "real", "0 to 1", model, "probabilities", rows=rows)
            columns.append(share)
        return columns

    def _acoustic_columns(self) -> list[Column]:
        rows = self._sql.execute("SELECT count(*) FROM acoustics").fetchone()[0]
        names = [c[0] for c in self._sql.execute("SELECT * FROM acoustics LIMIT 0").description]
        return [
            Column(n, "real", "acoustic feature", "praat", "acoustics", rows=rows)
            for n in names
            if rows and n != "video_id"
        ]


def _voice_column(row: Any) -> str:
    return _name("voice", row["encoder"], f"{row['seconds']:g}s")


def _face_column(row: Any) -> str:
    return _name("face", row["encoder"])


def _name(*parts: str) -> str:
    """A column name that SQL, Python and file systems all accept."""
    return "_".join(re.sub(r"[^A-Za-z0-9_]+", "_", part) for part in parts)
