"""The sound of a recording, read in parts as needed: first its start, then later parts."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from ds2f.config import Audio
from ds2f.errors import ItemError
from ds2f.io.media import decode, sound_of
from ds2f.io.parts import Stored
from ds2f.io.sound import resample
from ds2f.io.streams import Choice
from ds2f.types import SAMPLE_RATE, Media

Recording: TypeAlias = str | Path | bytes | bytearray | tuple[np.ndarray, int]
"""A path, the bytes of a file, or (samples, rate in Hz) as `media.resample` takes them."""

LATER = 8  # parts of a long recording that are searched besides its start


@dataclass(frozen=True)
class Sound:
    """part: function from a start time in seconds to `seconds` of sound, or as much as there is: (samples,) float32 at
    SAMPLE_RATE; length: total seconds."""

    part: Callable[[float], np.ndarray]
    length: float
    seconds: float

    def starts(self) -> list[float]:
        """Where the parts begin that are searched one after the other until there is enough speech: for a recording of
        at most LATER + 1 parts all of it, for a longer one its start and LATER others, spread over the rest."""
        rest = self.length - self.seconds
        if not self.in_parts:
            return [0.0]
        count = min(LATER, math.ceil(rest / self.seconds))
        step = self.seconds if count * self.seconds >= rest else (rest - self.seconds) / (count - 1)
        return [0.0, *(self.seconds + k * step for k in range(count))]

    @property
    def in_parts(self) -> bool:
        """Whether there is more than one part; half a second is too short to contain much, and lengths are rounded."""
        return self.length - self.seconds >= 0.5

    @property
    def heard_whole(self) -> bool:
        return len(self.starts()) * self.seconds >= self.length - 0.5


def sound_in(recording: Recording, audio: Audio) -> Sound:
    """Raises ItemError(stage="open" or "audio") if it is missing, damaged, or has no sound."""
    if isinstance(recording, tuple):
        if len(recording) != 2:
            raise ItemError("audio", "a tuple is (samples, rate in Hz); give several recordings as a list")
        whole, count = resample(*recording, audio.channel), round(audio.max_seconds * SAMPLE_RATE)

        def cut(start: float) -> np.ndarray:
            return whole[round(start * SAMPLE_RATE) :][:count]

        return Sound(cut, whole.size / SAMPLE_RATE, audio.max_seconds)
    if not isinstance(recording, str | Path | bytes | bytearray):
        raise ItemError(
            "open", f"a recording is a path, the bytes of a file, or (samples, rate), not {type(recording).__name__}"
        )
    source = bytes(recording) if isinstance(recording, bytes | bytearray) else Path(recording)
    if isinstance(source, Path) and source.is_fifo():  # a pipe, such as <(ffmpeg ...) in bash, can be read only once
        source = source.read_bytes()
    choice = Choice(audio=audio.stream, channel=audio.channel)
    return further(source, decode(source, 0, audio.max_seconds, choice=choice), audio.max_seconds, choice)


def further(
    source: Stored,
    media: Media,
    seconds: float,
    choice: Choice,
    start: float = 0.0,
    length: float | None = None,
) -> Sound:
    """The sound of a file that has been partly decoded.

    source: the file, as `media.decode` takes it.
    media: what was decoded first.
    seconds: length of a part; `media` holds as much, from `start` on.
    choice: the track and the channel.
    start: seconds into the file.
    length: seconds to read from `start` on, None: all.
    Raises ItemError(stage="audio") if there is none.
    """
    first = sound_of(media)

    def part(at: float) -> np.ndarray:
        found = first if at == 0 else sound_of(decode(source, 0, seconds, start=start + at, choice=choice))
        return found if length is None else found[: round((length - at) * SAMPLE_RATE)]

    return Sound(part, media.duration - start if length is None else length, seconds)
