"""The interval resamples people, and all clips of a person come along."""

from __future__ import annotations

import numpy as np
import pytest

from ds2f.evaluation.bootstrap import Bootstrap
from ds2f.evaluation.results import Measure


def bounds(measure: Measure | None) -> tuple[float, float]:
    assert measure is not None
    assert measure.low is not None
    assert measure.high is not None
    return measure.low, measure.high


def names(count: int, clips: int = 1) -> list[str]:
    return [f"{i:04}" for i in range(count) for _ in range(clips)]


def drawn(bootstrap: Bootstrap, number: int) -> np.ndarray:
    """The clips of one draw, each as often as it was drawn."""
    return np.repeat(np.arange(len(bootstrap.person)), bootstrap.counts[number, bootstrap.person].astype(int))


def test_as_many_people_as_there_are_and_the_clips_of_a_person_together() -> None:
    bootstrap = Bootstrap(["a", "b", "a", "c", "a"], 50)
    assert (bootstrap.counts.sum(1) == 3).all()
    np.testing.assert_array_equal(bootstrap.person, [0, 1, 0, 2, 0])


def test_means_and_medians_are_those_of_the_drawn_clips() -> None:
    rng = np.random.default_rng(0)
    people = [str(i) for i in rng.integers(0, 12, 40)]
    values = rng.normal(size=40)
    values[[3, 8]] = np.nan
    bootstrap = Bootstrap(people, 200)
    draws = [drawn(bootstrap, i) for i in range(200)]
    np.testing.assert_allclose(bootstrap.means(values), [np.nanmean(values[d]) for d in draws])
    medians = [np.nanmedian(values[d]) for d in draws]
    found = bootstrap.median(values)
    assert found is not None
    assert found.value == np.nanmedian(values)
    np.testing.assert_allclose(bounds(found), np.quantile(medians, (0.025, 0.975)))


def test_tables_are_summed_cell_by_cell() -> None:
    bootstrap = Bootstrap(["a", "a", "b"], 5)
    tables = np.arange(12.0).reshape(3, 2, 2)
    wanted = [sum(tables[i] for i in drawn(bootstrap, d)) for d in range(5)]
    np.testing.assert_allclose(bootstrap.sums(tables), wanted)


def test_many_alike_clips_do_not_narrow_the_interval() -> None:
    of_people = np.random.default_rng(0).normal(size=20)
    once = bounds(Bootstrap(names(20), 2000).mean(of_people))
    often = bounds(Bootstrap(names(20, 10), 2000).mean(np.repeat(of_people, 10)))
    np.testing.assert_allclose(once, often)


def test_covers_the_textbook_interval_of_a_mean() -> None:
    values = np.random.default_rng(0).normal(size=400)
    found = bounds(Bootstrap(names(400), 4000).mean(values))
    error = values.std() / np.sqrt(400)
    np.testing.assert_allclose(found, values.mean() + np.array([-1.96, 1.96]) * error, atol=0.1 * error)


def test_same_seed_same_interval_and_gaps_are_left_out() -> None:
    values = np.arange(30.0)
    assert Bootstrap(names(30), 100, 3).mean(values) == Bootstrap(names(30), 100, 3).mean(values)
    values[::2] = np.nan
    low, high = bounds(Bootstrap(names(30), 100, 3).mean(values))
    assert 1 <= low < high <= 29
    assert Bootstrap(names(30), 100).mean(np.full(30, np.nan)) is None
    assert Bootstrap(names(30), 100).median(np.full(30, np.nan)) is None


def test_one_person_has_no_interval() -> None:
    """All draws of one person are the same, which says nothing about others."""
    bootstrap = Bootstrap(["a", "a", "b"], 50)
    values = np.array([1.0, 2.0, np.nan])
    assert bootstrap.mean(values) == bootstrap.median(values) == Measure(1.5)
    bounds(bootstrap.mean(np.array([1.0, np.nan, 2.0])))
    assert Bootstrap(["a", "a"], 50).statistic(3.0, lambda weights: float(weights.sum()), 50) == Measure(3.0)


def test_a_statistic_of_weights_keeps_its_value_in_the_middle() -> None:
    values = np.random.default_rng(1).normal(size=50)
    found = Bootstrap(names(50), 300).statistic(3.0, lambda weights: float(weights @ values), 300)
    assert found.value == 3.0
    low, high = bounds(found)
    assert low < 3.0 < high
    assert (high - low) == pytest.approx(2 * 1.96 * np.sqrt(50) * values.std(), rel=0.2)
