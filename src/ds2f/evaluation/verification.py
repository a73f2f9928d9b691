"""Verification: are these two of one person? Trial lists, scores, error rates, and `ds2f verify` for speaker encoders.

Scores may be of anything: two voices here, a voice and a face in `matching` and the protocols. Equal scores fall to one
side of a threshold together, so no number depends on the order of the list.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ds2f.config import Audio
from ds2f.errors import ItemError, UserError
from ds2f.io.files import read_lines, replacing, write_json
from ds2f.types import Progress
from ds2f.voice.base import SpeakerEncoder
from ds2f.voice.encode import VoiceEncoder

MEASURES = ("eer", "min_dcf_01", "min_dcf_05")
VOXCELEB = {"1": True, "0": False}
KALDI = {"target": True, "nontarget": False}


@dataclass(frozen=True)
class Trial:
    """same: whether both recordings are of one speaker; first, second: paths relative to the root."""

    same: bool
    first: str
    second: str


@dataclass(frozen=True)
class Verification:
    """eer, min_dcf_01, min_dcf_05: see the functions; each with its 95 % bootstrap interval over trials.

    trials: scored ones; left_out: those with a recording that could not be used; refused: {path: reason}.
    """

    encoder: str
    trials: int
    same: int
    left_out: int
    eer: float
    eer_interval: tuple[float, float]
    min_dcf_01: float
    min_dcf_01_interval: tuple[float, float]
    min_dcf_05: float
    min_dcf_05_interval: tuple[float, float]
    refused: dict[str, str]


def read_trials(path: Path) -> list[Trial]:
    """A list as VoxCeleb has it, `1 path path` for one speaker and `0 path path` for two, or as Kaldi has it,
    `path path target` and `path path nontarget`; see `io.files.read_lines`.

    Raises UserError for a file that cannot be read, a line that is no trial, or a list without both kinds.
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


def write_scores(path: Path, trials: Sequence[Trial], scores: np.ndarray) -> None:
    """`path path score target` (or nontarget), one trial a line, as WeSpeaker and Kaldi write it; scores: (n,)."""
    names = {same: name for name, same in KALDI.items()}
    lines = [f"{t.first} {t.second} {s:.6f} {names[t.same]}\n" for t, s in zip(trials, scores, strict=True)]
    with replacing(path) as aside:
        aside.write_text("".join(lines), "utf-8")


def error_rates(
    scores: np.ndarray, labels: np.ndarray, counts: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """False alarm and miss rates at every threshold, from the strictest to the loosest: two arrays of equal length.

    scores: (n,), higher = more alike.
    labels: (n,), true or 1 for a pair of one person, false or 0 for a pair of two.
    counts: (n,), how often each pair counts; once if it is not given.
    Raises ValueError for a score that is no number, and without a pair of each kind that counts.
    """
    same = labels.astype(bool)
    counted = np.ones(len(scores), int) if counts is None else counts
    if np.isnan(scores).any():
        raise ValueError("a score is not a number")
    if not (counted * same).any() or not (counted * ~same).any():
        raise ValueError("error rates need pairs of one person and pairs of two")
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))  # equal scores fall to one side together
    hits, alarms = (np.cumsum((counted * kind)[order])[ends] for kind in (same, ~same))
    return np.append(0.0, alarms / alarms[-1]), np.append(1.0, 1 - hits / hits[-1])


def roc_auc(scores: np.ndarray, labels: np.ndarray, counts: np.ndarray | None = None) -> float:
    """P(a pair of one person scores higher than a pair of two), a tie counting half, in [0, 1].

    The area under the ROC curve by trapezia (Hanley & McNeil, Radiology 143(1), 1982). Arguments as of `error_rates`.
    """
    return rates_to_auc(*error_rates(scores, labels, counts))


def rates_to_auc(alarm: np.ndarray, miss: np.ndarray) -> float:
    """The same from the two rates that `error_rates` gives."""
    return float(np.trapezoid(1 - miss, alarm))


def equal_error_rate(scores: np.ndarray, labels: np.ndarray, counts: np.ndarray | None = None) -> float:
    """Where false alarms and misses are equally frequent, in [0, 1], between two thresholds by interpolation.

    The point of the DET curve of Martin et al., Eurospeech 1997, on its diagonal. Arguments as of `error_rates`.
    """
    return rates_to_eer(*error_rates(scores, labels, counts))


def rates_to_eer(alarm: np.ndarray, miss: np.ndarray) -> float:
    """The same from the two rates that `error_rates` gives."""
    after = int(np.argmax(alarm >= miss))
    step = (alarm[after] - miss[after]) - (alarm[after - 1] - miss[after - 1])
    share = (miss[after - 1] - alarm[after - 1]) / step
    return float(alarm[after - 1] + share * (alarm[after] - alarm[after - 1]))


def min_dcf(
    scores: np.ndarray, labels: np.ndarray, p_target: float = 0.01, c_miss: float = 1.0, c_fa: float = 1.0
) -> float:
    """Least detection cost over all thresholds, as a share of that of always saying the cheaper answer.

        min_θ [p C_miss P_miss(θ) + (1 − p) C_fa P_fa(θ)] / min(p C_miss, (1 − p) C_fa)

    (NIST speaker recognition evaluation plan, 2016 and after)

    scores: as of `error_rates`.
    labels: as of `error_rates`.
    p_target: p, how frequent pairs of one person are taken to be, in (0, 1).
    c_miss: what a miss costs.
    c_fa: what a false alarm costs.
    """
    return rates_to_dcf(*error_rates(scores, labels), p_target, c_miss, c_fa)


