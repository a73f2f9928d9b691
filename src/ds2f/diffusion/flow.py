"""The straight path between noise and data, and the loss of a network that predicts the clean end of it.

    z_t = t x + (1 − t) ε,   ε ~ N(0, I),   t in [0, 1]:   dz/dt = v = x − ε = (x − z_t) / (1 − t)

Lipman et al. 2023 (arXiv:2210.02747) and Liu et al. 2023 (arXiv:2209.03003); predicting x while measuring the error
in v is Li & He 2025 (arXiv:2511.13720), whose direction of time we follow: 0 is noise, 1 is data.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ds2f.diffusion.noise import normal
from ds2f.diffusion.plain import MIN_DISTANCE

Predict = Callable[[Tensor, Tensor], Tensor]
"""(z (n, ...), t (n,)) to the predicted clean x (n, ...): a network with its conditions bound."""


def _like(t: Tensor, z: Tensor) -> Tensor:
    return t.view(-1, *[1] * (z.dim() - 1))


def velocity(x: Tensor, z: Tensor, t: Tensor) -> Tensor:
    """v = (x − z) / max(1 − t, 0.05). x, z: (n, ...); t: (n,)."""
    return (x - z) / (1 - _like(t, z)).clamp_min(MIN_DISTANCE)


def sample_time(count: int, generator: torch.Generator, mean: float = -0.6, std: float = 1.0) -> Tensor:
    """Logit-normal times, t = sigmoid(mean + std n): (count,). Esser et al. 2024, arXiv:2403.03206, eq. 19."""
    return torch.sigmoid(mean + std * normal(generator, count))


def interpolate(x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """z_t = t x + (1 − t) ε. x, noise: (n, ...); t: (n,)."""
    return _like(t, x) * x + (1 - _like(t, x)) * noise


def velocity_error(predicted: Tensor, x: Tensor, z: Tensor, t: Tensor) -> Tensor:
    """v(x̂) − v(x). predicted: x̂; all (n, ...); t: (n,). Returns (n, ...)."""
    return velocity(predicted.float(), z, t) - velocity(x, z, t)


def flow_error(predicted: Tensor, x: Tensor, z: Tensor, t: Tensor) -> Tensor:
    """|v(x̂) − v(x)|², averaged over the elements of a row. predicted: x̂; all (n, ...); t: (n,). Returns (n,)."""
    return velocity_error(predicted, x, z, t).square().flatten(1).mean(1)


def flow_loss(predict: Predict, x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """E |v_θ(z_t, t) − v|², with v_θ from the predicted x. x, noise: (n, ...); t: (n,). Returns (n,) losses."""
    z = interpolate(x, t, noise)
    return flow_error(predict(z, t), x, z, t)
