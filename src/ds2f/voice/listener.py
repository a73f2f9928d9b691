"""From a recording to what is said in it and the speaker's vector: what command line, API and page hear by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TypeAlias

import numpy as np

from ds2f.config import Audio
from ds2f.errors import ItemError, UserError
from ds2f.media import decode, resample
from ds2f.types import SAMPLE_RATE, Speech
from ds2f.voice import acoustics
from ds2f.voice.activity import VoiceActivity, cut, find_speech
from ds2f.voice.base import SpeakerEncoder, embed_one
from ds2f.voice.encoders import load, name_of

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

    def __init__(self, audio: Audio, clip_seconds: float, names: Sequence[str] = ("resemblyzer",)) -> None:
        """clip_seconds: length of the clip that is embedded; speech is cut or looped to it. names: of speaker encoders,
        as their rows in a database have them, and "acoustics".
        """
        self.audio, self.clip_seconds, self.names = audio, clip_seconds, tuple(names)
        self._turn = Lock()
        self._models: tuple[VoiceActivity, dict[str, SpeakerEncoder]] | None = None

    def check(self) -> dict[str, str]:
        """{speaker encoder: how it is loaded}. Raises UserError for one that `audio.encoders` does not say.

        Not asked for before something is heard: voices that a database holds need no encoder.
        """
        known = {"resemblyzer": "resemblyzer", **{name_of(spec): spec for spec in self.audio.encoders}}
        names = [name for name in self.names if name != ACOUSTICS]
        for name in names:
            if name not in known:
                raise UserError(f"The model hears {name}; say where it lies in [audio] encoders of ds2f.toml.")
        return {name: known[name] for name in names}

    def hear(self, recording: Recording) -> Heard:
        """Raises ItemError if the recording is missing, damaged, silent, or holds too little speech; UserError as
        `check` does."""
        specs, sound = self.check(), self._sound(recording)
        with self._turn:
            if self._models is None:
                self._models = VoiceActivity(), {name: load(spec) for name, spec in specs.items()}
            activity, encoders = self._models
            speech = find_speech(sound, activity.probabilities(sound), self.audio.min_speech)
            clip = cut(speech, self.clip_seconds).audio
            found = {name: embed_one(encoder, clip) for name, encoder in encoders.items()}
        if ACOUSTICS in self.names:
            kept = speech.audio[: round(self.audio.keep_seconds * SAMPLE_RATE)]
            found[ACOUSTICS] = np.array(list(acoustics.measure(kept).values()), np.float32)
        return Heard(speech, {name: found[name] for name in self.names})

    def _sound(self, recording: Recording) -> np.ndarray:
        if isinstance(recording, tuple):
            return resample(*recording)[: int(self.audio.max_seconds * SAMPLE_RATE)]
        source = bytes(recording) if isinstance(recording, bytes | bytearray) else Path(recording)
        media = decode(source, frames=0, max_seconds=self.audio.max_seconds)
        if not media.has_audio:
            raise ItemError("audio", "a video without sound" if media.has_video else "there is no sound in it")
        return media.audio
