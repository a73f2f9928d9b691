"""The mean appearance of people of an age, a gender or an ethnicity: departures of identities from the mean person.

An additive model, so that no attribute stands in for another (in a corpus, old people may more often be men):

    identity ≈ mean + f(age) + g(gender) + h(ethnicity),   f linear between AGES

fitted by ridge regression (Hoerl & Kennard, Technometrics 12(1), 1970) on labelled faces. Each part has mean zero over
the faces it was fitted on.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ds2f.types import ETHNICITIES, GENDERS, FaceLabels, Wish

AGES = (0, 5, 12, 20, 30, 42, 55, 70, 90)
"""Years between which appearance changes linearly: closer together where faces change fast."""
ROWS = len(AGES) + len(GENDERS) + len(ETHNICITIES)
_GENDER, _ETHNICITY = len(AGES), len(AGES) + len(GENDERS)
_AGE_DIRECTIONS = 3  # in which faces age; the others of the nine are noise
_FACES = 3.0  # of average appearance, added to each class: the strength of the ridge penalty


def fit_looks(identity: np.ndarray, labels: FaceLabels) -> Tensor:
    """identity: (n, d); labels: of the same n faces; unknown ones count as average. Returns (ROWS, d) float32:
    departures by age, gender and ethnicity, in the order of AGES, GENDERS and ETHNICITIES."""
    classes = np.zeros((len(identity), ROWS))
    aged = ~np.isnan(labels.age)
    classes[aged, :_GENDER] = _between_ages(labels.age[aged])
    for start, count, found in (
        (_GENDER, len(GENDERS), labels.gender),
        (_ETHNICITY, len(ETHNICITIES), labels.ethnicity),
    ):
        stated = found >= 0
        classes[stated, start : start + count] = np.eye(count)[found[stated]]
    shares = np.zeros(ROWS)
    for part in _PARTS:
        known = np.asarray(classes[:, part].any(1))
        if known.any():
            shares[part] = classes[known, part].mean(0)
            classes[:, part] = np.where(known[:, None], classes[:, part] - shares[part], 0)
    y = identity.astype(np.float64) - identity.mean(0, dtype=np.float64)
    found = np.linalg.solve(classes.T @ classes + _FACES * np.eye(ROWS), classes.T @ y)
    for part in _PARTS:
        found[part] -= shares[part] @ found[part]
    return torch.from_numpy(found.astype(np.float32))


def departure(looks: Tensor, wish: Wish) -> Tensor:
    """(d,) mean difference from the mean person of people who match a wish. looks: (ROWS, d) from `fit_looks`."""
    weights = np.zeros(ROWS)
    if wish.age is not None:
        weights[:_GENDER] = _between_ages(np.array([wish.age]))[0]
    if wish.gender is not None:
        weights[_GENDER + GENDERS.index(wish.gender)] = 1
    if wish.ethnicity is not None:
        weights[_ETHNICITY + ETHNICITIES.index(wish.ethnicity)] = 1
    return torch.from_numpy(weights).to(looks) @ looks


def directions(looks: Tensor, wish: Wish) -> Tensor:
    """(r, d) the directions in which people differ by the attributes that a wish names: one for gender, four for
    ethnicity, three for age."""
    named = ((wish.age, 0, _AGE_DIRECTIONS), (wish.gender, 1, 1), (wish.ethnicity, 2, len(ETHNICITIES) - 1))
    found = []
    for wished, place, count in named:
        if wished is not None:
            rows = looks[_PARTS[place]]
            found.append(torch.linalg.svd((rows - rows.mean(0)).double())[2][:count])
    return torch.cat(found).to(looks)


def project_out(push: Tensor, within: Tensor, basis: Tensor) -> Tensor:
    """A departure from the mean person without the part that concerns the looks that span `basis`: (n, d) to (n, d).

        x P,   P = I − Σ⁻¹ Bᵀ (B Σ⁻¹ Bᵀ)⁻¹ B

    If people within groups differ by Σ, x Σ⁻¹ Bᵀ is all that distinguishes the groups (Fisher 1936, "The use of
    multiple measurements in taxonomic problems"); for x P it is 0, and only the component along B has changed. push: x.
    within: (d, d), Σ. basis: (r, d), B, see `directions`.
    """
    b = basis.double()
    told = torch.linalg.solve(within.double(), b.T)  # Σ⁻¹ Bᵀ, (d, r)
    x = push.double()
    return (x - x @ told @ torch.linalg.solve(b @ told, b)).to(push)


_PARTS = (slice(0, _GENDER), slice(_GENDER, _ETHNICITY), slice(_ETHNICITY, ROWS))


def _between_ages(years: np.ndarray) -> np.ndarray:
    """(n,) to (n, len(AGES)): weights of the two nearest ages, summing to 1."""
    within = np.clip(years, AGES[0], AGES[-1])
    return np.stack([np.interp(within, AGES, row) for row in np.eye(len(AGES))], 1)
