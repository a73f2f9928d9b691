"""Error rates of a list's scores: by several conventions, with intervals by speaker, overall and by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ds2f.evaluation.bootstrap import interval
from ds2f.evaluation.protocols.conventions import VOXCELEB_TRAINER, detection
from ds2f.evaluation.results import Measure
from ds2f.evaluation.speakers.calibration import cllr, min_cllr
from ds2f.evaluation.verification import error_rates, rates_to_dcf, rates_to_eer

FEW = 10  # trials of one speaker, or speakers: with fewer, a group's numbers say little
_DRAWN = 2**25  # maximum number of trials over all draws


@dataclass(frozen=True)
class Rates:
    """Error rates. trials, same: counts; eer, min_dcf_01, min_dcf_05: by NIST's definitions, at P_target 0.01 and
    0.05, see `evaluation.verification`, with intervals by speaker."""

    trials: int
    same: int
    eer: Measure
    min_dcf_01: Measure
    min_dcf_05: Measure


@dataclass(frozen=True)
class Group:
    """Trials that share something. by: gender or duration; name: of the group; few: too few of them to say much."""

    by: str
    name: str
    rates: Rates
    few: bool


@dataclass(frozen=True)
class Trained:
    """What voxceleb_trainer prints for the same scores, in [0, 1]; see `protocols.conventions`."""

    eer: float
    min_dcf: float


class Draws:
    """Speakers resampled with replacement, shared by all systems of a list so that they are compared on the same ones.

    A trial of one speaker counts as often as they were drawn; a trial of two counts once for every pair of copies.
    """

    def __init__(self, first: np.ndarray, second: np.ndarray, draws: int, seed: int = 0) -> None:
        """first, second: (n,) int, the speakers of each trial, from 0 on."""
        self.first, self.second = first, second
        people = 1 + int(max(first.max(), second.max()))
        draws = min(draws, max(100, _DRAWN // max(1, len(first))))
        rng = np.random.default_rng(seed)
        self.counts = rng.multinomial(people, np.full(people, 1 / people), draws)

    def rates(self, scores: np.ndarray, same: np.ndarray, some: np.ndarray | None = None) -> Rates:
        """scores: (n,), higher = more alike; same: (n,) bool, both kinds; some: (n,) bool, those that take part."""
        rows = np.arange(len(scores)) if some is None else np.flatnonzero(some)
        rows = rows[np.argsort(-scores[rows], kind="stable")]  # once: sorting a sorted array is cheap
        ordered, kind, first, second = scores[rows], same[rows], self.first[rows], self.second[rows]
        drawn = []
        for counts in self.counts:
            weights = np.where(first == second, counts[first], counts[first] * counts[second])
            if weights[kind].any() and weights[~kind].any():
                drawn.append(_values(*error_rates(ordered, kind, weights)))
        values = _values(*error_rates(ordered, kind))
        ends = [interval(column) for column in np.array(drawn).T] if drawn else [(None, None)] * len(values)
        return Rates(
            len(rows), int(kind.sum()), *(Measure(value, *between) for value, between in zip(values, ends, strict=True))
        )


def _values(alarm: np.ndarray, miss: np.ndarray) -> tuple[float, float, float]:
    return rates_to_eer(alarm, miss), rates_to_dcf(alarm, miss, 0.01), rates_to_dcf(alarm, miss, 0.05)


def trained(scores: np.ndarray, same: np.ndarray) -> Trained:
    """Arguments as for `Draws.rates`."""
    found = detection(scores, same, VOXCELEB_TRAINER)
    return Trained(found.eer, found.min_dcf)


def costs(scores: np.ndarray, same: np.ndarray) -> tuple[float, float]:
    """(Cllr of the scores as if they were log-likelihood ratios, min Cllr)."""
    return cllr(scores, same), min_cllr(scores, same)


def groups(
    scores: np.ndarray, same: np.ndarray, draws: Draws, members: Mapping[str, Mapping[str, np.ndarray]]
) -> list[Group]:
    """One for each group that has trials of both kinds. members: {by: {name: (n,) bool}}."""
    found = []
    for by, of_kind in members.items():
        for name, some in of_kind.items():
            if (some & same).any() and (some & ~same).any():
                speakers = len(np.unique(draws.first[some & same]))
                rates = draws.rates(scores, same, some)
                found.append(Group(by, name, rates, min(rates.same, speakers) < FEW))
    return found


DURATIONS = ((0.0, 2.0), (2.0, 4.0), (4.0, 8.0), (8.0, np.inf))  # seconds of speech


def by_duration(seconds: np.ndarray) -> dict[str, np.ndarray]:
    """{"2-4 s": (n,) bool, ...}; seconds: (n,) of speech in the shorter recording of each trial."""
    return {
        f"under {high:g} s" if low == 0 else f"{low:g} s and more" if high == np.inf else f"{low:g} to {high:g} s": (
            (seconds >= low) & (seconds < high)
        )
        for low, high in DURATIONS
    }


def by_gender(first: Sequence[str], second: Sequence[str]) -> dict[str, np.ndarray]:
    """{"female": (n,) bool, "male": ...}: trials in which both speakers have that gender."""
    a, b = np.array(first), np.array(second)
    return {name: (a == name) & (b == name) for name in ("female", "male")}
