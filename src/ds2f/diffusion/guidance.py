"""Classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598)."""

from __future__ import annotations

import torch
from torch import Tensor

from ds2f.diffusion.flow import Predict
from ds2f.models.conditioning import Condition, Conditions
from ds2f.models.decoder import Decoder


def guided(decoder: Decoder, conditions: Conditions, weight: float, guided_by: str = "identity") -> Predict:
    """A predictor bound to its conditions, with x̂ = x̂(∅) + w (x̂(c) − x̂(∅)) for the condition `guided_by`.

    The other conditions are given on both sides. weight 1 is no guidance and costs half the evaluations. Mixing
    predictions of x is the same as mixing velocities, since v is affine in x at fixed z and t.
    """
    if weight == 1.0 or guided_by not in conditions:
        return lambda z, t: decoder(z, t, conditions)
    both = {
        name: _stack(condition, condition.dropped() if name == guided_by else condition)
        for name, condition in conditions.items()
    }

    def predict(z: Tensor, t: Tensor) -> Tensor:
        with_it, without = decoder(torch.cat([z, z]), torch.cat([t, t]), both).chunk(2)
        return without + weight * (with_it - without)

    return predict


def _stack(a: Condition, b: Condition) -> Condition:
    return Condition(torch.cat([a.value, b.value]), torch.cat([a.given, b.given]))
