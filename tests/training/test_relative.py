"""Every row moves by a share of its own size, and goes on after a checkpoint as if there had been none."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import nn

from ds2f.training import checkpoint
from ds2f.training.relative import RelativeAdamW


def of_all_sizes() -> nn.Linear:
    torch.manual_seed(0)
    layer = nn.Linear(6, 4)
    with torch.no_grad():
        layer.weight.mul_(torch.tensor([100.0, 50.0, 200.0, 80.0])[:, None])
        layer.bias.copy_(torch.tensor([1e-3, 2e-3, -1e-3, 3e-3]))
    return layer


def step(layer: nn.Linear, optimizer: torch.optim.Optimizer, seed: int) -> None:
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(seed))
    (layer(x) - seed).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()


def test_the_first_step_is_the_rate_of_every_row() -> None:
    layer = of_all_sizes()
    before = copy.deepcopy(layer)
    step(layer, RelativeAdamW(layer.parameters(), lr=0.01, betas=(0.9, 0.999)), 1)
    rows = before.weight.square().mean(1).sqrt()
    moved = (layer.weight - before.weight).abs().amax(1)  # Adam's first step is ± the rate
    torch.testing.assert_close(moved, 0.01 * rows, rtol=1e-3, atol=0)
    torch.testing.assert_close((layer.bias - before.bias).abs(), 0.01 * before.bias.abs(), rtol=1e-2, atol=0)


def test_it_is_adamw_in_units_of_the_size() -> None:
    """w = w0 + r v, learnt by v: the same, as AdamW does not see how large a gradient is."""
    layer, other = of_all_sizes(), of_all_sizes()
    optimizer = RelativeAdamW(layer.parameters(), lr=0.01, betas=(0.9, 0.999))
    start, size = other.weight.detach().clone(), optimizer.sizes[layer.weight]
    v = nn.Parameter(torch.zeros_like(start))
    plain = torch.optim.AdamW([v], lr=0.01, weight_decay=0.0)
    still = layer.bias.detach().clone()
    for seed in range(5):
        x = torch.randn(5, 6, generator=torch.Generator().manual_seed(seed))
        (x @ (start + size * v).T).square().mean().backward()
        (x @ layer.weight.T).square().mean().backward()
        for one in (optimizer, plain):
            one.step()
            one.zero_grad()
    torch.testing.assert_close(layer.weight.detach(), (start + size * v).detach(), rtol=1e-4, atol=1e-4)
    assert torch.equal(layer.bias, still)  # no gradient, no step


def test_it_goes_on_after_a_checkpoint(tmp_path: Path) -> None:
    layer = of_all_sizes()
    optimizer = RelativeAdamW(layer.parameters(), lr=0.01, betas=(0.9, 0.999))
    for seed in range(3):
        step(layer, optimizer, seed)
    checkpoint.save(tmp_path, 3, layer, layer, [optimizer], {})
    step(layer, optimizer, 3)
    again = of_all_sizes()
    restored = RelativeAdamW(again.parameters(), lr=0.01, betas=(0.9, 0.999))
    checkpoint.resume(tmp_path, again, copy.deepcopy(again), [restored])
    step(again, restored, 3)
    assert torch.equal(again.weight, layer.weight)
