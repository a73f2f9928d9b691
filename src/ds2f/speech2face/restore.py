"""Guide pictures, weighed against the voice.

The decoder trusts the identity that it is conditioned on. Given the one that a voice suggests, it would paint over what
a guide picture still shows. So the guide is first completed alone, a few times: what the completions agree on is shown
by the picture; where they differ, it is imagined.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

GUESSES = (7_000_001, 7_000_002, 7_000_003)
"""Seeds of the completions; fixed, so that a face depends only on its own seed."""
ALIKE = 5.0
"""Completions share errors: the squared distance of their mean from the truth, divided by their variance. Measured, it
is 3; 5 retrieves the most people on the validation split, over all degradations
(docs/experiments/wishes-and-guides.md)."""


def follow_guides(
    identities: np.ndarray,
    complete: Callable[[int], np.ndarray],
    embed_crops: Callable[[np.ndarray], np.ndarray],
    colouring: np.ndarray,
) -> np.ndarray:
    """Identities suggested by voices, (n, 128), moved towards the people whom n guides show, see `weigh`.

    complete: maps a seed to the guides completed without a voice, (n, size, size, 3) uint8 RGB.
    embed_crops: computes their identities, see `FaceEncoder.embed_crops`.
    """
    shown = np.stack([embed_crops(complete(seed)) for seed in GUESSES])
    return weigh(identities, shown, colouring)


def weigh(heard: np.ndarray, shown: np.ndarray, colouring: np.ndarray) -> np.ndarray:
    """Identities that agree with both a voice and a guide picture: (n, d) float32.

    heard: (n, d), suggested by the voices.
    shown: (k, n, d), of k > 1 completions of each guide without a voice.
    colouring: (d, d), C of `models.prior`, so that Σ = Cᵀ C is the covariance of people with the same voice.

    With the mean g of the completions and s² = ALIKE times their variance, taken as isotropic, the posterior of two
    Gaussians moves `heard` by

        K (g − heard),   K = Σ (Σ + s² I)⁻¹       (Kalman, Journal of Basic Engineering 82(1), 1960)

    far where people differ and completions do not, and hardly at all in the opposite case.
    """
    variance = ALIKE * shown.var(0, ddof=1, dtype=np.float64).mean(-1)
    spread, axes = np.linalg.eigh(colouring.T.astype(np.float64) @ colouring)
    gain = spread / (spread + variance[:, None] + 1e-12)
    moved: np.ndarray = heard + ((shown.mean(0) - heard) @ axes * gain) @ axes.T
    return moved.astype(np.float32)
