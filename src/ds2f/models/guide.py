"""Guide images: faces degraded by blurring, pixelating or shrinking, for the decoder to complete.

The kinds and their ranges are those of the original research at 128 px (pixelated to 8-24 px, box blur of radius 4-14,
Gaussian blur of 4-8 px), scaled with the size of the picture. `level` in [0, 1] is the strength: 0 the mildest of its
kind, 1 the strongest.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ds2f.diffusion.noise import normal, uniform, whole

MAX_NOISE = 0.3  # spread of the noise added to guides in training (Ho et al. 2022, arXiv:2106.15282), of the pixels'


def pixelate(image: Tensor, level: float) -> Tensor:
    """(n, 3, s, s) to blocks: 24 across at level 0, 8 at level 1 (at any size)."""
    small = F.interpolate(image, _across(level), mode="area")
    return F.interpolate(small, image.shape[-1], mode="nearest")


def shrink(image: Tensor, level: float) -> Tensor:
    """(n, 3, s, s) shrunk to 24 px at level 0, 8 px at level 1, then smoothly enlarged again."""
    small = F.interpolate(image, _across(level), mode="area")
    return F.interpolate(small, image.shape[-1], mode="bicubic", align_corners=False)


def box_blur(image: Tensor, level: float) -> Tensor:
    """(n, 3, s, s) averaged over squares of radius 4 px at level 0, 14 px at level 1, for a 128 px picture."""
    radius = max(1, round((4 + 10 * level) * image.shape[-1] / 128))
    padded, across = F.pad(image, (radius,) * 4, mode="replicate"), 2 * radius + 1
    return F.avg_pool2d(F.avg_pool2d(padded, (across, 1), stride=1), (1, across), stride=1)  # a square is separable


def gaussian_blur(image: Tensor, level: float) -> Tensor:
    """(n, 3, s, s) blurred by a Gaussian of 4 px at level 0, 8 px at level 1, for a 128 px picture."""
    sigma = (4 + 4 * level) * image.shape[-1] / 128
    radius = math.ceil(3 * sigma)
    offsets = torch.arange(-radius, radius + 1, dtype=image.dtype, device=image.device)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, -1)
    for k, padding in ((kernel, (radius, radius, 0, 0)), (kernel.transpose(2, 3), (0, 0, radius, radius))):
        image = F.conv2d(F.pad(image, padding, mode="replicate"), k, groups=3)
    return image


def _across(level: float) -> int:
    return round(24 - 16 * level)


DEGRADATIONS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "pixelate": pixelate,
    "shrink": shrink,
    "box": box_blur,
    "gaussian": gaussian_blur,
}


def named(kind: str, level: float) -> str:
    """A degradation in words, in pixels of a 128 px picture."""
    if kind == "pixelate":
        return f"pixelated, {_across(level)} blocks"
    if kind == "shrink":
        return f"shrunk to {_across(level)} px"
    if kind == "box":
        return f"box blur, radius {4 + 10 * level:g} px"
    return f"Gaussian blur, {4 + 4 * level:g} px"


def random_guides(x: Tensor, mean: Tensor, generator: torch.Generator) -> Tensor:
    """Degrade normalised training pictures, (n, 3, s, s), each quarter of the batch in a different way.

    mean: (3, s, s), the mean face that was subtracted from them, in the same units. It is degraded along with the
    picture, as it is in pictures that users provide.
    """
    pieces = []
    names = list(DEGRADATIONS)
    for rows in x.chunk(len(names)):
        kind = names[int(whole(generator, len(names)))]
        level = float(uniform(generator))
        pieces.append(DEGRADATIONS[kind](rows + mean, level) - mean)
    image = torch.cat(pieces)
    spread = MAX_NOISE * uniform(generator, len(x), 1, 1, 1, to=x.device)
    return image + spread * normal(generator, *x.shape, to=x.device)
