"""The cohort of s-norm: voices of speakers other than those of the trials, one mean vector each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ds2f.config import Audio
from ds2f.dataset.queries import Dataset
from ds2f.dataset.recordings import spoken
from ds2f.dataset.speakers import speaker_hash
from ds2f.errors import UserError
from ds2f.evaluation.speakers.encoding import Condition, NamedEncoder, encode_recordings
from ds2f.evaluation.speakers.people import Speaker, speakers_of
from ds2f.evaluation.speakers.scoring import speaker_means
from ds2f.io.files import read_lines
from ds2f.types import Progress

LEAST = 10  # speakers; with fewer, a standard deviation is meaningless
SQLITE = b"SQLite format 3\x00"


@dataclass(frozen=True)
class Cohort:
    """The cohort's vectors. means: {encoder: (speakers, d) float64 of length 1}; size: number of speakers, for the
    encoder with fewest; left_out: names of those that are also in the trials; refused: {path: reason} for recordings
    that could not be used."""

    means: Mapping[str, np.ndarray]
    size: int
    left_out: tuple[str, ...]
    refused: Mapping[str, str]


@dataclass(frozen=True)
class Wanted:
    """How a cohort's recordings are encoded: arguments of `encoding.encode_recordings`. speakers: table of them."""

    root: Path
    encoders: Sequence[NamedEncoder]
    condition: Condition
    audio: Audio
    out: Path
    speakers: Path | None = None


def read_cohort(
    source: Path, wanted: Wanted, of_trials: Collection[Speaker], progress: Progress | None = None
) -> Cohort:
    """A cohort without the speakers of the trials, who are recognised by name, and across corpora by hash.

    source: a ds2f dataset, from which the stored voices of the train split are used; or a list of recordings, `path` or
        `path speaker` per line.
    wanted: how recordings of a list are encoded; for a dataset, which voices are used.
    of_trials: the speakers of the trials.
    progress: called with (recordings encoded, total, path).
    Raises UserError for a source that cannot be read, has no voices by an encoder, or too few other speakers.
    """
    stored = _is_dataset(source)
    refused: dict[str, str] = {}
    if stored:
        by_ear = _of_dataset(source, wanted)
    else:
        by_ear, refused = _of_list(source, wanted, progress)
    names, hashes = {s.name for s in of_trials}, {s.hash for s in of_trials if s.hash}
    means: dict[str, np.ndarray] = {}
    left_out: set[str] = set()
    for name, (vectors, speakers) in by_ear.items():
        met = [s.hash in hashes or (not stored and s.name in names) for s in speakers]
        left_out |= {s.name for s, m in zip(speakers, met, strict=True) if m}
        kept = [k for k, m in enumerate(met) if not m]
        if len({speakers[k].name for k in kept}) < LEAST:
            besides = f" besides {len(left_out):,} who are also in the trials" if left_out else ""
            raise UserError(
                f"The cohort {source} has {len({speakers[k].name for k in kept}):,} speakers{besides}; adaptive s-norm "
                f"needs {LEAST} others, better hundreds."
            )
        means[name], _ = speaker_means([vectors[k] for k in kept], [speakers[k].name for k in kept])
    return Cohort(means, min(map(len, means.values())), tuple(sorted(left_out)), refused)


Voices = dict[str, tuple[list[np.ndarray], list[Speaker]]]


def _is_dataset(source: Path) -> bool:
    try:
        with source.open("rb") as file:
            return file.read(len(SQLITE)) == SQLITE
    except OSError as error:
        raise UserError(f"The cohort {source} cannot be read ({error.strerror}); check the path.") from None


def _of_dataset(source: Path, wanted: Wanted) -> Voices:
    seconds = wanted.condition.seconds
    if seconds is None:
        raise UserError(
            f"{source} holds voices of clips of one length, and whole recordings are compared; give --seconds, or a "
            "list of recordings as the cohort."
        )
    found: Voices = {}
    with Dataset(source) as dataset:
        everybody = spoken(dataset, "train")
        for encoder in wanted.encoders:
            heard = [(s, s.voices.get((encoder.name, seconds))) for s in everybody]
            vectors = [v for _, v in heard if v is not None]
            if not vectors:
                raise UserError(
                    f"{source} has no voices by {encoder.name} of {seconds:g} s in its train split; name it in "
                    "[audio] encoders and run ds2f extract, or give a list of recordings as the cohort."
                )
            people = [s.person.split("/", 1) for s, v in heard if v is not None]
            found[encoder.name] = vectors, [Speaker("/".join(p), hash=speaker_hash(p[0], p[1])) for p in people]
    return found


def _of_list(source: Path, wanted: Wanted, progress: Progress | None) -> tuple[Voices, dict[str, str]]:
    lines = [line.split() for line in read_lines(source, "cohort") if line.strip()]
    wrong = next((line for line in lines if len(line) > 2), None)
    if wrong is not None:
        raise UserError(f"{source}: a line of a cohort is `path`, or `path speaker`, not {' '.join(wrong)!r}.")
    paths = list(dict.fromkeys(line[0] for line in lines))
    if all(len(line) == 2 for line in lines):
        by_path = speakers_of(paths, wanted.root)
        said = {path: speaker for path, speaker in lines}
        of = {path: Speaker(said[path], hash=by_path[path].hash) for path in paths}
    else:
        of = speakers_of(paths, wanted.root, wanted.speakers)
    encodings = encode_recordings(
        paths, wanted.root, wanted.encoders, [wanted.condition], wanted.audio, wanted.out, progress
    )
    found: Voices = {}
    for encoder in wanted.encoders:
        there = [path for path in paths if (encoder.name, wanted.condition, path) in encodings.of]
        vectors = [encodings.of[encoder.name, wanted.condition, path].vectors for path in there]
        found[encoder.name] = vectors, [of[path] for path in there]
    return found, {path: reason for (_, _, path), reason in encodings.refused.items()}