def rates_to_dcf(alarm: np.ndarray, miss: np.ndarray, p_target: float, c_miss: float = 1.0, c_fa: float = 1.0) -> float:
    """The same as `min_dcf` from the two rates that `error_rates` gives.

    alarm: (k,) false alarm rates.
    miss: (k,) miss rates.
    p_target: as of `min_dcf`.
    c_miss: as there.
    c_fa: as there.
    """
    missed, alarmed = p_target * c_miss, (1 - p_target) * c_fa
    return float((missed * miss + alarmed * alarm).min() / min(missed, alarmed))


def verify(
    trials: Sequence[Trial],
    root: Path,
    encoder: SpeakerEncoder,
    audio: Audio,
    out: Path,
    bootstrap: int = 1000,
    progress: Progress | None = None,
) -> Verification:
    """Score all trials, and write verification.json, scores.txt and roc.png into `out`.

    Every recording is decoded and embedded once, as extraction would; one that cannot be used is left out and named.
    Raises UserError if no trial of one kind is left.

    trials: as `read_trials` gives them.
    root: folder that their paths are relative to.
    encoder: whose vectors are compared, by cosine.
    audio: what counts as speech, and the seconds of a clip.
    out: folder to write into.
    bootstrap: resamples of the trials for the intervals.
    progress: called with (recordings heard, in all, path).
    """
    vectors, refused = _embed(trials, root, encoder, audio, progress)
    usable = [t for t in trials if t.first in vectors and t.second in vectors]
    same = np.array([t.same for t in usable], bool)
    if not same.any() or same.all():
        example = next(iter(refused.items()), ("", ""))
        raise UserError(
            f"Too few recordings can be used: {len(refused)} were refused, such as {example[0]}: {example[1]}."
        )
    scores = np.array([float(vectors[t.first] @ vectors[t.second]) for t in usable])
    values: dict[str, Any] = dict(zip(MEASURES, _measures(*error_rates(scores, same)), strict=True))
    intervals = bootstrap_intervals(scores, same, bootstrap)
    values |= {f"{name}_interval": pair for name, pair in zip(MEASURES, intervals, strict=True)}
    result = Verification(
        encoder=encoder.name,
        trials=len(usable),
        same=int(same.sum()),
        left_out=len(trials) - len(usable),
        refused=refused,
        **values,
    )
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "verification.json", json.loads(json.dumps(asdict(result))))
    write_scores(out / "scores.txt", usable, scores)
    plot_roc(scores, same, result, out / "roc.png")
    return result


def _embed(
    trials: Sequence[Trial], root: Path, encoder: SpeakerEncoder, audio: Audio, progress: Progress | None
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    name = encoder.name
    voice_encoder = VoiceEncoder(audio, names=[name], loaded={name: encoder})
    paths = list(dict.fromkeys(path for t in trials for path in (t.first, t.second)))
    vectors: dict[str, np.ndarray] = {}
    refused: dict[str, str] = {}
    for done, path in enumerate(paths):
        if progress:
            progress(done, len(paths), path)
        try:
            vectors[path] = voice_encoder.encode(root / path).voices[name]
        except ItemError as error:
            refused[path] = error.reason
    if progress:
        progress(len(paths), len(paths), "")
    return vectors, refused


def _measures(alarm: np.ndarray, miss: np.ndarray) -> tuple[float, float, float]:
    return rates_to_eer(alarm, miss), rates_to_dcf(alarm, miss, 0.01), rates_to_dcf(alarm, miss, 0.05)


def bootstrap_intervals(
    scores: np.ndarray, same: np.ndarray, resamples: int, seed: int = 0
) -> tuple[tuple[float, float], ...]:
    """95 % percentile intervals of MEASURES, by drawing trials of each kind anew (Efron & Tibshirani 1993, ch. 13).

    A list does not name its speakers, so trials count as independent; those that share a recording are not, and the
    true interval is somewhat wider.
    """
    order = np.argsort(-scores, kind="stable")  # once: sorting what is sorted costs little
    scores, same = scores[order], same[order]
    rng = np.random.default_rng(seed)
    kinds = [np.flatnonzero(same), np.flatnonzero(~same)]
    counts = np.zeros(len(scores), int)
    drawn = np.empty((resamples, len(MEASURES)))
    for row in drawn:
        for kind in kinds:
            counts[kind] = np.bincount(rng.integers(kind.size, size=kind.size), minlength=kind.size)
        row[:] = _measures(*error_rates(scores, same, counts))
    return tuple((float(low), float(high)) for low, high in np.percentile(drawn, (2.5, 97.5), axis=0).T)


def plot_roc(scores: np.ndarray, same: np.ndarray, result: Verification, path: Path) -> None:
    """Hits against false alarms, and the point where the two errors are equal."""
    from matplotlib.figure import Figure

    alarm, miss = error_rates(scores, same)
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.8", linewidth=1, label="chance")
    axes.plot(alarm, 1 - miss, color="#1f5fa8", linewidth=2, label=result.encoder)
    axes.plot([result.eer], [1 - result.eer], "o", color="#1f5fa8", label=f"equal error rate {result.eer:.1%}")
    axes.set(xlabel="false alarms", ylabel="same speaker recognised", xlim=(0, 1), ylim=(0, 1.005))
    axes.set_title(f"{result.trials:,} trials, {result.same:,} of them of one speaker", fontsize=10)
    axes.set_aspect("equal")
    axes.grid(color="0.93")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=150)
