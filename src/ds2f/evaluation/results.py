"""What an evaluation found. `metrics.json` is the `Evaluation` below, field by field, by the same names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

VERSION = 1
"""Of metrics.json; counts up when a name or its meaning changes."""


@dataclass(frozen=True)
class Measure:
    """A number and its 95 % bootstrap interval over people; no interval where it is known exactly."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Retrieval:
    """r_at_1, r_at_5, r_at_10: share of clips in [0, 1] whose true face is among the nearest k of the
    gallery; median_rank: 1 is best; mrr: mean of 1 / rank, in (0, 1]. See `retrieval` for the protocol."""

    r_at_1: Measure
    r_at_5: Measure
    r_at_10: Measure
    median_rank: Measure
    mrr: Measure


@dataclass(frozen=True)
class Distances:
    """Mean distance from the generated to the true identity vector, over clips that have a generated face:
    the smaller, the more alike. cosine in [0, 2] (not centred); l1, l2 in the units of the face encoder."""

    cosine: Measure
    l1: Measure
    l2: Measure


@dataclass(frozen=True)
class MethodResult:
    """One row of the tables.

    kind: images or baseline; source: the folder, or what the baseline is; faces: clips with a generated face;
    missing: clips without a picture; faceless: pictures without a usable face (both count as chance in
    retrieval); euclidean, centred_cosine: retrieval by that distance, centred by the mean identity of the
    train split; distances: None if no clip has a face; ranks: one per clip, Euclidean, halves where faces
    tie; generation: what generation.json of the folder says, empty without one.
    """

    name: str
    kind: str
    source: str
    faces: int
    missing: int
    faceless: int
    euclidean: Retrieval
    centred_cosine: Retrieval
    distances: Distances | None
    ranks: tuple[float, ...]
    generation: dict[str, Any]


@dataclass(frozen=True)
class Evaluation:
    """version: see VERSION; database, fingerprint: the dataset, and the hash of which clips are in which
    split; clips, people, gallery: of the measured split, gallery being the median number of faces that a
    query chooses from; train_clips, train_people: of the split that the baselines learnt from; bootstrap,
    seed: of the intervals and the random face; versions: of ds2f and the packages that measured; paths: the
    clips, in the order of every `ranks`."""

    version: int
    database: str
    fingerprint: str
    split: str
    clips: int
    people: int
    gallery: float
    train_clips: int
    train_people: int
    bootstrap: int
    seed: int
    voice_encoder: str
    face_encoder: str
    versions: dict[str, str]
    chance: Retrieval
    methods: tuple[MethodResult, ...]
    paths: tuple[str, ...]
    metrics_file: Path
    report_file: Path
