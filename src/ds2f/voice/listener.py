"""From a recording to what is said in it and the speaker's vector: what command line, API and page hear by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TypeAlias

import numpy as np

from ds2f.config import Audio
from ds2f.errors import ItemError
from ds2f.media import decode, resample
from ds2f.types import SAMPLE_RATE, Speech
from ds2f.voice.activity import VoiceActivity, cut, find_speech
from ds2f.voice.base import embed_one
from ds2f.voice.resemblyzer import Resemblyzer

Recording: TypeAlias = str | Path | bytes | bytearray | tuple[np.ndarray, int]
"""A path, the bytes of a file, or (samples, rate in Hz) as `media.resample` takes them."""


@dataclass(frozen=True)
class Heard:
    """speech: pauses cut out; voice: (256,) float32 speaker embedding of a clip of it."""

    speech: Speech
    voice: np.ndarray


class Listener:
    """Finds speech and embeds its speaker. Any thread may call it; they take turns, as the models carry state."""

    def __init__(self, audio: Audio, clip_seconds: float) -> None:
        """clip_seconds: length of the clip that is embedded; speech is cut or looped to it."""
        self.audio, self.clip_seconds = audio, clip_seconds
        self._turn = Lock()
        self._models: tuple[VoiceActivity, Resemblyzer] | None = None

    def hear(self, recording: Recording) -> Heard:
        """Raises ItemError if the recording is missing, damaged, silent, or holds too little speech."""
        sound = self._sound(recording)
        with self._turn:
            if self._models is None:
                self._models = VoiceActivity(), Resemblyzer()
            activity, encoder = self._models
            speech = find_speech(sound, activity.probabilities(sound), self.audio.min_speech)
            return Heard(speech, embed_one(encoder, cut(speech, self.clip_seconds).audio))

    def _sound(self, recording: Recording) -> np.ndarray:
        if isinstance(recording, tuple):
            return resample(*recording)[: int(self.audio.max_seconds * SAMPLE_RATE)]
        source = bytes(recording) if isinstance(recording, bytes | bytearray) else Path(recording)
        media = decode(source, frames=0, max_seconds=self.audio.max_seconds)
        if not media.has_audio:
            raise ItemError("audio", "a video without sound" if media.has_video else "there is no sound in it")
        return media.audio
