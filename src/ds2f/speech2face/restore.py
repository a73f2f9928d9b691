"""Guide pictures, weighed against the voice.

The decoder believes the identity that it is conditioned on. Given the one that a voice suggests, it would draw that
over what a guide picture still shows. So the guide is first completed alone, a few times: what the completions agree
on, the picture shows; where they differ, it is imagined.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

GUESSES = (7_000_001, 7_000_002, 7_000_003)
"""Seeds of the completions; always these, so that a face depends on its own seed only."""
ALIKE = 5.0
"""Completions are wrong together: how far their mean is from the truth, squared, over what they differ by. Measured it
is 3; 5 finds the most people on the validation split, over all degradations (docs/experiments/wishes-and-guides.md)."""


def follow_guides(
    identities: np.ndarray,
    complete: Callable[[int], np.ndarray],
    embed_crops: Callable[[np.ndarray], np.ndarray],
    colouring: np.ndarray,
) -> np.ndarray:
    """Identities that voices suggest, (n, 128), moved towards whom n guides show, see `weigh`.

    complete: a seed to the guides completed without a voice, (n, size, size, 3) uint8 RGB; embed_crops: whom those
    show, see `FaceEncoder.embed_crops`.
    """
    shown = np.stack([embed_crops(complete(seed)) for seed in GUESSES])
    return weigh(identities, shown, colouring)


def weigh(heard: np.ndarray, shown: np.ndarray, colouring: np.ndarray) -> np.ndarray:
    """Identities that agree with a voice and with a guide picture: (n, d) float32.

    heard: (n, d), what the voices suggest; shown: (k, n, d), of k > 1 completions of each guide without a voice;
    colouring: (d, d), C of `models.prior`, so that Σ = Cᵀ C is how people of one voice differ. With the mean g of the
    completions and s² = ALIKE times their variance, alike in all directions, the posterior of two Gaussians moves what
    was heard by

        K (g − heard),   K = Σ (Σ + s² I)⁻¹       (Kalman, Journal of Basic Engineering 82(1), 1960)

    far where people differ and completions do not, and hardly where it is the other way round.
    """
    variance = ALIKE * shown.var(0, ddof=1, dtype=np.float64).mean(-1)
    spread, axes = np.linalg.eigh(colouring.T.astype(np.float64) @ colouring)
    gain = spread / (spread + variance[:, None] + 1e-12)
    moved: np.ndarray = heard + ((shown.mean(0) - heard) @ axes * gain) @ axes.T
    return moved.astype(np.float32)
