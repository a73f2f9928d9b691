"""Random numbers follow from their generator, wherever they are wanted."""

from __future__ import annotations

import torch

from ds2f.diffusion.noise import normal, uniform, whole


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_same_generator_draws_the_same_and_another_another() -> None:
    for draw in (uniform, normal):
        assert torch.equal(draw(_seeded(1), 3, 4), draw(_seeded(1), 3, 4))
        assert not torch.equal(draw(_seeded(1), 3, 4), draw(_seeded(2), 3, 4))
        assert draw(_seeded(1)).shape == ()


def test_whole_numbers_reach_all_that_are_below() -> None:
    drawn = whole(_seeded(0), 3, 200)
    assert drawn.unique().tolist() == [0, 1, 2]
    assert torch.equal(drawn, whole(_seeded(0), 3, 200))


def test_they_are_spread_as_they_should_be_and_lie_where_they_are_wanted() -> None:
    even, bell = uniform(_seeded(0), 10_000), normal(_seeded(0), 10_000, to=torch.device("meta"))
    assert 0 <= even.min() < 0.01 < 0.99 < even.max() < 1
    assert bell.device.type == "meta"
    assert abs(float(normal(_seeded(0), 10_000).std()) - 1) < 0.03
