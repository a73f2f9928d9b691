"""How well a recording represents its speaker, and so how far a score between two voices can be trusted.

Measured on the sound alone, like the quality measure functions of speaker verification (Thienpondt et al., ICASSP 2021,
arXiv:2010.11255); seconds of speech are those of `activity.find_speech`.
"""

from __future__ import annotations

import numpy as np

from ds2f.types import SAMPLE_RATE

WINDOW = 512  # samples, 32 ms
QUIET = 0.1  # share of the windows assumed to be pauses
SNR_RANGE = (-10.0, 60.0)  # dB; digital silence between words would give infinity
AUDIBLE = 1e-5  # relative to the loudest part of the spectrum: 50 dB below


def signal_to_noise(audio: np.ndarray) -> float:
    """Power of all windows over that of the quietest tenth, minus one, in dB within SNR_RANGE.

    audio: (samples,) float32 at SAMPLE_RATE, including pauses. An estimate: somebody who never pauses seems noisy.
    """
    if audio.size < WINDOW:
        return SNR_RANGE[0]
    windows = audio[: audio.size // WINDOW * WINDOW].reshape(-1, WINDOW).astype(np.float64)
    power = np.square(windows - windows.mean(1, keepdims=True)).mean(1)
    noise = np.quantile(power, QUIET)
    return float(np.clip(10 * np.log10(max(power.mean() - noise, 1e-20) / max(noise, 1e-20)), *SNR_RANGE))


def bandwidth(audio: np.ndarray) -> float:
    """The highest frequency at which there is sound, in kHz, from 0 to 8: 3.4 for a telephone, 8 for a good microphone.

    audio: (samples,) float32 at SAMPLE_RATE. From the long-term spectrum (Welch, Hann windows of 32 ms) down to
    AUDIBLE.
    """
    if audio.size < WINDOW:
        return 0.0
    windows = np.lib.stride_tricks.sliding_window_view(audio, WINDOW)[:: WINDOW // 2]
    power = np.square(np.abs(np.fft.rfft(windows * np.hanning(WINDOW)))).mean(0)
    if not power.any():
        return 0.0
    return float(np.flatnonzero(power >= AUDIBLE * power.max())[-1] * SAMPLE_RATE / WINDOW / 1000)
