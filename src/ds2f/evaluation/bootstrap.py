"""95 % intervals by resampling people, not clips, because clips of one person are alike.

Percentile bootstrap over clusters (Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, ch. 13; Davison &
Hinkley 1997, ch. 3.8). Only the queries are resampled; the ranks come from the full gallery, because they depend on its
size.

A draw of P people with replacement is a row of P counts, multinomially distributed, and the mean over the clips of a
draw is (counts · sums) / (counts · numbers): the means of all draws and all measures are two matrix products.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

from ds2f.evaluation.results import Measure
from ds2f.models.graphs import default_threads

LEVEL = (0.025, 0.975)
_CHUNK = 2**23  # numbers held at once where a statistic needs every clip of every draw


class Bootstrap:
    """The draws, shared by all methods so that they are compared on the same people.

    person: (n,) int, the person of each clip; counts: (draws, people), how often each person was drawn.
    """

    def __init__(self, people: Sequence[str], draws: int, seed: int = 0) -> None:
        """people: one name per clip."""
        names, self.person = np.unique(np.asarray(people), return_inverse=True)
        rng = np.random.default_rng(seed)
        self.counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), draws).astype(np.float64)

    def mean(self, values: np.ndarray) -> Measure | None:
        """The mean and its interval. values: (n,), NaN for clips that are left out; None if all are."""
        known = ~np.isnan(values)
        return self.measure(float(np.mean(values[known])), self.means(values), known) if known.any() else None

    def measure(self, value: float, draws: np.ndarray, clips: np.ndarray | slice = slice(None)) -> Measure:
        """A value and the interval of its (draws,) statistics, but no interval if the clips that are measured are all
        of one person: every draw is the same. clips: which these are, a mask or indices."""
        several = len(np.unique(self.person[clips])) > 1
        return Measure(value, *(interval(draws) if several else ()))

    def means(self, values: np.ndarray) -> np.ndarray:
        """(draws, ...) mean of every draw, NaN for one without a clip. values: (n, ...), NaN for no value."""
        totals = self.sums(np.nan_to_num(values, nan=0.0))
        with np.errstate(invalid="ignore"):
            return np.asarray(totals / self.sums(~np.isnan(values)))

    def sums(self, values: np.ndarray) -> np.ndarray:
        """(draws, ...) sum over the clips of every draw. values: (n, ...), without NaN."""
        flat = np.zeros((self.counts.shape[1], int(np.prod(values.shape[1:]))))
        np.add.at(flat, self.person, values.reshape(len(values), -1).astype(np.float64))
        return (self.counts @ flat).reshape(-1, *values.shape[1:])

    def median(self, values: np.ndarray) -> Measure | None:
        """As `mean`, for the median: the values are sorted once, and each draw is a running sum of counts along
        them."""
        order = np.argsort(values, kind="stable")[: int((~np.isnan(values)).sum())]  # NaN sorts last
        if not len(order):
            return None
        ordered, found = values[order], np.empty(len(self.counts))
        step = max(1, _CHUNK // len(order))
        for at in range(0, len(self.counts), step):
            weights = np.cumsum(self.counts[at : at + step, self.person[order]], axis=1)
            found[at : at + step] = _weighted_median(ordered, weights)
        return self.measure(float(np.median(ordered)), found, ~np.isnan(values))

    def statistic(self, value: float, of_weights: Callable[[np.ndarray], float], most: int) -> Measure:
        """Any other statistic: a function of the weights of the clips, (n,) float. most: maximum number of draws, as it
        is expensive.

        Drawing with replacement duplicates rows, which distances between sets take for a smaller set, so the statistics
        of the draws are too high. The draws are therefore shifted to have their mean at the value, and only their
        spread is used.
        """
        # Many small problems: run them in parallel, with one thread each, so that threads don't wait for one another.
        with threadpool_limits(1), ThreadPoolExecutor(default_threads()) as threads:
            found = np.array([*threads.map(lambda counts: of_weights(counts[self.person]), self.counts[:most])])
        return self.measure(value, found - np.nanmean(found) + value)


def interval(draws: np.ndarray) -> tuple[float, float]:
    """(2.5 %, 97.5 %) quantiles of (draws,) statistics; draws that are NaN had nothing to measure."""
    low, high = np.nanquantile(draws, LEVEL)
    return float(low), float(high)


def _weighted_median(ordered: np.ndarray, running: np.ndarray) -> np.ndarray:
    """ordered: (n,) values; running: (draws, n) running sums of their counts. NaN for an empty draw."""
    total = running[:, -1]
    lower = np.argmax(running >= (total / 2)[:, None], axis=1)
    upper = np.argmax(running > (total / 2)[:, None], axis=1)  # the next one, if half of the draw ends exactly here
    return np.where(total > 0, (ordered[lower] + ordered[upper]) / 2, np.nan)
