"""A spoilt picture and a voice both say something of the same person; what each says is weighed by how sure it is.

The decoder believes the identity it is told. Told the one that a voice suggests, it would draw that over what a guide
picture still shows. So the guide is first completed alone, a few times: what the completions agree on, the picture
shows; where they differ, it is imagined.
"""

from __future__ import annotations

import numpy as np
import torch

from ds2f.face.dlib_torch import DlibTorch
from ds2f.io.images import from_uint8

BATCH = 16  # faces looked at at once; bounds memory
GUESSES = (7_000_001, 7_000_002, 7_000_003)
"""Seeds of the completions; always these, so that a face depends on its own seed only."""
ALIKE = 5.0
"""Completions are wrong together: how far their mean is from the truth, squared, over what they differ by. Measured it
is 3; 5 finds the most people on the validation split, over all degradations (docs/results.md)."""


def identities_of(pictures: np.ndarray, network: DlibTorch) -> np.ndarray:
    """Whom drawn faces show: (n, size, size, 3) uint8 RGB, canonical crops, to (n, 128) float32."""
    device = network.head.weight.device
    with torch.no_grad():
        seen = [network.of_crops(part.to(device)).cpu() for part in from_uint8(pictures).split(BATCH)]
    found: np.ndarray = torch.cat(seen).numpy()
    return found


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
