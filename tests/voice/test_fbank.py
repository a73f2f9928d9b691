"""Log mel energies against Kaldi's own code."""

from __future__ import annotations

import kaldi_native_fbank
import numpy as np
import pytest

from ds2f.demo import samples
from ds2f.io.media import decode
from ds2f.voice.fbank import fbank
from helpers import noise, tone


def kaldis(clip: np.ndarray, window: str) -> np.ndarray:
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither = 0.0
    options.frame_opts.window_type = window
    options.mel_opts.num_bins = 80
    running = kaldi_native_fbank.OnlineFbank(options)
    running.accept_waveform(16_000, clip.tolist())
    running.input_finished()
    frames = np.stack([running.get_frame(i) for i in range(running.num_frames_ready)])
    return frames - frames.mean(axis=0)


@pytest.mark.parametrize(("window", "scale"), [("povey", 1.0), ("hamming", 32768.0)])
def test_kaldis_energies(window: str, scale: float) -> None:
    clips = [decode(samples() / "person-1.mp4", frames=0).audio[:48_000], noise(1.0, 0.2, 1), np.zeros(16_000)]
    for clip in clips:
        clip = clip.astype(np.float32) * np.float32(scale)
        found = fbank(clip, window)
        assert found.dtype == np.float32
        off = np.abs(found - kaldis(clip, window))
        assert off.max() < 1e-2, "where a window is soft, beside what is loud in it"
        assert off.mean() < 1e-4
    off = np.abs(fbank(tone(1.0, 300), window) - kaldis(tone(1.0, 300), window))
    assert off.mean() < 0.02, "far from a pure tone there is rounding alone"


def test_a_clip_shorter_than_a_window_is_refused() -> None:
    assert fbank(noise(0.025, 0.2, 1)).shape == (1, 80)
    with pytest.raises(ValueError, match="399 samples"):
        fbank(np.zeros(399, np.float32))
