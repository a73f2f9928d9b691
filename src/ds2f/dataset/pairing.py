"""Which face belongs to a voice, where the two need not come from the same file.

A video pairs its own voice and face. A sound is paired with a face of the same person from a still picture or a video,
and counts as a clip just as a video does. Voices are never multiplied by faces: there are as many pairs as voices.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from ds2f.dataset.clips import recording_of
from ds2f.dataset.keys import FileKey
from ds2f.dataset.people import face_vectors
from ds2f.dataset.queries import Dataset, Pair, to_vector
from ds2f.dataset.schema import PERSON


@dataclass(frozen=True)
class Shown:
    """A face of a person. file: its number; path: relative to its root; recording: what it was cut from."""

    file: int
    path: str
    recording: str


def paired(
    dataset: Dataset,
    split: str | None = None,
    voice: str | None = None,
    faces: Sequence[str] = ("dlib",),
    seconds: float | None = None,
) -> list[Pair]:
    """Every voice of a split with a face of the same person, in the fixed order of the voices' paths: the rows of
    `Dataset.pairs`, plus sounds. A sound gets a face from another recording if its person has one; a person's faces are
    used in turn, so that all are used about equally often.

    dataset: to read from.
    split: train, val or test; None for all.
    voice: the speaker encoder whose vector a voice must have; None for `Dataset.voice_encoder`.
    faces: encoders whose vectors a face must have, at least one; the first provides a pair's identity.
    seconds: length of the clips behind the voices; None for `Dataset.clip_seconds`.
    """
    voice = dataset.voice_encoder() if voice is None else voice
    seconds = dataset.clip_seconds(voice) if seconds is None else seconds
    shown_by = faces_by_person(dataset, split, faces)
    usable = {shown.file for of_person in shown_by.values() for shown in of_person}
    pairs = [pair for pair in dataset.pairs(split, voice, faces[0], seconds) if pair.video_id in usable]
    sounds = _sounds(dataset, split, voice, seconds)
    served: dict[str, int] = {}
    chosen: list[tuple[int, Shown]] = []
    for i, r in enumerate(sounds):
        if own := shown_by.get(r["person"]):
            at = served.get(r["person"], -1)
            served[r["person"]] = found = next_face(own, at, recording_of(r["corpus"], r["path"], r["root"]))
            chosen.append((i, own[found]))
    pictures = dataset.picture_stems() if chosen else {}
    vectors = face_vectors(dataset, [shown.file for _, shown in chosen], faces[0])
    for (i, shown), identity in zip(chosen, vectors, strict=True):
        r = sounds[i]
        picture = pictures[FileKey(r["root"], r["path"])]
        known = (r["id"], r["path"], r["corpus"], r["person"], r["split"], to_vector(r["vector"]))
        pairs.append(Pair(*known, identity, crop_of(dataset, shown.file), r["root"], picture, shown.file))
    return sorted(pairs, key=lambda pair: (pair.path, pair.video_id)) if chosen else pairs


@dataclass(frozen=True)
class Clip:
    """A voice to draw a face for. file, root, path and picture: as `video_id`, `root`, `path` and `picture` of
    `Pair`."""

    file: int
    root: str
    path: str
    picture: str


def clips(dataset: Dataset, split: str | None, voice: str, seconds: float) -> list[Clip]:
    """Voices of a split, in the fixed order of their paths: those of videos that show a face, and all sounds, whether
    or not a face of their person is known. voice, seconds: speaker encoder and clip length for which they must be
    stored."""
    pairs = dataset.pairs(split, voice, seconds=seconds)
    found = [Clip(pair.video_id, pair.root, pair.path, pair.picture) for pair in pairs]
    if sounds := _sounds(dataset, split, voice, seconds):
        pictures = dataset.picture_stems()
        found += [Clip(r["id"], r["root"], r["path"], pictures[FileKey(r["root"], r["path"])]) for r in sounds]
    return sorted(found, key=lambda clip: (clip.path, clip.file))


def _sounds(dataset: Dataset, split: str | None, voice: str, seconds: float) -> list[sqlite3.Row]:
    return dataset.connection.execute(
        "SELECT v.id, r.path AS root, v.path, i.corpus, p.corpus || '/' || p.name AS person, i.split, e.vector"
        " FROM videos v JOIN identities i ON i.id = v.identity_id JOIN roots r ON r.id = v.root_id"
        f" JOIN identities p ON p.id = {PERSON}"
        " JOIN voice_embeddings e ON e.video_id = v.id AND e.seconds = ? AND e.encoder = ?"
        " WHERE v.kind = 'sound' AND (? IS NULL OR i.split = ?) ORDER BY v.path, v.id",
        (seconds, voice, split, split),
    ).fetchall()


def faces_by_person(dataset: Dataset, split: str | None, encoders: Sequence[str]) -> dict[str, list[Shown]]:
    """{person: faces that have vectors of all `encoders`}, for people of a split who have a voice, in the order of
    paths: still pictures, and videos with a voice of their own."""
    marks = ", ".join("?" * len(encoders))
    rows = dataset.connection.execute(
        "SELECT v.id, r.path AS root, v.path, i.corpus, p.corpus || '/' || p.name AS person FROM videos v"
        " JOIN identities i ON i.id = v.identity_id JOIN roots r ON r.id = v.root_id"
        f" JOIN identities p ON p.id = {PERSON} WHERE (? IS NULL OR i.split = ?)"
        " AND (v.kind = 'still' OR v.id IN (SELECT video_id FROM voice_embeddings)) AND p.id IN"
        f" (SELECT {PERSON} FROM identities i JOIN videos v ON v.identity_id = i.id WHERE v.kind <> 'still')"
        f" AND (SELECT count(*) FROM face_embeddings e WHERE e.video_id = v.id AND e.encoder IN ({marks})) = ?"
        " AND EXISTS (SELECT 1 FROM crops c WHERE c.video_id = v.id AND c.kind = 'canonical') ORDER BY v.path, v.id",
        (split, split, *encoders, len(encoders)),
    )
    found: dict[str, list[Shown]] = {}
    for r in rows:
        shown = Shown(r["id"], r["path"], recording_of(r["corpus"], r["path"], r["root"]))
        found.setdefault(r["person"], []).append(shown)
    return found


def next_face(faces: Sequence[Shown], after: int, recording: str) -> int:
    """Index of the next face after `after`, cyclically, that is not from `recording`, or simply the next if all are.
    This keeps voice and face from sharing a channel, background or day."""
    around = [(after + step) % len(faces) for step in range(1, len(faces) + 1)]
    return next((place for place in around if faces[place].recording != recording), around[0])


def crop_of(dataset: Dataset, file: int) -> bytes:
    """The canonical crop of a file's face, WebP."""
    query = "SELECT webp FROM crops WHERE video_id = ? AND kind = 'canonical'"
    return bytes(dataset.connection.execute(query, (file,)).fetchone()[0])
