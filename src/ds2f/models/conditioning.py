"""Maps time and any subset of conditions to the one vector that modulates a network."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ds2f.diffusion.conditions import Condition as Condition
from ds2f.diffusion.conditions import Conditions


def timestep_embedding(t: Tensor, width: int) -> Tensor:
    """Sinusoids of t in [0, 1]: (n,) to (n, width). Vaswani et al. 2017, arXiv:1706.03762, section 3.5.

    cos(1000 t ω_k), sin(1000 t ω_k)  with  ω_k = 10000^(−k / half)
    """
    half = width // 2
    omega = torch.exp(-math.log(10_000.0) * torch.arange(half, device=t.device, dtype=torch.float32) / half)
    angles = 1000.0 * t.float()[:, None] * omega
    return torch.cat([angles.cos(), angles.sin()], dim=1)


class Conditioning(nn.Module):
    """Time and conditions to one vector per row: (n,), {name: Condition} to (n, width).

    Every condition is standardised by the mean and spread of the training data and projected, or replaced by a learned
    vector of its own if it is not given; the sum goes through a small MLP.
    """

    def __init__(self, dims: dict[str, int], width: int) -> None:
        super().__init__()
        self.dims = dict(dims)
        self.width = width
        self.time = nn.Linear(width, width)
        self.project = nn.ModuleDict({name: nn.Linear(dim, width) for name, dim in dims.items()})
        self.missing = nn.ParameterDict({name: nn.Parameter(torch.zeros(width)) for name in dims})
        self.mlp = nn.Sequential(nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        for name, dim in dims.items():
            self.register_buffer(f"{name}_mean", torch.zeros(dim))
            self.register_buffer(f"{name}_std", torch.ones(dim))

    def set_statistics(self, name: str, values: Tensor) -> None:
        """Set mean and standard deviation of a condition from its training values, (n, d); without any, keep 0 and
        1."""
        if len(values):
            self.set_moments(name, values.mean(0), values.std(0, unbiased=False))

    def set_moments(self, name: str, mean: Tensor, std: Tensor) -> None:
        """Set mean and standard deviation of a condition, (d,) each."""
        getattr(self, f"{name}_mean").copy_(mean)
        getattr(self, f"{name}_std").copy_(std.clamp_min(1e-4))

    def standardise(self, name: str, value: Tensor) -> Tensor:
        """(n, d) values of a condition to zero mean and unit spread over the training data."""
        standard: Tensor = (value - getattr(self, f"{name}_mean")) / getattr(self, f"{name}_std")
        return standard

    def forward(self, t: Tensor, conditions: Conditions) -> Tensor:
        hidden = self.time(timestep_embedding(t, self.width))
        for name in self.dims:
            missing = self.missing[name].expand(len(t), -1)
            if name in conditions:
                condition = conditions[name]
                projected = self.project[name](self.standardise(name, condition.value))
                hidden = hidden + torch.where(condition.given[:, None], projected, missing.to(projected.dtype))
            else:
                hidden = hidden + missing
        return self.mlp(hidden)
