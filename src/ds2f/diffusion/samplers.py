"""Samplers: plain functions that carry noise along dz/dt = v to an image.

predict: (z, t) to the clean x (see `flow.Predict`); noise: (n, ...), where to start; steps: how many; progress is
called after each step. All return the sample, shaped as the noise.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ds2f.diffusion.flow import Predict, velocity

Progress = Callable[[int, int], None] | None


def _velocity_at(predict: Predict, z: Tensor, t: float) -> Tensor:
    times = torch.full((len(z),), t, device=z.device)
    return velocity(predict(z, times).float(), z, times)


@torch.no_grad()
def euler(predict: Predict, noise: Tensor, steps: int, progress: Progress = None) -> Tensor:
    """z ← z + Δt v(z, t): one evaluation a step. The last step lands on the prediction itself."""
    z, times = noise, torch.linspace(0, 1, steps + 1).tolist()
    for i in range(steps):
        if i == steps - 1:
            z = predict(z, torch.full((len(z),), times[i], device=z.device)).float()
        else:
            z = z + (times[i + 1] - times[i]) * _velocity_at(predict, z, times[i])
        if progress:
            progress(i + 1, steps)
    return z


@torch.no_grad()
def heun(predict: Predict, noise: Tensor, steps: int, progress: Progress = None) -> Tensor:
    """Heun's second-order method, z ← z + Δt (v₁ + v₂) / 2: two evaluations a step but for the last, which lands on
    the prediction itself (Karras et al. 2022, arXiv:2206.00364, algorithm 1)."""
    z, times = noise, torch.linspace(0, 1, steps + 1).tolist()
    for i in range(steps):
        if i == steps - 1:
            z = predict(z, torch.full((len(z),), times[i], device=z.device)).float()
        else:
            delta = times[i + 1] - times[i]
            first = _velocity_at(predict, z, times[i])
            second = _velocity_at(predict, z + delta * first, times[i + 1])
            z = z + delta * (first + second) / 2
        if progress:
            progress(i + 1, steps)
    return z


SAMPLERS = {"euler": euler, "heun": heun}
