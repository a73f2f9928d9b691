"""Scores to log-likelihood ratios: how much more likely a pair is if it is one speaker than if it is two.

Logistic regression (Brümmer & du Preez, Computer Speech & Language 20, 2006) on the score and on quality measures of
the two recordings (Thienpondt et al., ICASSP 2021, arXiv:2010.11255), with equal weight for both kinds of trials: this
fit minimises Cllr. Always fitted on trials of other speakers than those it is applied to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FOLDS = 5
SHRINKAGE = 1.0  # C of the regression: its prior weighs as much as one trial


def cllr(ratios: np.ndarray, same: np.ndarray) -> float:
    """Cost of log-likelihood ratios in bits: 0 is perfect, 1 is the cost of no information (always a ratio of 1).

        Cllr = ½ [mean_same log2(1 + e^−l) + mean_different log2(1 + e^l)]

    (Brümmer & du Preez 2006, equation 2)

    ratios: (n,) natural logarithms; same: (n,) bool, both kinds.
    """
    return float(np.logaddexp(0, -ratios[same]).mean() + np.logaddexp(0, ratios[~same]).mean()) / (2 * np.log(2))


def min_cllr(scores: np.ndarray, same: np.ndarray) -> float:
    """Cllr of the same scores under the best order-preserving calibration (isotonic regression, same paper, section
    4): the information in the scores, calibrated or not. Arguments as for `cllr`, any scores."""
    from scipy.optimize import isotonic_regression  # faster to import than scikit-learn's

    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)  # equal scores are one step
    share = np.bincount(place, weights=same) / count
    posterior = isotonic_regression(share, weights=count).x[place].clip(0, 1)
    prior = np.log(same.sum() / (~same).sum())
    with np.errstate(divide="ignore"):
        return cllr(np.log(posterior) - np.log1p(-posterior) - prior, same)


@dataclass(frozen=True)
class Calibration:
    """l = (x − centre) / scale · weights + offset."""

    weights: np.ndarray
    offset: float
    centre: np.ndarray
    scale: np.ndarray

    def __call__(self, told: np.ndarray) -> np.ndarray:
        """(n, k) to (n,) log-likelihood ratios, natural logarithms."""
        return np.asarray((told - self.centre) / self.scale @ self.weights + self.offset)


def fit(told: np.ndarray, same: np.ndarray) -> Calibration:
    """told: (n, k), the score and the other measures of each trial; same: (n,) bool, both kinds."""
    from sklearn.linear_model import LogisticRegression

    centre, scale = told.mean(0), np.maximum(told.std(0), 1e-9)
    # "balanced": both kinds have equal weight, so that the log-odds are the log-likelihood ratio.
    model = LogisticRegression(C=SHRINKAGE, class_weight="balanced", max_iter=1000).fit((told - centre) / scale, same)
    return Calibration(model.coef_[0], float(model.intercept_[0]), centre, scale)


def across(told: np.ndarray, same: np.ndarray, first: np.ndarray, second: np.ndarray, folds: int = FOLDS) -> np.ndarray:
    """(n,) log-likelihood ratios, NaN where too few speakers are left to fit on.

    Speakers are dealt into folds; a trial of speakers from the folds p and q is calibrated by a fit on all trials
    without any speaker of p or q.

    told, same: as for `fit`.
    first, second: (n,) int, the speakers of each trial.
    folds: number of folds of speakers.
    """
    dealt = np.random.default_rng(0).permutation(1 + int(max(first.max(), second.max()))) % folds
    sides = np.sort(np.stack([dealt[first], dealt[second]]), axis=0)
    found = np.full(len(told), np.nan)
    for p, q in set(map(tuple, sides.T.tolist())):
        others = ~np.isin(sides, (p, q)).any(0)
        if others.any() and same[others].any() and not same[others].all():
            here = (sides[0] == p) & (sides[1] == q)
            found[here] = fit(told[others], same[others])(told[here])
    return found


def quality(measures: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """(n, 2 k): for each measure, the smaller and the larger value of a trial's two recordings, in whichever order.

    measures: k of ((n,), (n,)), of the first and the second recording of each trial.
    """
    return np.stack([f(a, b) for a, b in measures for f in (np.minimum, np.maximum)], axis=1)
