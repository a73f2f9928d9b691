"""A model of age, gender or ethnicity in a file of the user's (see `file_network`), as a judge that none of our models
were trained on or steered by. The JSON file next to it states, besides channels, mean, std, size and licence,

- "age": {"output": "age"}: a number of years, in units of "scale" years; or, for several numbers, the probability of
  each year listed in "years" (by default 0, 1, 2, ...);
- "gender": {"output": "gender", "classes": ["female", "male"]}; a single number is the probability of the single class;
- "ethnicity": {"output": "race", "classes": ["White", "Black"]}: names of the model's own; those in `types.ETHNICITIES`
  are compared with what a corpus states.

Attributes that a model does not predict are left out. If one output contains several of them, "columns": [2] says which
of its numbers to use; "logits": true, that they have yet to be turned into probabilities. "cut": [left, top, side] is
the square of the canonical crop that the model expects, as shares of the crop; by default, what ArcFace's alignment
shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
import numpy as np

from ds2f.errors import UserError
from ds2f.face.align import arcface_square, crop_to, template
from ds2f.face.attributes import Estimates
from ds2f.face.file_network import FileNetwork, Positive, Stated
from ds2f.types import AGE_BINS, Attributes, DetectedFace, decade_of

Share = Annotated[float, msgspec.Meta(ge=-2, le=2)]
Place = Annotated[int, msgspec.Meta(ge=0)]


def _arcface_cut() -> list[float]:
    """What ArcFace's alignment shows of a canonical crop: left, top, side."""
    (x, y), side = arcface_square()
    return [x - side / 2, y - side / 2, side]


