"""How well a score says which face belongs to a voice: the area under the ROC curve, and choices among few.

Scores compare every voice with every face of a split. A voice's own face is right; faces of other people are wrong;
other faces of the same person take no part. Within gender, only people of the same gender take part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ds2f.evaluation.matching import measure
from ds2f.evaluation.results import Measure


@dataclass(frozen=True)
class MatchMeasures:
    """auc: chance 0.5; two, ten: share of right choices among two and ten faces, chance 0.5 and 0.1; *_within: among
    people of the same gender; None where there are too few people."""

    clips: int
    people: int
    auc: Measure | None
    two: Measure | None
    ten: Measure | None
    auc_within: Measure | None
    two_within: Measure | None
    ten_within: Measure | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> MatchMeasures:
        values: dict[str, Any] = {name: Measure(**v) if isinstance(v, dict) else v for name, v in data.items()}
        return cls(**values)


def measure_matching(
    score: np.ndarray, people: Sequence[str], female: np.ndarray, bootstrap: int = 1000
) -> MatchMeasures:
    """score: (n, n), voice i with face j, higher fits better; people: whose row it is; female: (n,) probability, NaN
    where not known."""
    alone = -1 - np.arange(len(female))  # nobody's gender is that of somebody of whom it is not known
    gender = np.where(np.isnan(female), alone, female > 0.5).astype(int)
    overall, within = measure(score, people, {"gender": gender}, bootstrap)
    found = [(m.auc, m.choice.get(2), m.choice.get(10)) for m in (overall, within)]
    return MatchMeasures(len(score), len(set(people)), *found[0], *found[1])


def same_gender(female: np.ndarray) -> np.ndarray:
    """(n,) probabilities to (n, n) bool; nobody's gender is that of somebody of whom it is not known."""
    known = ~np.isnan(female)
    return (known[:, None] & known) & ((female > 0.5)[:, None] == (female > 0.5))


def above(right: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """(n,) share of all wrong scores under each right one, ties half. Its mean is the area under the ROC curve
    (Mann & Whitney 1947; Hanley & McNeil 1982)."""
    ordered = np.sort(wrong)
    places = np.searchsorted(ordered, right, "left") + np.searchsorted(ordered, right, "right")
    return places / (2 * len(ordered)) if len(ordered) else np.full(len(right), np.nan)
