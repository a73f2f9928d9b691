"""`ds2f verify`: one list of trials, by several encoders, under several conditions: scores, error rates, a plot."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ds2f.config import Audio
from ds2f.errors import UserError
from ds2f.evaluation.speakers import measures
from ds2f.evaluation.speakers.cohort import Wanted, read_cohort
from ds2f.evaluation.speakers.det import Curve, plot_det
from ds2f.evaluation.speakers.encoding import Encodings, NamedEncoder, encode_recordings
from ds2f.evaluation.speakers.leaks import refuse_trained
from ds2f.evaluation.speakers.people import Speakers, who_speaks
from ds2f.evaluation.speakers.records import VERSION, Options, Setting, System, Verification, settings_of
from ds2f.evaluation.speakers.systems import CALIBRATED, PLAIN, Scored, TrialSet, score_all
from ds2f.evaluation.speakers.trials import Trial, write_scores, write_trials
from ds2f.io.files import make_folder, write_json
from ds2f.types import Progress

AS_IT_IS = Options()
GIVEN = "given"
"""The setting of other programs' scores."""


def verify(
    trials: Sequence[Trial],
    root: Path,
    encoders: Sequence[NamedEncoder],
    audio: Audio,
    out: Path,
    options: Options = AS_IT_IS,
    development: Sequence[Trial] = (),
    others: Mapping[str, np.ndarray] | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Score a list; write verification.json, det.png, scores/ and the list in both formats into `out`.

    Raises UserError if no trial of one kind is left, for a cohort or a calibration with too few speakers besides those
    of the trials, and for trials that name speakers whom an encoder was trained on.

    trials: as `trials.read_trials` gives them.
    root: folder that their paths are relative to.
    encoders: encoders.
    audio: what counts as speech.
    out: output folder; encoded recordings are kept in it.
    options: how trials are scored.
    development: trials to fit the calibration on, of other speakers; without any, folds of the list's own are used.
    others: {name: (n,) scores of the trials by other programs}.
    progress: called with (recordings encoded, total, path).
    """
    _check_names([*(encoder.name for encoder in encoders), *(others or {})])
    everything = [*trials, *development]
    speakers = who_speaks(everything, root, options.speakers)
    of_trials = {speakers.of[path] for t in trials for path in (t.first, t.second)}
    certain, perhaps = refuse_trained(encoders, of_trials, options.allow_leak)
    make_folder(out)
    settings = settings_of(options) if encoders else []
    cohort = None
    if options.cohort is not None and encoders:
        wanted = Wanted(root, encoders, settings[0].first, audio, out, options.speakers)
        cohort = read_cohort(options.cohort, wanted, of_trials, progress)
    conditions = list(dict.fromkeys(c for s in settings for c in (s.first, s.second)))
    paths = list(dict.fromkeys(path for t in everything for path in (t.first, t.second)))
    encodings = encode_recordings(paths, root, encoders, conditions, audio, out, progress) if encoders else Encodings()
    kept, usable, refused = _usable(trials, development, encodings, speakers)
    scored, calibrated_on = score_all(kept, encoders, settings, encodings, cohort, options)
    scored += [Scored(name, PLAIN, GIVEN, scores[usable]) for name, scores in (others or {}).items()]
    result = Verification(
        version=VERSION,
        trials=len(kept.of_list),
        same=sum(t.same for t in kept.of_list),
        left_out=len(trials) - len(kept.of_list),
        speakers=len(np.unique(kept.numbers[:, kept.measured])),
        told_by=speakers.source,
        scoring=in_words(options),
        cohort=cohort.size if cohort else 0,
        cohort_left_out=cohort.left_out if cohort else (),
        calibrated_on=calibrated_on,
        trained_on=certain,
        perhaps_trained_on=perhaps,
        refused={**refused, **(cohort.refused if cohort else {})},
        systems=tuple(_systems(kept, scored, _members(kept, encodings, encoders, settings), out, options)),
    )
    _save(result, kept, scored, out)
    return result


def _save(result: Verification, kept: TrialSet, scored: Sequence[Scored], out: Path) -> None:
    """verification.json, the list in both formats, and the plot; the scores are written as they are measured."""
    write_json(out / "verification.json", json.loads(json.dumps(asdict(result))))
    for form in ("voxceleb", "kaldi"):
        write_trials(out / f"trials.{form}.txt", kept.of_list, form)
    same = kept.same[kept.measured]
    drawn = [s for s in scored if s.steps != CALIBRATED]  # which keeps the order of what it calibrates
    panels: dict[str, list[Curve]] = {}
    for one in drawn:  # other programs' scores are shown beside ours of the first condition
        steps = "" if one.steps == PLAIN else one.steps
        condition = drawn[0].setting if one.setting == GIVEN else one.setting
        panels.setdefault(condition, []).append(Curve(one.name, steps, one.scores, same))
    plot_det(panels, out / "det.png", f"{result.trials:,} trials, {result.same:,} of one speaker")


def _usable(
    trials: Sequence[Trial], development: Sequence[Trial], encodings: Encodings, speakers: Speakers
) -> tuple[TrialSet, np.ndarray, dict[str, str]]:
    """The trials whose recordings could be encoded, which trials of the list they are, and {path: reason} for the
    rest."""
    refused = {path: reason for (_, _, path), reason in encodings.refused.items()}
    heard = [t for t in trials if t.first not in refused and t.second not in refused]
    _check(heard, refused)
    others = [t for t in development if t.first not in refused and t.second not in refused]
    of_list = np.arange(len(heard) + len(others)) < len(heard)
    usable = np.array([t.first not in refused and t.second not in refused for t in trials])
    return TrialSet([*heard, *others], of_list, speakers), usable, refused


def _check(trials: Sequence[Trial], refused: Mapping[str, str]) -> None:
    if len({t.same for t in trials}) < 2:
        path, reason = next(iter(refused.items()))
        raise UserError(f"Too few recordings can be used: {len(refused)} were refused, such as {path}: {reason}.")


def _check_names(names: Iterable[str]) -> None:
    """Before anything is encoded, as scores are written under these names."""
    taken: dict[str, str] = {}
    for name in names:
        # "campplus, calibrated" is what ours may be called, too.
        file = _file(name.partition(", ")[0])
        if file in taken:
            raise UserError(f"{taken[file]} and {name} would write one file of scores; rename one of them.")
        taken[file] = name


def in_words(options: Options) -> str:
    """How a pair of recordings is scored."""
    lengths = " or ".join(f"{seconds:g} s" for seconds in options.seconds) or "everything"
    what = f"of {'the whole recording' if options.whole else 'speech without its pauses'}"
    if options.crops == 1:
        return f"cosine; {lengths} {what}"
    return f"minus the mean distance of all pairs of crops; {options.crops} crops of {lengths} {what}"


def label(system: Scored) -> str:
    """The name of a system in the name of its score file."""
    steps = "" if system.steps == PLAIN else f", {system.steps}"
    return f"{system.name}{steps}" + ("" if system.setting in ("clean", GIVEN) else f" ({system.setting})")


def _file(label: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", label).strip("-") + ".txt"


def _members(
    kept: TrialSet, encodings: Encodings, encoders: Sequence[NamedEncoder], settings: Sequence[Setting]
) -> dict[str, dict[str, np.ndarray]]:
    """{by: {group: (n,) bool}} of the measured trials; speech is measured in the recordings without a codec."""
    of = kept.speakers.of
    genders = [
        [of[path].gender for path in side] for side in zip(*((t.first, t.second) for t in kept.of_list), strict=True)
    ]
    found = {"gender": measures.by_gender(*genders)}
    if encoders:
        sides = [kept.heard(encodings, encoders[0].name, settings[0].first, second) for second in (False, True)]
        shorter = np.min([[h.seconds for h in side] for side in sides], axis=0)[kept.measured]
        found["speech"] = measures.by_duration(shorter)
    return found


def _systems(
    kept: TrialSet,
    scored: Sequence[Scored],
    members: Mapping[str, Mapping[str, np.ndarray]],
    out: Path,
    options: Options,
) -> Iterator[System]:
    same = kept.same[kept.measured]
    sides = kept.numbers[:, kept.measured]
    first, second = np.unique(sides, return_inverse=True)[1].reshape(sides.shape)
    draws = measures.Draws(first, second, options.bootstrap)
    (out / "scores").mkdir(exist_ok=True)
    for one in scored:
        file = _file(label(one))
        write_scores(out / "scores" / file, kept.of_list, one.scores)
        cost, least = measures.costs(one.scores, same)
        yield System(
            name=one.name,
            steps=one.steps,
            condition=one.setting,
            rates=draws.rates(one.scores, same),
            voxceleb_trainer=measures.trained(one.scores, same),
            cllr=cost,
            min_cllr=least,
            groups=tuple(measures.groups(one.scores, same, draws, members)),
            scores=file,
        )
