"""Between pictures of bytes and pictures as a model takes them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def from_uint8(pictures: np.ndarray) -> Tensor:
    """Pictures, (n, h, w, 3) uint8 RGB, as a model takes them: (n, 3, h, w) float32 in [-1, 1]."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_uint8(pixels: Tensor) -> np.ndarray:
    """What a model draws, (n, 3, h, w) in [-1, 1], as pictures: (n, h, w, 3) uint8 RGB."""
    pictures: np.ndarray = ((pixels.float().cpu().permute(0, 2, 3, 1) + 1) * 127.5).round().clamp(0, 255).byte().numpy()
    return pictures
