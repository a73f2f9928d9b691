"""The step after the decoder: super-resolution doubles the size of its pictures.

One picture at a time, with noise from its own seed, so that a voice and a seed give the same face alone or in a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ds2f.models.folders import FACTOR

STREAM = 2  # of a seed's noise: the prior uses 0, the decoder 1
Enlarge = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Maps a picture, (1, 3, size, size) float32 in [-1, 1], and noise, (1, 1, 2 size, 2 size), to one of twice the size.
"""


def enlarged(by: Enlarge, pictures: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
    """Drawn pictures at twice the size: (n, 2 size, 2 size, 3) uint8 RGB.

    by: the network, or its graph.
    pictures: (n, size, size, 3) uint8 RGB.
    seeds: n whole numbers.
    """
    made = []
    for picture, seed in zip(pictures, seeds, strict=True):
        size = FACTOR * len(picture)
        # Not by `plain.normal_by_seed`: PyTorch's generator has two streams per seed, and both are in use.
        noise = np.random.default_rng([STREAM, int(seed < 0), abs(seed)]).standard_normal(
            (1, 1, size, size), np.float32
        )
        found = by(picture.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(127.5) - 1, noise)[0]
        made.append(((found.clip(-1, 1).transpose(1, 2, 0) + 1) * np.float32(127.5)).round().astype(np.uint8))
    return np.stack(made)
