"""The ranks: a perfect generator, a blind one, a constant one, a silent one."""

from __future__ import annotations

import numpy as np
import pytest

from ds2f.evaluation.bootstrap import Bootstrap
from ds2f.evaluation.retrieval import DISTANCES, Ranks, chance, cosine, l1, l2, rank, rank_similarity


@pytest.fixture
def truth() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(60, 8))


PEOPLE = [f"person {i // 2}" for i in range(60)]  # two clips each: galleries of 1 + 58


def test_true_as_generated_is_first(truth: np.ndarray) -> None:
    for distance in DISTANCES:
        ranks = rank(truth, truth, PEOPLE, distance)
        assert ranks.hit(1).mean() == 1.0
        assert np.median(ranks.middle) == 1.0
        assert ranks.reciprocal().mean() == 1.0


@pytest.mark.parametrize("distance", DISTANCES)
def test_ranks_agree_with_torchmetrics(truth: np.ndarray, distance: str) -> None:
    retrieval = pytest.importorskip("torchmetrics.retrieval")
    import torch

    queries = truth + np.random.default_rng(2).normal(size=truth.shape)
    ranks = rank(queries, truth, [str(i) for i in range(60)], distance)
    far = {"cosine": cosine, "l1": l1, "l2": l2}[distance](queries[:, None], truth[None])
    asked, given = np.divmod(np.arange(3600), 60)  # a score must be positive there
    told = torch.from_numpy(100 - far.reshape(-1)), torch.from_numpy(asked == given), torch.from_numpy(asked)
    assert ranks.reciprocal().mean() == pytest.approx(float(retrieval.RetrievalMRR()(*told)), abs=1e-4)
    for k in (1, 5, 10):
        assert ranks.hit(k).mean() == pytest.approx(float(retrieval.RetrievalHitRate(top_k=k)(*told)), abs=1e-4)


def test_shuffled_is_chance_within_the_interval(truth: np.ndarray) -> None:
    shuffled = truth[np.random.default_rng(1).permutation(60)]
    ranks = rank(shuffled, truth, PEOPLE)
    bootstrap = Bootstrap(PEOPLE, 500)
    middle, ten = bootstrap.median(ranks.middle), bootstrap.mean(ranks.hit(10))
    assert middle is not None
    assert ten is not None
    assert middle.low <= 30.0 <= middle.high
    assert middle.high - middle.low < 59
    assert ten.low <= 10 / 59 <= ten.high


def test_constant_is_chance_to_the_last_digit(truth: np.ndarray) -> None:
    """Every gallery face ties with a query that points nowhere."""
    ranks = rank(np.zeros_like(truth), truth, PEOPLE, "cosine")
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


@pytest.mark.parametrize("distance", DISTANCES)
def test_as_by_the_definition_row_by_row(distance: str, truth: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """In small blocks, with groups, several queries to a clip, and a distance that is written out."""
    monkeypatch.setattr("ds2f.evaluation.retrieval._BLOCK", 200)
    rng = np.random.default_rng(3)
    clips = rng.integers(0, 60, 150)
    queries = truth[clips] + 2 * rng.normal(size=(150, 8))
    within = rng.integers(0, 3, 60)
    found = rank(queries, truth, PEOPLE, distance, clips, within)
    written_out = {"cosine": cosine, "l1": l1, "l2": l2}[distance]
    for i, clip in enumerate(clips):
        others = np.array([p != PEOPLE[clip] for p in PEOPLE]) & (within == within[clip])
        distances = written_out(queries[i], truth)
        assert found.size[i] == others.sum() + 1
        assert found.low[i] == found.high[i] == 1 + (distances[others] < distances[clip]).sum()


def test_similarities_give_the_same_ranks(truth: np.ndarray) -> None:
    queries = truth + np.random.default_rng(4).normal(size=truth.shape)
    similarity = -np.array([l2(query, truth) for query in queries])
    within = np.arange(60) % 2
    for group in (None, within):
        by_vector, by_matrix = rank(queries, truth, PEOPLE, within=group), rank_similarity(similarity, PEOPLE, group)
        np.testing.assert_array_equal(by_vector.low, by_matrix.low)
        np.testing.assert_array_equal(by_vector.high, by_matrix.high)
        np.testing.assert_array_equal(by_vector.size, by_matrix.size)


def test_recall_in_smaller_galleries_is_the_mean_over_drawn_ones() -> None:
    rng = np.random.default_rng(5)
    size = 30
    for low, high in ((1, 1), (6, 6), (4, 9)):
        drawn = []
        for _ in range(4000):
            others = rng.choice(np.arange(2, size + 1), 9, replace=False)  # places behind a true face moved to 1
            place = rng.integers(low, high + 1)
            drawn.append((others <= place).sum() + 1 <= 3)
        ranks = Ranks(np.array([low]), np.array([high]), np.array([size]))
        assert ranks.hit_in(3, 10)[0] == pytest.approx(np.mean(drawn), abs=0.03)


def test_recall_in_the_whole_gallery_is_the_plain_one(truth: np.ndarray) -> None:
    queries = truth + np.random.default_rng(6).normal(size=truth.shape)
    ranks = rank(queries, truth, PEOPLE)
    np.testing.assert_allclose(ranks.hit_in(5, 59), ranks.hit(5))
    np.testing.assert_allclose(ranks.hit_in(5, 1000), ranks.hit(5))
    alone = rank(np.eye(2, 3), np.eye(2, 3), ["a", "a"])
    np.testing.assert_array_equal(alone.hit_in(1, 10), 1, "nobody else is in the gallery")
    blind = chance(np.full(4, 59))
    np.testing.assert_allclose(blind.hit_in(5, 20), 5 / 20)


def test_curve_is_the_mean_of_hits(truth: np.ndarray) -> None:
    ranks = rank(np.round(truth), np.round(truth) // 2, PEOPLE)
    np.testing.assert_allclose(ranks.curve(), [ranks.hit(k).mean() for k in range(1, 60)])
