"""The attribute head: p(age), p(gender) and p(ethnicity) of a face, predicted from its identity vector.

Age is a distribution over whole years, so that one softmax gives both the age and its uncertainty.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ds2f.models.ages import MAX_AGE
from ds2f.models.looks import ROWS
from ds2f.types import ETHNICITIES, GENDERS, Wish

WISHED_AGE_SPREAD = 4.0  # years; an apparent age is never exact to the year
CLASSES = {"age": MAX_AGE + 1, "gender": len(GENDERS), "ethnicity": len(ETHNICITIES)}

Distributions = dict[str, Tensor]
"""{attribute: (n, classes)} for the attributes of CLASSES, logits or probabilities."""


@dataclass(frozen=True)
class AttributesConfig:
    """identity_dim: of the vectors of face_encoder, the only ones that the head accepts; looks: whether it also holds
    the mean appearance of people of an age, a gender or an ethnicity, see `models.looks`."""

    identity_dim: int = 128
    width: int = 256
    depth: int = 1
    dropout: float = 0.3
    face_encoder: str = "dlib"
    looks: bool = False


class AttributeHead(nn.Module):
    """identity: (n, identity_dim) float32 to the logits of every attribute."""

    mean: Tensor
    std: Tensor
    temperature: Tensor
    looks: Tensor | None

    def __init__(self, config: AttributesConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(config.identity_dim))
        self.register_buffer("std", torch.ones(config.identity_dim))
        self.register_buffer("temperature", torch.ones(len(CLASSES)))
        self.register_buffer("looks", torch.zeros(ROWS, config.identity_dim) if config.looks else None)
        self.enter = nn.Linear(config.identity_dim, config.width)
        self.blocks = nn.ModuleList(ResidualBlock(config.width, config.dropout) for _ in range(config.depth))
        self.dropout = nn.Dropout(config.dropout)
        self.leave = nn.ModuleDict({name: nn.Linear(config.width, count) for name, count in CLASSES.items()})

    def features(self, identity: Tensor) -> Tensor:
        """(n, width) features from which age, gender and ethnicity are predicted."""
        x = self.enter((identity - self.mean) / self.std)
        for block in self.blocks:
            x = block(x)
        return F.silu(x)

    def forward(self, identity: Tensor) -> Distributions:
        x = self.dropout(self.features(identity))
        return {name: leave(x) for name, leave in self.leave.items()}

    def probabilities(self, identity: Tensor) -> Distributions:
        """softmax(logits / T), one temperature T per attribute (Guo et al. 2017, arXiv:1706.04599)."""
        logits = self(identity)
        return {name: F.softmax(logits[name] / t, dim=1) for name, t in zip(CLASSES, self.temperature, strict=True)}

    def log_likelihood(self, identity: Tensor, wish: Wish) -> Tensor:
        """log p(wish | identity): (n, identity_dim) to (n,). An age is matched by the years around it, weighted by a
        Gaussian with a standard deviation of WISHED_AGE_SPREAD."""
        probability = self.probabilities(identity)
        total = identity.new_zeros(len(identity))
        if wish.age is not None:
            years = torch.arange(MAX_AGE + 1, device=identity.device)
            near = torch.exp(-0.5 * ((years - wish.age) / WISHED_AGE_SPREAD) ** 2)
            total = total + (probability["age"] @ near).clamp_min(1e-12).log()
        if wish.gender is not None:
            total = total + probability["gender"][:, GENDERS.index(wish.gender)].clamp_min(1e-12).log()
        if wish.ethnicity is not None:
            total = total + probability["ethnicity"][:, ETHNICITIES.index(wish.ethnicity)].clamp_min(1e-12).log()
        return total


class ResidualBlock(nn.Module):
    """x + MLP(norm(x))."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.body = nn.Sequential(
            nn.Linear(width, 2 * width), nn.SiLU(), nn.Dropout(dropout), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(self.norm(x))
