"""`ds2f verify-faces`: does this voice belong to this face? A protocol's lists, scored by a model's alignment."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ds2f.config import Config
from ds2f.errors import UserError
from ds2f.evaluation.bootstrap import Bootstrap
from ds2f.evaluation.matching import measure_pairs
from ds2f.evaluation.protocols import fame, one_of_n, pins
from ds2f.evaluation.protocols.conventions import CONVENTIONS, Detection, detection
from ds2f.evaluation.protocols.lists import Found, Key, Trial, TrialList, as_written, find
from ds2f.evaluation.protocols.points import Points, embed
from ds2f.evaluation.results import Measure
from ds2f.evaluation.speakers import trials
from ds2f.io.files import make_folder, write_json
from ds2f.models import folders, store
from ds2f.models.alignment import Alignment
from ds2f.types import Progress

VERSION = 1
"""Version of verification.json; incremented when a name or its meaning changes."""
PROTOCOLS: dict[str, Callable[[Path], TrialList]] = {"pins": pins.read, "fame": fame.read, "matching": one_of_n.read}


@dataclass(frozen=True)
class ListResult:
    """One list by one model.

    name, criterion, people, probes: as in `TrialList`.
    trials: number of lines scored; even: how many of these have a file that could not be used, and so score as an even
        guess; left_out: lines with a missing file.
    heard: language that the model is stated to have heard, "" if not stated.
    same: pairs of one person; auc, eer, detection (by each of `conventions.CONVENTIONS`): None or empty without labels.
    ways, right: for choices, the number of candidates and the share of right ones.
    scores: name of the file written beside verification.json, "" for choices.
    """

    name: str
    criterion: str
    people: str
    probes: str
    trials: int
    even: int
    left_out: int = 0
    heard: str = ""
    same: int | None = None
    auc: Measure | None = None
    eer: Measure | None = None
    detection: tuple[Detection, ...] = ()
    ways: int = 0
    right: Measure | None = None
    scores: str = ""


@dataclass(frozen=True)
class FaceVerification:
    """The contents of verification.json, field by field.

    protocol: one of PROTOCOLS; models: {language heard, "" for any: short hash of the alignment}; files: number of
        listed files found; missing: paths not found; refused: {path: reason} for files that could not be used; overall:
        FAME's score, None unless all four cells are present.
    """

    version: int
    protocol: str
    models: Mapping[str, str]
    files: int
    missing: tuple[str, ...]
    refused: Mapping[str, str]
    lists: tuple[ListResult, ...]
    overall: float | None = None


def verify_faces(
    lists: Sequence[Path],
    protocol: str,
    roots: Sequence[Path],
    out: Path,
    config: Config,
    models: Mapping[str, Path | None],
    labels: Sequence[Path] = (),
    allow_missing: bool = False,
    workers: int = 1,
    progress: Progress | None = None,
    seed: int = 0,
) -> FaceVerification:
    """Score lists, write the scores and verification.json into `out`, and measure the lists that have labels.

    lists: files in the format of the protocol.
    protocol: one of PROTOCOLS.
    roots: folders below which the listed files are.
    out: folder; the vectors of the files are kept in it, and a stopped run resumes there.
    config: [audio] and [faces] as for extraction; [evaluate] bootstrap.
    models: {language that a model has heard, "" if not stated: its folder, None for the shipped one}.
    labels: of FAME's lists; the lists of other protocols contain theirs.
    allow_missing: score the rest of a list if some of its files are missing.
    workers: processes.
    progress: called with (files done, total).
    seed: of the intervals.
    Raises UserError for what the user can fix.
    """
    read = _read(lists, protocol, labels)
    places = as_written if protocol == "fame" else pins.places(pins.read_ids(roots))
    found = find(read, roots, places, allow_missing)
    there = [_there(each, found) for each in read]
    files = {heard: [_score_file(*each, heard, protocol) for each in zip(lists, read, strict=True)] for heard in models}
    chosen = {heard: folder or folders.shipped() for heard, folder in models.items()}
    alignments = {heard: store.load_alignment(folder) for heard, folder in chosen.items()}
    make_folder(out)
    results: list[ListResult] = []
    refused: dict[str, str] = {}
    for heard, model in alignments.items():
        points = embed(found, model, out, config, workers, progress)
        refused |= points.refused
        scorer = _Scorer(model, points, config.evaluate.bootstrap, seed)
        for each, whole, file in zip(there, read, files[heard], strict=True):
            result = scorer.choices(each) if each.choices else scorer.trials(each, out / file, protocol)
            left_out = len(whole.trials) + len(whole.choices) - result.trials
            results.append(replace(result, heard=heard, left_out=left_out))
    answer = FaceVerification(
        version=VERSION,
        protocol=protocol,
        models={heard: folders.digest(folder, "alignment") for heard, folder in chosen.items()},
        files=len(found.files),
        missing=found.missing,
        refused=refused,
        lists=tuple(results),
        overall=_overall(there, results),
    )
    write_json(out / "verification.json", json.loads(json.dumps(asdict(answer), default=str)))
    return answer


def _read(lists: Sequence[Path], protocol: str, labels: Sequence[Path]) -> list[TrialList]:
    read = [PROTOCOLS[protocol](path) for path in lists]
    if len({each.name for each in read}) < len(read):
        raise UserError("Two lists have the same name, so their scores would go to one file; score them one by one.")
    if labels and protocol != "fame":
        raise UserError("--labels are for FAME's lists; those of the other protocols contain theirs.")
    return fame.labelled(read, labels) if labels else read


def _score_file(path: Path, each: TrialList, heard: str, protocol: str) -> str:
    return fame.score_file(path, each, heard) if protocol == "fame" else f"scores_{each.name}.txt"


def _there(each: TrialList, found: Found) -> TrialList:
    """The list without lines whose files are missing. Raises UserError if nothing is left."""
    trials = tuple(t for t in each.trials if all(key in found.files for key in t.pair))
    choices = tuple(c for c in each.choices if all(key in found.files for pair in c.pairs(each.probes) for key in pair))
    if not trials and not choices:
        raise UserError(f"Every line of {each.name} names a missing file; check --root.")
    return replace(each, trials=trials, choices=choices)


@dataclass(frozen=True)
class _Scorer:
    model: Alignment
    points: Points
    draws: int
    seed: int

    def trials(self, each: TrialList, file: Path, protocol: str) -> ListResult:
        pairs = [trial.pair for trial in each.trials]
        cosines = self.points.cosines(pairs)
        if protocol == "fame":
            fame.write_scores(file, each.trials, np.sqrt(np.maximum(2 - 2 * cosines, 0)))
        else:
            named = [trials.Trial(bool(t.same), t.voice, t.face) for t in each.trials]
            trials.write_scores(file, named, self._log_odds(cosines))
        result = self._result(each, pairs, 1, scores=file.name)
        labels = np.array([t.same for t in each.trials if t.same is not None], bool)
        if len(labels) < len(pairs) or labels.all() or not labels.any():
            return result
        auc, eer = self._measured(each.trials, cosines, labels)
        found = tuple(detection(cosines, labels, convention) for convention in CONVENTIONS)
        return replace(result, same=int(labels.sum()), auc=auc, eer=eer, detection=found)

    def choices(self, each: TrialList) -> ListResult:
        ways = len(each.choices[0].candidates)
        pairs = [pair for choice in each.choices for pair in choice.pairs(each.probes)]
        right = one_of_n.hits(self.points.cosines(pairs).reshape(-1, ways))
        bootstrap = Bootstrap([choice.person for choice in each.choices], self.draws, self.seed)
        return self._result(each, pairs, ways, ways=ways, right=bootstrap.mean(right))

    def _log_odds(self, cosines: np.ndarray) -> np.ndarray:
        """See `Alignment.log_odds`."""
        config = self.model.config
        return np.asarray(config.slope * float(self.model.log_scale.exp()) * cosines + config.intercept)

    def _result(self, each: TrialList, pairs: Sequence[tuple[Key, Key]], per_line: int, **found: Any) -> ListResult:
        usable = np.array([all(key in self.points.places for key in pair) for pair in pairs]).reshape(-1, per_line)
        even = int((~usable).any(1).sum())
        return ListResult(each.name, each.criterion, each.people, each.probes, len(usable), even, **found)

    def _measured(
        self, trials: Sequence[Trial], scores: np.ndarray, labels: np.ndarray
    ) -> tuple[Measure | None, Measure | None]:
        """With intervals over people, or over trials if the list does not name the people."""
        told = all(all(trial.people) for trial in trials)
        people = [trial.people if told else (trial.id, trial.id) for trial in trials]
        names = {name: i for i, name in enumerate(dict.fromkeys(name for pair in people for name in pair))}
        voice, face = np.array([[names[name] for name in pair] for pair in people]).T
        return measure_pairs(scores, voice, face, labels, Bootstrap(list(names), self.draws, self.seed))


def _overall(lists: Sequence[TrialList], results: Sequence[ListResult]) -> float | None:
    tested = {each.name: each.trials[0].language for each in lists if each.trials}
    cells = [fame.Cell(r.heard, tested[r.name], r.eer.value) for r in results if r.heard and r.eer is not None]
    return fame.overall(cells)
