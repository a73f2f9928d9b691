"""Pairs of a voice and a face of one person, as the prior and the alignment learn from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch

from ds2f.dataset import Dataset
from ds2f.dataset.recordings import ACOUSTICS, Recording, recordings, stored_voices
from ds2f.errors import UserError
from ds2f.models.conditioning import Condition
from ds2f.models.voices import given
from ds2f.types import ETHNICITIES

MIN_PAIRS = 20


@dataclass(frozen=True)
class PairData:
    """n rows, one per clip. voices: {encoder or "acoustics": (n, d)}; identity: (n, di) float32; person: (n,) int,
    equal for clips of one person; age: (n,) years, female: (n,) and ethnicity: (n, 5) probabilities, as a model reads
    them off the face; NaN where none did."""

    voices: dict[str, Condition]
    identity: np.ndarray
    person: np.ndarray
    age: np.ndarray
    female: np.ndarray
    ethnicity: np.ndarray

    def __len__(self) -> int:
        return len(self.identity)

    @property
    def dims(self) -> dict[str, int]:
        """{encoder or "acoustics": length}."""
        return {name: c.value.shape[1] for name, c in self.voices.items()}

    def of(self, rows: np.ndarray) -> PairData:
        """The chosen rows. rows: bool mask or indices."""
        chosen = torch.from_numpy(rows)
        voices = {name: Condition(c.value[chosen], c.given[chosen]) for name, c in self.voices.items()}
        return PairData(voices, *(getattr(self, f.name)[rows] for f in fields(self)[1:]))


def load_pairs(
    dataset: Dataset,
    split: str,
    voices: Sequence[str] = ("resemblyzer",),
    at_least: int = MIN_PAIRS,
    every_length: bool = False,
) -> PairData:
    """Clips of a split whose voice is stored as the first of `voices` describes it; the others may be missing.

    every_length: all stored clip lengths of a recording, not only the one of `Dataset.clip_seconds`.
    Raises UserError for a description that nothing is stored of, and for fewer than `at_least` recordings.
    """
    check_voices(dataset, voices)
    main = dataset.clip_seconds(voices[0])
    found = [r for r in recordings(dataset, split) if r.heard(voices[0], main) is not None]
    if len(found) < at_least:
        raise UserError(
            f"{dataset.path} has {len(found)} pairs of voice and face in split {split!r}, at least {at_least} are "
            "needed; run `ds2f extract` first, or ingest more videos."
        )
    rows = [(r, main) for r in found]
    if every_length:
        rows += [(r, s) for r in found for name, s in sorted(r.voices) if name == voices[0] and s != main]
    return PairData(
        {name: given([r.heard(name, seconds) for r, seconds in rows]) for name in voices},
        *_faces([r for r, _ in rows]),
    )


def check_voices(dataset: Dataset, voices: Sequence[str]) -> None:
    """Raises UserError unless every name of `voices` has rows in the dataset, the first one of a speaker encoder."""
    if not voices or voices[0] == ACOUSTICS or len(set(voices)) < len(voices):
        raise UserError("[train] voices must name a speaker encoder first, and none twice; acoustics may follow.")
    stored = stored_voices(dataset)
    for name in voices:
        if name not in stored:
            key = "acoustics = true" if name == ACOUSTICS else "encoders"
            raise UserError(
                f"{dataset.path} has no rows of {name!r}, which [train] voices asks for; it has "
                f"{', '.join(stored) or 'none at all'}. Set [audio] {key} and run `ds2f extract`."
            )


def _faces(rows: Sequence[Recording]) -> tuple[np.ndarray, ...]:
    """identity, person, age, female, ethnicity."""
    people = {name: i for i, name in enumerate(dict.fromkeys(r.person for r in rows))}
    looks = [r.attributes for r in rows]
    return (
        np.stack([r.identity for r in rows]),
        np.array([people[r.person] for r in rows]),
        np.array([np.nan if a is None else a.age for a in looks], np.float32),
        np.array([np.nan if a is None else a.gender.get("female", np.nan) for a in looks], np.float32),
        np.array(
            [[np.nan if a is None else a.ethnicity.get(e, np.nan) for e in ETHNICITIES] for a in looks], np.float32
        ),
    )
