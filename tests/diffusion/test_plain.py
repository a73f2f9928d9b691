"""NumPy's way of drawing is PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.fft import dctn

from ds2f.diffusion import flow, noise, plain, samplers


@pytest.mark.parametrize("shape", [(16,), (128,), (100,), (3, 8, 8)])
def test_a_seed_means_the_same_noise(shape: tuple[int, ...]) -> None:
    seeds = [0, 7, 2**31 - 1, 2**31, -5, 10**30]
    for stream in (0, 1):
        known = noise.normal_by_seed(seeds, *shape, stream=stream, to=torch.device("cpu")).numpy()
        np.testing.assert_allclose(plain.normal_by_seed(seeds, *shape, stream=stream), known, atol=1e-6)
        known = noise.antithetic_by_seed(seeds, *shape, stream=stream, to=torch.device("cpu")).numpy()
        np.testing.assert_allclose(plain.antithetic_by_seed(seeds, *shape, stream=stream), known, atol=1e-6)


@pytest.mark.parametrize("first", [0, 4, -4, 2**31 - 4, 2**31, 4 * 10**30])
def test_four_seeds_sum_to_zero_and_are_as_far_apart_as_four_can_be(first: int) -> None:
    rows = plain.antithetic_by_seed(range(first, first + 4), 20_000, stream=0)
    np.testing.assert_allclose(rows.sum(0), 0, atol=1e-5)
    np.testing.assert_allclose(np.corrcoef(rows), np.where(np.eye(4) == 1, 1, -1 / 3), atol=0.02)
    np.testing.assert_allclose(rows.var(1), 1, atol=0.03)


def test_seeds_of_two_fours_know_nothing_of_each_other() -> None:
    rows = plain.antithetic_by_seed(range(-4, 8), 20_000, stream=0)
    np.testing.assert_allclose(np.corrcoef(rows)[:4, 4:], 0, atol=0.03)
    np.testing.assert_array_equal(plain.antithetic_by_seed([6], 20_000, stream=0)[0], rows[10])  # alone as among others


def test_voices_get_sets_of_their_own() -> None:
    assert list(plain.first_seeds(3)) == [0, 4, 8]


def test_euler_takes_the_same_steps() -> None:
    start, told = torch.randn(2, 3, 4, 4), []
    known = samplers.euler(lambda z, t: (z * t.view(-1, 1, 1, 1)).sin(), start, 4)
    found = plain.euler(
        lambda z, t: np.sin(z * t.reshape(-1, 1, 1, 1)), start.numpy(), 4, lambda done, total, _="": told.append(done)
    )
    np.testing.assert_allclose(found, known.numpy(), atol=1e-6)
    assert told == [1, 2, 3, 4]


def test_constants_are_those_of_the_other() -> None:
    assert (plain.DIRECT, plain.WARP, plain.MIN_DISTANCE) == (noise.DIRECT, samplers.WARP, flow.MIN_DISTANCE)


def test_coarse_waves_are_scaled_and_all_others_stay() -> None:
    rough = plain.normal_by_seed([1, 2], 3, 32, 32, stream=1)
    found = plain.damp_low_frequencies(rough, 0.5)
    kept, whole = (dctn(noise.astype(np.float64), axes=(2, 3), norm="ortho") for noise in (found, rough))
    expected = np.where(np.add.outer(np.arange(32), np.arange(32)) < plain.COARSE, 0.5, 1.0)
    np.testing.assert_allclose(kept, expected * whole, atol=1e-5)
    assert found.dtype == np.float32
    assert plain.damp_low_frequencies(rough, 1.0) is rough


def test_noise_is_the_same_to_the_bit_alone_and_among_others() -> None:
    rough = plain.normal_by_seed(range(5), 3, 64, 64, stream=1)
    assert np.array_equal(plain.damp_low_frequencies(rough, 0.5)[3:4], plain.damp_low_frequencies(rough[3:4], 0.5))
