"""From vectors to scores: for every encoder and setting the plain score, s-norm, calibration, and fusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ds2f.errors import UserError
from ds2f.evaluation.speakers import calibration, scoring
from ds2f.evaluation.speakers.cohort import Cohort
from ds2f.evaluation.speakers.encoding import Condition, EncodedRecording, Encodings, NamedEncoder
from ds2f.evaluation.speakers.people import Speakers
from ds2f.evaluation.speakers.records import Options, Setting
from ds2f.evaluation.speakers.trials import Trial

PLAIN, NORMED, CALIBRATED, QUALITY = "plain", "s-norm", "calibrated", "calibrated, quality"
FUSION = "fusion"
SHORTEST_SPEECH = 0.1  # seconds; minimum before taking the logarithm


@dataclass(frozen=True)
class TrialSet:
    """Trials that can be scored. measured: (n,) bool; the other trials are used to fit a calibration."""

    trials: Sequence[Trial]
    measured: np.ndarray
    speakers: Speakers

    @cached_property
    def of_list(self) -> list[Trial]:
        """The measured trials."""
        return [t for t, m in zip(self.trials, self.measured, strict=True) if m]

    @cached_property
    def same(self) -> np.ndarray:
        """(n,) bool, for all trials."""
        return np.array([t.same for t in self.trials], bool)

    @cached_property
    def numbers(self) -> np.ndarray:
        """(2, n) int: the speakers of all trials."""
        number = self.speakers.number(path for t in self.trials for path in (t.first, t.second))
        return np.array([[number[t.first] for t in self.trials], [number[t.second] for t in self.trials]])

    def heard(self, encodings: Encodings, encoder: str, condition: Condition, second: bool) -> list[EncodedRecording]:
        """One side of all trials."""
        return [encodings.of[encoder, condition, t.second if second else t.first] for t in self.trials]


@dataclass(frozen=True)
class Scored:
    """One system: scores, (n,) of the measured trials. name, steps: as in `records.System`; setting: its condition."""

    name: str
    steps: str
    setting: str
    scores: np.ndarray


@dataclass(frozen=True)
class _Stage:
    """What one encoder says about all trials: scores by setting, and further columns for a calibration by setting."""

    encoder: str
    steps: str
    scores: Mapping[str, np.ndarray]
    more: Mapping[str, np.ndarray]


def score_all(
    trials: TrialSet,
    encoders: Sequence[NamedEncoder],
    settings: Sequence[Setting],
    encodings: Encodings,
    cohort: Cohort | None,
    options: Options,
) -> tuple[list[Scored], int]:
    """Every system under every setting, and how many trials of the calibration's own list it was fitted on.

    trials: whose recordings were both encoded under all conditions.
    encoders: encoders.
    settings: how the two recordings of a trial are processed.
    encodings: the encoded recordings.
    cohort: of s-norm, or None.
    options: of the scoring.
    Raises UserError for a calibration without enough other speakers.
    """
    found: list[Scored] = []
    last: list[_Stage] = []
    for encoder in encoders:
        stage = _plain(trials, encoder.name, settings, encodings)
        found += _shown(trials, stage)
        if cohort is not None:
            stage = _normed(trials, stage, settings, encodings, cohort.means[encoder.name], options.top)
            found += _shown(trials, stage)
        last.append(stage)
    if not options.calibrate or not encoders:
        return found, 0
    good = {s.name: _quality(trials, encoders[0].name, s, encodings) for s in settings}
    fitted = _Fitted(trials, [s.name for s in settings])
    for stage in last:
        alone = {name: scores[:, None] for name, scores in stage.scores.items()}
        found += fitted.systems(stage.encoder, CALIBRATED, alone)
        known = {name: np.hstack([alone[name], stage.more[name], good[name]]) for name in alone}
        found += fitted.systems(stage.encoder, QUALITY, known)
    if len(last) > 1:
        together = {
            name: np.hstack([*(s.scores[name][:, None] for s in last), *(s.more[name] for s in last), good[name]])
            for name in good
        }
        found += fitted.systems(FUSION, QUALITY, together)
    return found, fitted.fitted_on


def _shown(trials: TrialSet, stage: _Stage) -> list[Scored]:
    return [
        Scored(stage.encoder, stage.steps, setting, scores[trials.measured]) for setting, scores in stage.scores.items()
    ]


def _plain(trials: TrialSet, encoder: str, settings: Sequence[Setting], encodings: Encodings) -> _Stage:
    scores = {}
    for setting in settings:
        first = trials.heard(encodings, encoder, setting.first, second=False)
        second = trials.heard(encodings, encoder, setting.second, second=True)
        scores[setting.name] = scoring.score([h.vectors for h in first], [h.vectors for h in second])
    return _Stage(encoder, PLAIN, scores, {name: np.zeros((len(trials.trials), 0)) for name in scores})


def _normed(
    trials: TrialSet,
    plain: _Stage,
    settings: Sequence[Setting],
    encodings: Encodings,
    cohort: np.ndarray,
    top: int,
) -> _Stage:
    """With the mean of the cohort's scores as a further column: how much a recording sounds like anybody."""
    scores, more = {}, {}
    for setting in settings:
        sides = []
        for condition, second in ((setting.first, False), (setting.second, True)):
            paths = [t.second if second else t.first for t in trials.trials]
            once = list(dict.fromkeys(paths))
            found = scoring.against([encodings.of[plain.encoder, condition, p].vectors for p in once], cohort, top)
            place = {path: k for k, path in enumerate(once)}
            sides.append((found, np.array([place[path] for path in paths])))
        (first, a), (second_side, b) = sides
        scores[setting.name] = scoring.adaptive_s_norm(plain.scores[setting.name], first.rows(a), second_side.rows(b))
        more[setting.name] = calibration.quality([(first.mean[a], second_side.mean[b])])
    return _Stage(plain.encoder, NORMED, scores, more)


