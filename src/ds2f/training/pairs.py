"""Pairs of a voice and a face of one person, as the prior and the alignment learn from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ds2f.dataset import Dataset
from ds2f.dataset.recordings import ACOUSTICS, Portrait, Recording, Spoken, portraits, recordings, spoken, stored_voices
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

    def where(self, chosen: np.ndarray, others: Looks) -> Looks:
        """These where `chosen`, (n,) bool, and `others` elsewhere."""
        return Looks(
            np.where(chosen, self.age, others.age),
            np.where(chosen, self.female, others.female),
            np.where(chosen[:, None], self.ethnicity, others.ethnicity),
        )


@dataclass(frozen=True)
class Faces:
    """m faces of people of whom any voice goes with any face. identity: (m, di) float32; person: (m,) int, ascending;
    looks: of the m."""

    identity: np.ndarray
    person: np.ndarray
    looks: Looks

    def places(self, person: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n,) people to the first row of each, and how many rows they have, 0 for others."""
        first = np.searchsorted(self.person, person)
        return first, np.searchsorted(self.person, person, "right") - first


@dataclass(frozen=True)
class PairData:
    """n rows, one per voice. voices: {encoder or "acoustics": (n, d)}; identity: (n, di) float32, of the face that is
    in the same file, or else the mean of the person's faces; person: (n,) int; looks: of these faces, not known of a
    mean one; faces: of people of whom any voice goes with any face, None where every voice keeps the face of its own
    file. The pairs of such a person are drawn, see `draw` and `sample`, and never laid out."""

    voices: dict[str, Condition]
    identity: np.ndarray
    person: np.ndarray
    looks: Looks
    faces: Faces | None = None

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
        return PairData(voices, self.identity[rows], self.person[rows], self.looks.rows(rows), self.faces)

    def draw(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """(k,) rows to (k,) int64 places in `faces`: any of the person's, -1 for the face of the same file."""
        if self.faces is None:
            return torch.full_like(rows, -1)
        first, count = (torch.from_numpy(place) for place in self.faces.places(self.person[rows.numpy()]))
        picked = first + (torch.rand(len(rows), generator=generator) * count).long()
        return torch.where(count > 0, picked, -1)

    def sample(self, seed: int = 0, most: int | None = None) -> PairData:
        """With one face for every voice, drawn by `seed`; of more than `most` rows, as many are drawn."""
        data = self
        if most is not None and len(self) > most:
            data = self.rows(np.sort(np.random.default_rng(seed).permutation(len(self))[:most]))
        if data.faces is None:
            return data
        drawn = data.draw(torch.arange(len(data)), torch.Generator().manual_seed(seed)).numpy()
        own = drawn < 0
        identity = np.where(own[:, None], data.identity, data.faces.identity[drawn])
        looks = data.looks.where(own, data.faces.looks.rows(drawn))
        return PairData(data.voices, identity, data.person, looks)

    def alike(self, seed: int = 0) -> PairData:
        """Every person with as many rows as people have voices on average, rounded up: those with fewer are repeated,
        of those with more as many are drawn."""
        each = -(-len(self) // len(np.unique(self.person)))
        order = np.random.default_rng(seed).permutation(len(self))
        ends = np.cumsum(np.unique(self.person, return_counts=True)[1])
        by_person = np.split(order[np.argsort(self.person[order], kind="stable")], ends[:-1])
        return self.rows(np.concatenate([np.resize(rows, each) for rows in by_person]))


def folds(person: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """(n,) int: in which of `count` parts each row lies; a person lies in one. person: (n,) int."""
    parts: np.ndarray = np.random.default_rng(seed).permutation(int(person.max()) + 1) % count
    return parts[person]


def load_pairs(dataset: Dataset, split: str, voices: Sequence[str] = (VOICE,), at_least: int = MIN_PAIRS) -> PairData:
    """Voices of a split, stored as the first of `voices` describes them (the others may be missing), with faces of the
    same people. A video's voice goes with its own face; but where a person has sounds or still pictures as well, any of
    their voices goes with any of their faces.

    Raises UserError for a description that nothing is stored of, and for fewer than `at_least` voices.
    """
    check_voices(dataset, voices)
    seconds = dataset.clip_seconds(voices[0])
    videos = [r for r in recordings(dataset, split) if r.heard(voices[0], seconds) is not None]
    sounds = [r for r in spoken(dataset, split, "sound") if r.heard(voices[0], seconds) is not None]
    faces: list[Recording | Portrait] = [*videos, *portraits(dataset, split)]
    shown = {face.person for face in faces}
    rows: list[Spoken] = [*videos, *(sound for sound in sounds if sound.person in shown)]
    if len(rows) < at_least:
        raise UserError(
            f"{dataset.path} has {len(rows)} pairs of voice and face in split {split!r}, at least {at_least} are "
            "needed; run `ds2f extract` first, or ingest more videos, or sounds and pictures of the same people."
        )
    people = {name: i for i, name in enumerate(dict.fromkeys(r.person for r in rows))}
    several = {sound.person for sound in sounds} | {face.person for face in faces if isinstance(face, Portrait)}
    free = _faces([face for face in faces if face.person in several and face.person in people], people)
    own = {r.video_id: r for r in videos if r.person not in several}
    person = np.array([people[r.person] for r in rows])
    identity = np.stack(
        [own[r.video_id].identity if r.video_id in own else _mean(free, people[r.person]) for r in rows]
    )
    looks = Looks.of([own[r.video_id].attributes if r.video_id in own else None for r in rows])
    return PairData(
        {name: given([r.heard(name, seconds) for r in rows]) for name in voices}, identity, person, looks, free
    )


def _faces(found: Sequence[Recording | Portrait], people: Mapping[str, int]) -> Faces | None:
    if not found:
        return None
    person = np.array([people[face.person] for face in found])
    order = np.argsort(person, kind="stable")
    chosen = [found[i] for i in order]
    return Faces(np.stack([face.identity for face in chosen]), person[order], Looks.of([f.attributes for f in chosen]))


def _mean(faces: Faces | None, person: int) -> np.ndarray:
    """What the linear maps learn from: for a fixed voice, the squared error over all of a person's faces differs from
    that to their mean by a constant, so these n rows stand for all pairs."""
    assert faces is not None
    first, count = faces.places(np.array([person]))
    mean: np.ndarray = faces.identity[first[0] : first[0] + count[0]].mean(0)
    return mean


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
