"""Which face goes with a voice, where the two need not come from one file.

A video pairs its own voice and face. A sound pairs with a face of its person, of a still picture or of a video, and is
a clip as much as a video is. Voices are never multiplied by faces: there are as many pairs as there are voices.
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
    """A face of somebody. file: its number; path: relative to its root; recording: that it was cut from."""

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
    """Every voice of a split with a face of its person, in the fixed order of the voices' paths: `Dataset.pairs`, and
    sounds. A sound has a face from another recording where its person has one; one after the other in a circle, so that
    the faces of a person serve about equally often.

    dataset: whose voices and faces.
    split: train, val or test; None for all.
    voice: the speaker encoder whose vectors a voice must have; None for `Dataset.voice_encoder`.
    faces: encoders that a face must have vectors of, at least one; a pair's identity is by the first.
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
    """A voice to draw a face for: file, root and path as of `Pair.video_id`, `Pair.root` and `Pair.path`; picture: as
    there."""

    file: int
    root: str
    path: str
    picture: str


def clips(dataset: Dataset, split: str | None, voice: str, seconds: float) -> list[Clip]:
    """Voices of a split, in the fixed order of their paths: of videos that show a face, and all sounds, whether their
    person's face is known or not. voice, seconds: speaker encoder and clip length that they must be stored by."""
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
    """{person: faces that have vectors of all `encoders`} of a split's people who have a voice, in the order of paths:
    still pictures, and videos with a voice of their own."""
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
    """Place of the next face behind place `after`, in a circle, that is not of `recording`; of the very next where all
    are. So voice and face share no channel, background or day."""
    around = [(after + step) % len(faces) for step in range(1, len(faces) + 1)]
    return next((place for place in around if faces[place].recording != recording), around[0])


def crop_of(dataset: Dataset, file: int) -> bytes:
    """The canonical crop of a file's face, WebP."""
    query = "SELECT webp FROM crops WHERE video_id = ? AND kind = 'canonical'"
    return bytes(dataset.connection.execute(query, (file,)).fetchone()[0])
