"""Takes the pattern of a decoder's patches out of what it draws: fine texture that neighbours share is no skin's.

A decoder that draws in patches and was praised by one judge of likeness leaves, in all patches alike, waves of one or
two of 255 (`evaluation.pattern` measures them). Skin, hair and cloth repeat in no such rhythm.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MOST = 3.0  # of 255: what departs more from its surroundings is an edge or a line of the face
NEIGHBOURS = (1, 4, 6, 4, 1)  # how much the patches around count, in either direction; binomial


def remove_patch_artifacts(pictures: np.ndarray, patch: int) -> np.ndarray:
    """Pictures without the texture that their patches share: (n, size, size, 3) uint8 RGB.

    With the texture r, a picture p less its mean over a patch's width around each pixel, and the mean ⟨ ⟩ over the same
    place in neighbouring patches,

        p − ⟨clip(r, −MOST, MOST)⟩

    less its own mean in each patch. The mean over a whole period takes out all waves of it and of its harmonics, so r
    has them whole (a comb filter).

    pictures: (n, size, size, 3) uint8 RGB.
    patch: its side in pixels, even; divides size.
    """
    return np.stack([_without_artifacts(picture, patch) for picture in pictures])


def _without_artifacts(picture: np.ndarray, patch: int) -> np.ndarray:
    pixels, side = picture.astype(np.float32), len(picture) // patch
    over_a_patch = (0.5, *[1.0] * (patch - 1), 0.5)
    texture = pixels - _mean(_mean(pixels, 0, over_a_patch), 1, over_a_patch)
    tiles = texture.clip(-MOST, MOST).reshape(side, patch, side, patch, 3)
    shared = _mean(_mean(tiles, 0, NEIGHBOURS), 2, NEIGHBOURS)
    shared -= shared.mean((1, 3), keepdims=True)
    found: np.ndarray = (pixels - shared.reshape(pixels.shape)).clip(0, 255).round().astype(np.uint8)
    return found


def _mean(values: np.ndarray, axis: int, weights: Sequence[float]) -> np.ndarray:
    """Weighted over neighbours along an axis; beyond the ends the last one repeats itself."""
    reach, length = len(weights) // 2, values.shape[axis]
    padded = np.pad(values, [(reach, reach) if i == axis else (0, 0) for i in range(values.ndim)], mode="edge")
    parts = (np.float32(w) * padded.take(range(i, i + length), axis) for i, w in enumerate(weights))
    total: np.ndarray = sum(parts, np.zeros_like(values)) / np.float32(sum(weights))
    return total
