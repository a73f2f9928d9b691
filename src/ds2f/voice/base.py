"""The interface that every speaker encoder stands behind. One file per encoder in this folder implements it."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class SpeakerEncoder(Protocol):
    """Turns speech into a vector of the speaker. `name` marks its rows in the database."""

    name: str
    licence: str
    dim: int

    def embed(self, audio: np.ndarray) -> np.ndarray:
        """audio: (samples,) float32 in [-1, 1], 16 kHz mono, speech. Returns (dim,) float32 of length 1."""
        ...
