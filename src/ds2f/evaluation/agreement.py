"""Do gender, age and ethnicity of the generated face agree with those of the true face, according to one model?

The model judges both, so its own errors count as disagreement: compare the numbers with those of another true photo of
the same person, which is the ceiling.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ds2f.evaluation.bootstrap import Bootstrap
from ds2f.evaluation.results import Agreement, Classes, Judged, Measure
from ds2f.face.attributes import Estimates
from ds2f.types import AGE_BINS, ETHNICITIES, GENDERS, FaceLabels, decade_of


def labels_of(found: Estimates) -> FaceLabels:
    """The most likely class of each attribute, and the expected age; -1 and NaN where the estimates are NaN."""
    unseen = np.isnan(found.female)

    def likeliest(probabilities: np.ndarray) -> np.ndarray:
        return np.where(unseen, -1, probabilities.argmax(1))

    genders = np.stack([1 - found.female, found.female], 1)
    return FaceLabels(found.age.astype(np.float64), likeliest(genders), likeliest(found.ethnicity))


def agreement(true: FaceLabels, found: FaceLabels, clips: np.ndarray, bootstrap: Bootstrap) -> Agreement | None:
    """true: of n clips; found: of m generated faces; clips: (m,) int, the clip of each. None if there is no face."""
    columns = {
        "gender": (GENDERS, true.gender[clips], found.gender),
        "ethnicity": (ETHNICITIES, true.ethnicity[clips], found.ethnicity),
        "decade": (AGE_BINS, decade_of(true.age)[clips], decade_of(found.age)),
    }
    count = len(true.age)
    classes = {name: measure_classes(*column, clips, count, bootstrap) for name, column in columns.items()}
    age_mae = bootstrap.mean(per_clip(np.abs(found.age - true.age[clips]), clips, count))
    if age_mae is None or any(found is None for found in classes.values()):
        return None
    return Agreement(**classes, age_mae=age_mae)  # type: ignore[arg-type]


def measure_classes(
    names: Sequence[str], true: np.ndarray, found: np.ndarray, clips: np.ndarray, count: int, bootstrap: Bootstrap
) -> Classes | None:
    """Accuracy and confusion of one attribute. Every clip gives a table that sums to 1; the tables of a bootstrap draw
    are summed, and the rates computed from the sum.

    names: of the classes.
    true: (m,) int, indices into `names` for the true faces; -1 for unknown, which is left out.
    found: (m,) int, the same for the generated faces.
    clips: (m,) int, the clip of each face.
    count: total number of clips.
    bootstrap: over their people.
    """
    known = (true >= 0) & (found >= 0)
    if not known.any():
        return None
    true, found, clips = true[known], found[known], clips[known]
    tables = np.zeros((count, len(names), len(names)))
    np.add.at(tables, (clips, true, found), 1 / np.bincount(clips, minlength=count)[clips])
    drawn = bootstrap.sums(tables)
    whole = tables.sum(0)
    return Classes(
        tuple(names),
        bootstrap.measure(float(_accuracy(whole)), _accuracy(drawn), clips),
        bootstrap.measure(float(_balanced(whole)), _balanced(drawn), clips),
        tuple(tuple(round(float(cell), 6) for cell in row) for row in whole),
    )


def judge_rows(rows: np.ndarray, truth: FaceLabels, clips: np.ndarray, bootstrap: Bootstrap) -> Judged | None:
    """How one attribute model judges m drawn faces, each on its own; see `judges.Judge.rows` for the rows.

    truth: of n clips, ethnicity in the model's own classes; clips: (m,) int, the clip of each face. None if there is no
        face.
    """
    seen, count = ~np.isnan(rows).all(1), len(truth.age)
    found, wanted = rows_to_labels(rows), truth.of(clips)

    def right(found: np.ndarray, wanted: np.ndarray) -> Measure | None:
        values = np.where((found >= 0) & (wanted >= 0), found == wanted, np.nan)
        return bootstrap.mean(per_clip(values, clips, count))

    if not seen.any():
        return None
    off = found.age - wanted.age
    return Judged(
        faces=int(seen.sum()),
        gender=right(found.gender, wanted.gender),
        age_mae=bootstrap.mean(per_clip(np.abs(off), clips, count)),
        age_bias=bootstrap.mean(per_clip(off, clips, count)),
        ethnicity=right(found.ethnicity, wanted.ethnicity),
    )


def rows_to_labels(rows: np.ndarray) -> FaceLabels:
    """(n, 2 + k) rows of a judge to expected ages and the most likely classes; NaN and -1 where it gives none."""
    gender, ethnicity = rows[:, 1], rows[:, 2:]
    unsaid = np.isnan(ethnicity).any(1) if ethnicity.shape[1] else np.ones(len(rows), bool)
    likeliest = np.full(len(rows), -1)
    likeliest[~unsaid] = ethnicity[~unsaid].argmax(1) if ethnicity.shape[1] else -1
    return FaceLabels(rows[:, 0], np.where(np.isnan(gender), -1, gender > 0.5).astype(int), likeliest)


def per_clip(values: np.ndarray, clips: np.ndarray, count: int) -> np.ndarray:
    """(count,) mean over the faces of each clip, NaN for a clip without any. values: (m,), NaN for a face without a
    value."""
    known = ~np.isnan(values)
    sums = np.bincount(clips[known], values[known], count)
    numbers = np.bincount(clips[known], minlength=count)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(numbers > 0, sums / numbers, np.nan))


def per_clip_rows(rows: np.ndarray, clips: np.ndarray, count: int) -> np.ndarray:
    """As `per_clip`, for (m, d): (count, d)."""
    return np.stack([per_clip(column, clips, count) for column in rows.T], axis=1)


def _accuracy(tables: np.ndarray) -> np.ndarray:
    """(..., k, k) counts to (...) shares on the diagonal."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.trace(tables, axis1=-2, axis2=-1) / tables.sum((-2, -1)))


def _balanced(tables: np.ndarray) -> np.ndarray:
    """(..., k, k) counts to (...) mean recall over the classes that occur."""
    with np.errstate(invalid="ignore"):
        recall = np.diagonal(tables, axis1=-2, axis2=-1) / tables.sum(-1)
        return np.asarray(np.nansum(recall, -1) / (~np.isnan(recall)).sum(-1))
