"""The FAME challenges: Face-voice Association in Multilingual Environments, 2024 and 2026, on MAV-Celeb.

Source. Evaluation plans arXiv:2404.09342 (2024) and arXiv:2508.04592 (2026); baseline and file formats
github.com/mavceleb/mavceleb_baseline (README, computeScore.py, test.py).

Definition. A test list of one language, `English_test.txt`, has lines `id voices/English/00000.wav
faces/English/00000.jpg` and no labels. An entry is a file of lines `id score`, where a small score means one person
(the baseline writes the L2 distance of two unit vectors). A model trained on one of the two languages is tested on
both, the one it has heard and the one it has not. With each language heard in turn there are four cells, each with its
equal error rate, where the curve of scikit-learn's roc_curve crosses the diagonal by interpolation; the overall score
is the mean of the four.

What differs here, and why:
- The languages that a model has heard are stated by the user (`--heard`), as nothing in a model records them. The four
  cells need two models. A single model has an equal error rate for each language, and no overall score.
- Every id gets a score: a file without speech, or without a face, scores as an even guess. The overall score counts it,
  as the challenge does.
- Labels, for those who have them, are lines of `id label`, or one label per line in the order of the list; test.py
  accepts both; 1 = one person.
- Intervals are over trials, because the lists do not name the people, of whom there are six to eight; the true
  intervals are wider.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from ds2f.errors import UserError
from ds2f.evaluation.protocols.lists import Trial, TrialList, numbered_lines
from ds2f.io.files import replacing

_VERSION = re.compile(r"v\d+$")


@dataclass(frozen=True)
class Cell:
    """One cell of the table. heard: the language that the model was trained on; tested: that of the list; eer: in
    [0, 1]."""

    heard: str
    tested: str
    eer: float


def read(path: Path) -> TrialList:
    """Read a list. Raises UserError for a line that is not a trial, or a duplicate id."""
    trials: dict[str, Trial] = {}
    for number, line in numbered_lines(path):
        cells = line.split()
        if len(cells) != 3:
            raise UserError(f"{path}, line {number}: a trial is `id voice face`, not {line.strip()!r}.")
        if cells[0] in trials:
            raise UserError(f"{path}, line {number}: a second trial has the id {cells[0]}.")
        name, voice, face = cells
        trials[name] = Trial(name, voice, face, language=_language(voice))
    return TrialList(path.stem, tuple(trials.values()))


def _language(voice: str) -> str:
    """voices/English/00000.wav to English; "" for any other path."""
    parts = PurePosixPath(voice).parts
    return parts[-2] if len(parts) > 2 else ""


def labelled(lists: Sequence[TrialList], files: Sequence[Path]) -> list[TrialList]:
    """The lists with the labels of the label files. files: with ids, in any order and number; or without ids, one per
    list, in the order of the lists.

    Raises UserError for labels that do not fit: other ids, another number of lines, a value other than 0 and 1.
    """
    tables = [(path, [(number, line.split()) for number, line in numbered_lines(path)]) for path in files]
    for path, rows in tables:
        for number, cells in rows:
            if len(cells) > 2 or cells[-1] not in ("0", "1"):
                raise UserError(f"{path}, line {number}: a label is `id 1` (one person), `id 0`, or 1 or 0 alone.")
    if all(len(cells) == 1 for _, rows in tables for _, cells in rows):
        return _in_order(lists, [(path, [cells[0] for _, cells in rows]) for path, rows in tables])
    labels: dict[str, str] = {}
    for path, rows in tables:
        for number, cells in rows:
            if len(cells) != 2:
                raise UserError(f"{path}, line {number}: a label without an id, among labels with ids.")
            if labels.setdefault(*cells) != cells[1]:
                raise UserError(f"{path}, line {number}: {cells[0]} is labelled both 0 and 1.")
    trials = [trial for each in lists for trial in each.trials]
    without = [trial.id for trial in trials if trial.id not in labels]
    if without or len(labels) > len({trial.id for trial in trials}):
        unknown = len(labels.keys() - {trial.id for trial in trials})
        example = f", such as {without[0]}" if without else ""
        raise UserError(
            f"The labels do not fit the lists: {len(without):,} of {len(trials):,} trials have none{example}, and "
            f"{unknown:,} labels are of other ids."
        )
    return [_with(each, [labels[trial.id] for trial in each.trials]) for each in lists]


def _in_order(lists: Sequence[TrialList], tables: Sequence[tuple[Path, list[str]]]) -> list[TrialList]:
    if len(tables) != len(lists):
        raise UserError(
            f"Labels without ids belong to a list by their order: give one file for each of the {len(lists)} lists, "
            f"not {len(tables)}."
        )
    for each, (path, labels) in zip(lists, tables, strict=True):
        if len(labels) != len(each.trials):
            raise UserError(f"{path} has {len(labels):,} labels, {each.name} has {len(each.trials):,} trials.")
    return [_with(each, labels) for each, (_, labels) in zip(lists, tables, strict=True)]


def _with(each: TrialList, labels: Sequence[str]) -> TrialList:
    found = tuple(replace(t, same=label == "1") for t, label in zip(each.trials, labels, strict=True))
    if len(set(labels)) < 2:
        raise UserError(f"{each.name} needs labels of both kinds; all {len(labels)} are {labels[0]}.")
    return replace(each, trials=found)


def language_of(each: TrialList) -> str:
    """The language of a list; raises UserError if there are several, or it is unknown."""
    found = sorted({trial.language for trial in each.trials})
    if len(found) != 1 or not found[0]:
        raise UserError(f"{each.name} must be of one language, as in voices/English/00000.wav; found: {found}.")
    return found[0]


def score_file(path: Path, each: TrialList, heard: str) -> str:
    """The baseline's name for the scores of a list: sub_score_v1_Urdu_unheard.txt, for v1/Urdu_test.txt by a model
    that has heard English; scores_NAME.txt if the language heard is not stated. path: of the list."""
    if not heard:
        return f"scores_{each.name}.txt"
    tested, version = language_of(each), path.absolute().parent.name
    known = "heard" if heard == tested else "unheard"
    return f"sub_score_{f'{version}_' if _VERSION.match(version) else ''}{tested}_{known}.txt"


def write_scores(path: Path, trials: Sequence[Trial], distances: np.ndarray) -> None:
    """Write `id score`, one trial per line; distances: (n,), small = one person."""
    lines = [f"{trial.id} {distance:.6f}\n" for trial, distance in zip(trials, distances, strict=True)]
    with replacing(path) as aside:
        aside.write_text("".join(lines), "utf-8")


def overall(cells: Sequence[Cell]) -> float | None:
    """The challenge's score, the mean of the four cells; None unless there are two languages, each heard by one
    model and tested on both models."""
    rates: Mapping[tuple[str, str], float] = {(cell.heard, cell.tested): cell.eer for cell in cells}
    languages = {cell.tested for cell in cells}
    if len(languages) != 2 or len(cells) != 4 or set(rates) != {(a, b) for a in languages for b in languages}:
        return None
    return float(np.mean(list(rates.values())))
