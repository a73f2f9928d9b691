"""From a recording to what is said in it and the speaker's vector: what command line, API and page hear by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TypeAlias

import numpy as np

from ds2f.config import Audio
from ds2f.errors import ItemError, UserError
from ds2f.io.media import decode, resample
from ds2f.types import SAMPLE_RATE, VOICE, Speech
from ds2f.voice import acoustics
from ds2f.voice.activity import VoiceActivity, cut, find_speech
from ds2f.voice.base import SpeakerEncoder, embed_one
from ds2f.voice.encoders import INCLUDED, load, name_of

ACOUSTICS = "acoustics"

Recording: TypeAlias = str | Path | bytes | bytearray | tuple[np.ndarray, int]
"""A path, the bytes of a file, or (samples, rate in Hz) as `media.resample` takes them."""


@dataclass(frozen=True)
class Heard:
    """speech: pauses cut out; voices: {speaker encoder or "acoustics": (d,) float32}, of a clip of it."""

    speech: Speech
    voices: dict[str, np.ndarray]


class Listener:
    """Finds speech and describes its speaker. Any thread may call it; they take turns, as the models carry state."""

    def __init__(self, audio: Audio, clip_seconds: float, names: Sequence[str] = (VOICE,)) -> None:
        """clip_seconds: length of the clip that is embedded; speech is cut or looped to it. names: of speaker encoders,
        as their rows in a database have them, and "acoustics".
        """
        self.audio, self.clip_seconds, self.names = audio, clip_seconds, tuple(names)
        self._turn = Lock()
        self._activity: VoiceActivity | None = None
        self._encoders: dict[str, SpeakerEncoder] = {}

    @cached_property
    def known(self) -> dict[str, str]:
        """{speaker encoder: how it is loaded}: those in the box, and what `audio.encoders` says."""
        return {name: name for name in INCLUDED} | {name_of(spec): spec for spec in self.audio.encoders}

    def check(self, names: Sequence[str] | None = None) -> None:
        """Raises UserError for a name, None: of its own, of which nothing says how it is loaded.

        Not asked for before something is heard: voices that a database holds need no encoder.
        """
        for name in self.names if names is None else names:
            if name not in self.known and name != ACOUSTICS:
                raise UserError(f"The model hears {name}; say where it lies in [audio] encoders of ds2f.toml.")

    def hear(self, recording: Recording, names: Sequence[str] | None = None) -> Heard:
        """names: of descriptions, None: its own. Raises ItemError if the recording is missing, damaged, silent, or
        holds too little speech; UserError as `check` does."""
        names = self.names if names is None else names
        self.check(names)
        sound = self._sound(recording)
        with self._turn:
            self._activity = self._activity or VoiceActivity()
            encoders = {name: self._encoder(name) for name in names if name != ACOUSTICS}
            speech = find_speech(sound, self._activity.probabilities(sound), self.audio.min_speech)
            clip = cut(speech, self.clip_seconds).audio
            found = {name: embed_one(encoder, clip) for name, encoder in encoders.items()}
        if ACOUSTICS in names:
            kept = speech.audio[: round(self.audio.keep_seconds * SAMPLE_RATE)]
            found[ACOUSTICS] = np.array(list(acoustics.measure(kept).values()), np.float32)
        return Heard(speech, {name: found[name] for name in names})

    def _encoder(self, name: str) -> SpeakerEncoder:
        if name not in self._encoders:
            self._encoders[name] = load(self.known[name])
        return self._encoders[name]

    def _sound(self, recording: Recording) -> np.ndarray:
        if isinstance(recording, tuple):
            return resample(*recording)[: int(self.audio.max_seconds * SAMPLE_RATE)]
        source = bytes(recording) if isinstance(recording, bytes | bytearray) else Path(recording)
        media = decode(source, frames=0, max_seconds=self.audio.max_seconds)
        if not media.has_audio:
            raise ItemError("audio", "a video without sound" if media.has_video else "there is no sound in it")
        return media.audio
