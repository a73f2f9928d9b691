"""Probabilities of single years, by decade."""

from __future__ import annotations

import numpy as np

from ds2f.types import AGE_BINS

MAX_AGE = 100  # years; anyone older counts as this age


def decades(years: np.ndarray) -> np.ndarray:
    """Probabilities of single years, (n, MAX_AGE + 1), summed by AGE_BINS: (n, 9)."""
    return np.asarray(np.add.reduceat(years, 10 * np.arange(len(AGE_BINS)), axis=1))
