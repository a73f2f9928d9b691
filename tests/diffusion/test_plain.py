"""NumPy's way of drawing is PyTorch's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.fft import dctn

import ds2f
from ds2f.diffusion import flow, noise, plain, samplers


@pytest.mark.parametrize("shape", [(16,), (128,), (100,), (3, 8, 8)])
def test_a_seed_means_the_same_noise(shape: tuple[int, ...]) -> None:
    seeds = [0, 7, 2**31 - 1, 2**31, -5, 10**30]
    for stream in (0, 1):
        known = noise.normal_by_seed(seeds, *shape, stream=stream, to=torch.device("cpu")).numpy()
        np.testing.assert_allclose(plain.normal_by_seed(seeds, *shape, stream=stream), known, atol=1e-6)
        known = noise.typical_first_by_seed(seeds, *shape, stream=stream, to=torch.device("cpu")).numpy()
        np.testing.assert_allclose(plain.typical_first_by_seed(seeds, *shape, stream=stream), known, atol=1e-6)


@pytest.mark.parametrize("first", [0, 4, -4, 2**31 - 4, 2**31, 4 * 10**30])
def test_of_four_seeds_the_first_has_no_noise_and_the_others_sum_to_zero(first: int) -> None:
    rows = plain.typical_first_by_seed(range(first, first + 4), 20_000, stream=0)
    np.testing.assert_array_equal(rows[0], 0)
    np.testing.assert_allclose(rows.sum(0), 0, atol=1e-5)
    np.testing.assert_allclose(np.corrcoef(rows[1:]), np.where(np.eye(3) == 1, 1, -1 / 2), atol=0.02)
    np.testing.assert_allclose(rows[1:].var(1), 1, atol=0.03)


def test_seeds_of_two_fours_know_nothing_of_each_other() -> None:
    rows = plain.typical_first_by_seed([-3, -2, -1, 5, 6, 7], 20_000, stream=0)
    np.testing.assert_allclose(np.corrcoef(rows)[:3, 3:], 0, atol=0.03)
    alone = plain.typical_first_by_seed([6], 20_000, stream=0)
    np.testing.assert_array_equal(alone[0], rows[4])  # as among others


def test_the_page_knows_how_many_seeds_are_a_set() -> None:
    assert f"const SET = {plain.SET};" in (Path(ds2f.__file__).parent / "page" / "page.js").read_text("utf-8")


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
