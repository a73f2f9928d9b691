"""Two evaluations of the same clips: is one better, or is it chance?

Every clip is measured in both, so differences are taken clip by clip and their mean is bootstrapped over people
(paired; Efron & Tibshirani 1993, ch. 13): whatever makes a clip hard affects both and cancels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
import numpy as np

from ds2f.errors import UserError
from ds2f.evaluation.bootstrap import Bootstrap
from ds2f.evaluation.results import VERSION, Measure

MEASURES = {
    "r_at_1": True,
    "r_at_5": True,
    "r_at_10": True,
    "rank": False,
    "mrr": True,
    "cosine": False,
    "gender": True,
    "ethnicity": True,
    "age_error": False,
}
"""{measure of `per_clip`: whether larger is better}"""
RANKED = ("r_at_1", "r_at_5", "r_at_10", "rank", "mrr")  # in a gallery


@dataclass(frozen=True)
class Difference:
    """A paired difference. first, second: means over the clips that have both; difference: second − first; better:
    "first" or "second" if there is an interval and it excludes 0, else ""; clips: number compared."""

    measure: str
    clips: int
    first: float
    second: float
    difference: Measure
    better: str


@dataclass(frozen=True)
class Comparison:
    """A comparison of two evaluations. first, second: FILE: METHOD; clips, people: measured by both evaluations;
    only_first, only_second: clips measured by only one; galleries: median number of faces that a clip chose from in
    each evaluation, if they differ; ranks and recall are then not compared, as both are better among fewer faces."""

    first: str
    second: str
    clips: int
    people: int
    only_first: int
    only_second: int
    differences: tuple[Difference, ...]
    galleries: tuple[float, float] | None = None


def compare(
    first: Path, second: Path, first_method: str | None = None, second_method: str | None = None,
    draws: int = 1000, seed: int = 0,
) -> Comparison:  # fmt: skip
    """Compare two evaluations. Raises UserError for files that cannot be compared.

    first: metrics.json, or its folder.
    second: another, of the same clips.
    first_method: by name; None for the first one with pictures.
    second_method: by name; None for the one with the same name, else the first one with pictures.
    draws: of the bootstrap over people.
    seed: of the bootstrap.
    """
    a, b = _read(first), _read(second)
    own = _method(a, first, first_method)
    other = _method(b, second, second_method, own.name)
    if a.spaces[0] != b.spaces[0]:
        raise UserError(f"{first} measures in {a.spaces[0]}, {second} in {b.spaces[0]}; compare within one space.")
    places_a, places_b = _places(a), _places(b)
    shared = [key for key in places_a if key in places_b]
    if not shared:
        raise UserError(f"{first} and {second} have no clip in common; compare evaluations of the same split.")
    rows_a, rows_b = [places_a[key] for key in shared], [places_b[key] for key in shared]
    people = [a.clips[i].person for i in rows_a]
    bootstrap = Bootstrap(people, draws, seed)
    differences = []
    galleries = (a.gallery, b.gallery) if a.gallery and b.gallery and a.gallery != b.gallery else None
    for name, more in MEASURES.items():
        if galleries and name in RANKED:
            continue
        x, y = _values(own, name, rows_a), _values(other, name, rows_b)
        measured = bootstrap.mean(y - x)
        if measured is not None:
            both = ~np.isnan(x) & ~np.isnan(y)
            means = float(x[both].mean()), float(y[both].mean())
            differences.append(Difference(name, int(both.sum()), *means, measured, _better(measured, more)))
    return Comparison(
        first=f"{first}: {own.name}",
        second=f"{second}: {other.name}",
        clips=len(shared),
        people=len(set(people)),
        only_first=len(places_a) - len(shared),
        only_second=len(places_b) - len(shared),
        differences=tuple(differences),
        galleries=galleries,
    )


@dataclass(frozen=True)
class _Clip:
    path: str
    reference: str
    person: str
    picture: str = ""  # older files identify a clip by its path alone


@dataclass(frozen=True)
class _Method:
    name: str
    kind: str
    per_clip: dict[str, list[float | None]]


@dataclass(frozen=True)
class _Measured:
    """The part of metrics.json (an `evaluation.results.Evaluation`) that is read."""

    version: int
    spaces: list[str]
    clips: list[_Clip]
    methods: list[_Method]
    chance: dict[str, Any] = field(default_factory=dict)

    @property
    def gallery(self) -> float | None:
        found = self.chance.get("retrieval", {}).get("all", {}).get("gallery")
        return None if found is None else float(found)


def _read(path: Path) -> _Measured:
    path = path / "metrics.json" if path.is_dir() else path
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_Measured)
        wrong = "" if found.version == VERSION else f"it has {found.version}"
    except msgspec.ValidationError as error:
        wrong = str(error)
    except (OSError, msgspec.DecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{path} cannot be read ({reason}); give the metrics.json of ds2f evaluate.") from None
    if wrong:
        raise UserError(f"{path} is not a metrics.json of version {VERSION} ({wrong}); make one with ds2f evaluate.")
    return found


def _method(data: _Measured, path: Path, name: str | None, like: str | None = None) -> _Method:
    if name is None:
        images = [m for m in data.methods if m.kind == "images"]
        chosen = [m for m in images if m.name == like] or images or data.methods
    else:
        chosen = [m for m in data.methods if m.name == name]
    if not chosen:
        raise UserError(f"{path} has no method {name!r}; it has {', '.join(m.name for m in data.methods)}.")
    return chosen[0]


def _places(data: _Measured) -> dict[tuple[str, str], int]:
    """{(clip, true face): index} of every clip: two clips are the same if they also have the same true face."""
    keys = [clip.picture or str(PurePosixPath(clip.path).with_suffix("")) for clip in data.clips]
    return {(key, clip.reference): i for i, (key, clip) in enumerate(zip(keys, data.clips, strict=True))}


def _values(method: _Method, name: str, rows: list[int]) -> np.ndarray:
    values = method.per_clip.get(name)
    return np.full(len(rows), np.nan) if values is None else np.array([values[i] for i in rows], np.float64)


def _better(difference: Measure, more: bool) -> str:
    if difference.low is None or difference.high is None or difference.low <= 0 <= difference.high:
        return ""
    return "second" if (difference.value > 0) == more else "first"
