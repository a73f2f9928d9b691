"""The path, its loss and the samplers, on distributions whose answers are known in closed form."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from ds2f.diffusion.flow import flow_loss, sample_time, velocity
from ds2f.diffusion.samplers import euler, heun, multistep, times

MEAN, STD = 0.7, 0.4


def exact(z: Tensor, t: Tensor) -> Tensor:
    """E[x | z_t] for x ~ N(MEAN, STD²): the best prediction that any network could make."""
    t = t[:, None]
    variance = t**2 * STD**2 + (1 - t) ** 2
    return MEAN + t * STD**2 / variance * (z - t * MEAN)


def test_velocity_of_the_true_image_is_data_minus_noise() -> None:
    x, noise = torch.randn(2, 8, 5, generator=torch.Generator().manual_seed(0))
    t = torch.linspace(0, 0.9, 8)
    z = t[:, None] * x + (1 - t[:, None]) * noise
    torch.testing.assert_close(velocity(x, z, t), x - noise, atol=1e-5, rtol=1e-4)


def test_loss_is_zero_for_the_truth_and_least_for_the_exact_posterior() -> None:
    generator = torch.Generator().manual_seed(0)
    x = MEAN + STD * torch.randn(4000, 1, generator=generator)
    noise, t = torch.randn(4000, 1, generator=generator), sample_time(4000, generator)

    def loss(predict: object) -> float:
        return float(flow_loss(predict, x, t, noise).mean())  # type: ignore[arg-type]

    assert loss(lambda z, t: x) == 0
    best = loss(exact)
    assert best < loss(lambda z, t: exact(z, t) + 0.1)
    assert best < loss(lambda z, t: 0.9 * exact(z, t))


@pytest.mark.parametrize("sampler", [euler, heun, multistep])
def test_samplers_carry_noise_to_the_data(sampler: object) -> None:
    noise = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(1))
    sample = sampler(exact, noise, 100)  # type: ignore[operator]
    assert sample.shape == noise.shape
    assert float(sample.mean()) == pytest.approx(MEAN, abs=0.02)
    assert float(sample.std()) == pytest.approx(STD, abs=0.04)


def test_heun_is_nearer_than_euler_with_few_steps() -> None:
    noise = torch.randn(500, 1, generator=torch.Generator().manual_seed(2))
    fine = heun(exact, noise, 400)
    assert (heun(exact, noise, 8) - fine).abs().mean() < (euler(exact, noise, 8) - fine).abs().mean()


def test_multistep_is_nearer_than_euler_for_the_same_evaluations() -> None:
    noise = torch.randn(500, 1, generator=torch.Generator().manual_seed(2))
    fine = heun(exact, noise, 400)
    assert (multistep(exact, noise, 24) - fine).abs().mean() < 0.7 * (euler(exact, noise, 24) - fine).abs().mean()


def test_multistep_is_exact_while_the_prediction_moves_along_a_line() -> None:
    """x̂(t) = 0.3 + 2 t whatever z. From the second step on, z follows dz/dt = (x̂ − z) / (1 − t) without error."""
    seen: list[tuple[float, float]] = []

    def line(z: Tensor, t: Tensor) -> Tensor:
        seen.append((float(t[0]), float(z[0, 0])))
        return (0.3 + 2.0 * t[:, None]).expand_as(z)

    multistep(line, torch.zeros(1, 1), 5)
    assert [t for t, _ in seen] == pytest.approx(times(5)[:-1])
    for (start, z), (end, wanted) in itertools.pairwise(seen[1:]):
        count = 20_000
        for k in range(count):
            t = start + (end - start) * (k + 0.5) / count
            z += (end - start) / count * (0.3 + 2.0 * t - z) / (1 - t)
        assert z == pytest.approx(wanted, abs=1e-4)


def test_samplers_count_their_steps() -> None:
    seen: list[tuple[int, int]] = []
    heun(exact, torch.zeros(1, 1), 3, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
