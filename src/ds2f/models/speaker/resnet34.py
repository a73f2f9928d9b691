"""WeSpeaker's ResNet34 (Wang et al., ICASSP 2023, arXiv:2210.17016): the "r-vector" of Zeinali et al. 2019
(arXiv:1910.12592), a residual network on a spectrogram whose mean and standard deviation over time become the
embedding.

Layers, order and names are those of https://github.com/wenet-e2e/wespeaker (Apache-2.0), so that its weights can be
loaded; ResNet: He et al. 2016, arXiv:1512.03385.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FLOOR = 1e-7  # added to variances over time


class Block(nn.Module):
    """(n, inside, f, t) to (n, width, f / stride, t / stride)."""

    def __init__(self, inside: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Sequential()
        if stride != 1 or inside != width:
            self.shortcut = nn.Sequential(nn.Conv2d(inside, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        h = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(h + self.shortcut(x))


class ResNet34(nn.Module):
    """(n, frames, bins) to (n, width bins, frames / 8), frequencies concatenated."""

    def __init__(self, bins: int = 80, dim: int = 256, width: int = 32, blocks: Sequence[int] = (3, 4, 6, 3)) -> None:
        """bins: bands of the features; dim: of the embedding; width: channels of the first stage; blocks: in each of
        the four stages, (2, 2, 2, 2) for ResNet18."""
        super().__init__()
        self.channels = 8 * width * (bins // 8)
        self.conv1 = nn.Conv2d(1, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        inside = width
        for stage, count in enumerate(blocks):
            wide = width * 2**stage
            first = Block(inside, wide, 1 if stage == 0 else 2)
            setattr(self, f"layer{stage + 1}", nn.Sequential(first, *(Block(wide, wide, 1) for _ in range(count - 1))))
            inside = wide
        self.seg_1 = nn.Linear(2 * self.channels, dim)

    def forward(self, features: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(features.transpose(1, 2)[:, None])))
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
        return x.flatten(1, 2)

    def embedding(self, over_time: Tensor) -> Tensor:
        """Mean and standard deviation over time of the output of `forward`, mapped to (n, dim)."""
        return self.seg_1(torch.cat([over_time.mean(2), (over_time.var(2) + FLOOR).sqrt()], 1))
