"""Pairs of a voice and a face of one person, the training data of the prior and the alignment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ds2f.dataset import Dataset
from ds2f.dataset.faces import lengths_of_voices
from ds2f.dataset.recordings import stored_voices
from ds2f.dataset.vectors import Zeros, pictured, read_faces, read_voices, voiced
from ds2f.errors import UserError
from ds2f.models.conditioning import Condition
from ds2f.models.linear import BLOCK
from ds2f.models.voices import VoiceInputs
from ds2f.types import ACOUSTICS, ETHNICITIES, VOICE, Attributes

MIN_PAIRS = 20


@dataclass(frozen=True)
class Looks:
    """A model's estimates for n faces. age: (n,) years; female: (n,) and ethnicity: (n, 5) probabilities; NaN where
    missing."""

    age: np.ndarray
    female: np.ndarray
    ethnicity: np.ndarray

    @classmethod
    def unknown(cls, count: int) -> Looks:
        """For this many faces, of which nothing is known."""
        return cls(*(np.full((count, *shape), np.nan, np.float32) for shape in ((), (), (len(ETHNICITIES),))))

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
        """(n,) int: indices into types.GENDERS, -1 where unknown."""
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
    """m faces of people whose voices and faces may be paired freely. identity: (m, di) float32; person: (m,) int,
    ascending; looks: of the m."""

    identity: np.ndarray
    person: np.ndarray
    looks: Looks

    def places(self, person: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n,) people to the index of each person's first row and the number of their rows, 0 for people without
        any."""
        first = np.searchsorted(self.person, person)
        return first, np.searchsorted(self.person, person, "right") - first