def _quality(trials: TrialSet, encoder: str, setting: Setting, encodings: Encodings) -> np.ndarray:
    """(n, 6): log seconds of speech, signal-to-noise ratio and bandwidth of either recording; the same for all
    encoders."""
    first = trials.heard(encodings, encoder, setting.first, second=False)
    second = trials.heard(encodings, encoder, setting.second, second=True)

    def column(values: Sequence[float]) -> np.ndarray:
        return np.array(values, float)

    return calibration.quality(
        [
            (
                column([_log_speech(h, setting.first) for h in first]),
                column([_log_speech(h, setting.second) for h in second]),
            ),
            (column([h.snr for h in first]), column([h.snr for h in second])),
            (column([h.bandwidth for h in first]), column([h.bandwidth for h in second])),
        ]
    )


def _log_speech(heard: EncodedRecording, condition: Condition) -> float:
    """Of the seconds of speech that its vectors can cover."""
    most = np.inf if condition.seconds is None or condition.crops > 1 else condition.seconds
    return float(np.log(max(SHORTEST_SPEECH, min(heard.seconds, most))))


class _Fitted:
    """Calibrations, each fitted once for all settings together, because in use the setting of a trial is not known."""

    def __init__(self, trials: TrialSet, settings: Sequence[str]) -> None:
        self.trials, self.settings = trials, settings
        first, second = trials.numbers
        measured = set(np.unique(trials.numbers[:, trials.measured]).tolist())
        others = ~trials.measured & ~np.isin(first, list(measured)) & ~np.isin(second, list(measured))
        self.own = bool((~trials.measured).any())
        self.others = others
        self.fitted_on = int(others.sum())
        if self.own and not (trials.same[others].any() and (~trials.same[others]).any()):
            raise UserError(
                "The list to calibrate on lacks trials of one kind or both whose speakers are not among those of the "
                "trials; use another list, or none, and each fold of the speakers is calibrated on the others."
            )

    def systems(self, name: str, steps: str, told: Mapping[str, np.ndarray]) -> list[Scored]:
        """told: {setting: (n, k)}."""
        count = len(self.settings)
        rows = np.concatenate([told[setting] for setting in self.settings])
        same = np.tile(self.trials.same, count)
        first, second = (np.tile(side, count) for side in self.trials.numbers)
        if self.own:
            ratios = calibration.fit(rows[np.tile(self.others, count)], same[np.tile(self.others, count)])(rows)
        else:
            ratios = calibration.across(rows, same, first, second)
            if np.isnan(ratios).any():
                raise UserError(
                    f"{len(np.unique(first))} speakers are too few to calibrate each fold of them on the others; give "
                    "a list of other speakers' trials: --calibrate LIST."
                )
        parts = np.split(ratios, count)
        return [
            Scored(name, steps, setting, part[self.trials.measured])
            for setting, part in zip(self.settings, parts, strict=True)
        ]
