"""NumPy's way of drawing is PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ds2f.diffusion import flow, noise, plain, samplers


@pytest.mark.parametrize("shape", [(16,), (128,), (100,), (3, 8, 8)])
def test_a_seed_means_the_same_noise(shape: tuple[int, ...]) -> None:
    seeds = [0, 7, 2**31 - 1, 2**31, -5, 10**30]
    for stream in (0, 1):
        known = noise.normal_by_seed(seeds, *shape, stream=stream, to=torch.device("cpu")).numpy()
        np.testing.assert_allclose(plain.normal_by_seed(seeds, *shape, stream=stream), known, atol=1e-6)


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
