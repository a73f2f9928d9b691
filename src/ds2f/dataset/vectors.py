"""Voices and faces of many files as arrays, read one block of rows at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ds2f.dataset.faces import lengths_of_voices
from ds2f.dataset.queries import Dataset, parse_attributes, to_vector
from ds2f.dataset.recordings import features_of
from ds2f.dataset.schema import CHOSEN, ESTIMATES, PERSON
from ds2f.types import ACOUSTICS, GENDERS, Attributes

BLOCK = 2048  # files per query
Zeros = Callable[..., np.ndarray]
"""Creates arrays like `numpy.zeros`, of a shape and a type, wherever they are stored."""


def voiced(dataset: Dataset, split: str, kind: str, encoder: str, seconds: float) -> np.ndarray:
    """Files of a kind that have such a voice and, for videos, also a face: (n, 2) int64, file and person, in the fixed
    order of their paths.

    dataset: to read from.
    split: train, val or test.
    kind: video or sound.
    encoder, seconds: of the voice.
    """
    seen = " AND EXISTS (SELECT 1 FROM face_embeddings f WHERE f.video_id = v.id AND f.encoder = 'dlib')"
    rows = dataset.connection.execute(
        f"SELECT v.id, {PERSON} FROM videos v JOIN identities i ON i.id = v.identity_id"
        " WHERE i.split = ? AND v.kind = ? AND EXISTS (SELECT 1 FROM voice_embeddings e WHERE e.video_id = v.id"
        f" AND e.seconds = ? AND e.encoder = ?){seen if kind == 'video' else ''} ORDER BY v.path, v.id",
        (split, kind, seconds, encoder),
    )
    return _numbers(rows)


def pictured(dataset: Dataset, split: str) -> np.ndarray:
    """Still pictures with a face, of people who have a voice: (n, 2) int64 as in `voiced`."""
    rows = dataset.connection.execute(
        f"SELECT v.id, {PERSON} AS person FROM videos v JOIN identities i ON i.id = v.identity_id WHERE i.split = ?"
        " AND v.kind = 'still' AND EXISTS (SELECT 1 FROM face_embeddings f WHERE f.video_id = v.id AND f.encoder ="
        f" 'dlib') AND person IN (SELECT {PERSON} FROM voice_embeddings e JOIN videos v ON v.id = e.video_id"
        " JOIN identities i ON i.id = v.identity_id) ORDER BY v.path, v.id",
        (split,),
    )
    return _numbers(rows)


def faceless(dataset: Dataset, split: str, encoder: str, seconds: float) -> np.ndarray:
    """Sounds with such a voice whose speaker's gender is stated and who have no face in the dataset: (n, 2) int64, file
    and index into types.GENDERS, in the fixed order of their paths. Videos are excluded: if one shows nobody, or
    several people, it is unknown who speaks.

    dataset: to read from.
    split: train, val or test.
    encoder, seconds: of the voice.
    """
    rows = dataset.connection.execute(
        "SELECT v.id, g.key FROM videos v JOIN identities i ON i.id = v.identity_id JOIN labels l ON l.video_id = v.id"
        " AND l.attribute = 'gender' JOIN json_each(?) g ON g.value = l.value WHERE i.split = ? AND v.kind = 'sound'"
        " AND EXISTS (SELECT 1 FROM voice_embeddings e WHERE e.video_id = v.id AND e.seconds = ? AND e.encoder = ?)"
        f" AND {PERSON} NOT IN (SELECT {PERSON} FROM face_embeddings f JOIN videos v ON v.id = f.video_id"
        " JOIN identities i ON i.id = v.identity_id) ORDER BY v.path, v.id",
        (json.dumps(GENDERS), split, seconds, encoder),
    )
    return _numbers(rows)


def read_voices(
    dataset: Dataset,
    files: Sequence[int] | np.ndarray,
    names: Sequence[str],
    seconds: float,
    zeros: Zeros = np.zeros,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """{name: (n, d) float32, zeros where there is no vector, and (n,) bool, whether there is one}.

    dataset: to read from.
    files: n of them.
    names: speaker encoders, and "acoustics".
    seconds: length of the clips behind the voices.
    zeros: creates the arrays of vectors.
    """
    sql, lengths = dataset.connection, lengths_of_voices(dataset, names, seconds)
    found = {
        name: (zeros((len(files), lengths.get(name, 0)), np.float32), np.zeros(len(files), bool)) for name in names
    }
    query = f"SELECT video_id, encoder, vector FROM voice_embeddings WHERE video_id IN {CHOSEN} AND seconds = ?"
    for places, chosen in _blocks(files):
        for file, encoder, vector in sql.execute(query, (chosen, seconds)):
            if encoder in found:
                for place in places[file]:
                    found[encoder][0][place], found[encoder][1][place] = to_vector(vector), True
        if ACOUSTICS in found:
            for measured in sql.execute(f"SELECT * FROM acoustics WHERE video_id IN {CHOSEN}", (chosen,)):
                for place in places[measured["video_id"]]:
                    found[ACOUSTICS][0][place], found[ACOUSTICS][1][place] = features_of(measured), True
    return found


def read_faces(
    dataset: Dataset, files: Sequence[int] | np.ndarray, encoder: str = "dlib"
) -> Iterator[tuple[int, np.ndarray, Attributes | None]]:
    """(index into `files`, (d,) float32 identity, a model's estimate for the face) of each, in any order."""
    query = (
        f"SELECT f.video_id, f.vector, (SELECT {ESTIMATES} FROM face_attributes a WHERE a.video_id = f.video_id"
        " AND a.model = ?) FROM face_embeddings f"
        f" WHERE f.video_id IN {CHOSEN} AND f.encoder = ?"
    )
    model = dataset.attribute_model()
    for places, chosen in _blocks(files):
        for file, vector, attributes in dataset.connection.execute(query, (model, chosen, encoder)):
            for place in places[file]:
                yield place, to_vector(vector), parse_attributes(attributes)


def _blocks(files: Sequence[int] | np.ndarray) -> Iterator[tuple[dict[int, list[int]], str]]:
    """For each block: {file: its indices}, and its files as JSON for json_each."""
    wanted = np.asarray(files, np.int64)
    for start in range(0, len(wanted), BLOCK):
        places: dict[int, list[int]] = {}
        for place, file in enumerate(wanted[start : start + BLOCK].tolist(), start):
            places.setdefault(file, []).append(place)
        yield places, json.dumps(list(places))


def _numbers(rows: Iterator[tuple[int, int]]) -> np.ndarray:
    return np.fromiter((n for row in rows for n in row), np.int64).reshape(-1, 2)
