"""Conversion between byte pictures and model pictures, and square regions of the latter."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def from_uint8(pictures: np.ndarray) -> Tensor:
    """Pictures, (n, h, w, 3) uint8 RGB, as models expect them: (n, 3, h, w) float32 in [-1, 1]."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_uint8(pixels: Tensor) -> np.ndarray:
    """A model's output, (n, 3, h, w) in [-1, 1], as pictures: (n, h, w, 3) uint8 RGB."""
    pictures: np.ndarray = ((pixels.float().cpu().permute(0, 2, 3, 1) + 1) * 127.5).round().clamp(0, 255).byte().numpy()
    return pictures


def square_of(
    pictures: Tensor,
    centre: tuple[float, float],
    width: float,
    size: int,
    shift: Tensor | None = None,
    scale: Tensor | None = None,
) -> Tensor:
    """A square region of pictures, differentiable: (n, c, h, w) to (n, c, size, size). The border is repeated outside.

    pictures: floats.
    centre: of the region, (x, y), as shares of the picture.
    width: of the region, as a share of the picture.
    size: pixels of the result.
    shift: (n, 2), offset of the region, right and down, as shares of the picture.
    scale: (n,), factor for the width of the region in each.
    """
    place = [[width, 0.0, 2 * centre[0] - 1], [0.0, width, 2 * centre[1] - 1]]
    matrix = torch.tensor(place, device=pictures.device).repeat(len(pictures), 1, 1)
    if scale is not None:
        matrix[:, :, :2] *= scale[:, None, None]
    if shift is not None:
        matrix[:, :, 2] += 2 * shift
    grid = F.affine_grid(matrix, [*pictures.shape[:2], size, size], align_corners=False)
    return F.grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=False)