@dataclass(frozen=True)
class PairData:
    """n rows, one per voice. voices: {encoder or "acoustics": (n, d)}; identity: (n, di) float32, of the face in the
    same file, or else the mean of the person's faces; person: (n,) int; looks: of these faces, unknown for a mean;
    faces: of people whose voices and faces may be paired freely, None if every voice keeps the face of its own file.
    Pairs of such a person are drawn, see `draw` and `sample`, and never enumerated. zeros: creates arrays of n vectors,
    in memory or, see `packed.FileZeros`, in a file."""

    voices: dict[str, Condition]
    identity: np.ndarray
    person: np.ndarray
    looks: Looks
    faces: Faces | None = None
    zeros: Zeros = np.zeros

    def __len__(self) -> int:
        return len(self.identity)

    @property
    def dims(self) -> dict[str, int]:
        """{encoder or "acoustics": length}."""
        return {name: c.value.shape[1] for name, c in self.voices.items()}

    def rows(self, rows: np.ndarray) -> PairData:
        """Chosen rows. rows: bool mask or indices."""
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        voices = {
            name: Condition(torch.from_numpy(self._taken(c.value.numpy(), rows)), c.given[torch.from_numpy(rows)])
            for name, c in self.voices.items()
        }
        chosen = self._taken(self.identity, rows), self.person[rows], self.looks.rows(rows)
        return PairData(voices, *chosen, self.faces, self.zeros)

    def _taken(self, values: np.ndarray, rows: np.ndarray) -> np.ndarray:
        found = self.zeros((len(rows), values.shape[1]), values.dtype)
        for part in blocks(len(rows)):
            found[part] = values[rows[part]]
        return found

    def heard(self, inputs: VoiceInputs) -> np.ndarray:
        """(n, d) float32: the voices as a model's input."""
        return heard(self.voices, inputs, self.zeros)

    def draw(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """(k,) rows to (k,) int64 indices into `faces`: any of the person's, -1 for the face of the same file."""
        if self.faces is None:
            return torch.full_like(rows, -1)
        first, count = (torch.from_numpy(place) for place in self.faces.places(self.person[rows.numpy()]))
        picked = first + (torch.rand(len(rows), generator=generator) * count).long()
        return torch.where(count > 0, picked, -1)

    def sample(self, seed: int = 0, most: int | None = None) -> PairData:
        """With one face for every voice, drawn with `seed`; if there are more than `most` rows, that many are drawn."""
        data = self
        if most is not None and len(self) > most:
            data = self.rows(np.sort(np.random.default_rng(seed).permutation(len(self))[:most]))
        if data.faces is None:
            return data
        drawn = data.draw(torch.arange(len(data)), torch.Generator().manual_seed(seed)).numpy()
        own = drawn < 0
        identity = self.zeros(data.identity.shape, np.float32)
        for part in blocks(len(data)):
            identity[part] = np.where(own[part, None], data.identity[part], data.faces.identity[drawn[part]])
        looks = data.looks.where(own, data.faces.looks.rows(drawn))
        return PairData(data.voices, identity, data.person, looks, zeros=self.zeros)

    def alike(self, seed: int = 0) -> PairData:
        """Every person with the mean number of rows per person, rounded up: rows are repeated for people with fewer,
        and drawn for people with more."""
        each = -(-len(self) // len(np.unique(self.person)))
        order = np.random.default_rng(seed).permutation(len(self))
        ends = np.cumsum(np.unique(self.person, return_counts=True)[1])
        by_person = np.split(order[np.argsort(self.person[order], kind="stable")], ends[:-1])
        return self.rows(np.concatenate([np.resize(rows, each) for rows in by_person]))


def heard(voices: dict[str, Condition], inputs: VoiceInputs, zeros: Zeros = np.zeros) -> np.ndarray:
    """(n, d) float32: voices as a model's input.

    voices: {encoder or "acoustics": (n, d)}.
    inputs: the model's.
    zeros: creates the array.
    """
    if not inputs.several:
        return inputs(voices).numpy()
    count = len(next(iter(voices.values())).value)
    found = zeros((count, inputs.dim), np.float32)
    for part in blocks(count):
        found[part] = inputs({name: Condition(c.value[part], c.given[part]) for name, c in voices.items()}).numpy()
    return found


def folds(person: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """(n,) int: which of `count` folds each row is in; a person is in one. person: (n,) int."""
    parts: np.ndarray = np.random.default_rng(seed).permutation(int(person.max()) + 1) % count
    return parts[person]


def blocks(count: int) -> Iterator[slice]:
    """Successive ranges of BLOCK rows each."""
    return (slice(start, start + BLOCK) for start in range(0, count, BLOCK))


def load_pairs(
    dataset: Dataset,
    split: str,
    voices: Sequence[str] = (VOICE,),
    at_least: int = MIN_PAIRS,
    zeros: Zeros = np.zeros,
) -> PairData:
    """Voices of a split that are stored for the first of `voices` (the others may be missing), with faces of the same
    people. A video's voice is paired with its own face; but if a person also has sounds or still pictures, any of their
    voices may be paired with any of their faces.

    dataset: to read from.
    split: train, val or test.
    voices: speaker encoders, and "acoustics".
    at_least: minimum number of voices; of more than one, not all may be of one person.
    zeros: creates the arrays of vectors.
    Raises UserError for a name in `voices` without stored rows of the first one's clip length, and for fewer than
    `at_least` voices.
    """
    seconds = dataset.clip_seconds(voices[0])
    check_voices(dataset, voices, seconds)
    videos, sounds = (voiced(dataset, split, kind, voices[0], seconds) for kind in ("video", "sound"))
    stills = pictured(dataset, split)
    shown = np.concatenate([videos, stills])
    rows = np.concatenate([videos, sounds[np.isin(sounds[:, 1], shown[:, 1])]])
    if len(rows) < at_least:
        raise UserError(
            f"{dataset.path} has {len(rows)} pairs of voice and face in split {split!r}, at least {at_least} are "
            "needed; run `ds2f extract` first, or ingest more videos, or sounds and pictures of the same people."
        )
    everybody, first, person = np.unique(rows[:, 1], return_index=True, return_inverse=True)
    if at_least > 1 and len(everybody) < 2:
        raise UserError(
            f"All {len(rows)} pairs of voice and face in split {split!r} of {dataset.path} are of one person, and "
            "people can only be told apart from others; ingest more people."
        )
    person = np.argsort(np.argsort(first))[person]  # people are numbered in order of appearance
    of = dict(zip(rows[first, 1].tolist(), np.argsort(np.argsort(first)).tolist(), strict=True))
    several = np.union1d(sounds[:, 1], stills[:, 1])
    any_face = shown[np.isin(shown[:, 1], several) & np.isin(shown[:, 1], everybody)]
    free = _free(dataset, any_face[:, 0], np.array([of[p] for p in any_face[:, 1].tolist()], np.int64), zeros)
    own = ~np.isin(rows[:, 1], several)
    own[len(videos) :] = False
    identity, looks = _own(dataset, rows[:, 0], own, free, person, zeros)
    heard = read_voices(dataset, rows[:, 0], voices, seconds, zeros)
    told = {name: Condition(torch.from_numpy(v), torch.from_numpy(there)) for name, (v, there) in heard.items()}
    return PairData(told, identity, person, looks, free, zeros)


def _free(dataset: Dataset, files: np.ndarray, person: np.ndarray, zeros: Zeros) -> Faces | None:
    """Faces that may be paired with any voice of their person, people in ascending order."""
    if not len(files):
        return None
    order = np.argsort(person, kind="stable")
    identity, looks = _read(dataset, files[order], zeros)
    return Faces(identity, person[order], looks)


def _own(
    dataset: Dataset,
    files: np.ndarray,
    own: np.ndarray,
    free: Faces | None,
    person: np.ndarray,
    zeros: Zeros,
) -> tuple[np.ndarray, Looks]:
    """The face of each row: that of its own file, or if any may be used, the mean of the person's.

    The linear maps learn from this: for a fixed voice, the squared error over all of a person's faces differs from that
    for their mean by a constant, so these n rows represent all pairs.

    dataset: to read from.
    files: (n,) int64.
    own: (n,) bool, whether the face is the file's own.
    free: faces of people whose faces may be paired freely.
    person: (n,) int64.
    zeros: creates the arrays.
    """
    seen, looks_of = _read(dataset, files[own], zeros)
    if free is None:
        return seen, looks_of
    length = seen.shape[1] if len(seen) else free.identity.shape[1]
    identity, looks = zeros((len(files), length), np.float32), Looks.unknown(len(files))
    identity[own] = seen.reshape(-1, length)  # shape (0, 0) if there are no files
    looks.age[own], looks.female[own], looks.ethnicity[own] = looks_of.age, looks_of.female, looks_of.ethnicity
    chosen, starts = np.unique(free.person, return_index=True)
    mean = np.stack([part.mean(0) for part in np.split(free.identity, starts[1:])])
    others = np.flatnonzero(~own)
    for part in blocks(len(others)):
        identity[others[part]] = mean[np.searchsorted(chosen, person[others[part]])]
    return identity, looks


def _read(dataset: Dataset, files: np.ndarray, zeros: Zeros) -> tuple[np.ndarray, Looks]:
    """(n, d) float32 identities, and a model's estimates for the same faces."""
    identity, looks = np.zeros((0, 0), np.float32), Looks.unknown(len(files))
    for place, vector, attributes in read_faces(dataset, files):
        if not len(identity):
            identity = zeros((len(files), len(vector)), np.float32)
        identity[place] = vector
        if attributes is not None:
            of = Looks.of([attributes])
            looks.age[place], looks.female[place], looks.ethnicity[place] = of.age[0], of.female[0], of.ethnicity[0]
    return identity, looks


def check_voices(dataset: Dataset, voices: Sequence[str], seconds: float) -> None:
    """Raises UserError unless every name in `voices` has rows in the dataset, of clips of this length, and the first is
    a speaker encoder."""
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
    lengths = lengths_of_voices(dataset, voices, seconds)
    for name in voices:
        if name not in lengths:
            raise UserError(
                f"{dataset.path} has no voices of {name} of {seconds:g} s; add {seconds:g} to [audio] clip_seconds, "
                "and run `ds2f extract` again."
            )
