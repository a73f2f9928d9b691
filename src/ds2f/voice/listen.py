"""A recording to what a model hears of it: the descriptions that it was trained on, of a clip as long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from ds2f.config import Audio
from ds2f.errors import ItemError, UserError
from ds2f.media import decode
from ds2f.types import SAMPLE_RATE
from ds2f.voice.activity import VoiceActivity, cut, find_speech
from ds2f.voice.base import SpeakerEncoder, embed_one


class Listener:
    """names: speaker encoders by the names of their rows, and "acoustics"; seconds: of the clip that is described.

    Raises UserError for an encoder that `audio.encoders` does not say how to load.
    """

    def __init__(self, names: Sequence[str], seconds: float, audio: Audio | None = None) -> None:
        from ds2f.voice.encoders import name_of

        self.audio, self.seconds = audio or Audio(), seconds
        specs = {"resemblyzer": "resemblyzer", **{name_of(spec): spec for spec in self.audio.encoders}}
        for name in names:
            if name != "acoustics" and name not in specs:
                raise UserError(f"The model hears {name}; say where it lies in [audio] encoders of ds2f.toml.")
        self._specs = {name: specs.get(name, "") for name in names}

    @cached_property
    def _activity(self) -> VoiceActivity:
        return VoiceActivity()

    @cached_property
    def _encoders(self) -> Mapping[str, SpeakerEncoder]:
        from ds2f.voice.encoders import load

        return {name: load(spec) for name, spec in self._specs.items() if spec}

    def hear(self, path: Path) -> dict[str, np.ndarray]:
        """A file, sound or video, to {name: (d,) float32}.

        Raises ItemError if it is missing, damaged, silent, or holds too little speech.
        """
        media = decode(path, frames=0, max_seconds=self.audio.max_seconds)
        if not media.has_audio:
            raise ItemError("audio", "a video without sound" if media.has_video else "there is no sound in it")
        speech = find_speech(media.audio, self._activity.probabilities(media.audio), self.audio.min_speech)
        clip = cut(speech, self.seconds).audio
        found = {name: embed_one(encoder, clip) for name, encoder in self._encoders.items()}
        if "acoustics" in self._specs:
            from ds2f.voice.acoustics import measure

            kept = round(self.audio.keep_seconds * SAMPLE_RATE)
            found["acoustics"] = np.array(list(measure(speech.audio[:kept]).values()), np.float32)
        return {name: found[name] for name in self._specs}
