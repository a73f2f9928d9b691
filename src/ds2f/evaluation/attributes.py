"""The accuracy of a model of age, gender and ethnicity on labelled faces: overall and by group, and how well its
probabilities are calibrated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, mean_absolute_error

from ds2f.face.attributes import Estimates
from ds2f.types import AGE_BINS, ETHNICITIES, GENDERS, FaceLabels, decade_of

ADULT = 18  # years; the gender of small children can hardly be seen in a face


@dataclass(frozen=True)
class GroupMeasures:
    """One group of faces. faces: how many; gender, ethnicity: accuracy in [0, 1]; age_mae: mean absolute error in
    years. None where no face of the group has that label."""

    group: str
    faces: int
    gender: float | None
    ethnicity: float | None
    age_mae: float | None


@dataclass(frozen=True)
class AttributeMeasures:
    """The measures of an attribute model.

    groups: all faces first.
    balanced_ethnicity: balanced accuracy, the mean recall over the ethnicities.
    confusion: (5, 5) counts, rows the truth, columns the estimate, both in the order of ETHNICITIES.
    calibration_error: per attribute, in [0, 1], see `expected_calibration_error`.
    """

    groups: tuple[GroupMeasures, ...]
    balanced_ethnicity: float | None
    confusion: tuple[tuple[int, ...], ...]
    calibration_error: dict[str, float]


def measure_attributes(found: Estimates, truth: FaceLabels) -> AttributeMeasures:
    """found and truth: of the same n faces, n > 0."""
    ethnicity = found.ethnicity.argmax(1)
    stated = truth.ethnicity >= 0
    return AttributeMeasures(
        groups=tuple(_measure_group(name, members, found, truth) for name, members in _groups(truth) if members.any()),
        balanced_ethnicity=(
            float(balanced_accuracy_score(truth.ethnicity[stated], ethnicity[stated])) if stated.any() else None
        ),
        confusion=tuple(
            tuple(int(count) for count in row)
            for row in confusion_matrix(truth.ethnicity[stated], ethnicity[stated], labels=range(len(ETHNICITIES)))
        )
        if stated.any()
        else (),
        calibration_error=_calibration_errors(found, truth),
    )


def expected_calibration_error(probabilities: np.ndarray, truth: np.ndarray, bins: int = 15) -> float:
    """The difference between confidence and accuracy, in [0, 1]. probabilities: (n, classes); truth: (n,) int.

    Σ_b (n_b / n) |accuracy_b − confidence_b|  over bins of equal width of the largest probability
    (Guo et al. 2017, arXiv:1706.04599, eq. 3).
    """
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == truth
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gap = np.bincount(place, weights=right - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(truth))


def _groups(truth: FaceLabels) -> Iterator[tuple[str, np.ndarray]]:
    """(name, (n,) bool) of every group in the report."""
    yield "all", np.ones(len(truth.age), bool)
    yield f"{ADULT} and older", truth.age >= ADULT
    for i, name in enumerate(GENDERS):
        yield name, truth.gender == i
    decade = decade_of(truth.age)
    for i, name in enumerate(AGE_BINS):
        yield f"age {name}", decade == i
    for i, name in enumerate(ETHNICITIES):
        yield name, truth.ethnicity == i


def _measure_group(name: str, members: np.ndarray, found: Estimates, truth: FaceLabels) -> GroupMeasures:
    gender, ethnicity = members & (truth.gender >= 0), members & (truth.ethnicity >= 0)
    age = members & ~np.isnan(truth.age)
    female = (found.female > 0.5).astype(int)  # 1 is the index of "female" in GENDERS
    return GroupMeasures(
        name,
        int(members.sum()),
        float(accuracy_score(truth.gender[gender], female[gender])) if gender.any() else None,
        float(accuracy_score(truth.ethnicity[ethnicity], found.ethnicity.argmax(1)[ethnicity]))
        if ethnicity.any()
        else None,
        float(mean_absolute_error(truth.age[age], found.age[age])) if age.any() else None,
    )


def _calibration_errors(found: Estimates, truth: FaceLabels) -> dict[str, float]:
    estimates = {
        "gender": (np.stack([1 - found.female, found.female], 1), truth.gender),
        "ethnicity": (found.ethnicity, truth.ethnicity),
        "age decade": (found.age_bins, decade_of(truth.age)),
    }
    return {
        name: expected_calibration_error(probabilities[wanted >= 0], wanted[wanted >= 0])
        for name, (probabilities, wanted) in estimates.items()
        if (wanted >= 0).any()
    }