class Output(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a network says of one attribute. output: its name in the file; columns: which of its numbers to use, empty
    for all; logits: not probabilities yet."""

    output: str
    columns: list[Place] = []
    logits: bool = False


class Age(Output, frozen=True, forbid_unknown_fields=True, kw_only=True):
    years: list[float] = []
    scale: Positive = 1.0


class Gender(Output, frozen=True, forbid_unknown_fields=True, kw_only=True):
    classes: Annotated[list[Literal["male", "female"]], msgspec.Meta(min_length=1, max_length=2)]


class Ethnicity(Output, frozen=True, forbid_unknown_fields=True, kw_only=True):
    classes: Annotated[list[str], msgspec.Meta(min_length=2)]


class Told(Stated, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The contents of the JSON file; see above."""

    cut: Annotated[list[Share], msgspec.Meta(min_length=3, max_length=3)] = msgspec.field(default_factory=_arcface_cut)
    age: Age | None = None
    gender: Gender | None = None
    ethnicity: Ethnicity | None = None


class FileAttributes:
    """An AttributeModel that uses pictures. network: the network it runs; it may have outputs besides these three
    attributes."""

    needs_picture = True

    def __init__(self, spec: str) -> None:
        """spec: KIND:FILE. Raises UserError if there is no such file, it contains no network for pictures, or the JSON
        file does not match it."""
        self.network = FileNetwork(spec, "attribute model", Told)
        told = self._told = self.network.stated
        self.name, self.licence = self.network.name, told.licence
        if not (told.age or told.gender or told.ethnicity):
            raise UserError(
                f"Nothing says what {self.network.path} tells of a face; write "
                f'{self.network.path.with_suffix(".json")}, such as {{"gender": {{"output": '
                f'"{next(iter(self.network.dims))}", "classes": ["female", "male"]}}}}.'
            )
        if told.cut[2] <= 0:
            raise self._wrong("the side of its cut is not above 0")
        for each in (told.age, told.gender, told.ethnicity):
            if each is not None:
                self._check(each, each.years if isinstance(each, Age) else each.classes)

    def predict(
        self, images: Sequence[np.ndarray], faces: Sequence[DetectedFace], identities: np.ndarray
    ) -> list[Attributes]:
        """See AttributeModel.predict; identities are ignored."""
        found = self.estimate(self.crops(images, [face.landmarks for face in faces]))
        classes = self._told.ethnicity.classes if self._told.ethnicity else []
        return [
            Attributes(
                age=float(age),
                age_bins={name: float(p) for name, p in zip(AGE_BINS, bins, strict=True)} if age == age else {},
                gender={} if np.isnan(female) else {"male": float(1 - female), "female": float(female)},
                ethnicity={name: float(p) for name, p in zip(classes, ethnicity, strict=True)},
            )
            for age, bins, female, ethnicity in zip(
                found.age, found.age_bins, found.female, found.ethnicity, strict=True
            )
        ]

    def crops(self, images: Sequence[np.ndarray], landmarks: Sequence[np.ndarray]) -> np.ndarray:
        """Its input, (n, size, size, 3) uint8 RGB, for n faces with (5, 2) landmarks in their pictures."""
        size, (left, top, side) = self.network.size, self._told.cut
        points = (template(1) - np.array([left, top])) * (size / side)
        found = [crop_to(image, face, points, size) for image, face in zip(images, landmarks, strict=True)]
        return np.array(found, np.uint8).reshape(-1, size, size, 3)

    def estimate(self, crops: np.ndarray) -> Estimates:
        """crops: as returned by `crops`. NaN, and no columns of ethnicity, for what the model does not predict."""
        return self.read(self.network(crops))

    def read(self, outputs: dict[str, np.ndarray]) -> Estimates:
        """Attributes of n faces from the outputs."""
        told, count = self._told, len(next(iter(outputs.values())))
        age, bins = _ages(told.age, outputs) if told.age else (np.full(count, np.nan), np.zeros((count, len(AGE_BINS))))
        return Estimates(
            age=age.astype(np.float32),
            age_bins=bins.astype(np.float32),
            female=_female(told.gender, outputs) if told.gender else np.full(count, np.nan, np.float32),
            ethnicity=_probabilities(told.ethnicity, outputs) if told.ethnicity else np.zeros((count, 0), np.float32),
        )

    def _check(self, told: Output, named: Sequence[object]) -> None:
        """named: what its numbers stand for. Raises UserError for an output that does not exist, or whose numbers do
        not match."""
        dims = self.network.dims
        if told.output not in dims:
            raise self._wrong(f"there is no output {told.output!r} but {', '.join(dims)}")
        if told.columns and max(told.columns) >= dims[told.output]:
            raise self._wrong(f"{told.output!r} has {dims[told.output]} numbers, no column {max(told.columns)}")
        count = len(told.columns) or dims[told.output]
        if named and len(named) != count:
            raise self._wrong(f"{told.output!r} has {count} numbers here, which are given {len(named)} names or years")
        if len(set(named)) < len(named):
            raise self._wrong(f"of what the numbers of {told.output!r} mean, two are the same")

    def _wrong(self, what: str) -> UserError:
        path = self.network.path
        return UserError(f"{path.with_suffix('.json')} does not fit {path.name}: {what}; correct it.")


def _numbers(told: Output, outputs: dict[str, np.ndarray]) -> np.ndarray:
    """(n, k) float64"""
    found = outputs[told.output].astype(np.float64)
    return found[:, told.columns] if told.columns else found


def _probabilities(told: Output, outputs: dict[str, np.ndarray]) -> np.ndarray:
    """(n, k) float32; a single logit goes through a sigmoid, several through a softmax."""
    x = _numbers(told, outputs)
    if told.logits and x.shape[1] == 1:
        x = 1 / (1 + np.exp(-x))
    elif told.logits:
        x = np.exp(x - x.max(1, keepdims=True))
    return (x / x.sum(1, keepdims=True) if x.shape[1] > 1 else x).astype(np.float32)


def _female(told: Gender, outputs: dict[str, np.ndarray]) -> np.ndarray:
    first = _probabilities(told, outputs)[:, 0]
    return first if told.classes[0] == "female" else 1 - first


def _ages(told: Age, outputs: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(n,) expected years, and (n, 9) the probability of each decade; for a single number, all of it in that decade."""
    x = _numbers(told, outputs)
    if x.shape[1] == 1:
        age = x[:, 0] * told.scale
        return age, _in_decades(age)
    p = _probabilities(told, outputs).astype(np.float64)
    years = np.array(told.years or range(p.shape[1]), np.float64) * told.scale
    return p @ years, p @ _in_decades(years)


def _in_decades(years: np.ndarray) -> np.ndarray:
    """(k,) years to (k, 9), 1 in the decade of each."""
    return np.eye(len(AGE_BINS))[decade_of(np.maximum(years, 0))]
