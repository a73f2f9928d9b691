"""Verification: do these two belong to one person? Error rates of scores.

Scores may be of anything: two voices in `speakers`, a voice and a face in `matching` and the protocols. Equal scores
fall on the same side of a threshold together, so no number depends on the order of the list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ds2f._renamed import old_names


def error_rates(
    scores: np.ndarray, labels: np.ndarray, counts: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """False alarm and miss rates at every threshold, from the strictest to the loosest: two arrays of equal length.

    scores: (n,), higher = more alike.
    labels: (n,), true or 1 for a pair of one person, false or 0 for a pair of two.
    counts: (n,), how often each pair counts; None: once each.
    Raises ValueError for a NaN score, and if either kind of pair is missing or counts zero times.
    """
    same = labels.astype(bool)
    counted = np.ones(len(scores), int) if counts is None else counts
    if np.isnan(scores).any():
        raise ValueError("a score is not a number")
    if not (counted * same).any() or not (counted * ~same).any():
        raise ValueError("error rates need pairs of one person and pairs of two")
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))  # equal scores fall on the same side together
    hits, alarms = (np.cumsum((counted * kind)[order])[ends] for kind in (same, ~same))
    return np.append(0.0, alarms / alarms[-1]), np.append(1.0, 1 - hits / hits[-1])


def roc_auc(scores: np.ndarray, labels: np.ndarray, counts: np.ndarray | None = None) -> float:
    """P(a pair of one person scores higher than a pair of two), counting ties half, in [0, 1].

    The area under the ROC curve by the trapezoidal rule (Hanley & McNeil, Radiology 143(1), 1982). Arguments as for
    `error_rates`.
    """
    return rates_to_auc(*error_rates(scores, labels, counts))


def rates_to_auc(alarm: np.ndarray, miss: np.ndarray) -> float:
    """The same, from the two rates of `error_rates`."""
    return float(np.trapezoid(1 - miss, alarm))


def equal_error_rate(scores: np.ndarray, labels: np.ndarray, counts: np.ndarray | None = None) -> float:
    """Where false alarms and misses are equally frequent, in [0, 1], interpolated between two thresholds.

    The point of the DET curve of Martin et al., Eurospeech 1997, on its diagonal. Arguments as for `error_rates`.
    """
    return rates_to_eer(*error_rates(scores, labels, counts))


def rates_to_eer(alarm: np.ndarray, miss: np.ndarray) -> float:
    """The same, from the two rates of `error_rates`."""
    after = int(np.argmax(alarm >= miss))
    step = (alarm[after] - miss[after]) - (alarm[after - 1] - miss[after - 1])
    share = (miss[after - 1] - alarm[after - 1]) / step
    return float(alarm[after - 1] + share * (alarm[after] - alarm[after - 1]))


def min_dcf(
    scores: np.ndarray, labels: np.ndarray, p_target: float = 0.01, c_miss: float = 1.0, c_fa: float = 1.0
) -> float:
    """Minimum detection cost over all thresholds, relative to that of always giving the cheaper answer.

        min_θ [p C_miss P_miss(θ) + (1 − p) C_fa P_fa(θ)] / min(p C_miss, (1 − p) C_fa)

    (NIST speaker recognition evaluation plan, 2016 and after)

    scores: as for `error_rates`.
    labels: as for `error_rates`.
    p_target: p, prior probability of a pair of one person, in (0, 1).
    c_miss: cost of a miss.
    c_fa: cost of a false alarm.
    """
    return rates_to_dcf(*error_rates(scores, labels), p_target, c_miss, c_fa)


def rates_to_dcf(alarm: np.ndarray, miss: np.ndarray, p_target: float, c_miss: float = 1.0, c_fa: float = 1.0) -> float:
    """The same as `min_dcf`, from the two rates of `error_rates`.

    alarm: (k,) false alarm rates.
    miss: (k,) miss rates.
    p_target: as for `min_dcf`.
    c_miss: as there.
    c_fa: as there.
    """
    missed, alarmed = p_target * c_miss, (1 - p_target) * c_fa
    return float((missed * miss + alarmed * alarm).min() / min(missed, alarmed))


if not TYPE_CHECKING:
    __getattr__ = old_names(__name__)
