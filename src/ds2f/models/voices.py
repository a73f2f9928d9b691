"""A model's voice input: one or several descriptions of a voice, concatenated.

Speaker encoders and acoustic features differ in length, unit and spread. Each is centred and scaled to a total variance
of one, so that none dominates; a missing one is 0 (the mean), and a flag says so. A single encoder is used unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ds2f.models.conditioning import Condition
from ds2f.models.linear import BLOCK
from ds2f.types import ACOUSTICS


def given(vectors: Sequence[np.ndarray | None]) -> Condition:
    """One description of n voices, (d,) each, None where it is missing; at least one is present."""
    some = next(v for v in vectors if v is not None)
    filled = np.stack([np.zeros_like(some) if v is None else v for v in vectors])
    return Condition(torch.from_numpy(filled), torch.tensor([v is not None for v in vectors]))


class VoiceInputs(nn.Module):
    """{name: (n, d)} to (n, dim). dims: {name: d}, of speaker encoders or "acoustics", in the order of the result."""

    def __init__(self, dims: Mapping[str, int]) -> None:
        super().__init__()
        self.dims = dict(dims)
        self.several = len(self.dims) > 1
        self.dim = sum(self.dims.values()) + (len(self.dims) if self.several else 0)
        for i, dim in enumerate(self.dims.values() if self.several else ()):
            self.register_buffer(f"mean_{i}", torch.zeros(dim))
            self.register_buffer(f"scale_{i}", torch.ones(dim))

    def fit(self, voices: Mapping[str, Condition]) -> None:
        """Compute the statistics from training data: {name: (n, d) values, NaN for a number that is missing}."""
        for i, name in enumerate(self.dims if self.several else ()):
            mean = _mean(voices[name], torch.zeros(()), 1)
            variance = _mean(voices[name], mean, 2)
            # An embedding's numbers share a unit, so their spreads are meaningful; those of acoustics do not.
            each = variance.mean().expand_as(variance) if name != ACOUSTICS else variance
            getattr(self, f"mean_{i}").copy_(mean)
            getattr(self, f"scale_{i}").copy_((each * len(each)).sqrt().clamp_min(1e-6))

    def split(self, voices: Tensor) -> dict[str, Condition]:
        """The inverse of `forward`: (n, dim) to {name: (n, d)}; what was missing is not given, and has its mean."""
        if not self.several:
            return {name: Condition.of(voices) for name in self.dims}
        *parts, flags = voices.split([*self.dims.values(), len(self.dims)], dim=1)
        return {
            name: Condition(part * getattr(self, f"scale_{i}") + getattr(self, f"mean_{i}"), flags[:, i] > 0)
            for i, (name, part) in enumerate(zip(self.dims, parts, strict=True))
        }

    def forward(self, voices: Mapping[str, Condition]) -> Tensor:
        """voices: those available; a name that is left out is missing in all rows. Raises KeyError if none is
        available."""
        if not self.several:
            return voices[next(iter(self.dims))].value
        some = next(iter(voices.values()))
        parts: list[Tensor] = []
        flags: list[Tensor] = []
        for i, (name, dim) in enumerate(self.dims.items()):
            heard = voices.get(name)
            if heard is None:
                heard = Condition(some.value.new_zeros(len(some.value), dim), torch.zeros_like(some.given))
            standard = (heard.value - getattr(self, f"mean_{i}")) / getattr(self, f"scale_{i}")
            parts.append(torch.where(heard.given[:, None], torch.nan_to_num(standard), 0.0))
            flags.append(heard.given[:, None].float())
        return torch.cat([*parts, *flags], dim=1)


def _mean(voices: Condition, origin: Tensor, power: int) -> Tensor:
    """(d,) means of (voices − origin) ^ power over known values, by sums over blocks."""
    total = count = torch.zeros(voices.value.shape[1], dtype=torch.float64)
    for value, given in zip(voices.value.split(BLOCK), voices.given.split(BLOCK), strict=True):
        known = (value[given].double() - origin) ** power
        total, count = total + known.nansum(0), count + (~known.isnan()).sum(0)
    return total / count
