"""How strongly guidance weights each condition, as data without computation. No PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Guidance:
    """weights: {condition: weight}, "voice" for all encoders of a voice; conditions not named have `otherwise`; 1 = no
    guidance. Guidance applies only to times in [start, end]; outside, every weight is 1 (Kynkäänniemi et al. 2024,
    arXiv:2404.07724)."""

    otherwise: float
    weights: Mapping[str, float] | None = None
    start: float = 0.0
    end: float = 1.0

    def weight(self, name: str) -> float:
        weights = self.weights or {}
        return weights.get(name, weights.get(name.partition(":")[0], self.otherwise))
