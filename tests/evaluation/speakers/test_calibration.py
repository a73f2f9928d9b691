from __future__ import annotations

import llreval.cllr
import numpy as np
import pytest
from llreval.pav_rocch import PAV

from ds2f.evaluation.speakers.calibration import across, cllr, fit, min_cllr, quality


def trials(seed: int = 0, count: int = 4000, people: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scores of Gaussians 2 apart, labels, and the speakers of both sides: (n,) each."""
    rng = np.random.default_rng(seed)
    first, second = rng.integers(people, size=(2, count))
    second = np.where(rng.random(count) < 0.5, first, second)
    same = first == second
    return rng.normal(size=count) + 2.0 * same, same, first, second


def test_cllr_and_min_cllr_are_those_of_llreval() -> None:
    scores, same, *_ = trials()
    assert cllr(scores, same) == pytest.approx(llreval.cllr.cllr(scores[same], scores[~same]), abs=1e-9)
    theirs = llreval.cllr.min_cllr(PAV(scores, same.astype(int)))
    assert min_cllr(scores, same) == pytest.approx(theirs, abs=1e-9)
    rounded = np.round(scores)  # many ties
    assert min_cllr(rounded, same) >= min_cllr(scores, same) - 1e-12


def test_costs_of_known_answers() -> None:
    same = np.array([True, True, False])
    assert cllr(np.zeros(3), same) == pytest.approx(1.0), "a ratio of one says nothing"
    assert cllr(np.array([40.0, 40.0, -40.0]), same) == pytest.approx(0.0, abs=1e-9)
    assert min_cllr(np.array([3.0, 2.0, 1.0]), same) == pytest.approx(0.0, abs=1e-9)
    assert min_cllr(np.array([1.0, 1.0, 1.0]), same) == pytest.approx(1.0)


def test_a_fit_finds_the_true_log_likelihood_ratio() -> None:
    """Of Gaussians 2 apart with unit variance it is 2 s − 2, however many trials there are of each kind."""
    for share in (1.0, 0.2):
        scores, same, *_ = trials(count=40_000)
        keep = ~same | (np.random.default_rng(1).random(len(same)) < share)
        ratios = fit(scores[keep][:, None], same[keep])(np.array([[0.0], [1.0], [3.0]]))
        np.testing.assert_allclose(ratios, [-2, 0, 4], atol=0.15)


def test_quality_helps_where_scores_mean_less() -> None:
    """Half of the recordings are so bad that their scores say nothing: what knows it costs less."""
    scores, same, first, second = trials(count=4000, people=60)
    bad = np.random.default_rng(2).random(len(scores)) < 0.5
    scores = np.where(bad, np.random.default_rng(3).normal(1, 1, len(scores)), scores)
    snr = np.where(bad, 0.0, 30.0)
    alone = across(scores[:, None], same, first, second)
    known = across(np.stack([scores, snr, snr * scores], 1), same, first, second)
    assert cllr(known, same) < cllr(alone, same) - 0.03
    assert cllr(alone, same) < cllr(5 * scores, same)


def test_nobody_is_calibrated_by_their_own_trials() -> None:
    """Turning the labels of all trials of one speaker leaves their own ratios as they were."""
    scores, same, first, second = trials(count=1500, people=20)
    before = across(scores[:, None], same, first, second)
    theirs = (first == 7) | (second == 7)
    after = across(scores[:, None], same ^ theirs, first, second)
    np.testing.assert_array_equal(before[theirs], after[theirs])
    assert (before[~theirs] != after[~theirs]).any()


def test_too_few_speakers_leave_nothing_to_learn_from() -> None:
    first, second = np.array([0, 1, 0, 1]), np.array([0, 1, 1, 0])
    assert np.isnan(across(np.ones((4, 1)), first == second, first, second)).all()


def test_quality_is_the_same_whichever_recording_comes_first() -> None:
    a, b = np.array([1.0, 5.0]), np.array([2.0, 3.0])
    np.testing.assert_array_equal(quality([(a, b)]), quality([(b, a)]))
    np.testing.assert_array_equal(quality([(a, b)]), [[1, 2], [3, 5]])
