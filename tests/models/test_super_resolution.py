"""Super-resolution begins as plain enlargement, of any picture, and depends on all that it is given."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from ds2f.models.super_resolution import SuperResolution, SuperResolutionConfig

CONFIG = SuperResolutionConfig(16, 2, (8, 12, 16), (1, 1, 1))


def test_it_begins_as_plain_enlargement() -> None:
    picture = torch.rand(2, 3, 16, 16) * 2 - 1
    plain = F.interpolate(picture, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(SuperResolution(CONFIG)(picture, torch.randn(2, 1, 32, 32)), plain)


def test_what_it_adds_follows_picture_and_noise_through_every_layer() -> None:
    torch.manual_seed(0)
    network = SuperResolution(CONFIG)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    picture, noise = torch.rand(1, 3, 16, 16, requires_grad=True), torch.randn(1, 1, 32, 32, requires_grad=True)
    network(picture, noise)[0, :, 8, 8].sum().backward()
    assert picture.grad is not None
    assert noise.grad is not None
    assert picture.grad[0, :, 15, 15].abs().sum() > 0, "the coarsest level sees all of so small a picture"
    assert noise.grad.abs().sum() > 0
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())
