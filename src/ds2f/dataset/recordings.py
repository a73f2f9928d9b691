"""Recordings with all that is known of their speaker: what the models between voice and face learn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ds2f.dataset.queries import Dataset, parse_attributes, to_vector
from ds2f.dataset.schema import PERSON
from ds2f.types import Attributes
from ds2f.voice.acoustics import FEATURES

ACOUSTICS = "acoustics"


@dataclass(frozen=True)
class Recording:
    """A file with a face and at least one voice embedding.

    person: unique over all corpora; identity: (d,) float32; voices: {(encoder, clip seconds): (d,) float32}; acoustics:
    one float32 per `voice.acoustics.FEATURES`, NaN where not measurable, None where not measured at all; attributes:
    what a model thinks of the face.
    """

    video_id: int
    person: str
    identity: np.ndarray
    voices: Mapping[tuple[str, float], np.ndarray]
    acoustics: np.ndarray | None = None
    attributes: Attributes | None = None

    def heard(self, name: str, seconds: float) -> np.ndarray | None:
        """The voice as encoder `name` (or "acoustics") describes it; None where that is not stored."""
        return self.acoustics if name == ACOUSTICS else self.voices.get((name, seconds))


def recordings(
    dataset: Dataset, split: str | None = None, face: str = "dlib", attributes: str | None = None
) -> list[Recording]:
    """Recordings of a split (None: of all), in the fixed order of their paths. face, attributes: whose vectors and
    estimates to read, None for `Dataset.attribute_model`."""
    sql = dataset.connection
    chosen = " FROM videos v JOIN identities i ON i.id = v.identity_id AND (? IS NULL OR i.split = ?) JOIN "
    voices: dict[int, dict[tuple[str, float], np.ndarray]] = {}
    for r in sql.execute(
        f"SELECT v.id, e.encoder, e.seconds, e.vector{chosen} voice_embeddings e ON e.video_id = v.id", (split, split)
    ):
        voices.setdefault(r["id"], {})[r["encoder"], r["seconds"]] = to_vector(r["vector"])
    acoustics = acoustics_of(dataset, split)
    rows = sql.execute(
        "SELECT v.id, p.corpus || '/' || p.name AS person, e.vector, (SELECT json_group_object(attribute,"
        " json_array(value, json(distribution))) FROM face_attributes a WHERE a.video_id = v.id AND a.model = ?)"
        f" AS attributes{chosen} face_embeddings e ON e.video_id = v.id AND e.encoder = ?"
        f" JOIN identities p ON p.id = {PERSON} WHERE EXISTS (SELECT 1 FROM voice_embeddings o WHERE o.video_id = v.id)"
        " ORDER BY v.path, v.id",
        (attributes or dataset.attribute_model(), split, split, face),
    )
    return [
        Recording(
            r["id"],
            r["person"],
            to_vector(r["vector"]),
            voices[r["id"]],
            acoustics.get(r["id"]),
            parse_attributes(r["attributes"]),
        )
        for r in rows
    ]


def acoustics_of(dataset: Dataset, split: str | None = None) -> dict[int, np.ndarray]:
    """{video id: one float32 per `voice.acoustics.FEATURES`, NaN where not measurable} of a split, None: of all."""
    rows = dataset.connection.execute(
        "SELECT a.* FROM acoustics a JOIN videos v ON v.id = a.video_id"
        " JOIN identities i ON i.id = v.identity_id AND (? IS NULL OR i.split = ?)",
        (split, split),
    )
    return {
        r["video_id"]: np.array([r[f.name] if f.name in r.keys() else None for f in FEATURES], np.float32)  # noqa: SIM118
        for r in rows
    }  # None becomes NaN; files of an earlier version lack later features


def stored_voices(dataset: Dataset) -> list[str]:
    """Names that `Recording.heard` may be asked for: encoders with rows, and "acoustics" if any are measured."""
    sql = dataset.connection
    encoders = [r[0] for r in sql.execute("SELECT DISTINCT encoder FROM voice_embeddings ORDER BY 1")]
    measured = sql.execute("SELECT EXISTS (SELECT 1 FROM acoustics)").fetchone()[0]
    return [*encoders, *([ACOUSTICS] if measured else [])]
