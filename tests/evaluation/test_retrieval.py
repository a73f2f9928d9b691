"""The ranks: a perfect generator, a blind one, a constant one, a silent one."""

from __future__ import annotations

import numpy as np
import pytest

from ds2f.evaluation.bootstrap import interval, resamples
from ds2f.evaluation.retrieval import chance, cosine, l1, l2, rank


@pytest.fixture
def truth() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(60, 8))


PEOPLE = [f"person {i // 2}" for i in range(60)]  # two clips each: galleries of 1 + 58


def test_true_as_generated_is_first(truth: np.ndarray) -> None:
    for distance in (l2, l1, cosine):
        ranks = rank(truth, truth, PEOPLE, distance)
        assert ranks.hit(1).mean() == 1.0
        assert np.median(ranks.middle) == 1.0
        assert ranks.reciprocal().mean() == 1.0


def test_shuffled_is_chance_within_the_interval(truth: np.ndarray) -> None:
    shuffled = truth[np.random.default_rng(1).permutation(60)]
    ranks = rank(shuffled, truth, PEOPLE)
    draws = resamples(PEOPLE, 500)
    low, high = interval(ranks.middle, draws, np.median)
    assert low <= 30.0 <= high
    assert high - low < 59
    low, high = interval(ranks.hit(10), draws)
    assert low <= 10 / 59 <= high


def test_constant_is_chance_to_the_last_digit(truth: np.ndarray) -> None:
    """Every gallery face ties with a query that points nowhere."""
    ranks = rank(np.zeros_like(truth), truth, PEOPLE, cosine)
    assert (ranks.size == 59).all()
    assert (ranks.middle == 30.0).all()
    for k in (1, 5, 10):
        assert ranks.hit(k).mean() == pytest.approx(k / 59)
    assert ranks.reciprocal().mean() == pytest.approx(sum(1 / j for j in range(1, 60)) / 59)


def test_constant_face_is_chance_without_ties(truth: np.ndarray) -> None:
    """One face for all voices: each true face is somewhere in the same order, so the ranks are 1..n once."""
    ranks = rank(np.tile(truth[:1] + 0.1, (60, 1)), truth, [str(i) for i in range(60)])
    assert sorted(ranks.middle) == list(range(1, 61))
    assert ranks.hit(5).mean() == pytest.approx(5 / 60)


def test_no_face_counts_as_chance(truth: np.ndarray) -> None:
    queries = truth.copy()
    queries[3] = np.nan
    ranks = rank(queries, truth, PEOPLE)
    assert ranks.middle[3] == (59 + 1) / 2
    assert ranks.hit(10)[3] == pytest.approx(10 / 59)
    assert ranks.hit(1).mean() == pytest.approx((59 + 1 / 59) / 60)


def test_other_clips_of_the_person_are_not_in_the_gallery() -> None:
    truth = np.array([[0.0], [0.1], [5.0]])
    queries = np.array([[0.1], [0.0], [5.0]])  # each of the first two hits the other clip of the same person
    assert list(rank(queries, truth, ["a", "a", "b"]).middle) == [1, 1, 1]
    assert list(rank(queries, truth, ["a", "c", "b"]).middle) == [2, 2, 1]


def test_a_face_twice_in_the_gallery_shares_the_place() -> None:
    ranks = rank(np.array([[0.0], [0.0], [9.0]]), np.array([[1.0], [1.0], [2.0]]), ["a", "b", "c"])
    assert list(ranks.low) == [1, 1, 1]
    assert list(ranks.middle) == [1.5, 1.5, 1]
    assert list(ranks.hit(1)) == [0.5, 0.5, 1]


def test_curve_rises_to_one_and_chance_is_a_line(truth: np.ndarray) -> None:
    curve = rank(truth + np.random.default_rng(2).normal(size=truth.shape), truth, PEOPLE).curve()
    assert (np.diff(curve) >= 0).all()
    assert curve[-1] == 1.0
    assert curve[0] < 1.0
    np.testing.assert_allclose(chance(np.full(60, 59)).curve(), np.arange(1, 60) / 59)


def test_distances_by_hand() -> None:
    a, b = np.array([3.0, 0.0]), np.array([0.0, 4.0])
    assert (cosine(a, b), l1(a, b), l2(a, b)) == (1.0, 7.0, 5.0)
    assert cosine(a, -a) == pytest.approx(2.0)
