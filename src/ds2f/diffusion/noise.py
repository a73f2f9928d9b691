"""Random numbers from a generator, wherever it lives: PyTorch draws them only there."""

from __future__ import annotations

import torch
from torch import Tensor


def uniform(generator: torch.Generator, *shape: int, to: torch.device | None = None) -> Tensor:
    """Numbers in [0, 1), float32, of a shape, drawn where the generator lives; to: where they are wanted, if
    elsewhere."""
    return torch.rand(shape, generator=generator, device=generator.device).to(to or generator.device)


def normal(generator: torch.Generator, *shape: int, to: torch.device | None = None) -> Tensor:
    """As `uniform`, from N(0, 1)."""
    return torch.randn(shape, generator=generator, device=generator.device).to(to or generator.device)


def whole(generator: torch.Generator, below: int, *shape: int, to: torch.device | None = None) -> Tensor:
    """As `uniform`, whole numbers from 0 to below − 1, int64."""
    return torch.randint(below, shape, generator=generator, device=generator.device).to(to or generator.device)
