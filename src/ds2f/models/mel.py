"""Kaldi's windows and mel bands (Povey et al., ASRU 2011; `compute-fbank-feats`), in NumPy, shared by encoders at
inference and in training."""

from __future__ import annotations

import math

import numpy as np

from ds2f.types import SAMPLE_RATE

LENGTH, STEP, POINTS = 400, 160, 512  # samples in a window (25 ms), between windows (10 ms), in the transform
LOWEST = 20.0  # Hz, of the bands


def window(name: str) -> np.ndarray:
    """(LENGTH,) float64. name: "povey", a Hann window to the power of 0.85, or "hamming"."""
    return {"povey": np.hanning(LENGTH) ** 0.85, "hamming": np.hamming(LENGTH)}[name]


def bank(bins: int) -> np.ndarray:
    """(POINTS / 2, bins) float32: triangles on the scale 1127 ln(1 + f / 700), linear on that scale."""
    low, high = (1127 * math.log1p(f / 700) for f in (LOWEST, SAMPLE_RATE / 2))
    edges = np.linspace(low, high, bins + 2)
    at = 1127 * np.log1p(np.arange(POINTS // 2) * (SAMPLE_RATE / POINTS) / 700)
    return triangles(at, edges)


def triangles(at: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Each rises from one edge to the next and falls to the one after: (places, edges - 2) float32.

    at: (places,), where to evaluate them.
    edges: ascending.
    """
    left, middle, right = edges[:-2], edges[1:-1], edges[2:]
    rise, fall = (at[:, None] - left) / (middle - left), (right - at[:, None]) / (right - middle)
    return np.maximum(np.minimum(rise, fall), 0).astype(np.float32)
