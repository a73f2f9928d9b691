"""What evaluation needs from the dataset besides pairs: facts about clips, all faces of each person, and leaks from
train."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ds2f.corpora import video_of
from ds2f.dataset.queries import Dataset, parse_attributes, to_vector
from ds2f.dataset.schema import ESTIMATES, LANGUAGE, PERSON
from ds2f.types import Attributes

_FULL_NAME = re.compile(r"^[^\W\d_]{2,}(?:[\s_.-]+[^\W\d_]+)+\.?$")  # Grace_Hopper, not id00017


@dataclass(frozen=True)
class ClipFacts:
    """labels: {attribute: value} as stated by the corpus; language: ISO 639-1, "" if unknown; recording: equal for
    clips cut from the same video."""

    labels: dict[str, str]
    language: str
    recording: str


def clip_facts(dataset: Dataset, split: str) -> dict[int, ClipFacts]:
    """{video id: facts} for the recordings of a split."""
    rows = dataset.connection.execute(
        "SELECT v.id, v.path, r.path AS root, i.corpus, (SELECT json_group_object(attribute, value) FROM labels l WHERE"
        f" l.video_id = v.id) AS labels, {LANGUAGE} AS language FROM videos v JOIN identities i ON i.id = v.identity_id"
        " JOIN roots r ON r.id = v.root_id WHERE i.split = ? AND v.kind <> 'still'",
        (split,),
    )
    return {
        int(r["id"]): ClipFacts(json.loads(r["labels"]), r["language"], recording_of(r["corpus"], r["path"], r["root"]))
        for r in rows
    }


def stated(dataset: Dataset, files: Iterable[int]) -> list[dict[str, str]]:
    """{attribute: value} that the corpus states for each file, in the order given."""
    query = "SELECT attribute, value FROM labels WHERE video_id = ?"
    return [dict(map(tuple, dataset.connection.execute(query, (file,)))) for file in files]


def estimates(dataset: Dataset, files: Iterable[int], model: str) -> list[Attributes | None]:
    """What an attribute model estimates for the face in each file, None where it saw none."""
    query = f"SELECT {ESTIMATES} FROM face_attributes WHERE video_id = ? AND model = ?"
    return [parse_attributes(dataset.connection.execute(query, (file, model)).fetchone()[0]) for file in files]


def recording_of(corpus: str, path: str, root: str = "") -> str:
    """A name for the video or session that a file was cut from: its YouTube id where the layout or the file name
    contains one, otherwise the file itself. root: what `path` is relative to."""
    return video_of(corpus, path) or f"{root or corpus}/{path}"


def faces_of_people(dataset: Dataset, split: str, encoder: str) -> dict[str, np.ndarray]:
    """{person: (k, d) identity vectors of all their faces, from videos and pictures of all corpora}, for the people of
    a split who have a voice."""
    rows = dataset.connection.execute(
        f"WITH heard AS (SELECT DISTINCT {PERSON} AS id FROM identities i WHERE i.split = ? AND EXISTS"
        " (SELECT 1 FROM videos r WHERE r.identity_id = i.id AND r.kind <> 'still'))"
        f" SELECT p.corpus || '/' || p.name AS person, fe.vector FROM identities i JOIN identities p ON p.id = {PERSON}"
        " JOIN videos v ON v.identity_id = i.id JOIN face_embeddings fe ON fe.video_id = v.id AND fe.encoder = ?"
        " WHERE i.split = ? AND p.id IN (SELECT id FROM heard) ORDER BY v.path, v.id",
        (split, encoder, split),
    )
    found: dict[str, list[np.ndarray]] = {}
    for r in rows:
        found.setdefault(r["person"], []).append(to_vector(r["vector"]))
    return {person: np.stack(vectors) for person, vectors in found.items()}


def crops_of_people(dataset: Dataset, split: str) -> dict[str, list[bytes]]:
    """{person: canonical crops, WebP, of all their faces, from videos and pictures of all corpora}, for a split."""
    rows = dataset.connection.execute(
        f"SELECT p.corpus || '/' || p.name AS person, c.webp FROM identities i JOIN identities p ON p.id = {PERSON}"
        " JOIN videos v ON v.identity_id = i.id JOIN crops c ON c.video_id = v.id AND c.kind ="
        " 'canonical' WHERE i.split = ? ORDER BY v.path, v.id",
        (split,),
    )
    found: dict[str, list[bytes]] = {}
    for r in rows:
        found.setdefault(r["person"], []).append(r["webp"])
    return found


def face_encoders(dataset: Dataset) -> list[str]:
    """Names of the face encoders whose vectors the dataset holds, most frequent first."""
    rows = dataset.connection.execute(
        "SELECT encoder FROM face_embeddings GROUP BY encoder ORDER BY count(*) DESC, encoder = 'dlib' DESC, encoder"
    )
    return [r[0] for r in rows]


def leaks(dataset: Dataset, split: str) -> list[str]:
    """What the evaluated split shares with train, one sentence per kind; empty if the split is train itself.

    People: those joined by a table of people, and those with the same full name in two corpora (numbered people can
    only be compared within one corpus, where nobody is divided between splits). Videos: the same YouTube id. Files:
    the same size and a bit-identical voice or face vector.
    """
    if split == "train":
        return []
    shared = {
        "people": _people(dataset, split),
        "videos": _videos(dataset, split),
        "files": _files(dataset, split),
    }
    return [
        f"{len(found)} {what} of {split} are also in train: {', '.join(found[:3])}{', ...' if len(found) > 3 else ''}"
        for what, found in shared.items()
        if found
    ]


def _people(dataset: Dataset, split: str) -> list[str]:
    names: dict[str, dict[str, str]] = {split: {}, "train": {}}
    for r in dataset.connection.execute("SELECT name, split FROM identities WHERE split IN (?, 'train')", (split,)):
        if _FULL_NAME.match(r["name"]):
            names[r["split"]][re.sub(r"[\s_.-]+", " ", r["name"]).casefold()] = r["name"]
    joined = dataset.connection.execute(
        "SELECT p.corpus || '/' || p.name FROM identities p WHERE p.id IN (SELECT person FROM"
        f" (SELECT {PERSON} AS person, i.split FROM identities i) GROUP BY person"
        " HAVING sum(split = ?) AND sum(split = 'train'))",
        (split,),
    )
    named = {names[split][key] for key in names[split].keys() & names["train"].keys()}
    return sorted(named | {row[0] for row in joined})


def _videos(dataset: Dataset, split: str) -> list[str]:
    rows = dataset.connection.execute(
        "SELECT i.corpus, v.path, v.kind, i.split FROM videos v JOIN identities i ON i.id = v.identity_id"
        " WHERE i.split IN (?, 'train')",
        (split,),
    )
    recordings: dict[str, set[str]] = {split: set(), "train": set()}
    for r in rows:
        if video := video_of(r["corpus"], r["path"], r["kind"]):
            recordings[r["split"]].add(video)
    return sorted(recordings[split] & recordings["train"])


def _files(dataset: Dataset, split: str) -> list[str]:
    """Extracted files of equal size whose vectors are equal. Each vector is read once and only a hash of those of
    `split` is kept, so the time grows with the number of files of a size, not with the number of their pairs."""
    found: set[tuple[str, str]] = set()
    for table, model in (("face_embeddings", "e.encoder"), ("voice_embeddings", "e.encoder || ' ' || e.seconds")):
        query = (
            f"SELECT v.path, v.size || ' ' || {model}, e.vector FROM {table} e JOIN videos v ON v.id = e.video_id"
            " JOIN identities i ON i.id = v.identity_id WHERE i.split = ?"
        )
        here: dict[bytes, list[str]] = {}
        for path, kind, vector in dataset.connection.execute(query, (split,)):
            here.setdefault(_hash(kind, vector), []).append(path)
        for other, kind, vector in dataset.connection.execute(query, ("train",)):
            found.update((path, other) for path in here.get(_hash(kind, vector), ()))
    return [f"{path} = {other}" for path, other in sorted(found)]


def _hash(kind: str, vector: bytes) -> bytes:
    return hashlib.blake2b(vector, digest_size=16, key=hashlib.blake2b(kind.encode(), digest_size=32).digest()).digest()
