"""Equal error rate and detection cost as the toolkits of speaker verification print them, but for tied scores.

| toolkit | equal error rate | p_target | c_miss | c_fa |
| --- | --- | --- | --- | --- |
| ds2f | on the diagonal of the DET curve, between two thresholds by interpolation | 0.01 | 1 | 1 |
| voxceleb_trainer (clovaai, tuneThreshold.py) | the larger of the two rates where they differ least | 0.05 | 1 | 1 |
| WeSpeaker (score_metrics.py, after NIST's SRE 2016 script) | as ds2f | 0.01 | 1 | 1 |

Both toolkits sort the scores and move the threshold over one trial after the other, WeSpeaker for both numbers and
voxceleb_trainer for its cost: between trials of one score there is no threshold in truth, and what they print depends
on which of the trials stands first. Here equal scores fall to one side together, so the order of a list changes
nothing; `TiedRange` says between which numbers a toolkit may print, by the luckiest and the unluckiest order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ds2f.evaluation.verification import error_rates, rates_to_dcf, rates_to_eer

_LEVEL = 1e-12  # of two rates, which are quotients of counts


@dataclass(frozen=True)
class Convention:
    """p_target: how frequent pairs of one person are taken to be; c_miss, c_fa: costs; nearest: the equal error rate is
    the larger rate at a threshold, not an interpolation."""

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
    """What a threshold between trials of one score makes of a number: low by the luckiest order of the list, high by
    the unluckiest; equal where no pair of one person scores exactly as a pair of two."""

    low: float
    high: float


@dataclass(frozen=True)
class Detection:
    """eer, min_dcf: in [0, 1], whatever the order of the list; eer_in_order, min_dcf_in_order: what tied scores may
    make of them elsewhere. convention: by whose definitions."""

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
    """The same order with ties broken: those of `first` score higher. (n,) distinct numbers."""
    order = np.lexsort((first, scores))
    places = np.empty(len(scores), float)
    places[order] = np.arange(len(scores))
    return places


def _nearest(alarm: np.ndarray, miss: np.ndarray) -> float:
    """voxceleb_trainer: scikit-learn's roc_curve keeps the corners of the curve alone, and of these the first at which
    the two rates differ least counts; the larger of them is printed."""
    bends = (np.abs(np.diff(alarm, 2)) > _LEVEL) | (np.abs(np.diff(miss, 2)) > _LEVEL)
    corners = np.flatnonzero(np.concatenate([[True], bends, [True]]))
    at = corners[np.argmin(np.abs(alarm - miss)[corners])]
    return float(max(alarm[at], miss[at]))
