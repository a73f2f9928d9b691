"""Recordings by voice: their speaker, the vectors of every encoder, and acoustic features."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ds2f.dataset.queries import Dataset, to_vector
from ds2f.dataset.schema import PERSON
from ds2f.types import ACOUSTICS
from ds2f.voice.acoustics import FEATURES


@dataclass(frozen=True)
class Spoken:
    """A file with at least one voice embedding.

    person: unique across all corpora; voices: {(encoder, clip seconds): (d,) float32}; acoustics: one float32 per
    `voice.acoustics.FEATURES`, NaN where not measurable; None if not measured at all.
    """

    video_id: int
    person: str
    voices: Mapping[tuple[str, float], np.ndarray]
    acoustics: np.ndarray | None

    def heard(self, name: str, seconds: float) -> np.ndarray | None:
        """The voice as encoder `name` (or "acoustics") describes it; None if that is not stored."""
        return self.acoustics if name == ACOUSTICS else self.voices.get((name, seconds))


def spoken(dataset: Dataset, split: str | None = None, kind: str | None = None) -> list[Spoken]:
    """All voices of a split (None: of all splits), with or without a face, in the fixed order of their paths. kind: of
    files, such as sound; None for all."""
    voices: dict[int, dict[tuple[str, float], np.ndarray]] = {}
    for r in dataset.connection.execute(
        "SELECT v.id, e.encoder, e.seconds, e.vector FROM videos v JOIN identities i ON i.id = v.identity_id"
        " AND (? IS NULL OR i.split = ?) JOIN voice_embeddings e ON e.video_id = v.id WHERE ? IS NULL OR v.kind = ?",
        (split, split, kind, kind),
    ):
        voices.setdefault(r["id"], {})[r["encoder"], r["seconds"]] = to_vector(r["vector"])
    acoustics = acoustics_of(dataset, split)
    rows = dataset.connection.execute(
        "SELECT v.id, p.corpus || '/' || p.name AS person FROM videos v JOIN identities i ON i.id = v.identity_id"
        f" JOIN identities p ON p.id = {PERSON} WHERE (? IS NULL OR i.split = ?) AND v.kind <> 'still'"
        " ORDER BY v.path, v.id",
        (split, split),
    )
    return [Spoken(r["id"], r["person"], voices[r["id"]], acoustics.get(r["id"])) for r in rows if r["id"] in voices]


def acoustics_of(dataset: Dataset, split: str | None = None) -> dict[int, np.ndarray]:
    """{video id: one float32 per `voice.acoustics.FEATURES`, NaN where not measurable} for a split, or for all if
    None."""
    rows = dataset.connection.execute(
        "SELECT a.* FROM acoustics a JOIN videos v ON v.id = a.video_id"
        " JOIN identities i ON i.id = v.identity_id AND (? IS NULL OR i.split = ?)",
        (split, split),
    )
    return {r["video_id"]: features_of(r) for r in rows}


def features_of(row: sqlite3.Row) -> np.ndarray:
    """(features,) float32 for a row of the table acoustics, NaN where not measurable; files of an earlier version lack
    newer features."""
    return np.array([row[f.name] if f.name in row.keys() else None for f in FEATURES], np.float32)  # noqa: SIM118


def stored_voices(dataset: Dataset) -> list[str]:
    """Names that `Spoken.heard` accepts: encoders with rows, and "acoustics" if any are stored."""
    sql = dataset.connection
    encoders = [r[0] for r in sql.execute("SELECT DISTINCT encoder FROM voice_embeddings ORDER BY 1")]
    measured = sql.execute("SELECT EXISTS (SELECT 1 FROM acoustics)").fetchone()[0]
    return [*encoders, *([ACOUSTICS] if measured else [])]
