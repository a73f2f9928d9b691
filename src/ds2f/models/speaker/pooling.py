"""From frames to one vector: statistics over time, with a weight for each frame."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def statistics(x: Tensor, weight: Tensor, floor: float) -> Tensor:
    """Weighted mean and standard deviation over time, concatenated (Okabe et al., Interspeech 2018, arXiv:1803.10963).

        μ = Σ_t w_t x_t,   σ = √(Σ_t w_t x_t² − μ²)

    x: (n, channels, t).
    weight: (n, channels or 1, t), summing to one over time.
    floor: of the variance.
    """
    mean = (x * weight).sum(2)
    spread = ((x.square() * weight).sum(2) - mean.square()).clamp_min(floor).sqrt()
    return torch.cat([mean, spread], 1)


class AttentiveStatistics(nn.Module):
    """Attentive statistics pooling with a weight per channel, (n, width, t) to (n, 2 width), as in ECAPA-TDNN
    (Desplanques et al., Interspeech 2020, arXiv:2005.07143). context: weights also depend on the mean and standard
    deviation of the whole clip."""

    def __init__(self, width: int, context: bool = False, narrow: int = 128) -> None:
        super().__init__()
        self.context = context
        self.linear1 = nn.Conv1d(3 * width if context else width, narrow, 1)
        self.linear2 = nn.Conv1d(narrow, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        seen = x
        if self.context:
            mean, spread = x.mean(2, keepdim=True), (x.var(2, keepdim=True) + 1e-10).sqrt()
            seen = torch.cat([x, mean.expand_as(x), spread.expand_as(x)], 1)
        weight = F.softmax(self.linear2(torch.tanh(self.linear1(seen))), 2)
        return statistics(x, weight, 1e-10)
