"""ECAPA-TDNN: a time-delay network with multi-scale residual blocks, squeeze and excitation, and aggregation of all its
depths (Desplanques et al., Interspeech 2020, arXiv:2005.07143).

Layers, order and names are those of WeSpeaker (https://github.com/wenet-e2e/wespeaker, Apache-2.0), so that its weights
can be loaded; Res2Net: Gao et al. 2019, arXiv:1904.01169.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ds2f.models.speaker.pooling import AttentiveStatistics

SCALES = 8  # groups of channels, each with a larger receptive field than the one before
DILATIONS = (2, 3, 4)  # of the three blocks


class ConvReluNorm(nn.Module):
    """(n, inside, t) to (n, width, t)."""

    def __init__(self, inside: int, width: int, kernel: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inside, width, kernel, padding=kernel // 2)
        self.bn = nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(F.relu(self.conv(x)))


class Scaled(nn.Module):
    """The channels in SCALES groups: the last is unchanged; each of the others is convolved after adding the previous
    group's output."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.part, convolved = width // SCALES, SCALES - 1
        kernels = [nn.Conv1d(self.part, self.part, 3, padding=dilation, dilation=dilation) for _ in range(convolved)]
        self.convs = nn.ModuleList(kernels)
        self.bns = nn.ModuleList(nn.BatchNorm1d(self.part) for _ in range(convolved))

    def forward(self, x: Tensor) -> Tensor:
        *given, last = x.split(self.part, 1)
        made: list[Tensor] = []
        for part, conv, norm in zip(given, self.convs, self.bns, strict=True):
            made.append(norm(F.relu(conv(made[-1] + part if made else part))))
        return torch.cat([*made, last], 1)


class SqueezeExcite(nn.Module):
    """Scales each channel depending on the time average of all channels."""

    def __init__(self, width: int, narrow: int = 128) -> None:
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(width, narrow), nn.Linear(narrow, width)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.linear2(F.relu(self.linear1(x.mean(2)))))[:, :, None]


class Block(nn.Module):
    """(n, width, t) to the same shape, with a shortcut."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.se_res2block = nn.Sequential(
            ConvReluNorm(width, width), Scaled(width, dilation), ConvReluNorm(width, width), SqueezeExcite(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.se_res2block(x)


class ECAPATDNN(nn.Module):
    """(n, frames, bins) to (n, last, frames)."""

    def __init__(
        self, bins: int = 80, dim: int = 192, width: int = 512, last: int = 1536, context: bool = True
    ) -> None:
        """As in the paper, which also has a version with 1,024 channels.

        bins: bands of the features.
        dim: of the embedding.
        width: channels of the blocks.
        last: channels of the layer that aggregates them.
        context: see `AttentiveStatistics`; with it, WeSpeaker's ECAPA_TDNN_GLOB.
        """
        super().__init__()
        self.channels = last
        self.layer1 = ConvReluNorm(bins, width, 5)
        self.layer2, self.layer3, self.layer4 = (Block(width, dilation) for dilation in DILATIONS)
        self.conv = nn.Conv1d(3 * width, last, 1)
        self.pool = AttentiveStatistics(last, context)
        self.bn = nn.BatchNorm1d(2 * last)
        self.linear = nn.Linear(2 * last, dim)

    def forward(self, features: Tensor) -> Tensor:
        first = self.layer2(self.layer1(features.transpose(1, 2)))
        second = self.layer3(first)
        return F.relu(self.conv(torch.cat([first, second, self.layer4(second)], 1)))

    def embedding(self, over_time: Tensor) -> Tensor:
        """The output of `forward`, mapped to (n, dim)."""
        return self.linear(self.bn(self.pool(over_time)))
