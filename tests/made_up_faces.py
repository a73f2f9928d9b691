"""Small pictures that follow from their identities, for tests that train a decoder."""

from __future__ import annotations

import torch

from ds2f.models.conditioning import Condition
from ds2f.training.faces import FaceData

SIZE = 16


def made_up_faces(count: int, seed: int) -> FaceData:
    """Left-right symmetric pictures, a fixed linear map of 4 of the 128 identity numbers, plus noise."""
    generator = torch.Generator().manual_seed(seed)
    identity = torch.randn(count, 128, generator=generator)
    pattern = torch.randn(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(99))
    pattern = pattern + pattern.flip(3)
    image = torch.einsum("nd,dchw->nchw", identity[:, :4], pattern) * 15 + 128
    image = image + 8 * torch.randn(image.shape, generator=generator)
    conditions = {"identity": Condition.of(identity), "coverage": Condition.of(torch.ones(count, 1))}
    return FaceData(image.clamp(0, 255).byte(), conditions)
