"""The only path from a recording to its speaker's vectors, shared by extraction, drawing, verification and the page:

    recording ─ sound_in → sound ─ VoiceEncoder.search → speech without pauses ─ cut → clip ─ SpeakerEncoder → vector

Lengths and rounding are the same for all of them, so what is embedded now equals what a dataset holds.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from threading import RLock
from typing import TYPE_CHECKING

import numpy as np

from ds2f._renamed import old_methods, old_names
from ds2f.config import Audio
from ds2f.errors import ItemError, UserError
from ds2f.io.files import by_name
from ds2f.types import ACOUSTICS, SAMPLE_RATE, VOICE, Excerpt, Speech, VoiceClip
from ds2f.voice import acoustics, encoders
from ds2f.voice.activity import VoiceActivity, cut, find_speech
from ds2f.voice.base import SpeakerEncoder
from ds2f.voice.recording import Recording, Sound, sound_in


@dataclass(frozen=True)
class EncodedVoice:
    """speech: without pauses; voices: {speaker encoder or "acoustics": (d,) float32}, for a clip of it."""

    speech: Speech
    voices: dict[str, np.ndarray]


def kept_seconds(audio: Audio, longest: float) -> float:
    """Seconds of speech to keep: as in the settings, but at least the longest clip, which would otherwise be looped
    although there was more speech."""
    return max(audio.keep_seconds, longest)


@old_methods
class VoiceEncoder:
    """Finds speech and describes its speaker. Any thread may call it; calls are serialised, because the models carry
    state."""

    def __init__(
        self,
        audio: Audio,
        clip_seconds: float | None = None,
        names: Sequence[str] = (VOICE,),
        device: str = "cpu",
        loaded: Mapping[str, SpeakerEncoder] | None = None,
    ) -> None:
        """audio: what counts as enough speech, and where encoders are.
        clip_seconds: length of the clips that `encode` embeds; speech is cut or looped to it. None: the first of
        `audio.clip_seconds`.
        names: outputs of `encode`: speaker encoders, named as in a database, and "acoustics".
        device: of the speaker encoders, as PyTorch names it.
        loaded: {name: speaker encoder} of those already loaded.
        """
        self.audio, self.names, self.device = audio, tuple(names), device
        self.clip_seconds = audio.clip_seconds[0] if clip_seconds is None else clip_seconds
        self.kept_seconds = kept_seconds(audio, max(self.clip_seconds, *audio.clip_seconds))
        self._turn = RLock()
        self._encoders = dict(loaded or {})

    @cached_property
    def known(self) -> dict[str, str]:
        """{speaker encoder: spec to load it by}: the bundled ones and those in `audio.encoders`."""
        known = {name: name for name in encoders.INCLUDED}
        known |= by_name(self.audio.encoders, encoders.name_of)
        return known | {name: name for name in self._encoders if name not in known}

    def check(self, names: Sequence[str] | None = None) -> None:
        """Raises UserError for a name that nothing says how to load; None: checks its own names.

        Not called until something has to be encoded: voices that a database holds need no encoder.
        """
        for name in self.names if names is None else names:
            if name not in self.known and name != ACOUSTICS:
                raise UserError(f"The model hears {name}; say where it lies in [audio] encoders of ds2f.toml.")

    def encode(self, recording: Recording, names: Sequence[str] | None = None) -> EncodedVoice:
        """The speech in a recording and its speaker.

        names: encoders to describe it by, None: its own. Raises ItemError(stage="open", "audio" or "speech") if the
        recording is missing, damaged, silent, or contains too little speech; UserError as `check` does.
        """
        names = self.names if names is None else names
        self.check(names)
        try:
            speech = self.search(sound_in(recording, self.audio))
            return EncodedVoice(speech, {name: self._describe(speech, name) for name in names})
        except ItemError as error:
            if isinstance(recording, str | os.PathLike):
                error.add_note(f"The recording is {recording}.")  # shown by Python; the command line names files itself
            raise

    def search(self, sound: Sound) -> Speech:
        """The speech in a recording: at its start or, if that is too little for a clip, in whichever later part
        contains most. Raises ItemError(stage="audio" or "speech")."""
        enough = max(self.clip_seconds, *self.audio.clip_seconds)
        found: list[Speech] = []
        refused: list[ItemError] = []
        for start in sound.starts():
            try:
                speech = self.speech(sound.part(start))
            except ItemError as error:
                refused.append(error)
                continue
            part = Excerpt(start, min(start + sound.seconds, sound.length), sound.length)
            found.append(replace(speech, start=start + speech.start, part=part if sound.in_parts else None))
            if speech.seconds >= enough:
                break
        if found:
            return max(found, key=lambda speech: speech.seconds)
        nearest = max(refused, key=lambda error: ("of speech" in error.reason, "no speech" in error.reason))
        if sound.heard_whole:
            raise nearest
        heard = f"heard: {len(refused)} parts of {sound.seconds:g} s, spread over all of it"
        raise ItemError(nearest.stage, f"{nearest.reason} ({heard})")

    def speech(self, sound: np.ndarray) -> Speech:
        """The speech in sound, (samples,) float32 at 16 kHz. Raises ItemError(stage="audio" or "speech")."""
        if sound.size == 0:
            raise ItemError("audio", "the sound track is empty")
        with self._turn:
            probability = self.activity.probabilities(sound)
        return find_speech(sound, probability, self.audio.min_speech, self.kept_seconds)

    def embed(self, name: str, speeches: Sequence[Speech], seconds: float) -> tuple[list[VoiceClip], np.ndarray]:
        """The clips of `seconds` of n speeches, and (n, d) float32: their vectors by the speaker encoder `name`.

        A row of NaN means that the encoder found no speech in that clip. Raises UserError if the encoder cannot be
        loaded.
        """
        clips = [cut(speech, seconds) for speech in speeches]
        with self._turn:
            return clips, self.encoder(name).embed(np.stack([clip.audio for clip in clips]))

    def acoustics(self, speech: Speech) -> dict[str, float]:
        """Pitch, formants, rate and more of the first `audio.keep_seconds` of speech; see `voice.acoustics.measure`."""
        return acoustics.measure(speech.audio[: round(self.audio.keep_seconds * SAMPLE_RATE)])

    @cached_property
    def activity(self) -> VoiceActivity:
        """The voice activity detector, loaded when first needed."""
        return VoiceActivity()

    def encoder(self, name: str) -> SpeakerEncoder:
        """A speaker encoder, loaded when first needed. Raises UserError for one that cannot be loaded."""
        with self._turn:
            if name not in self._encoders:
                self.check([name])
                self._encoders[name] = encoders.load(self.known[name], self.device, self.audio.precision)
            return self._encoders[name]

    def _describe(self, speech: Speech, name: str) -> np.ndarray:
        if name == ACOUSTICS:
            return np.array(list(self.acoustics(speech).values()), np.float32)
        _, (vector,) = self.embed(name, [speech], self.clip_seconds)
        if not np.isfinite(vector).all():
            raise ItemError("speech", f"no speech found by {name}")
        return vector


if not TYPE_CHECKING:
    __getattr__ = old_names(__name__)
