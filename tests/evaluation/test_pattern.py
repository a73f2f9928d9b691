"""The measure of a pattern sees one at the period of the patches, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ds2f.evaluation.pattern import log_spectra, pattern_energy

PERIOD, SIZE, FACES = 8, 64, 60


def skin(seed: int, softness: float = 0.7) -> np.ndarray:
    """(n, size, size) made-up skin: texture with a slope of light over it."""
    texture = gaussian_filter(np.random.default_rng(seed).normal(size=(FACES, SIZE, SIZE)), (0, softness, softness))
    return 120 + 6 * texture + np.linspace(0, 50, SIZE)


def measured(drawn: np.ndarray, size: int = SIZE, period: int = PERIOD) -> float:
    seen = [np.repeat(one.clip(0, 255).astype(np.uint8)[..., None], 3, -1) for one in (drawn, skin(1))]
    return pattern_energy(*(log_spectra(one, period) for one in seen))


def wave(period: float, amplitude: float = 2.0) -> np.ndarray:
    along = amplitude * np.cos(2 * np.pi * np.arange(SIZE) / period)
    return along + along[:, None]


def test_skin_without_a_pattern_has_none_however_soft() -> None:
    assert measured(skin(2)) == pytest.approx(1, abs=0.1)
    assert measured(skin(2, softness=1.5)) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("harmonic", [1, 2])
def test_a_pattern_at_the_period_or_its_half_is_seen(harmonic: int) -> None:
    assert measured(skin(2) + wave(PERIOD / harmonic)) > 1.3


def test_waves_beside_the_period_are_no_pattern_of_the_patches() -> None:
    assert measured(skin(2) + wave(16 / 3)) < 1.05


def test_a_fainter_pattern_is_less() -> None:
    faint, plain = (measured(skin(2) + wave(4, amplitude)) for amplitude in (0.7, 2.0))
    assert 1.0 < faint < plain
