"""Age, gender and ethnicity by any number of attribute models, which judge drawn faces as extraction has them judge
real ones. Models that neither training nor steering has seen come first: they head the report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ds2f.dataset.clips import estimates
from ds2f.dataset.queries import Dataset
from ds2f.errors import UserError
from ds2f.face import registry
from ds2f.face.attributes import IdentityAttributes
from ds2f.io.files import by_name
from ds2f.types import DLIB, ETHNICITIES, Attributes

_BEFORE = "attributes:"  # prefix of a model's name, for its rows among the vectors of a face


@dataclass(frozen=True)
class Judge:
    """An attribute model. name: of its rows in a dataset; spec: how it is loaded, as in [faces] attributes; trained:
    whether training or steering has seen it; classes: the ethnicities that it distinguishes."""

    name: str
    spec: str
    trained: bool
    classes: tuple[str, ...]

    @property
    def key(self) -> str:
        return f"{_BEFORE}{self.name}"

    @property
    def looks(self) -> bool:
        """Whether it takes pictures rather than identity vectors."""
        return not registry.reads_identities(self.spec)

    def rows(self, found: Sequence[Attributes | None]) -> np.ndarray:
        """(n, 2 + k) float64 for n faces: years, probability of female, and of each of `classes`; NaN where the
        model gives none or found no face."""
        rows = np.full((len(found), 2 + len(self.classes)), np.nan)
        for row, one in zip(rows, found, strict=True):
            if one is not None:
                row[:] = (
                    one.age,
                    one.gender.get("female", np.nan),
                    *(one.ethnicity.get(c, np.nan) for c in self.classes),
                )
        return rows

    def of_identities(self, vectors: np.ndarray) -> np.ndarray:
        """Rows for (n, 128) identity vectors by dlib, NaN for missing faces. Raises UserError for a model that takes
        pictures, or whose weights are missing."""
        model = registry.load_attributes(self.spec)
        if not isinstance(model, IdentityAttributes):
            raise UserError(f"{self.name} takes pictures; it cannot judge identity vectors.")
        seen = ~np.isnan(vectors).any(1)
        rows = np.full((len(vectors), 2 + len(self.classes)), np.nan)
        rows[seen] = self.rows(model.predict_identities(vectors[seen].astype(np.float32)))
        return rows


def is_judge(key: str) -> bool:
    """Whether a key of vectors belongs to a judge, not a face space."""
    return key.startswith(_BEFORE)


def load_judges(data: Dataset, specs: Sequence[str], trained: Sequence[str]) -> tuple[Judge, ...]:
    """specs: as in [faces] attributes; trained: names of those that training or steering has seen.

    Raises UserError for one that takes pictures and has not been applied to the faces of the dataset.
    """
    found = []
    for name, spec in by_name(specs, registry.name_of).items():
        classes = ETHNICITIES if registry.reads_identities(spec) else _classes(data, name)
        found.append(Judge(name, spec, name in trained, classes))
    return tuple(sorted(found, key=lambda judge: judge.trained))


def rows_of(data: Dataset, judge: Judge, files: Sequence[int], identities: Mapping[str, np.ndarray]) -> np.ndarray:
    """A judge's rows for the faces in some files of the dataset; identities: {space: (n, d)} of the same faces."""
    return judge.rows(estimates(data, files, judge.name)) if judge.looks else judge.of_identities(identities[DLIB])


def _classes(data: Dataset, model: str) -> tuple[str, ...]:
    rows = dict(
        data.connection.execute(
            "SELECT attribute, distribution FROM face_attributes WHERE model = ? GROUP BY attribute", (model,)
        )
    )
    if not rows:
        raise UserError(
            f"{data.path} has no estimates of {model!r} for its faces; add it to [faces] attributes and run "
            "ds2f extract."
        )
    return tuple(json.loads(rows.get("ethnicity", "{}")))
