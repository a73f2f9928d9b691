"""People with all their voices and all their faces, from all corpora.

An identity is a person as one corpus knows them; `identities.person_id` says which identities are one person. A voice
and a face of a person need not come from the same file. They are kept as two separate lists, never as their product: a
million voices and fifty faces per person take as many rows as there are voices and faces.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ds2f.corpora import video_of
from ds2f.dataset.queries import Dataset
from ds2f.dataset.schema import PERSON
from ds2f.dataset.splits import SPLITS
from ds2f.errors import UserError

BY_KIND = ("both", "voice", "face")


@dataclass(frozen=True)
class Rows:
    """Voices or faces, one per file. person: (n,) int64 indices into `People.names`, ascending; file: (n,) int64
    `videos.id`, ascending within a person; recording: (n,) int64, equal for files cut from the same video, across
    voices and faces."""

    person: np.ndarray
    file: np.ndarray
    recording: np.ndarray

    def __len__(self) -> int:
        return len(self.file)


@dataclass(frozen=True)
class People:
    """p people of a split in a fixed order, with all their voices and faces. names: "corpus/name" of each, unique."""

    names: tuple[str, ...]
    voices: Rows
    faces: Rows

    def both(self) -> People:
        """Only those who have both a voice and a face."""
        has = np.zeros((2, len(self.names)), bool)
        has[0, self.voices.person] = has[1, self.faces.person] = True
        return self.chosen(np.flatnonzero(has.all(0)))

    def chosen(self, people: Sequence[int] | np.ndarray) -> People:
        """Only these people, in the order given. people: indices into `names`."""
        place = np.full(len(self.names), -1, np.int64)
        place[np.asarray(people, np.int64)] = np.arange(len(people))
        return People(tuple(self.names[k] for k in people), _chosen(self.voices, place), _chosen(self.faces, place))


def read_people(
    dataset: Dataset,
    split: str | None = None,
    voice: str | None = None,
    face: str = "dlib",
    seconds: float | None = None,
) -> People:
    """Everybody in a split who has a voice or a face; `People.both` keeps those who have both.

    dataset: to read from.
    split: train, val or test; None for all.
    voice: the speaker encoder whose vector a voice must have; None for `Dataset.voice_encoder`.
    face: the face encoder whose vector a face must have.
    seconds: length of the clips behind the voices; None for `Dataset.clip_seconds`.
    """
    voice = dataset.voice_encoder() if voice is None else voice
    seconds = dataset.clip_seconds(voice) if seconds is None else seconds
    recordings: dict[str | int, int] = {}
    heard = _rows(dataset, split, recordings, "voice_embeddings", "e.encoder = ? AND e.seconds = ?", (voice, seconds))
    seen = _rows(dataset, split, recordings, "face_embeddings", "e.encoder = ?", (face,))
    there = np.union1d(heard.person, seen.person)
    name_of = dict(dataset.connection.execute("SELECT id, corpus || '/' || name FROM identities").fetchall())
    heard, seen = (replace(r, person=np.searchsorted(there, r.person)) for r in (heard, seen))
    return People(tuple(name_of[k] for k in there.tolist()), heard, seen)


def voice_vectors(dataset: Dataset, files: Sequence[int] | np.ndarray, encoder: str, seconds: float) -> np.ndarray:
    """(n, d) float32, in the order given, including repetitions. Raises UserError for a file without such a vector."""
    query = "SELECT vector FROM voice_embeddings WHERE video_id = ? AND encoder = ? AND seconds = ?"
    return _vectors(dataset.connection, query, files, (encoder, seconds))


def face_vectors(dataset: Dataset, files: Sequence[int] | np.ndarray, encoder: str = "dlib") -> np.ndarray:
    """(n, d) float32, as `voice_vectors`."""
    query = "SELECT vector FROM face_embeddings WHERE video_id = ? AND encoder = ?"
    return _vectors(dataset.connection, query, files, (encoder,))


def count_people(dataset: Dataset) -> dict[str, dict[str, int]]:
    """{split: {"both": people with a voice and a face, "voice": with a voice only, "face": with a face only}}.

    One file of each kind decides, so this takes no longer if people have more files.
    """
    has = (
        "EXISTS (SELECT 1 FROM videos v JOIN {table} t ON t.video_id = v.id WHERE v.identity_id = i.id"
        " AND v.state IN ('done', 'failed') AND v.kind IN ('video', '{kind}'))"
    )
    voice, face = has.format(table="speech", kind="sound"), has.format(table="faces", kind="still")
    rows = dataset.connection.execute(
        f"SELECT split, sum(voice AND face), sum(voice AND NOT face), sum(face AND NOT voice) FROM (SELECT"
        f" min(i.split) AS split, max({voice}) AS voice, max({face}) AS face FROM identities i GROUP BY {PERSON})"
        " GROUP BY split"
    )
    found = {r[0]: dict(zip(BY_KIND, r[1:], strict=True)) for r in map(tuple, rows)}
    return {split: found.get(split, dict.fromkeys(BY_KIND, 0)) for split in SPLITS}


def _rows(
    dataset: Dataset,
    split: str | None,
    recordings: dict[str | int, int],
    table: str,
    wanted: str,
    values: tuple[object, ...],
) -> Rows:
    rows = dataset.connection.execute(
        f"SELECT {PERSON} AS person, v.id, i.corpus, v.path, v.kind FROM {table} e JOIN videos v ON v.id = e.video_id"
        f" JOIN identities i ON i.id = v.identity_id WHERE {wanted} AND (? IS NULL OR i.split = ?)"
        " ORDER BY person, v.id",
        (*values, split, split),
    )
    flat = (
        n
        for p, v, corpus, path, kind in rows
        for n in (p, v, recordings.setdefault(video_of(corpus, path, kind) or v, len(recordings)))
    )
    return Rows(*np.fromiter(flat, np.int64).reshape(-1, 3).T.copy())


def _vectors(
    sql: sqlite3.Connection, query: str, files: Sequence[int] | np.ndarray, values: tuple[object, ...]
) -> np.ndarray:
    def read() -> Iterator[np.ndarray]:
        for file in np.asarray(files, np.int64).tolist():
            row = sql.execute(query, (file, *values)).fetchone()
            if row is None:
                raise UserError(f"File {file} of the dataset has no vector of {values[0]!r}.")
            yield np.frombuffer(row[0], np.float32)

    found = list(read())
    return np.stack(found) if found else np.zeros((0, 0), np.float32)


def _chosen(rows: Rows, place: np.ndarray) -> Rows:
    person = place[rows.person]
    order = np.argsort(person, kind="stable")
    order = order[person[order] >= 0]
    return Rows(person[order], rows.file[order], rows.recording[order])
