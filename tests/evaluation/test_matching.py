"""N-way choice against drawing; what a shortcut is worth within its group."""

from __future__ import annotations

import numpy as np
import pytest

from ds2f.evaluation.matching import WAYS, choice, measure_matching
from ds2f.evaluation.retrieval import rank_similarity


def similarities(n: int = 40, signal: float = 1.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, n)) + signal * np.eye(n)


PEOPLE = [str(i // 2) for i in range(40)]


def test_choice_is_what_drawing_gives() -> None:
    rng = np.random.default_rng(2)
    similarity = similarities(20)
    people = [str(i) for i in range(20)]
    drawn = []
    for i in range(20):
        others = np.delete(np.arange(20), i)
        won = [similarity[i, i] > similarity[i, rng.choice(others, 3, replace=False)].max() for _ in range(2000)]
        drawn.append(np.mean(won))
    np.testing.assert_allclose(choice(rank_similarity(similarity, people), 4), drawn, atol=0.05)


def test_a_group_too_small_for_the_choice_is_left_out() -> None:
    group = np.array([0] * 36 + [1] * 4)  # two people in group 1: one to choose from beside the own
    found = choice(rank_similarity(similarities(), PEOPLE, group), 4)
    assert not np.isnan(found[:36]).any()
    assert np.isnan(found[36:]).all()


def test_perfect_and_blind() -> None:
    (perfect,) = measure_matching(similarities(signal=100), PEOPLE, draws=50)
    assert perfect.auc is not None
    assert perfect.eer is not None
    assert (perfect.auc.value, perfect.eer.value) == (1, 0)
    assert set(perfect.choice) == set(WAYS)
    assert all(found.value == 1 for found in perfect.choice.values())
    (blind,) = measure_matching(np.zeros((40, 40)), PEOPLE, draws=50)
    assert blind.auc is not None
    assert blind.auc.value == pytest.approx(0.5)
    assert [blind.choice[n].value for n in WAYS] == pytest.approx([1 / n for n in WAYS])


def test_within_a_group_the_shortcut_is_gone() -> None:
    """Similarity knows the gender and nothing else."""
    gender = np.arange(40) // 2 % 2
    knows = (gender[:, None] == gender).astype(float)
    everybody, within = measure_matching(knows, PEOPLE, {"gender": gender}, draws=50)
    assert everybody.auc is not None
    assert within.auc is not None
    assert everybody.auc.value > 0.7
    assert within.auc.value == pytest.approx(0.5)
    assert within.within == "gender"
    assert within.choice[2].value == pytest.approx(0.5)
    assert everybody.auc.low is not None
    assert everybody.auc.high is not None
    assert everybody.auc.low <= everybody.auc.value <= everybody.auc.high


def test_other_clips_of_the_person_are_no_wrong_pair() -> None:
    """The other clip's face is as alike as the own."""
    similarity = np.kron(np.eye(20), np.ones((2, 2)))
    (found,) = measure_matching(similarity, PEOPLE, draws=20)
    assert found.auc is not None
    assert found.auc.value == 1


def test_faces_choose_among_voices_too() -> None:
    """Every voice is most like the face of person 0, so no face of anybody else is picked by its voice; but every face
    is most like its own voice."""
    scores = np.zeros((6, 6))
    scores[:, 0] = 1
    scores += 0.5 * np.eye(6)
    (found,) = measure_matching(scores, [str(i) for i in range(6)], draws=20)
    assert found.choice[6].value == pytest.approx(1 / 6)
    assert {n: share.value for n, share in found.voice_choice.items()} == dict.fromkeys(range(2, 7), 1.0)
