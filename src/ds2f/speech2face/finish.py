"""The steps between the decoder and the finished picture: super-resolution, if it follows, adds detail and may double
the size; if half of that size is wanted, four pixels become one.

One picture at a time, with noise from its own seed, so that a voice and a seed give the same face alone or in a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ds2f.models.folders import Drawing

STREAM = 2  # of a seed's noise: the prior uses 0, the decoder 1
Sharpen = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Super-resolution: maps a drawn picture, (1, 3, s, s) float32 in [-1, 1], and noise, (1, 1, size, size), to a sharper
one of that size, which is s or 2 s."""


def finished(pictures: np.ndarray, seeds: Sequence[int], drawing: Drawing, by: Sharpen | None) -> np.ndarray:
    """Drawn pictures, finished: (n, size, size, 3) uint8 RGB.

    pictures: (n, s, s, 3) uint8 RGB, of the decoder's size.
    seeds: n whole numbers.
    drawing: the steps, and their final size.
    by: super-resolution, or its graph; None if it does not follow.
    """
    if by is not None:
        whole = drawing.size * (2 if drawing.halved else 1)
        pairs = zip(pictures, seeds, strict=True)
        pictures = np.stack([_sharpened(by, picture, seed, whole) for picture, seed in pairs])
    return halved(pictures) if drawing.halved else pictures


def _sharpened(by: Sharpen, picture: np.ndarray, seed: int, size: int) -> np.ndarray:
    # Not by `plain.normal_by_seed`: PyTorch's generator has two streams per seed, and both are in use.
    generator = np.random.default_rng([STREAM, int(seed < 0), abs(seed)])
    noise = generator.standard_normal((1, 1, size, size), np.float32)
    found = by(picture.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(127.5) - 1, noise)[0]
    sharp: np.ndarray = ((found.clip(-1, 1).transpose(1, 2, 0) + 1) * np.float32(127.5)).round().astype(np.uint8)
    return sharp


def halved(pictures: np.ndarray) -> np.ndarray:
    """Pictures of half the size, four pixels averaged: (n, size, size, 3) uint8 RGB to (n, size / 2, size / 2, 3)."""
    n, size, _, colours = pictures.shape
    means = pictures.reshape(n, size // 2, 2, size // 2, 2, colours).mean((2, 4), dtype=np.float32)
    return means.round().astype(np.uint8)
