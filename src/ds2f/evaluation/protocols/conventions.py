"""Equal error rate and detection cost as the toolkits of speaker verification print them, except for tied scores.

| toolkit | equal error rate | p_target | c_miss | c_fa |
| --- | --- | --- | --- | --- |
| ds2f | on the diagonal of the DET curve, between two thresholds by interpolation | 0.01 | 1 | 1 |
| voxceleb_trainer (clovaai, tuneThreshold.py) | the larger of the two rates where they differ least | 0.05 | 1 | 1 |
| WeSpeaker (score_metrics.py, after NIST's SRE 2016 script) | as ds2f | 0.01 | 1 | 1 |

Both toolkits sort the scores and move the threshold over one trial at a time, WeSpeaker for both numbers and
voxceleb_trainer for its cost. Between trials with equal scores there is no real threshold, so what they print depends
on the order of these trials. Here equal scores fall on the same side together, so the order of a list has no effect;
`TiedRange` gives the range of numbers that a toolkit may print, for the luckiest and the unluckiest order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ds2f.evaluation.verification import error_rates, rates_to_dcf, rates_to_eer

_LEVEL = 1e-12  # tolerance for rates, which are quotients of counts


@dataclass(frozen=True)
class Convention:
    """The definitions of a toolkit. p_target: prior probability of a pair of one person; c_miss, c_fa: costs;
    nearest: the equal error rate is the larger rate at a threshold, not an interpolation."""

    name: str
    p_target: float
    c_miss: float = 1.0
    c_fa: float = 1.0
    nearest: bool = False


DS2F = Convention("ds2f", 0.01)
VOXCELEB_TRAINER = Convention("voxceleb_trainer", 0.05, nearest=True)
WESPEAKER = Convention("WeSpeaker", 0.01)
CONVENTIONS = (DS2F, VOXCELEB_TRAINER, WESPEAKER)


@dataclass(frozen=True)
class TiedRange:
    """The range of a number if thresholds may lie between tied trials: low for the luckiest order of the list, high
    for the unluckiest; equal if no pair of one person has exactly the score of a pair of two."""

    low: float
    high: float


@dataclass(frozen=True)
class Detection:
    """Rates by one convention. eer, min_dcf: in [0, 1], independent of the order of the list; eer_in_order,
    min_dcf_in_order: what tied scores may make of them elsewhere."""

    convention: Convention
    eer: float
    min_dcf: float
    eer_in_order: TiedRange
    min_dcf_in_order: TiedRange


def detection(scores: np.ndarray, same: np.ndarray, convention: Convention = DS2F) -> Detection:
    """scores: (n,), higher = more alike; same: (n,) bool, both kinds. Raises ValueError as `error_rates` does."""
    alarm, miss = error_rates(scores, same)
    lucky, unlucky = (error_rates(_untied(scores, first), same) for first in (same, ~same.astype(bool)))
    eers = [_nearest(alarm, miss)] * 2 if convention.nearest else [rates_to_eer(*rates) for rates in (lucky, unlucky)]
    costs = [rates_to_dcf(*r, convention.p_target, convention.c_miss, convention.c_fa) for r in (lucky, unlucky)]
    return Detection(
        convention,
        eers[0] if convention.nearest else rates_to_eer(alarm, miss),
        rates_to_dcf(alarm, miss, convention.p_target, convention.c_miss, convention.c_fa),
        TiedRange(*eers),
        TiedRange(*costs),
    )


def _untied(scores: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The same order with ties broken in favour of `first`, which score higher. (n,) distinct numbers."""
    order = np.lexsort((first, scores))
    places = np.empty(len(scores), float)
    places[order] = np.arange(len(scores))
    return places


def _nearest(alarm: np.ndarray, miss: np.ndarray) -> float:
    """voxceleb_trainer's rule: scikit-learn's roc_curve keeps only the corners of the curve; at the first of these
    where the two rates differ least, the larger of them is printed."""
    bends = (np.abs(np.diff(alarm, 2)) > _LEVEL) | (np.abs(np.diff(miss, 2)) > _LEVEL)
    corners = np.flatnonzero(np.concatenate([[True], bends, [True]]))
    at = corners[np.argmin(np.abs(alarm - miss)[corners])]
    return float(max(alarm[at], miss[at]))
