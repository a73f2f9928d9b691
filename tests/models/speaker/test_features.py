"""Log mel energies against Kaldi's own, and against the other family's definition written out in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ds2f.models.speaker.features import Features, LogMel
from ds2f.voice.fbank import fbank
from helpers import noise, tone


@pytest.mark.parametrize(("window", "scale"), [("povey", 1.0), ("hamming", 32768.0)])
def test_kaldis_energies(window: str, scale: float) -> None:
    clips = np.stack([noise(1.0, 0.2, 1), tone(1.0, 300), np.zeros(16_000, np.float32)])
    found = LogMel(Features("kaldi", 80, window, scale))(torch.from_numpy(clips)).numpy()  # type: ignore[arg-type]
    expected = np.stack([fbank(clip * np.float32(scale), window) for clip in clips])
    assert found.shape == expected.shape == (3, 98, 80)
    np.testing.assert_allclose(found[::2], expected[::2], atol=2e-3)
    assert np.abs(found[1] - expected[1]).mean() < 0.02, "far from a pure tone there is rounding alone"


def by_definition(audio: np.ndarray, bins: int, preemphasis: float) -> np.ndarray:
    """torchaudio's MelSpectrogram(16000, 512, 400, 160, window_fn=hamming_window) of one clip, then voxceleb_trainer's
    logarithm and normalisation."""
    audio = audio.astype(np.float64)
    audio = audio - preemphasis * np.concatenate([audio[1:2], audio[:-1]])
    padded = np.pad(audio, 256, mode="reflect")
    window = np.zeros(512)
    window[56:456] = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(400) / 400)
    frames = np.stack([padded[i : i + 512] * window for i in range(0, len(padded) - 511, 160)])
    power = np.abs(np.fft.rfft(frames)) ** 2
    hertz = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), bins + 2) / 2595) - 1)
    bank = np.stack([np.interp(np.linspace(0, 8000, 257), hertz[i : i + 3], [0, 1, 0]) for i in range(bins)], 1)
    log = np.log(power @ bank + 1e-6)
    return (log - log.mean(0)) / np.sqrt(log.var(0) + 1e-5)


@pytest.mark.parametrize(("bins", "preemphasis"), [(40, 0.0), (64, 0.97)])
def test_the_other_familys_energies(bins: int, preemphasis: float) -> None:
    clip = noise(1.0, 0.2, 1) + tone(1.0, 300)
    features = Features("stft", bins, "hamming", 1.0, preemphasis, "instance")
    found = LogMel(features)(torch.from_numpy(clip[None])).numpy()[0]
    np.testing.assert_allclose(found, by_definition(clip, bins, preemphasis), atol=2e-3)


def test_a_clip_shorter_than_a_window_is_refused() -> None:
    with pytest.raises(ValueError, match="399 samples"):
        LogMel(Features())(torch.zeros(1, 399))
