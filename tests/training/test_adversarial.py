"""A discriminator learns to tell photographs from drawn pictures, and who draws learns from it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ds2f.training.adversarial import Discriminator, discriminator_loss, generator_losses


def soft_and_sharp(n: int = 8, size: int = 32) -> tuple[Tensor, Tensor]:
    sharp = 0.2 * torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(0))
    return F.interpolate(F.avg_pool2d(sharp, 2), scale_factor=2.0, mode="bilinear"), sharp


def small() -> Discriminator:
    torch.manual_seed(0)
    return Discriminator((8, 12, 16))


def test_losses_are_those_of_the_equations() -> None:
    soft, sharp = soft_and_sharp()
    judge = small()
    deceived, apart = generator_losses(judge, soft, sharp)
    of_soft, of_sharp = judge(soft), judge(sharp)
    expected = torch.stack([(1 + (-logits).exp()).log().mean() for logits in of_soft.logits]).mean()
    torch.testing.assert_close(deceived, expected)
    both = zip(of_soft.features, of_sharp.features, strict=True)
    torch.testing.assert_close(apart, torch.stack([(a - b).abs().mean() / b.abs().mean() for a, b in both]).mean())
    without = torch.stack(
        [(1 + (-r).exp()).log().mean() + (1 + s.exp()).log().mean()
         for r, s in zip(of_sharp.logits, of_soft.logits, strict=True)]
    ).mean()  # fmt: skip
    steep = discriminator_loss(judge, soft, sharp, torch.Generator().manual_seed(0)) - without
    assert 0 < steep < 0.1 * without


def test_gradients_of_each_loss_reach_whom_it_is_for() -> None:
    soft, sharp = soft_and_sharp()
    judge, drawn = small(), soft.clone().requires_grad_()
    sum(generator_losses(judge, drawn, sharp)).backward()  # type: ignore[union-attr]
    assert drawn.grad is not None
    assert drawn.grad.abs().sum() > 0
    assert all(p.grad is None and p.requires_grad for p in judge.parameters())
    drawn.grad = None
    discriminator_loss(judge, drawn, sharp, torch.Generator().manual_seed(0)).backward()
    assert drawn.grad is None
    assert all(p.grad is not None for p in judge.parameters())


def test_it_learns_to_tell_what_is_soft() -> None:
    soft, sharp = soft_and_sharp()
    judge, generator = small(), torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(judge.parameters(), 4e-3, betas=(0.5, 0.95))
    for _ in range(80):
        optimizer.zero_grad()
        discriminator_loss(judge, soft, sharp, generator).backward()
        optimizer.step()
    with torch.no_grad():
        assert all(a.mean() > 1 and b.mean() < -1 for a, b in zip(judge(sharp).logits, judge(soft).logits, strict=True))
