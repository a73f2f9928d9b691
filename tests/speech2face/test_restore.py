from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from ds2f.speech2face.restore import ALIKE, weigh

RNG = np.random.default_rng(0)


def test_what_completions_agree_on_goes_before_the_voice_and_where_they_differ_it_stays() -> None:
    heard, shown = RNG.normal(size=(2, 4)), RNG.normal(size=4)
    sure = np.stack([np.tile(shown, (2, 1)) + 1e-6 * RNG.normal(size=(2, 4)) for _ in range(3)])
    unsure = np.stack([np.tile(shown, (2, 1)) + 1e3 * RNG.normal(size=(2, 4)) for _ in range(3)])
    assert_allclose(weigh(heard, sure, np.eye(4)), np.tile(shown, (2, 1)), atol=1e-4)
    assert_allclose(weigh(heard, unsure, np.eye(4)), heard, atol=1e-2)


def test_it_is_the_posterior_of_two_gaussians() -> None:
    """Against the textbook's form by precisions, for each row with its own variance."""
    heard, shown, colouring = RNG.normal(size=(5, 3)), RNG.normal(size=(4, 5, 3)), RNG.normal(size=(3, 3))
    found = weigh(heard, shown, colouring)
    prior = np.linalg.inv(colouring.T @ colouring)
    for i in range(5):
        precision = np.eye(3) / (ALIKE * shown[:, i].var(0, ddof=1).mean())
        expected = np.linalg.solve(prior + precision, prior @ heard[i] + precision @ shown[:, i].mean(0))
        assert_allclose(found[i], expected, rtol=1e-4)
