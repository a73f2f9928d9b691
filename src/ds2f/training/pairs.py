"""Pairs of a voice and a face of one person, as the prior and the alignment learn from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ds2f.dataset import Dataset
from ds2f.dataset.recordings import ACOUSTICS, recordings, stored_voices
from ds2f.errors import UserError
from ds2f.models.conditioning import Condition
from ds2f.models.voices import given
from ds2f.types import ETHNICITIES, VOICE, Attributes

MIN_PAIRS = 20


@dataclass(frozen=True)
class Looks:
    """What a model reads off n faces. age: (n,) years; female: (n,) and ethnicity: (n, 5) probabilities; NaN where none
    did."""

    age: np.ndarray
    female: np.ndarray
    ethnicity: np.ndarray

    @classmethod
    def of(cls, found: Sequence[Attributes | None]) -> Looks:
        nothing = Attributes(np.nan, {}, {}, {})
        stated = [a or nothing for a in found]
        return cls(
            np.array([a.age for a in stated], np.float32),
            np.array([a.gender.get("female", np.nan) for a in stated], np.float32),
            np.array([[a.ethnicity.get(name, np.nan) for name in ETHNICITIES] for a in stated], np.float32),
        )

    @property
    def genders(self) -> np.ndarray:
        """(n,) int: places in types.GENDERS, -1 where not known."""
        return np.where(np.isnan(self.female), -1, self.female > 0.5).astype(int)

    def rows(self, rows: np.ndarray) -> Looks:
        return Looks(self.age[rows], self.female[rows], self.ethnicity[rows])


@dataclass(frozen=True)
class PairData:
    """n rows, one per clip. voices: {encoder or "acoustics": (n, d)}; identity: (n, di) float32; person: (n,) int,
    equal for clips of one person; looks: of the n faces."""

    voices: dict[str, Condition]
    identity: np.ndarray
    person: np.ndarray
    looks: Looks

    def __len__(self) -> int:
        return len(self.identity)

    @property
    def dims(self) -> dict[str, int]:
        """{encoder or "acoustics": length}."""
        return {name: c.value.shape[1] for name, c in self.voices.items()}

    def rows(self, rows: np.ndarray) -> PairData:
        """Chosen rows. rows: bool mask or indices."""
        chosen = torch.from_numpy(rows)
        voices = {name: Condition(c.value[chosen], c.given[chosen]) for name, c in self.voices.items()}
        return PairData(voices, self.identity[rows], self.person[rows], self.looks.rows(rows))


def folds(person: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """(n,) int: in which of `count` parts each row lies; a person lies in one. person: (n,) int."""
    parts: np.ndarray = np.random.default_rng(seed).permutation(int(person.max()) + 1) % count
    return parts[person]


def load_pairs(dataset: Dataset, split: str, voices: Sequence[str] = (VOICE,), at_least: int = MIN_PAIRS) -> PairData:
    """Clips of a split whose voice is stored as the first of `voices` describes it; the others may be missing.

    Raises UserError for a description that nothing is stored of, and for fewer than `at_least` recordings.
    """
    check_voices(dataset, voices)
    seconds = dataset.clip_seconds(voices[0])
    rows = [r for r in recordings(dataset, split) if r.heard(voices[0], seconds) is not None]
    if len(rows) < at_least:
        raise UserError(
            f"{dataset.path} has {len(rows)} pairs of voice and face in split {split!r}, at least {at_least} are "
            "needed; run `ds2f extract` first, or ingest more videos."
        )
    people = {name: i for i, name in enumerate(dict.fromkeys(r.person for r in rows))}
    return PairData(
        {name: given([r.heard(name, seconds) for r in rows]) for name in voices},
        np.stack([r.identity for r in rows]),
        np.array([people[r.person] for r in rows]),
        Looks.of([r.attributes for r in rows]),
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
