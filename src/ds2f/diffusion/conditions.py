"""A denoiser's conditions, any subset of them: tensors by name, each given or not, row by row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Condition:
    """One condition for a batch. value: (n, d) float32, or (n, 3, size, size) for a guide image; given: (n,) bool,
    False where it is to be ignored."""

    value: Tensor
    given: Tensor

    @staticmethod
    def of(value: Tensor) -> Condition:
        """A condition that is given in every row."""
        return Condition(value, torch.ones(len(value), dtype=torch.bool, device=value.device))

    def dropped(self) -> Condition:
        """The same condition, given in no row: the unconditional side of guidance."""
        return Condition(self.value, torch.zeros_like(self.given))


Conditions = dict[str, Condition]
Denoiser = Callable[[Tensor, Tensor, Conditions], Tensor]
"""(z (n, ...), t (n,), conditions) to the predicted clean x (n, ...): a network, before its conditions are bound."""
