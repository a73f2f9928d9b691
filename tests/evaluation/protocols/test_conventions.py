"""Against scikit-learn and torchmetrics, on scores with ties; and what the order of a list does elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn.metrics import det_curve, roc_curve
from torchmetrics.functional.classification import binary_roc

from ds2f.evaluation.protocols.conventions import DS2F, VOXCELEB_TRAINER, WESPEAKER, Convention, detection
from ds2f.evaluation.verification import equal_error_rate, min_dcf


def rounded(seed: int, count: int = 400, digits: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    same = rng.random(count) < 0.4
    return np.round(rng.normal(size=count) + 1.5 * same, digits), same


@pytest.mark.parametrize("digits", [0, 1, 6])
@pytest.mark.parametrize("seed", range(5))
def test_agree_with_other_implementations(seed: int, digits: int) -> None:
    scores, same = rounded(seed, digits=digits)
    alarm, hit, _ = roc_curve(same, scores)
    crossing = brentq(lambda x: 1 - x - interp1d(alarm, hit)(x), 0, 1)  # as FAME's test.py has it
    assert equal_error_rate(scores, same) == pytest.approx(crossing, abs=1e-6)
    by_torch = [
        v.double().numpy() for v in binary_roc(torch.from_numpy(scores), torch.from_numpy(same.astype(int)))[:2]
    ]
    assert equal_error_rate(scores, same) == pytest.approx(
        brentq(lambda x: 1 - x - interp1d(*by_torch)(x), 0, 1), abs=1e-6
    )
    alarms, misses, _ = det_curve(same, scores)
    alarms, misses = np.append(alarms, [0, 1]), np.append(misses, [1, 0])  # det_curve leaves the two ends out
    for p, c_miss, c_fa in ((0.01, 1, 1), (0.05, 1, 1), (0.5, 10, 1)):
        cost = (p * c_miss * misses + (1 - p) * c_fa * alarms).min() / min(p * c_miss, (1 - p) * c_fa)
        assert min_dcf(scores, same, p, c_miss, c_fa) == pytest.approx(cost, abs=1e-6)
        found = detection(scores, same, Convention("any", p, c_miss, c_fa))
        assert found.min_dcf == pytest.approx(cost, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_voxceleb_trainer_takes_the_nearest_corner(seed: int) -> None:
    scores, same = rounded(seed)
    alarm, hit, _ = roc_curve(same, scores)
    at = np.nanargmin(np.abs(1 - hit - alarm))
    found = detection(scores, same, VOXCELEB_TRAINER)
    assert found.eer == pytest.approx(max(alarm[at], 1 - hit[at]), abs=1e-9)
    assert found.eer_in_order.low == found.eer_in_order.high == found.eer
    assert found.min_dcf == pytest.approx(min_dcf(scores, same, 0.05))


def trial_by_trial(scores: np.ndarray, same: np.ndarray, p: float) -> tuple[float, float]:
    """A threshold after every trial of the sorted list, ties in the order of the list."""
    kinds = same[np.argsort(scores, kind="stable")]
    miss, alarm = np.cumsum(kinds) / kinds.sum(), 1 - np.cumsum(~kinds) / (~kinds).sum()
    over = np.flatnonzero(miss >= alarm)[0]
    share = (miss[over] - alarm[over]) / (alarm[over - 1] - alarm[over] - miss[over - 1] + miss[over])
    return float(miss[over] + share * (miss[over - 1] - miss[over])), float((p * miss + (1 - p) * alarm).min() / p)


def test_the_order_of_a_list_moves_other_numbers_and_not_ours() -> None:
    scores, same = rounded(3, digits=0)
    found = detection(scores, same, WESPEAKER)
    printed = []
    for order in (np.argsort(same), np.argsort(~same), np.random.default_rng(0).permutation(len(same))):
        assert detection(scores[order], same[order], WESPEAKER) == found
        printed.append(trial_by_trial(scores[order], same[order], 0.01))
    eers, costs = zip(*printed, strict=True)
    assert (found.eer_in_order.low, found.eer_in_order.high) == pytest.approx((min(eers), max(eers)), abs=1e-9)
    assert (found.min_dcf_in_order.low, found.min_dcf_in_order.high) == pytest.approx(
        (min(costs), max(costs)), abs=1e-9
    )
    assert found.eer_in_order.high - found.eer_in_order.low > 0.02
    assert found.eer_in_order.low <= found.eer <= found.eer_in_order.high
    assert found.min_dcf >= found.min_dcf_in_order.low


def test_without_ties_all_agree() -> None:
    scores, same = rounded(1, digits=12)
    found = detection(scores, same, DS2F)
    assert found.eer == found.eer_in_order.low == found.eer_in_order.high
    assert found.min_dcf == found.min_dcf_in_order.low == found.min_dcf_in_order.high
