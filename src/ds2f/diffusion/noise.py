"""Random numbers from a generator on any device: PyTorch can draw them only where the generator is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ds2f.diffusion.plain import DIRECT, typical_first


def uniform(generator: torch.Generator, *shape: int, to: torch.device | None = None) -> Tensor:
    """Numbers in [0, 1), float32, of a shape, drawn on the generator's device; to: the device to move them to, if
    another."""
    return torch.rand(shape, generator=generator, device=generator.device).to(to or generator.device)


def normal(generator: torch.Generator, *shape: int, to: torch.device | None = None) -> Tensor:
    """As `uniform`, from N(0, 1)."""
    return torch.randn(shape, generator=generator, device=generator.device).to(to or generator.device)


def whole(generator: torch.Generator, below: int, *shape: int, to: torch.device | None = None) -> Tensor:
    """As `uniform`, integers from 0 to below − 1, int64."""
    return torch.randint(below, shape, generator=generator, device=generator.device).to(to or generator.device)


def normal_by_seed(seeds: Sequence[int], *shape: int, stream: int, to: torch.device) -> Tensor:
    """Numbers from N(0, 1), (n, *shape) float32, each row from its own seed, any integer: a row does not depend on its
    neighbours. stream: 0 or 1, two kinds of noise for the same seeds. Drawn on the CPU, so that a seed means the same
    on every device."""
    return torch.stack([_row(int(seed), shape, stream) for seed in seeds]).to(to)


def typical_first_by_seed(seeds: Sequence[int], *shape: int, stream: int, to: torch.device) -> Tensor:
    """As `normal_by_seed`, for seeds that are shown together: none for the first of each four, balanced noise for the
    others; see `plain.typical_first`."""
    return torch.stack([typical_first(lambda s: _row(s, shape, stream), int(seed)) for seed in seeds]).to(to)


def _row(seed: int, shape: tuple[int, ...], stream: int) -> Tensor:
    if seed in DIRECT:
        return torch.randn(shape, generator=torch.Generator().manual_seed(2 * seed + stream))
    # Beyond them PyTorch would repeat itself every 2^32; NumPy hashes integers of any length.
    generator = np.random.default_rng([stream, int(seed < 0), abs(seed)])
    return torch.from_numpy(generator.standard_normal(shape, np.float32))
