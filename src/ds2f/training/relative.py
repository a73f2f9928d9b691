"""AdamW whose learning rate is relative to the size of a weight, for networks whose weights differ widely in size."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

LEAST = 0.1  # of a tensor's root mean square: a lower bound for rows
SMALLEST = 1e-4  # the size assumed for a tensor of zeros


class RelativeAdamW(torch.optim.AdamW):
    """AdamW moves every weight by about the learning rate. A network with folded normalisation has layers, and channels
    within a layer, whose weights differ in size a thousandfold; what barely moves one destroys another. Here

        w ← w + r Δ      Δ: AdamW's step,   r: the root mean square of the weight's row at the start of training

    A row produces one output channel; in scales and shifts every number is a row. Similar to LAMB (You et al. 2020,
    arXiv:1904.00962), but by row instead of layer, and by initial size, so that r is constant: equivalent to training w
    = w₀ + r v with AdamW from v = 0. There is no weight decay, so that what was learnt before is not pulled towards
    zero.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, betas: tuple[float, float]) -> None:
        """lr: relative to a weight's size; betas: see AdamW."""
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
    """The size of every row, shaped as a column that can be multiplied with it."""
    size = weight.abs() if weight.dim() < 2 else weight.flatten(1).square().mean(1).sqrt()
    least = max(SMALLEST, LEAST * float(weight.square().mean().sqrt()))
    return size.clamp_min(least).view(-1, *[1] * (weight.dim() - 1)) if weight.dim() else size.clamp_min(least)
