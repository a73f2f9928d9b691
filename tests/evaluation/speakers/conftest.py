"""Made-up speakers, and an encoder that tells them apart without a network."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from ds2f.evaluation.speakers.encoding import NamedEncoder
from ds2f.types import SAMPLE_RATE
from ds2f.voice.base import unit_rows
from helpers import write_audio


@dataclass
class Spectrum:
    """A speaker encoder: the logarithm of the mean spectrum in 64 bands. heard: shapes of what it was given."""

    name: str = "spectrum"
    licence: str = "none"
    dim: int = 64
    trained_on: frozenset[str] = frozenset()
    heard_without_names: frozenset[str] = frozenset()
    heard: list[tuple[int, ...]] = field(default_factory=list)

    def embed(self, clips: np.ndarray) -> np.ndarray:
        self.heard.append(clips.shape)
        windows = np.lib.stride_tricks.sliding_window_view(clips, 512, axis=1)[:, ::256]
        power = np.square(np.abs(np.fft.rfft(windows * np.hanning(512))))[..., 1:].mean(1)
        bands = np.log(power.reshape(len(clips), 64, -1).mean(2) + 1e-9)
        return unit_rows(bands - bands.mean(1, keepdims=True), clips)


def voice(speaker: int, take: int, seconds: float = 1.2) -> np.ndarray:
    """Noise through three resonances of the speaker's own, in another room each time, with a pause in the middle."""
    own, this = np.random.default_rng(1000 + speaker), np.random.default_rng([speaker, take])
    hertz = np.fft.rfftfreq(round(seconds * SAMPLE_RATE), 1 / SAMPLE_RATE)
    formants = own.uniform((200, 900, 2000), (900, 2000, 3600)) * this.normal(1, 0.04, 3)
    shape = sum(np.exp(-0.5 * ((hertz - f) / 150) ** 2) for f in formants) + 0.02 * this.uniform(0.2, 1)
    sound = np.fft.irfft(np.fft.rfft(this.normal(size=2 * (hertz.size - 1))) * shape)
    sound[len(sound) // 2 : len(sound) * 2 // 3] *= 0.01
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 speakers with three recordings each: id10001/0a1B2c3D4e5/00001.wav, as VoxCeleb has them, and who is who."""
    root = tmp_path_factory.mktemp("voices") / "wav"
    for speaker in range(24):
        folder = root / f"id{10001 + speaker}" / "0a1B2c3D4e5"
        folder.mkdir(parents=True)
        for take in range(3):
            write_audio(folder / f"{take + 1:05d}.wav", voice(speaker, take))
    lines = [f"id{10001 + s}\tPerson_{s}\t{'mf'[s % 2]}\tUK\tdev" for s in range(24)]
    head = "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet"
    (root / "vox1_meta.csv").write_text("\n".join([head, *lines]) + "\n")
    return root


def path_of(speaker: int, take: int) -> str:
    return f"id{10001 + speaker}/0a1B2c3D4e5/{take + 1:05d}.wav"


@pytest.fixture
def encoder() -> NamedEncoder:
    return NamedEncoder(Spectrum(), "spectrum")
