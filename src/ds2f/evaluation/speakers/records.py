"""The options and the results of `ds2f verify`, field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ds2f.evaluation.speakers.encoding import Condition
from ds2f.evaluation.speakers.measures import Group, Rates, Trained
from ds2f.evaluation.speakers.scoring import TOP

VERSION = 2
"""Version of verification.json; incremented when a name or its meaning changes."""


@dataclass(frozen=True)
class Options:
    """How trials are scored.

    seconds: clip lengths; none: whole recordings, which requires `whole`.
    crops: per recording; for several, the score is the mean over the distances of all pairs.
    whole: use recordings including pauses.
    codecs: that recordings are passed through, besides none; see `io.codecs`.
    cohort: for adaptive s-norm, see `cohort.read_cohort`; None: no s-norm.
    top: number of closest cohort speakers to use.
    calibrate: "": no calibration; "folds": on other speakers of the same list; else a list of trials to fit on.
    speakers: table of speakers, see `trials.read_table`.
    bootstrap: draws of speakers for the intervals.
    allow_leak: measure although trials name speakers that an encoder was trained on.
    """

    seconds: tuple[float, ...] = (6.0,)
    crops: int = 1
    whole: bool = False
    codecs: tuple[str, ...] = ()
    cohort: Path | None = None
    top: int = TOP
    calibrate: str = ""
    speakers: Path | None = None
    bootstrap: int = 1000
    allow_leak: bool = False


@dataclass(frozen=True)
class System:
    """One way to score the list, under one condition.

    name: the encoder, "fusion" of several, or the file of scores.
    steps: from its vectors to the score: "plain", "s-norm", "calibrated" (on top of that), "calibrated, quality".
    condition: what both recordings were passed through, "clean" for nothing; "clean / opus8": only the second one.
    rates: by NIST's conventions with intervals by speaker; voxceleb_trainer: what that toolkit prints.
    cllr: in bits, taking the scores as log-likelihood ratios; min_cllr: for the best calibration.
    groups: by gender and by seconds of speech.
    scores: name of their file in the folder `scores`.
    """

    name: str
    steps: str
    condition: str
    rates: Rates
    voxceleb_trainer: Trained
    cllr: float
    min_cllr: float
    groups: tuple[Group, ...]
    scores: str


@dataclass(frozen=True)
class Verification:
    """The contents of verification.json, field by field.

    trials, same: number scored, and how many of these are of one speaker; left_out: trials with a recording that could
        not be used.
    speakers: in the scored trials; told_by: where speakers are known from, see `people`: layout, folders, table or
        list.
    scoring: in words. cohort: number of speakers; cohort_left_out: those that are also in the trials.
    calibrated_on: number of trials that the calibration was fitted on; 0: folds of the list's own speakers.
    trained_on: {encoder: speakers of the trials that it was trained on}; perhaps_trained_on: known only by a folder
        name.
    refused: {path: reason}, including the cohort's.
    """

    version: int
    trials: int
    same: int
    left_out: int
    speakers: int
    told_by: str
    scoring: str
    cohort: int
    cohort_left_out: tuple[str, ...]
    calibrated_on: int
    trained_on: Mapping[str, tuple[str, ...]]
    perhaps_trained_on: Mapping[str, tuple[str, ...]]
    refused: Mapping[str, str]
    systems: tuple[System, ...]


@dataclass(frozen=True)
class Setting:
    """How the two recordings of a trial are processed."""

    name: str
    first: Condition
    second: Condition


def settings_of(options: Options) -> list[Setting]:
    """Every length without a codec and with each codec, on both sides and on the second only."""
    found = []
    for seconds in options.seconds or (None,):
        clean = Condition("", seconds, options.crops, options.whole)
        length = f", {seconds:g} s" if len(options.seconds) > 1 else ""
        found.append(Setting(f"clean{length}", clean, clean))
        for codec in options.codecs:
            coded = replace(clean, codec=codec)
            found.append(Setting(f"{codec}{length}", coded, coded))
            found.append(Setting(f"clean / {codec}{length}", clean, coded))
    return found
