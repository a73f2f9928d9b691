"""Log mel energies as computed by Kaldi, the input of most speaker encoders since x-vectors.

Of a window x of 25 ms,

    y = log max(B |F (w ∘ E (x − x̄))|², ε),   (E x)ᵢ = xᵢ − 0.97 xᵢ₋₁,  x₋₁ = x₀

with the window function w, the Fourier transform F and triangular bands B (Povey et al., ASRU 2011). Everything before
the square is linear, so it is one matrix, which takes half the time of NumPy's transforms for such short windows.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ds2f.models import mel

MEL_BINS = 80
PREEMPHASIS = 0.97


def fbank(clip: np.ndarray, window: str = "povey") -> np.ndarray:
    """Windows of 25 ms every 10 ms, with their mean over the clip subtracted: (frames, 80) float32.

    clip: (samples,) float32, 16 kHz, in the range that the encoder was trained with; window: "povey" or "hamming".
    Raises ValueError for less than 25 ms.
    """
    if clip.size < mel.LENGTH:
        raise ValueError(f"a clip of {clip.size} samples is shorter than one window of {mel.LENGTH}")
    frames = np.lib.stride_tricks.sliding_window_view(clip.astype(np.float32, copy=False), mel.LENGTH)[:: mel.STEP]
    spectrum = frames @ _spectrum(window)
    real, imaginary = np.split(np.square(spectrum, out=spectrum), 2, axis=1)
    energies = (real + imaginary) @ _bank()
    log = np.log(np.maximum(energies, np.finfo(np.float32).eps))
    return log - log.mean(axis=0)


@cache
def _spectrum(window: str) -> np.ndarray:
    """(LENGTH, POINTS) float32: from samples to the real parts of half of the spectrum, followed by the imaginary
    parts."""
    centre = np.eye(mel.LENGTH) - 1 / mel.LENGTH
    emphasis = np.eye(mel.LENGTH) - PREEMPHASIS * np.eye(mel.LENGTH, k=-1)
    emphasis[0, 0] -= PREEMPHASIS
    before = mel.window(window)[:, None] * (emphasis @ centre)
    transform = np.fft.fft(before, mel.POINTS, axis=0)[: mel.POINTS // 2].T
    return np.concatenate([transform.real, transform.imag], axis=1).astype(np.float32)


@cache
def _bank() -> np.ndarray:
    return mel.bank(MEL_BINS)
