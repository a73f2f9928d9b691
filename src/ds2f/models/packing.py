"""Weights as stored in a file: float32, float16, or 8-bit integers with a scale for each row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from ds2f.models.folders import SCALE

Precision = Literal["float32", "float16", "int8"]


def packed(state: Mapping[str, Tensor], precision: Precision) -> dict[str, Tensor]:
    """Tensors as stored. int8: a matrix W becomes integers from -127 to 127 and a scale for each row,

        s_i = max_j |W_ij| / 127,   Q_ij = round(W_ij / s_i),   W_ij ≈ s_i Q_ij

    under its own name and `name.scale`; half the size of float16. A convolution kernel counts as such a matrix, with a
    row for each output. Tensors without rows stay float16, and counts stay integers.
    """
    result: dict[str, Tensor] = {}
    for name, value in state.items():
        if not value.is_floating_point():
            result[name] = value
        elif precision == "float32":
            result[name] = value.float()
        elif precision == "int8" and value.dim() > 1:
            scale = (value.float().abs().amax(tuple(range(1, value.dim())), keepdim=True) / 127).clamp_min(1e-7)
            result[name], result[name + SCALE] = (value / scale).round().to(torch.int8), scale.float()
        else:
            result[name] = value.half()
    return result


def unpacked(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `packed`: float32 tensors by name."""
    return {
        name: value.float() * stored[name + SCALE] if name + SCALE in stored else value.float()
        for name, value in stored.items()
        if not name.endswith(SCALE)
    }
