"""The interval resamples people, and all clips of a person come along."""

from __future__ import annotations

import numpy as np

from ds2f.evaluation.bootstrap import interval, resamples


def test_clips_of_a_person_come_together() -> None:
    people = ["a", "b", "a", "c", "a"]
    for draw in resamples(people, 50):
        counts = np.bincount(draw, minlength=5)
        assert counts[0] == counts[2] == counts[4]
        assert counts[0] + counts[1] + counts[3] == 3  # as many people as there are


def test_many_alike_clips_do_not_narrow_the_interval() -> None:
    rng = np.random.default_rng(0)
    of_people = rng.normal(size=20)
    once = interval(of_people, resamples([str(i) for i in range(20)], 2000))
    names = [str(i) for i in range(20) for _ in range(10)]
    often = interval(np.repeat(of_people, 10), resamples(names, 2000))
    np.testing.assert_allclose(once[1] - once[0], often[1] - often[0], rtol=0.05)


def test_covers_the_textbook_interval_of_a_mean() -> None:
    values = np.random.default_rng(0).normal(size=400)
    low, high = interval(values, resamples([str(i) for i in range(400)], 4000))
    error = values.std() / np.sqrt(400)
    np.testing.assert_allclose([low, high], values.mean() + np.array([-1.96, 1.96]) * error, atol=0.1 * error)


def test_same_seed_same_interval_and_gaps_are_left_out() -> None:
    people = [str(i) for i in range(30)]
    values = np.arange(30.0)
    assert interval(values, resamples(people, 100, 3)) == interval(values, resamples(people, 100, 3))
    values[::2] = np.nan
    low, high = interval(values, resamples(people, 100, 3))
    assert 1 <= low < high <= 29
