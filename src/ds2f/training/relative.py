"""AdamW whose learning rate is a share of how large a weight is, for networks whose weights differ in size."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

LEAST = 0.1  # of a tensor's root mean square: no row counts as smaller
SMALLEST = 1e-4  # what a tensor of noughts counts as


class RelativeAdamW(torch.optim.AdamW):
    """AdamW moves every weight by about the learning rate. A network with its normalisation folded in has layers, and
    channels within a layer, whose weights differ in size a thousandfold; what barely moves one shatters another. Here

        w ← w + r Δ      Δ: AdamW's step,   r: the root mean square of the weight's row as training began

    A row is what makes one output channel; of scales and shifts every number is one. Much as LAMB (You et al. 2020,
    arXiv:1904.00962), by the row instead of the layer, and by the size at the start, so that r is a constant: the same
    as learning w = w₀ + r v by AdamW, from v = 0. Weights do not decay: what was learnt is not drawn to nought.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, betas: tuple[float, float]) -> None:
        """lr: a share of a weight's size; betas: see AdamW."""
        super().__init__(parameters, lr=lr, betas=betas, weight_decay=0.0)
        self.sizes = {p: _rows(p.detach()) for group in self.param_groups for p in group["params"]}

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """See torch.optim.Optimizer.step."""
        moved = [p for p in self.sizes if p.grad is not None]
        before = [p.clone() for p in moved]
        found = super().step(closure)
        torch._foreach_sub_(moved, before)
        torch._foreach_mul_(moved, [self.sizes[p] for p in moved])
        torch._foreach_add_(moved, before)
        return found


def _rows(weight: Tensor) -> Tensor:
    """The size of every row, in the shape of a column that multiplies them."""
    size = weight.abs() if weight.dim() < 2 else weight.flatten(1).square().mean(1).sqrt()
    least = max(SMALLEST, LEAST * float(weight.square().mean().sqrt()))
    return size.clamp_min(least).view(-1, *[1] * (weight.dim() - 1)) if weight.dim() else size.clamp_min(least)
