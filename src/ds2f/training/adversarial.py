"""Adversarial training: a discriminator learns to tell photographs from drawn pictures, and a network learns from it.

Goodfellow et al. 2014 (arXiv:1406.2661). With the discriminator's log-odds D that a picture is a photograph, and
softplus(a) = log(1 + eᵃ), it and the generator G minimise

    L_D = E softplus(−D(x)) + E softplus(D(G)) + λ E (D(x) − D(x + σ ε))² / σ²        L_G = E softplus(−D(G))

The last term keeps D from being steep around photographs, as R1 does (Mescheder et al. 2018, arXiv:1801.04406), with a
finite difference instead of a derivative (Lin et al. 2025, arXiv:2501.08316, section 3.3).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ds2f.diffusion.noise import normal
from ds2f.models.super_resolution import conv

SHARE = 0.5  # for the two terms of a residual sum, to preserve scale
SLOPE = 0.2  # of leaky ReLUs
LOUD = 10.0  # the finest detail is a tenth as strong as the rest, yet it is what matters here
STEEP, NEAR = 0.001, 0.01  # λ and σ


@dataclass(frozen=True)
class Opinion:
    """logits: D at each position, one map per level of detail; features: what they were computed from."""

    logits: Sequence[Tensor]
    features: Sequence[Tensor]


class Discriminator(nn.Module):
    """Log-odds that each part of a picture is from a photograph, at several levels of detail: a pyramid of
    convolutions.

    picture: (n, 3, h, w) in [-1, 1], h and w divisible by 16.
    """

    def __init__(self, widths: Sequence[int] = (48, 64, 128, 128)) -> None:
        super().__init__()
        self.enter = conv(2 * 3 * 4, widths[0])
        before = [widths[0], *widths]
        self.first = nn.ModuleList(conv(near, far) for near, far in zip(before, widths, strict=False))
        self.second = nn.ModuleList(conv(width, width) for width in widths)
        self.heads = nn.ModuleList(nn.Conv2d(width, 1, 1) for width in widths[1:])

    def forward(self, picture: Tensor) -> Opinion:
        coarse = F.interpolate(F.avg_pool2d(picture, 2), scale_factor=2.0, mode="nearest")
        x = torch.cat([picture, LOUD * (picture - coarse)], dim=1)
        x = _leaky(self.enter(F.pixel_unshuffle(x, 2)))
        logits, features = [], []
        for level, (first, second) in enumerate(zip(self.first, self.second, strict=True)):
            x = _leaky(first(F.avg_pool2d(x, 2) if level else x))
            x = (x + _leaky(second(x))) * SHARE**0.5
            features.append(x)
            if level:
                logits.append(self.heads[level - 1](x).float())
        return Opinion(logits, features)


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE)


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Inside this context, gradients pass through a module but not to its weights."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)


def generator_losses(discriminator: Discriminator, drawn: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """L_G, and how far the drawn pictures are from their photographs in the discriminator's features of both,

        mean over levels of  E |f(G) − f(x)| / E |f(x)|        (feature matching; Wang et al. 2018, arXiv:1711.11585)

    drawn, real: (n, 3, h, w) in [-1, 1], of the same faces. Gradients reach the generator, not the discriminator.
    """
    with frozen(discriminator):
        with torch.no_grad():
            told = discriminator(real).features
        opinion = discriminator(drawn)
        deceived = _mean([F.softplus(-logits).mean() for logits in opinion.logits])
        both = zip(opinion.features, told, strict=True)
        apart = [(f.float() - x.float()).abs().mean() / x.float().abs().mean() for f, x in both]
        return deceived, _mean(apart)


def discriminator_loss(discriminator: Discriminator, drawn: Tensor, real: Tensor, generator: torch.Generator) -> Tensor:
    """L_D; no gradients reach the generator.

    drawn, real: (n, 3, h, w) in [-1, 1].
    generator: of the noise added to real pictures in the last term, which uses the first quarter of them.
    """
    n, some = len(real), -(-len(real) // 4)
    moved = real[:some] + NEAR * normal(generator, *real[:some].shape, to=real.device)
    maps = discriminator(torch.cat([real, drawn.detach(), moved])).logits
    parts = [
        F.softplus(-logits[:n]).mean()
        + F.softplus(logits[n : 2 * n]).mean()
        + STEEP / NEAR**2 * (logits[:some] - logits[2 * n :]).square().mean()
        for logits in maps
    ]
    return _mean(parts)


def _mean(values: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(values)).mean()
