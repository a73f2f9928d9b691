"""Lists of trials and files of scores, in the formats of VoxCeleb, Kaldi and WeSpeaker.

| format | a trial | its score |
| --- | --- | --- |
| VoxCeleb, voxceleb_trainer | `1 path path`, `0 path path` | |
| Kaldi, WeSpeaker | `path path target`, `path path nontarget` | `path path score`, optionally followed by that word |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ds2f.corpora.metadata import GENDERS
from ds2f.errors import UserError
from ds2f.io.files import read_lines, replacing

VOXCELEB = {"1": True, "0": False}
KALDI = {"target": True, "nontarget": False}
NAMES = {same: name for name, same in KALDI.items()}


@dataclass(frozen=True)
class Trial:
    """A trial. same: whether both recordings are of one speaker; first, second: paths relative to the root."""

    same: bool
    first: str
    second: str


def read_trials(path: Path) -> list[Trial]:
    """A list in either format, see above and `io.files.read_lines`.

    Raises UserError for a file that cannot be read, a line that is not a trial, or a list without both kinds.
    """
    trials = []
    for number, line in enumerate(read_lines(path, "trial list"), 1):
        parts = line.split()
        if not parts:
            continue
        if len(parts) == 3 and parts[0] in VOXCELEB:
            trials.append(Trial(VOXCELEB[parts[0]], parts[1], parts[2]))
        elif len(parts) == 3 and parts[2] in KALDI:
            trials.append(Trial(KALDI[parts[2]], parts[0], parts[1]))
        else:
            raise UserError(
                f"{path}, line {number}: a trial is `1 path path` or `0 path path`, or `path path target` or "
                f"`path path nontarget`, not {line.strip()!r}."
            )
    if len({trial.same for trial in trials}) < 2:
        raise UserError(
            f"{path} needs trials of both kinds, of one speaker and of two; it has {len(trials)} of one kind."
        )
    return trials


def write_trials(path: Path, trials: Sequence[Trial], form: str = "voxceleb") -> None:
    """Write a list. form: "voxceleb" or "kaldi"."""
    lines = [
        f"{int(t.same)} {t.first} {t.second}\n" if form == "voxceleb" else f"{t.first} {t.second} {NAMES[t.same]}\n"
        for t in trials
    ]
    _write(path, lines)


def read_scores(path: Path, trials: Sequence[Trial]) -> np.ndarray:
    """(n,) scores of n trials from another program's file, in any order; higher = more alike.

    Raises UserError for a file that cannot be read, a line that is not a score, two scores for one trial, a label that
    contradicts the list, or a trial without a score.
    """
    scores: dict[tuple[str, str], float] = {}
    labels: dict[tuple[str, str], bool] = {(t.first, t.second): t.same for t in trials}
    for number, line in enumerate(read_lines(path, "file of scores"), 1):
        parts = line.split()
        if not parts:
            continue
        score = _number(parts[2]) if len(parts) in (3, 4) else None
        if score is None or (len(parts) == 4 and parts[3] not in KALDI):
            raise UserError(
                f"{path}, line {number}: a score is `path path score`, and perhaps `target` or `nontarget` behind it, "
                f"not {line.strip()!r}."
            )
        pair = parts[0], parts[1]
        if len(parts) == 4 and labels.get(pair, KALDI[parts[3]]) != KALDI[parts[3]]:
            raise UserError(f"{path}, line {number}: the list of trials calls this one {NAMES[labels[pair]]}.")
        if scores.setdefault(pair, score) != score:
            raise UserError(f"{path}, line {number}: {pair[0]} and {pair[1]} have another score in an earlier line.")
    missing = [pair for pair in labels if pair not in scores]
    if missing:
        raise UserError(f"{path} has no score for {len(missing):,} trials, such as {missing[0][0]} {missing[0][1]}.")
    return np.array([scores[t.first, t.second] for t in trials])


def write_scores(path: Path, trials: Sequence[Trial], scores: np.ndarray) -> None:
    """Write `path path score target` (or nontarget), one trial per line, as WeSpeaker and Kaldi do; scores: (n,)."""
    _write(path, [f"{t.first} {t.second} {s:.6f} {NAMES[t.same]}\n" for t, s in zip(trials, scores, strict=True)])


def read_table(path: Path) -> Mapping[str, tuple[str, str]]:
    """{path: (speaker, gender or "")}: from a CSV file with the columns path, speaker and optionally sex or gender, or
    from Kaldi's utt2spk, with `path speaker` per line.

    Raises UserError for a file that cannot be read or is neither.
    """
    lines = [line for line in read_lines(path, "table of speakers") if line.strip()]
    mark = "\t" if lines and "\t" in lines[0] else ","
    header = [cell.strip().lower() for cell in lines[0].split(mark)] if lines else []
    if "path" in header and "speaker" in header:
        gender = next((header.index(name) for name in ("gender", "sex") if name in header), None)
        rows = [[cell.strip() for cell in line.split(mark)] for line in lines[1:]]
        if all(len(row) == len(header) for row in rows):
            at, who = header.index("path"), header.index("speaker")
            return {row[at]: (row[who], "" if gender is None else GENDERS.get(row[gender].lower(), "")) for row in rows}
    elif lines and all(len(line.split()) == 2 for line in lines):
        return {where: (speaker, "") for where, speaker in map(str.split, lines)}
    raise UserError(
        f"{path} is not a table of speakers; it needs a header with path and speaker (and sex or gender), or lines of "
        "`path speaker`."
    )


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _write(path: Path, lines: Sequence[str]) -> None:
    with replacing(path) as aside:
        aside.write_text("".join(lines), "utf-8")
