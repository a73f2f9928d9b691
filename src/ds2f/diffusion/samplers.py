"""Samplers: plain functions that carry noise along dz/dt = v to an image.

predict: (z, t) to the clean x (see `flow.Predict`); noise: (n, ...), the starting point; steps: their number; progress
is called with (steps done, total) after each. All return the sample, shaped like the noise.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from ds2f.diffusion.flow import Predict, velocity
from ds2f.diffusion.plain import WARP
from ds2f.types import Progress

Sampler = Callable[[Predict, Tensor, int, Progress | None], Tensor]


def times(steps: int) -> list[float]:
    """t_i = (i / steps)^1.5, from 0 to 1: smaller steps near the noise, where the prediction changes most."""
    return (torch.linspace(0, 1, steps + 1, dtype=torch.float64) ** WARP).tolist()


def _predicted(predict: Predict, z: Tensor, t: float) -> Tensor:
    return predict(z, torch.full((len(z),), t, device=z.device)).float()


def _velocity_at(predict: Predict, z: Tensor, t: float) -> Tensor:
    return velocity(_predicted(predict, z, t), z, torch.full((len(z),), t, device=z.device))


@torch.no_grad()
def euler(predict: Predict, noise: Tensor, steps: int, progress: Progress | None = None) -> Tensor:
    """z ← z + Δt v(z, t): one evaluation per step. The last step lands on the prediction itself."""
    z = noise
    for i, (s, t) in enumerate(itertools.pairwise(times(steps))):
        z = _predicted(predict, z, s) if i == steps - 1 else z + (t - s) * _velocity_at(predict, z, s)
        if progress:
            progress(i + 1, steps)
    return z


@torch.no_grad()
def heun(predict: Predict, noise: Tensor, steps: int, progress: Progress | None = None) -> Tensor:
    """Heun's second-order method, z ← z + Δt (v₁ + v₂) / 2: two evaluations per step except for the last, which lands
    on the prediction itself (Karras et al. 2022, arXiv:2206.00364, algorithm 1)."""
    z = noise
    for i, (s, t) in enumerate(itertools.pairwise(times(steps))):
        if i == steps - 1:
            z = _predicted(predict, z, s)
        else:
            first = _velocity_at(predict, z, s)
            second = _velocity_at(predict, z + (t - s) * first, t)
            z = z + (t - s) * (first + second) / 2
        if progress:
            progress(i + 1, steps)
    return z


@torch.no_grad()
def multistep(predict: Predict, noise: Tensor, steps: int, progress: Progress | None = None) -> Tensor:
    """Second order at one evaluation per step: between two times, the prediction is extrapolated linearly through the
    current and the last one, see `Multistep`. An exponential Adams-Bashforth method, like DPM-Solver++(2M) (Lu et al.
    2022, arXiv:2211.01095, algorithm 2), but linear in t rather than in the log signal-to-noise ratio, which is
    infinite at t = 0."""
    z, step = noise, Multistep(predict)
    for i, (s, t) in enumerate(itertools.pairwise(times(steps))):
        z = step(z, s, t)
        if progress:
            progress(i + 1, steps)
    return z


class Multistep:
    """Takes the steps of `multistep`. Remembers the last prediction, and assumes that the next lies on the line

    x̂(τ) = x̂ + (τ − s) x̂′,   for which dz/dτ = (x̂(τ) − z) / (1 − τ) has the exact solution

    z_t = r z_s + (1 − r) x̂ + ((t − s) + (1 − t) log r) x̂′,   r = (1 − t) / (1 − s)
    """

    def __init__(self, predict: Predict) -> None:
        self.predict = predict
        self.last: tuple[Tensor, float] | None = None

    def __call__(self, z: Tensor, s: float, t: float) -> Tensor:
        """From z at time s to time t; at t = 1, the result is the prediction itself."""
        x = _predicted(self.predict, z, s)
        slope = torch.zeros_like(x) if self.last is None else (x - self.last[0]) / (s - self.last[1])
        self.last = x, s
        if t == 1:
            return x
        r = (1 - t) / (1 - s)
        return r * z + (1 - r) * x + ((t - s) + (1 - t) * math.log(r)) * slope


SAMPLERS: dict[str, Sampler] = {"euler": euler, "heun": heun, "multistep": multistep}
