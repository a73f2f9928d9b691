"""What the fast decoder needs from this package, in NumPy: the same noise for a seed, and Euler's method.

Random numbers and steps equal those of `noise`, `flow` and `samplers`, which share these constants; tests compare the
two implementations.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from ds2f.types import Progress

DIRECT = range(2**31)
"""Seeds that are passed to PyTorch's generator unchanged, with `stream` in their lowest bit: on a CPU it reads 32
bits."""
WARP = 1.5  # for a sampler's times; measured by benchmarks/sampling.py
MIN_DISTANCE = 0.05  # lower limit for 1 − t, below which the division would only amplify rounding
BLOCK = 16  # numbers that PyTorch generates at a time
COARSE = 4  # waves (k, l) with k + l below this are coarse: none is shorter than two thirds of a picture
SET = 4  # seeds that are shown together: the default number of faces for a recording
Predict = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""`flow.Predict` for arrays."""


def normal_by_seed(seeds: Sequence[int], *shape: int, stream: int) -> np.ndarray:
    """As `noise.normal_by_seed`: (n, *shape) float32, at least 16 numbers per row, equal to PyTorch's up to the last
    bits."""
    return np.stack([_row(int(seed), shape, stream) for seed in seeds])


def first_seeds(voices: int) -> range:
    """For each of this many voices, the first seed of a set of its own, so that no two voices share noise."""
    return range(0, SET * voices, SET)


def typical_first_by_seed(seeds: Sequence[int], *shape: int, stream: int) -> np.ndarray:
    """As `noise.typical_first_by_seed`."""
    return np.stack([typical_first(lambda s: _row(s, shape, stream), int(seed)) for seed in seeds])


def typical_first(normal: Callable[[int], Any], seed: int) -> Any:
    """The noise of a seed among those that are shown together, 4k to 4k + 3: zero for the first, so that it leads to
    the most typical person; from N(0, 1) for the n = 3 others, which sum to zero:

        ε_i = √(n / (n − 1)) (z_i − z̄),   ⟨ε_i⟩ = 0, ⟨ε_i²⟩ = 1, ⟨ε_i ε_j⟩ = −1 / (n − 1)

    A best estimate and a sample are two things, and no picture can be both (Blau & Michaeli, The Perception-Distortion
    Tradeoff, CVPR 2018), so a set has one of the former. The samples are antithetic variates (Hammersley & Morton
    1956, Proc. Camb. Phil. Soc. 52(3)): as far apart as three can be, and their mean is the most typical person again.

    normal: seed to its noise z from N(0, 1), an array of NumPy or PyTorch.
    """
    first = seed - seed % SET
    if seed == first:
        return 0 * normal(seed)  # for its shape and kind
    others = [normal(one) for one in range(first + 1, first + SET)]
    return math.sqrt(len(others) / (len(others) - 1)) * (others[seed - first - 1] - sum(others) / len(others))


def damp_low_frequencies(noise: np.ndarray, light: float) -> np.ndarray:
    """Noise for pictures whose light and tint depend less on it: (n, c, size, size) float32.

    The coarsest structure of a picture is the last that noise hides, so a decoder takes it from the noise: the mean of
    a colour, less than a hundredth of the noise, becomes the tint of skin and room. With the waves of the orthonormal
    DCT-II (Ahmed, Natarajan & Rao, IEEE Trans. Computers C-23(1), 1974),

        d_k(i) = √((2 − [k = 0]) / size) cos(π k (i + ½) / size)

        ε − (1 − light) Σ_{k + l < COARSE} ⟨ε, d_k d_lᵀ⟩ d_k d_lᵀ

    noise: (n, c, size, size) float32 from N(0, 1).
    light: scale of the coarse waves; 1 leaves the noise unchanged.
    """
    if light == 1:
        return noise
    return np.stack([(one - (1 - light) * _coarse(one)).astype(np.float32) for one in noise])


def _coarse(noise: np.ndarray) -> np.ndarray:
    """The coarse component of (c, size, size), same shape, float64. Computed for one picture at a time and without
    BLAS, so that a face is bit-identical alone and among others."""
    waves, order = _coarse_waves(noise.shape[-1]), np.arange(COARSE)
    share = np.einsum("ckx,lx->ckl", np.einsum("cyx,ky->ckx", noise, waves), waves)
    share *= np.add.outer(order, order) < COARSE
    found: np.ndarray = np.einsum("ckx,ky->cyx", np.einsum("ckl,lx->ckx", share, waves), waves)
    return found


@cache
def _coarse_waves(size: int) -> np.ndarray:
    """(COARSE, size) float64, a row for each wave."""
    k, i = np.ogrid[:COARSE, :size]
    waves: np.ndarray = np.sqrt((2 - (k == 0)) / size) * np.cos(np.pi * k * (i + 0.5) / size)
    return waves


def euler(predict: Predict, noise: np.ndarray, steps: int, progress: Progress | None = None) -> np.ndarray:
    """As `samplers.euler`: (n, ...) float32."""
    z = noise
    for i, (s, t) in enumerate(itertools.pairwise(np.linspace(0, 1, steps + 1) ** WARP)):
        x = predict(z, np.full(len(z), s, np.float32))
        z = x if i == steps - 1 else z + np.float32((t - s) / max(1 - s, MIN_DISTANCE)) * (x - z)
        if progress:
            progress(i + 1, steps)
    return z


def _row(seed: int, shape: tuple[int, ...], stream: int) -> np.ndarray:
    if seed in DIRECT:
        return _as_pytorch(2 * seed + stream, int(np.prod(shape))).reshape(shape)
    generator = np.random.default_rng([stream, int(seed < 0), abs(seed)])
    return generator.standard_normal(shape, np.float32)


def _as_pytorch(seed: int, count: int) -> np.ndarray:
    """torch.randn on a CPU: Mersenne Twister, 24 bits of each word as u in [0, 1), and for 16 such numbers the first
    eight u₁ combined with the other eight u₂ by Box and Muller (1958),

        √(−2 log(1 − u₁)) cos(2π u₂)  and the same with sin

    (ATen/native/cpu/DistributionTemplates.h, normal_fill). The remainder is made from new numbers.
    """
    source = np.random.RandomState(seed)

    def uniform(many: int) -> np.ndarray:
        words = np.frombuffer(source.bytes(4 * many), "<u4")
        return (words & (2**24 - 1)).astype(np.float32) * np.float32(2**-24)

    def boxes(u: np.ndarray) -> np.ndarray:
        first, second = u.reshape(-1, 2, BLOCK // 2).swapaxes(0, 1)
        radius, angle = np.sqrt(-2 * np.log1p(-first)), np.float32(2 * np.pi) * second
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).reshape(-1)

    made, whole = uniform(count), count - count % BLOCK
    made[:whole] = boxes(made[:whole])
    if whole < count:
        made[-BLOCK:] = boxes(uniform(BLOCK))
    return made
