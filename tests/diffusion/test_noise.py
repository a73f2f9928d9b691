"""Random numbers follow from their generator, wherever they are wanted."""

from __future__ import annotations

import torch

from ds2f.diffusion.noise import normal, normal_by_seed, uniform, whole

CPU = torch.device("cpu")


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


SEEDS = [0, 1, 7_000_003, 2**31 - 1, 2**31, 2**32, 2**63, 2**64 + 1, 10**40, -1, -(2**31), -(10**40)]


def test_any_whole_number_is_a_seed_and_gives_its_own_noise() -> None:
    first, again = (normal_by_seed(SEEDS, 3, 5, stream=0, to=CPU) for _ in range(2))
    assert torch.equal(first, again)
    rows = torch.cat([first, normal_by_seed(SEEDS, 3, 5, stream=1, to=CPU)]).flatten(1)
    assert len({row.numpy().tobytes() for row in rows}) == 2 * len(SEEDS)
    many = normal_by_seed(range(-(2**40), -(2**40) + 2000), 8, stream=0, to=CPU)
    assert abs(float(many.mean())) < 0.05
    assert abs(float(many.std()) - 1) < 0.05


def test_seeds_of_before_give_the_noise_of_before() -> None:
    for stream in (0, 1):
        before = torch.randn(4, generator=torch.Generator().manual_seed(2 * 5 + stream))
        assert torch.equal(normal_by_seed([5], 4, stream=stream, to=CPU)[0], before)
