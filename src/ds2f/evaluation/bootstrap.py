"""95 % intervals by resampling people, not clips: clips of one person are alike.

Percentile bootstrap over clusters (Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 13;
Davison & Hinkley 1997, ch. 3.8). Only the queries are drawn anew; the ranks come from the full gallery, whose
size they need.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np


def resamples(people: Sequence[str], count: int, seed: int = 0) -> list[np.ndarray]:
    """`count` draws of as many people as there are, with replacement; each is the indices of all their clips.

    people: one name per clip. All methods should share the draws, so as to be compared on the same people.
    """
    names, person = np.unique(np.asarray(people), return_inverse=True)
    clips = [np.flatnonzero(person == i) for i in range(len(names))]
    rng = np.random.default_rng(seed)
    draws = rng.integers(len(names), size=(count, len(names)))
    return [np.concatenate([clips[i] for i in draw]) for draw in draws]


def interval(
    values: np.ndarray, draws: Sequence[np.ndarray], statistic: Callable[[np.ndarray], float] = np.mean
) -> tuple[float, float]:
    """(2.5 %, 97.5 %) quantiles of statistic(values[draw]). values: (clips,), NaN where there is none."""
    found = []
    for draw in draws:
        drawn = values[draw]
        drawn = drawn[~np.isnan(drawn)]
        if len(drawn):
            found.append(statistic(drawn))
    low, high = np.quantile(found, (0.025, 0.975))
    return float(low), float(high)
