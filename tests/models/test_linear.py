"""The ridge regression against what it claims to equal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from ds2f.models import linear
from ds2f.models.linear import LinearPrior, choose_alpha, left_out
from people import ten_clips_each


@pytest.fixture
def pairs() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    voice = rng.normal(size=(40, 6)) + 3.0
    identity = voice @ rng.normal(size=(6, 4)) + 2.0 * rng.normal(size=(40, 4)) - 1.0
    return voice, identity


def leave_one_out_error(
    voice: np.ndarray, identity: np.ndarray, alphas: Sequence[float], people: np.ndarray | None = None
) -> np.ndarray:
    """Mean squared error of `left_out`: (len(alphas),)."""
    true, people = identity - identity.mean(0), np.arange(len(voice)) if people is None else people
    return np.array([((true - found) ** 2).mean() for found in left_out(voice, identity, people, alphas)])


def test_agrees_with_a_direct_solve(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    """Ridge is least squares on data padded with √α I; the intercept column is not padded."""
    voice, identity = pairs
    alpha = 2.5
    rows = np.hstack([voice, np.ones((40, 1))])
    padding = np.hstack([np.sqrt(alpha) * np.eye(6), np.zeros((6, 1))])
    solution = np.linalg.lstsq(np.vstack([rows, padding]), np.vstack([identity, np.zeros((6, 4))]), rcond=None)[0]
    prior = LinearPrior.fit(voice, identity, alpha)
    np.testing.assert_allclose(prior.weight, solution[:6], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(prior.predict(voice), rows @ solution, rtol=1e-4, atol=1e-4)
    assert prior.predict(voice[0]).shape == (4,)


@pytest.mark.parametrize("wide", [False, True])
def test_leave_one_out_agrees_with_brute_force(pairs: tuple[np.ndarray, np.ndarray], wide: bool) -> None:
    """Also with more columns than rows, where the ridge does not vanish."""
    voice, identity = pairs
    if wide:
        voice, identity = np.random.default_rng(1).normal(size=(12, 20)), identity[:12]
    alphas = (0.3, 20.0)
    slow = []
    for alpha in alphas:
        squares = []
        for i in range(len(voice)):
            prior = LinearPrior.fit(np.delete(voice, i, 0), np.delete(identity, i, 0), alpha)
            squares.append((identity[i] - prior.predict(voice[i])) ** 2)
        slow.append(np.mean(squares))
    np.testing.assert_allclose(leave_one_out_error(voice, identity, alphas), slow, rtol=1e-4)


def test_alpha_grows_with_the_noise() -> None:
    rng = np.random.default_rng(0)
    voice = rng.normal(size=(60, 8))
    clean = voice @ rng.normal(size=(8, 3))
    noisy = clean + 30.0 * rng.normal(size=clean.shape)
    assert choose_alpha(voice, clean, range(60)) < 0.1 < 10.0 < choose_alpha(voice, noisy, range(60))


def test_leaving_out_people_agrees_with_brute_force(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    """Some have one clip, some two, some three; all clips of a person are left out together."""
    voice, identity = pairs
    people = np.array([0, 0, 0, 1, 1, 2, *range(3, 37)])
    alphas = (0.3, 20.0)
    slow = []
    for alpha in alphas:
        squares = []
        for person in range(37):
            mine = people == person
            prior = LinearPrior.fit(voice[~mine], identity[~mine], alpha)
            squares.append((identity[mine] - prior.predict(voice[mine])) ** 2)
        slow.append(np.concatenate(squares).mean())
    np.testing.assert_allclose(leave_one_out_error(voice, identity, alphas, people), slow, rtol=1e-4)


def test_repeated_clips_of_a_person_teach_nothing_new(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    """Three copies of every row, left out together: the errors of one copy at a third of the alpha. Left out singly,
    the copies that stay give away the answer."""
    voice, identity = (np.repeat(x, 3, 0) for x in pairs)
    people, alphas = np.repeat(np.arange(40), 3), np.array([0.5, 5.0])
    once = leave_one_out_error(*pairs, alphas)
    np.testing.assert_allclose(leave_one_out_error(voice, identity, 3 * alphas, people), once, rtol=1e-9)
    assert (leave_one_out_error(voice, identity, 3 * alphas) < 0.9 * once).all()


def test_alpha_is_the_one_under_which_people_are_found_best() -> None:
    """By ranks worked out singly; and no more than RANKED of them are worked out."""
    rng = np.random.default_rng(0)
    voice = rng.normal(size=(90, 30))
    identity = 0.3 * voice @ rng.normal(size=(30, 12)) + 3.0 * rng.normal(size=(90, 12))
    people, alphas = np.repeat(np.arange(45), 2), (0.1, 3.0, 30.0, 300.0)
    true, places = identity - identity.mean(0), []
    for found in left_out(voice, identity, people, alphas):
        place = []
        for i, one in enumerate(found):
            near = true @ one / np.linalg.norm(true, axis=1)
            place.append((near[people != people[i]] > near[i]).mean())
        places.append(np.mean(place))
    assert choose_alpha(voice, identity, people, alphas) == alphas[int(np.argmin(places))]
    assert len(set(np.round(places, 3))) > 1


@pytest.mark.parametrize("seed", range(3))
def test_with_ten_clips_a_person_strangers_are_found_better_by_who_knows_whose_they_are(seed: int) -> None:
    """60 of 80 people are known. The other clips of a person make shrinkage look needless to who leaves out one."""
    voice, identity, person = ten_clips_each(seed)
    known = person < 60
    places = []
    for people in (person[known], np.arange(600)):
        prior = LinearPrior.fit_to_people(voice[known], identity[known], people)
        nearness = prior.similarity(voice[~known], identity[~known])
        wrong = person[~known][:, None] != person[~known]
        places.append(((nearness > np.diagonal(nearness)[:, None]) & wrong).sum(1).mean())
    assert places[0] < 0.8 * places[1]


def test_among_many_pairs_only_some_are_ranked(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    voice = rng.normal(size=(300, 8))
    noisy = voice @ rng.normal(size=(8, 3)) + 30.0 * rng.normal(size=(300, 3))
    seen: list[int] = []

    def directions(vectors: np.ndarray) -> np.ndarray:
        seen.append(len(vectors))
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    monkeypatch.setattr(linear, "RANKED", 50)
    monkeypatch.setattr(linear, "directions", directions)
    clean = voice @ rng.normal(size=(8, 3))
    assert choose_alpha(voice, clean, range(300)) <= choose_alpha(voice, noisy, range(300))
    assert set(seen) == {50}
