"""The two baselines of voxceleb_trainer: residual networks with squeeze and excitation on a spectrogram.

ResNetSE34L   a quarter of the channels, fast: Chung et al., "In defence of metric learning", Interspeech 2020
ResNetSE34V2  half of the channels, accurate: Heo et al. 2020, arXiv:2009.14153; Kwon et al., ICASSP 2021
              (arXiv:2010.15809)

Layers, order and names are those of https://github.com/clovaai/voxceleb_trainer (MIT), so that its weights can be
loaded; ResNet: He et al. 2016, arXiv:1512.03385; squeeze and excitation: Hu et al. 2018, arXiv:1709.01507.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ds2f.models.speaker.pooling import statistics

BLOCKS = (3, 4, 6, 3)  # of each of the four stages
REDUCTION = 8  # of the channels, in squeeze and excitation
FLOOR = 1e-5  # of variances over time


class SqueezeExcite(nn.Module):
    """Scales each channel depending on the average of all channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        narrow = width // REDUCTION
        self.fc = nn.Sequential(nn.Linear(width, narrow), nn.ReLU(), nn.Linear(narrow, width), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.fc(x.mean((2, 3)))[:, :, None, None]


class Block(nn.Module):
    """(n, inside, f, t) to (n, width, f / stride, t / stride). As in the original, normalisation follows the first
    ReLU, not the convolution."""

    def __init__(self, inside: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.se = SqueezeExcite(width)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inside != width:
            self.downsample = nn.Sequential(nn.Conv2d(inside, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        h = self.bn1(F.relu(self.conv1(x)))
        return F.relu(self.se(self.bn2(self.conv2(h))) + self.downsample(x))


class ResNetSE(nn.Module):
    """The common part of both: four stages, to (n, channels, f, t)."""

    def __init__(self, widths: tuple[int, ...], strides: tuple[int, ...]) -> None:
        super().__init__()
        before = (widths[0], *widths)
        for number, (inside, width) in enumerate(pairwise(before), 1):
            stage = [Block(inside, width, strides[number - 1])]
            stage += [Block(width, width, 1) for _ in range(BLOCKS[number - 1] - 1)]
            setattr(self, f"layer{number}", nn.Sequential(*stage))

    def stages(self, x: Tensor) -> Tensor:
        for number in range(1, len(BLOCKS) + 1):
            x = getattr(self, f"layer{number}")(x)
        return x

    def begin(self) -> None:
        """Initialise kernels for ReLUs (He et al. 2015, arXiv:1502.01852)."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class ResNetSE34L(ResNetSE):
    """(n, frames, bins) to (n, 8 width, frames / 4), averaged over frequencies; one weight per frame (self-attentive
    pooling, Cai et al., Odyssey 2018, arXiv:1804.05160), optionally also the standard deviation (`spread`)."""

    def __init__(self, bins: int = 40, dim: int = 512, width: int = 16, spread: bool = False) -> None:
        widths = (width, 2 * width, 4 * width, 8 * width)
        super().__init__(widths, (1, 2, 2, 1))
        self.spread, self.channels = spread, widths[-1]
        self.conv1 = nn.Conv2d(1, width, 7, (2, 1), 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.sap_linear = nn.Linear(self.channels, self.channels)
        self.attention = nn.Parameter(nn.init.xavier_normal_(torch.empty(self.channels, 1)))
        self.fc = nn.Linear(self.channels * (2 if spread else 1), dim)
        self.begin()

    def forward(self, features: Tensor) -> Tensor:
        x = features.transpose(1, 2)[:, None]
        return self.stages(F.relu(self.bn1(self.conv1(x)))).mean(2)

    def embedding(self, over_time: Tensor) -> Tensor:
        """The output of `forward`, mapped to (n, dim)."""
        score = torch.tanh(self.sap_linear(over_time.transpose(1, 2))) @ self.attention
        weight = F.softmax(score, 1).transpose(1, 2)
        pooled = statistics(over_time, weight, FLOOR) if self.spread else (over_time * weight).sum(2)
        return self.fc(pooled)


class ResNetSE34V2(ResNetSE):
    """(n, frames, bins) to (n, width bins, frames / 8), frequencies concatenated; a weight for each of these channels
    and frames, with mean and standard deviation (attentive statistics pooling), or the mean alone."""

    def __init__(self, bins: int = 64, dim: int = 512, width: int = 32, spread: bool = True) -> None:
        super().__init__((width, 2 * width, 4 * width, 8 * width), (1, 2, 2, 2))
        self.spread, self.channels = spread, 8 * width * (bins // 8)
        self.conv1 = nn.Conv2d(1, width, 3, 1, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.attention = nn.Sequential(
            nn.Conv1d(self.channels, 128, 1),
            nn.ReLU(),
            nn.BatchNorm1d(128),
            nn.Conv1d(128, self.channels, 1),
            nn.Softmax(dim=2),
        )
        self.fc = nn.Linear(self.channels * (2 if spread else 1), dim)
        self.begin()

    def forward(self, features: Tensor) -> Tensor:
        x = features.transpose(1, 2)[:, None]
        return self.stages(self.bn1(F.relu(self.conv1(x)))).flatten(1, 2)

    def embedding(self, over_time: Tensor) -> Tensor:
        """The output of `forward`, mapped to (n, dim)."""
        weight = self.attention(over_time)
        pooled = statistics(over_time, weight, FLOOR) if self.spread else (over_time * weight).sum(2)
        return self.fc(pooled)
