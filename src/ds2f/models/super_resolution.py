"""Super-resolution p(sharp picture | drawn picture): the last stage of a cascade, after the decoder.

The decoder determines who a face shows but is poor at single pixels; the stages of a cascade share the work (Ho et al.
2022, arXiv:2106.15282). This stage is a U-Net on the drawn picture and noise that adds finer detail, in one pass, and
was trained by a discriminator to look like photographs (`training.super_resolution`). It doubles the size of a picture,
or, where the decoder draws at the final size but softly, keeps it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

INSIDE = 2  # the finished picture is this much larger than the network's largest maps


@dataclass(frozen=True)
class SuperResolutionConfig:
    """size: pixels of the input pictures; factor: how much larger the finished ones are, 1 or 2; widths: channels at
    half the finished size, at a quarter, and so on; depths: residual blocks at each of these, on the way down and again
    on the way up."""

    size: int = 128
    factor: int = 2
    widths: tuple[int, ...] = (48, 64, 128)
    depths: tuple[int, ...] = (2, 2, 2)


class SuperResolution(nn.Module):
    """(picture, noise) to the finished picture.

    picture: (n, 3, size, size) in [-1, 1]; noise: (n, 1, k size, k size), normal; k: the factor. Returns (n, 3, k size,
    k size), roughly in [-1, 1]: the picture, enlarged if k is 2, plus what the network adds.
    """

    def __init__(self, config: SuperResolutionConfig) -> None:
        super().__init__()
        self.config = config
        widths, depths = config.widths, config.depths
        self.enter = conv(3 * (INSIDE // config.factor) ** 2 + INSIDE**2, widths[0])
        self.down = nn.ModuleList(_blocks(width, depth) for width, depth in zip(widths, depths, strict=True))
        self.narrower = nn.ModuleList(conv(near, far) for near, far in itertools.pairwise(widths))
        self.wider = nn.ModuleList(conv(far, near) for near, far in itertools.pairwise(widths))
        self.up = nn.ModuleList(_blocks(width, depth) for width, depth in zip(widths, depths, strict=True))
        self.leave = conv(widths[0], 3 * INSIDE**2)
        nn.init.zeros_(self.leave.weight)

    def forward(self, picture: Tensor, noise: Tensor) -> Tensor:
        factor = self.config.factor
        seen = F.pixel_unshuffle(picture, INSIDE // factor)
        x = self.enter(torch.cat([seen, F.pixel_unshuffle(noise, INSIDE)], dim=1))
        levels: list[Tensor] = []
        for level, blocks in enumerate(self.down):
            x = blocks(x)
            if level < len(self.narrower):
                levels.append(x)
                x = self.narrower[level](F.avg_pool2d(x, 2))
        for level in reversed(range(len(self.up))):
            if level < len(levels):
                x = levels[level] + F.interpolate(self.wider[level](x), scale_factor=2, mode="nearest")
            x = self.up[level](x)
        if factor > 1:
            picture = F.interpolate(picture, scale_factor=factor, mode="bilinear", align_corners=False)
        return picture + F.pixel_shuffle(self.leave(x), INSIDE)


class Block(nn.Module):
    """Residual, without normalisation (as in EDSR; Lim et al. 2017, arXiv:1707.02921); initialised as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = conv(width, width), conv(width, width)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = x + self.second(F.silu(self.first(F.silu(x))))
        return found


def conv(near: int, far: int) -> nn.Conv2d:
    """3 by 3, from `near` channels to `far`; preserves the scale of activations (He et al. 2015, arXiv:1502.01852)."""
    layer = nn.Conv2d(near, far, 3, padding=1)
    nn.init.kaiming_normal_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def _blocks(width: int, depth: int) -> nn.Sequential:
    return nn.Sequential(*(Block(width) for _ in range(depth)))
