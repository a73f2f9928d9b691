"""Faces of a split with everything known about them, one block at a time: memory holds one block, and a number or two
per still picture, however many faces there are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from ds2f.dataset.queries import Dataset, FaceRow, to_vector
from ds2f.dataset.recordings import features_of
from ds2f.dataset.schema import CHOSEN, DIMENSION, LANGUAGE, PERSON
from ds2f.types import ACOUSTICS
from ds2f.voice.acoustics import FEATURES


@dataclass(frozen=True)
class KnownFace:
    """face: as returned by `Dataset.faces`; heard: {speaker encoder or "acoustics": (d,) float32} for the voice that
    belongs to it: a video's own, or for a still picture one of its person's voices; language: ISO 639-1, "" if
    unknown."""

    face: FaceRow
    heard: dict[str, np.ndarray]
    language: str


def known_faces(
    dataset: Dataset, split: str, voices: Sequence[str], seconds: float, block: int = 512
) -> Iterator[list[KnownFace]]:
    """Blocks of a split's faces, in the order of ingest.

    dataset: to read from.
    split: train, val or test.
    voices: speaker encoders (or "acoustics") whose vectors to read.
    seconds: length of the clips behind the voices.
    block: faces per block.
    """
    partners = _voices_of_stills(dataset, split)
    faces = dataset.faces(split)
    while found := list(islice(faces, block)):
        voice_of = {face.video_id: partners.get(face.video_id, face.video_id) for face in found}
        heard = _heard(dataset, sorted(set(voice_of.values())), voices, seconds)
        languages = _languages(dataset, [face.video_id for face in found])
        yield [
            KnownFace(face, heard.get(voice_of[face.video_id], {}), languages.get(face.video_id, "")) for face in found
        ]


def count_faces(dataset: Dataset, split: str, encoder: str = "dlib") -> int:
    """How many faces `Dataset.faces` returns."""
    row = dataset.connection.execute(
        "SELECT count(*) FROM faces f JOIN videos v ON v.id = f.video_id JOIN identities i ON i.id = v.identity_id"
        " JOIN face_embeddings fe ON fe.video_id = v.id AND fe.encoder = ?"
        " JOIN crops c ON c.video_id = v.id AND c.kind = 'canonical' WHERE i.split = ?",
        (encoder, split),
    ).fetchone()
    return int(row[0])


def lengths_of_voices(dataset: Dataset, voices: Sequence[str], seconds: float) -> dict[str, int]:
    """{speaker encoder or "acoustics": dimension of its vectors}, for those that have any for this clip length."""
    query = f"SELECT {DIMENSION} FROM voice_embeddings WHERE encoder = ? AND seconds = ? LIMIT 1"
    rows = {name: dataset.connection.execute(query, (name, seconds)).fetchone() for name in voices}
    of_encoders = {name: int(row[0]) for name, row in rows.items() if row is not None}
    return of_encoders | ({ACOUSTICS: len(FEATURES)} if ACOUSTICS in voices else {})


def has_voices(dataset: Dataset, split: str, encoder: str | None = None, seconds: float | None = None) -> bool:
    """Whether any voice is stored for anybody in a split. encoder, seconds: of the voice; None: any."""
    row = dataset.connection.execute(
        "SELECT EXISTS (SELECT 1 FROM identities i JOIN videos v ON v.identity_id = i.id AND v.kind <> 'still'"
        " JOIN voice_embeddings e ON e.video_id = v.id WHERE i.split = ?"
        " AND e.encoder = coalesce(?, e.encoder) AND e.seconds = coalesce(?, e.seconds))",
        (split, encoder, seconds),
    ).fetchone()
    return bool(row[0])


def spoken_languages(dataset: Dataset, split: str) -> list[str]:
    """ISO codes of the languages spoken in a split, in alphabetical order."""
    rows = dataset.connection.execute(
        f"SELECT DISTINCT {LANGUAGE} FROM videos v JOIN identities i ON i.id = v.identity_id"
        " WHERE i.split = ? AND v.kind <> 'still'",
        (split,),
    )
    return sorted({row[0] for row in rows} - {""})


def _voices_of_stills(dataset: Dataset, split: str) -> dict[int, int]:
    """{still: file of one of its person's voices}; each person's voices are used in turn, in the order of their
    paths."""
    sql, people = dataset.connection, f"{PERSON} AS person FROM videos v JOIN identities i ON i.id = v.identity_id"
    stills = sql.execute(
        f"SELECT v.id, {people} JOIN face_embeddings e ON e.video_id = v.id AND e.encoder = 'dlib' WHERE i.split = ?"
        f" AND v.kind = 'still' AND person IN (SELECT {PERSON} FROM voice_embeddings e JOIN videos v"
        " ON v.id = e.video_id JOIN identities i ON i.id = v.identity_id) ORDER BY v.path, v.id",
        (split,),
    ).fetchall()
    if not stills:
        return {}
    voices = sql.execute(
        f"SELECT v.id, {people} WHERE i.split = ? AND v.kind <> 'still'"
        " AND EXISTS (SELECT 1 FROM voice_embeddings e WHERE e.video_id = v.id) ORDER BY v.path, v.id",
        (split,),
    )
    of_person: dict[int, list[int]] = {}
    for voice, person in voices:
        of_person.setdefault(person, []).append(voice)
    return {
        still: own[place % len(own)] for place, (still, person) in enumerate(stills) if (own := of_person.get(person))
    }


def _heard(
    dataset: Dataset, files: Sequence[int], voices: Sequence[str], seconds: float
) -> dict[int, dict[str, np.ndarray]]:
    found: dict[int, dict[str, np.ndarray]] = {}
    chosen = json.dumps(files)
    rows = dataset.connection.execute(
        f"SELECT video_id, encoder, vector FROM voice_embeddings WHERE video_id IN {CHOSEN} AND seconds = ?",
        (chosen, seconds),
    )
    for file, encoder, vector in rows:
        if encoder in voices:
            found.setdefault(file, {})[encoder] = to_vector(vector)
    if ACOUSTICS in voices:
        query = f"SELECT * FROM acoustics WHERE video_id IN {CHOSEN}"
        for row in dataset.connection.execute(query, (chosen,)):
            found.setdefault(row["video_id"], {})[ACOUSTICS] = features_of(row)
    return found


def _languages(dataset: Dataset, files: Sequence[int]) -> dict[int, str]:
    rows = dataset.connection.execute(
        f"SELECT v.id, {LANGUAGE} FROM videos v WHERE v.kind <> 'still' AND v.id IN {CHOSEN}", (json.dumps(files),)
    )
    return dict(map(tuple, rows))
