"""Error rates of scores, held against those of scikit-learn, audmetric and llreval."""

from __future__ import annotations

import audmetric
import numpy as np
import pytest
from llreval.pav_rocch import PAV, ROCCH
from sklearn.metrics import roc_auc_score, roc_curve

from ds2f.evaluation.verification import equal_error_rate, error_rates, min_dcf, roc_auc


def _scores(seed: int = 0, apart: float = 1.5, count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    same = rng.random(count) < 0.4
    return rng.normal(size=count) + apart * same, same


def test_error_rates_are_those_of_scikit_learn() -> None:
    scores, same = _scores()
    scores = np.round(scores, 1)  # ties
    alarm, miss = error_rates(scores, same)
    expected_alarm, expected_hit, _ = roc_curve(same, scores, drop_intermediate=False)
    np.testing.assert_allclose(alarm, expected_alarm)
    np.testing.assert_allclose(1 - miss, expected_hit)


def test_auc_is_that_of_scikit_learn_with_ties_and_counts() -> None:
    rng = np.random.default_rng(1)
    same = rng.integers(0, 2, 500).astype(bool)
    scores = np.round(rng.normal(size=500) + same, 1)
    assert roc_auc(scores, same) == pytest.approx(roc_auc_score(same, scores), abs=1e-9)
    counts = rng.integers(0, 4, 500)
    assert roc_auc(scores, same, counts) == pytest.approx(roc_auc_score(same, scores, sample_weight=counts), abs=1e-9)


def test_equal_error_rate_is_where_the_curve_of_scikit_learn_crosses() -> None:
    scores, same = _scores()
    alarm, hit, _ = roc_curve(same, np.round(scores, 1), drop_intermediate=False)
    crossing = np.interp(0, alarm - (1 - hit), alarm)
    assert equal_error_rate(np.round(scores, 1), same) == pytest.approx(crossing, abs=1e-9)


def test_equal_error_rate_of_known_answers() -> None:
    same = np.array([True, True, False, False])
    assert equal_error_rate(np.array([4.0, 3.0, 2.0, 1.0]), same) == 0.0
    assert equal_error_rate(np.array([1.0, 2.0, 3.0, 4.0]), same) == 1.0
    assert equal_error_rate(np.array([4.0, 1.0, 3.0, 2.0]), same) == pytest.approx(0.5)
    scores, same = _scores(apart=2.0, count=200_000)
    assert equal_error_rate(scores, same) == pytest.approx(0.1587, abs=0.005), "Φ(−1) for Gaussians 2 apart"
    assert equal_error_rate(scores * 0, same) == pytest.approx(0.5)


def test_no_number_depends_on_the_order_of_tied_scores() -> None:
    scores, same = _scores()
    scores = np.round(scores)  # all tied with others
    other = np.random.default_rng(1).permutation(len(scores))
    right_first, wrong_first = np.argsort(~same, kind="stable"), np.argsort(same, kind="stable")
    for rows in (other, right_first, wrong_first):
        assert equal_error_rate(scores[rows], same[rows]) == equal_error_rate(scores, same)
        assert min_dcf(scores[rows], same[rows], 0.05) == min_dcf(scores, same, 0.05)


def test_labels_may_be_ones_and_zeros() -> None:
    scores, same = _scores()
    assert equal_error_rate(scores, same.astype(int)) == equal_error_rate(scores, same)
    assert min_dcf(scores, same.astype(float), 0.01) == min_dcf(scores, same, 0.01)


def test_scores_that_say_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="not a number"):
        equal_error_rate(np.array([np.nan, 0.0]), np.array([True, False]))
    with pytest.raises(ValueError, match="pairs of one person and pairs of two"):
        min_dcf(np.array([1.0, 0.0]), np.array([True, True]), 0.01)


def test_counts_are_repetitions() -> None:
    scores, same = _scores(count=50)
    counts = np.random.default_rng(1).integers(0, 4, 50)
    repeated = error_rates(np.repeat(scores, counts), np.repeat(same, counts))
    for mine, expected in zip(error_rates(scores, same, counts), repeated, strict=True):
        assert set(np.round(mine, 12)) == set(np.round(expected, 12))


def test_detection_cost_of_known_answers() -> None:
    same = np.array([True] * 10 + [False] * 90)
    assert min_dcf(np.where(same, 1.0, 0.0), same, 0.01) == 0.0
    assert min_dcf(np.zeros(100), same, 0.01) == pytest.approx(1.0), "knowing nothing costs as much as always saying no"
    one_missed = np.where(same, 1.0, 0.0)
    one_missed[0] = -1.0
    assert min_dcf(one_missed, same, 0.05) == pytest.approx(0.1)
    # NIST 2008: p = 0.01, a miss costs 10; always saying no costs 0.1, the one miss of ten a tenth of that.
    assert min_dcf(one_missed, same, 0.01, c_miss=10) == pytest.approx(0.1)
    # Where a false alarm costs 100 and a miss 1 at p = 0.5, none of ten wrong scores above a right one may pass.
    one_alarm = np.where(same, 1.0, 0.0)
    one_alarm[99] = 2.0
    assert min_dcf(one_alarm, same, 0.5, c_fa=100) == pytest.approx(1.0)
    assert min_dcf(one_alarm, same, 0.5) == pytest.approx(1 / 90)


@pytest.mark.parametrize("apart", [1.0, 2.0, 3.0])
def test_equal_error_rate_is_that_of_audmetric(apart: float) -> None:
    """It takes the middle of the two rates at the threshold nearest to the crossing; with so many trials that is within
    1e-5 of the crossing itself."""
    scores, same = _scores(apart=apart, count=300_000)
    theirs, _ = audmetric.equal_error_rate(same, scores)
    assert equal_error_rate(scores, same) == pytest.approx(theirs, abs=1e-5)


@pytest.mark.parametrize("p_target", [0.01, 0.05, 0.5])
def test_detection_cost_is_that_of_llreval(p_target: float) -> None:
    """It goes along the convex hull of the ROC, which it finds by isotonic regression: a cost that is linear in both
    rates is least at one of its corners."""
    scores, same = _scores(count=5_000)
    odds = np.array([np.log(p_target / (1 - p_target))])
    theirs = ROCCH(PAV(scores, same.astype(int))).Bayes_error_rate(odds)[0] / min(p_target, 1 - p_target)
    assert min_dcf(scores, same, p_target) == pytest.approx(theirs, abs=1e-5)
