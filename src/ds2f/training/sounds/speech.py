"""The stored speech of a split: random crops, from memory, or from the database if it does not fit there."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile

from ds2f.dataset import Dataset
from ds2f.dataset.speech import Sounds, spoken_files
from ds2f.errors import UserError
from ds2f.io.speech import decode, kind_of
from ds2f.types import Progress

EXPANDS = {"flac": 2.0, "opus": 3.4}  # bytes of sound per stored byte, approximately
FULL = 32768.0  # full scale of 16 bits


class Speech(Protocol):
    """Recordings, by number."""

    def crop(self, number: int, samples: int, place: float) -> np.ndarray:
        """(samples,) float32 of a recording, looped if it is shorter. place: in [0, 1), position within the possible
        starts."""
        ...


class InMemory:
    """See Speech. sounds: (samples,) int16 each."""

    def __init__(self, sounds: Sequence[np.ndarray]) -> None:
        self.sounds = sounds

    def crop(self, number: int, samples: int, place: float) -> np.ndarray:
        sound = self.sounds[number]
        start = int(place * max(1, len(sound) - samples + 1))
        return np.resize(sound[start : start + samples], samples).astype(np.float32) / np.float32(FULL)


class InFile:
    """See Speech. Reads only the crop; any thread may call it."""

    def __init__(self, database: Path, files: Sequence[int]) -> None:
        self.sounds, self.files = Sounds(database), files

    def crop(self, number: int, samples: int, place: float) -> np.ndarray:
        with soundfile.SoundFile(io.BytesIO(self.sounds[self.files[number]])) as file:
            file.seek(int(place * max(1, len(file) - samples + 1)))
            return np.resize(file.read(samples, dtype="float32"), samples)


@dataclass(frozen=True)
class Voices:
    """Recordings of some speakers. speech: of n recordings; person: (n,) int from 0, the speaker of each."""

    speech: Speech
    person: np.ndarray

    def __len__(self) -> int:
        return len(self.person)

    @property
    def people(self) -> int:
        return int(self.person.max(initial=-1)) + 1

    def by_person(self) -> list[np.ndarray]:
        """The numbers of everybody's recordings."""
        order = np.argsort(self.person, kind="stable")
        return np.split(order, np.cumsum(np.bincount(self.person, minlength=self.people))[:-1])


def load_voices(dataset: Dataset, split: str, memory: float, progress: Progress | None = None) -> Voices:
    """The speech of a split by person, from all corpora.

    memory: bytes that the decoded sound may take; beyond that, crops are read on demand; progress: called with
    (recordings decoded, total, "").
    """
    spoken, stored = spoken_files(dataset, split), Sounds(dataset.path)
    people = {person: number for number, person in enumerate(dict.fromkeys(row.person for row in spoken))}
    person = np.array([people[row.person] for row in spoken], int)
    kind = kind_of(stored[spoken[0].file]) if spoken else "flac"
    if EXPANDS[kind] * sum(row.size for row in spoken) > memory:
        return Voices(InFile(dataset.path, [row.file for row in spoken]), person)
    sounds = []
    for done, row in enumerate(spoken):
        sounds.append(np.round(decode(stored[row.file]) * FULL).astype(np.int16))
        if progress and done % 100 == 0:
            progress(done, len(spoken), "speech")
    return Voices(InMemory(sounds), person)


def check_speakers(voices: Voices, place: str) -> None:
    """Raises UserError unless there are two speakers with two recordings each, so that there is variation both within
    and between voices. place: where they were looked for, for the message."""
    several = int((np.bincount(voices.person, minlength=1) > 1).sum())
    if voices.people < 2:
        raise UserError(
            f"{place[:1].upper()}{place[1:]} has the speech of {voices.people} speakers; to tell voices apart takes "
            "two at least, of two recordings each. Ingest more (ds2f ingest FOLDER --kind voices), then run "
            "`ds2f extract`."
        )
    if several < 2:
        raise UserError(
            f"Of the {voices.people:,} speakers of {place} {several or 'none'} has two recordings; two at least must, "
            "or the encoder learns rooms and microphones in place of voices. Ingest more, then run `ds2f extract`."
        )
