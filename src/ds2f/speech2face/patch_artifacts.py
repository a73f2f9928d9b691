"""Removes a decoder's patch artifacts from its pictures: fine texture shared by neighbouring patches is not skin.

A decoder that draws in patches and was trained with a single recogniser's likeness loss leaves waves of one or two
levels of 255, alike in all patches (`evaluation.pattern` measures them). Skin, hair and cloth do not repeat at that
period.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MOST = 3.0  # levels of 255: larger departures from the surroundings are edges or lines of the face
NEIGHBOURS = (1, 4, 6, 4, 1)  # weights of the surrounding patches, in either direction; binomial


def remove_patch_artifacts(pictures: np.ndarray, patch: int) -> np.ndarray:
    """Pictures without the texture that their patches share: (n, size, size, 3) uint8 RGB.

    With the texture r, a picture p minus its mean over one patch width around each pixel, and the mean ⟨ ⟩ over the
    same position in neighbouring patches,

        p − ⟨clip(r, −MOST, MOST)⟩

    minus the mean of ⟨ ⟩ in each patch. The mean over a whole period removes all waves of that period and its
    harmonics, so r contains them in full (a comb filter).

    pictures: (n, size, size, 3) uint8 RGB.
    patch: side of a patch in pixels, even; divides size.
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
    """Weighted mean over neighbours along an axis; beyond the ends the last value is repeated."""
    reach, length = len(weights) // 2, values.shape[axis]
    padded = np.pad(values, [(reach, reach) if i == axis else (0, 0) for i in range(values.ndim)], mode="edge")
    parts = (np.float32(w) * padded.take(range(i, i + length), axis) for i, w in enumerate(weights))
    total: np.ndarray = sum(parts, np.zeros_like(values)) / np.float32(sum(weights))
    return total
