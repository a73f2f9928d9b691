"""Classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598), with a weight for each condition."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ds2f.diffusion.conditions import Condition, Conditions, Denoiser
from ds2f.diffusion.flow import Predict
from ds2f.diffusion.weights import Guidance as Guidance

UNGUIDED = ("coverage", "sharpness")  # given on every side: they describe the kind of picture, not the person


def guided(denoiser: Denoiser, conditions: Conditions, guidance: Guidance) -> Predict:
    """A predictor bound to its conditions. Conditions of equal weight form a group; the groups c₁, c₂, … are added one
    after the other, the strongest last:

        x̂ = x̂(∅) + w₁ (x̂(c₁) − x̂(∅)) + w₂ (x̂(c₁, c₂) − x̂(c₁)) + …

    as Brooks et al. 2023 (InstructPix2Pix, arXiv:2211.09800, eq. 3) do for two. With one weight w for all, this is
    x̂(∅) + w (x̂(c) − x̂(∅)). It costs one evaluation more than there are weights, one less if the smallest is 1.
    Mixing predictions of x is the same as mixing velocities, since v is affine in x at fixed z and t.
    """
    names = [name for name in conditions if name not in UNGUIDED]
    levels = sorted({guidance.weight(name) for name in names})
    if levels in ([], [1.0]):
        return lambda z, t: denoiser(z, t, conditions)
    if levels[0] == 1.0:  # x̂(∅) + 1 (x̂(c₁) − x̂(∅)) is x̂(c₁): x̂(∅) is not needed
        levels = levels[1:]
    sides = [_only(conditions, [n for n in names if guidance.weight(n) < level], names) for level in levels]
    together = _stack([*sides, conditions])

    def predict(z: Tensor, t: Tensor) -> Tensor:
        if not guidance.start <= float(t[0]) <= guidance.end:
            return denoiser(z, t, conditions)
        count = len(levels) + 1
        x = denoiser(z.repeat(count, 1, 1, 1), t.repeat(count), together).chunk(count)
        result = x[0]
        for weight, without, with_it in zip(levels, x[:-1], x[1:], strict=True):
            result = result + weight * (with_it - without)
        return result

    return predict


def steered(predict: Predict, log_likelihood: Callable[[Tensor], Tensor], strength: float = 1.0) -> Predict:
    """A predictor of x given y, from an unconditional one and log p(y | x), by Bayes' rule; nothing is trained for it.

        E[x | z, y] = E[x | z] + ((1 − t)² / t) ∇_z log p(y | z)

    (Efron 2011 for z = t x + (1 − t) ε), with p(y | z) ≈ p(y | x̂(z)) (Chung et al. 2023, arXiv:2209.14687) and the
    slope of x̂(z) taken as that of a unit Gaussian, t / (t² + (1 − t)²), so that the factor stays finite at t = 0.
    strength 1 is Bayes' rule; higher values enforce y more strongly. log_likelihood: (n, d) to (n,), differentiable.
    """

    def predicted(z: Tensor, t: Tensor) -> Tensor:
        x = predict(z, t)
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(log_likelihood(leaf).sum(), leaf)
        share = (1 - t) ** 2 / (t**2 + (1 - t) ** 2)
        return x + strength * share[:, None] * slope

    return predicted


def _only(conditions: Conditions, kept: list[str], names: list[str]) -> Conditions:
    """Keep only those of the conditions `names` that are in `kept`; the others are unchanged."""
    return {n: c.dropped() if n in names and n not in kept else c for n, c in conditions.items()}


def _stack(sides: list[Conditions]) -> Conditions:
    return {
        name: Condition(torch.cat([s[name].value for s in sides]), torch.cat([s[name].given for s in sides]))
        for name in sides[0]
    }
