"""Baselines and ceilings: methods that use no diffusion, no picture or no voice, and the true person."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ds2f.evaluation.agreement import per_clip_rows
from ds2f.evaluation.judges import is_judge
from ds2f.evaluation.subjects import Split, Subjects
from ds2f.models.linear import LinearPrior, directions
from ds2f.types import FaceLabels, decade_of

_ENOUGH = 3  # train faces needed for a mean over their attributes


@dataclass(frozen=True)
class Answers:
    """The faces of one method: m faces, possibly several per clip.

    kind: images, together, control or baseline.
    source: a folder, or a phrase for the report.
    clips: (m,) int, the clip of each face.
    vectors: {space: (m, d) float64}, NaN for a clip without a face.
    real: whether they are photos or look like photos, so that realism can be measured.
    own: whether they show the true person, whose mean vector then contains them.
    files: (m,) pictures, None where there is none.
    generation: the contents of generation.json.
    """

    name: str
    kind: str
    source: str
    clips: np.ndarray
    vectors: Mapping[str, np.ndarray]
    real: bool = False
    own: bool = False
    files: tuple[Path | None, ...] = ()
    missing: int = 0
    faceless: int = 0
    generation: Mapping[str, Any] = field(default_factory=dict)


def baselines(subjects: Subjects, seed: int = 0) -> list[Answers]:
    """All baselines that the data allows: those fitted on train need two people there, and the last needs a person
    with two videos."""
    rng = np.random.default_rng(seed)
    found = []
    if subjects.train is not None:
        found += [
            mean_face(subjects, subjects.train),
            linear_prior(subjects, subjects.train),
            nearest_voice(subjects, subjects.train),
            attributes_only(subjects, subjects.train),
        ]
    found += [random_face(subjects, rng, gender=False), random_face(subjects, rng, gender=True)]
    another = another_photo(subjects)
    return [*found, another] if len(another.clips) else found


def mean_face(subjects: Subjects, train: Split) -> Answers:
    """The mean train face; by attributes, a person as old as the average of train."""

    def of(space: str) -> np.ndarray:
        mean = per_clip_rows(train.of(space), np.zeros(len(train.pairs), int), 1)
        return np.tile(mean, (len(subjects.measured.pairs), 1))

    text = "the mean identity vector of the train split, whatever the voice"
    return _answers("mean face", text, subjects, of, judged=True)


def linear_prior(subjects: Subjects, train: Split) -> Answers:
    def of(space: str) -> np.ndarray:
        prior = LinearPrior.fit_to_people(train.voices, train.identities[space], train.people)
        return prior.predict(subjects.measured.voices).astype(np.float64)

    return _answers("linear prior", "ridge regression from voice to identity, fitted on train", subjects, of)


def nearest_voice(subjects: Subjects, train: Split) -> Answers:
    """The face of the train clip with the nearest voice by cosine; when measuring the train split, of another
    person."""
    similarity = directions(subjects.measured.voices) @ directions(train.voices).T  # (n, train)
    names = np.array(train.people)
    for i, person in enumerate(subjects.measured.people):
        similarity[i, names == person] = -np.inf
    chosen = similarity.argmax(1)
    text = "the face of the train person with the most similar voice"
    return _answers("nearest voice", text, subjects, lambda space: train.of(space)[chosen], real=True, judged=True)


def attributes_only(subjects: Subjects, train: Split) -> Answers:
    """The mean train face of the true face's gender, decade and ethnicity, or of as many of these as have enough
    faces: what knowing these three and nothing else achieves."""
    chosen = [_alike(subjects.labels, i, train.labels) for i in range(len(subjects.measured.pairs))]

    def of(space: str) -> np.ndarray:
        return np.stack([train.identities[space][rows].mean(0) for rows in chosen])

    text = "the mean train face of the true gender, decade and ethnicity, known and not heard"
    return _answers("attributes only", text, subjects, of)


def random_face(subjects: Subjects, rng: np.random.Generator, gender: bool) -> Answers:
    """A real face of somebody else: the value of a perfectly real picture without likeness. Taken from the train
    split if there is one, because a face from the gallery would retrieve itself."""
    donors = subjects.train or subjects.measured
    names, genders = np.array(donors.people), donors.labels.gender
    chosen = []
    for person, wanted in zip(subjects.measured.people, subjects.labels.gender, strict=True):
        others = names != person
        right = others & (genders == wanted) if gender else others
        chosen.append(int(rng.choice(np.flatnonzero(right if right.any() else others))))
    name = "random face of the right gender" if gender else "random face"
    text = f"a real face of another person{', of the true gender' if gender else ''}"
    return _answers(name, text, subjects, lambda space: donors.of(space)[chosen], real=True, judged=True)


def another_photo(subjects: Subjects) -> Answers:
    """The ceiling: the face in the voice's own video, for clips whose true face is from another video."""
    own = np.array([pair.face_file for pair in subjects.measured.pairs])
    clips = np.flatnonzero(own != np.array(subjects.true.files))
    text = "another true photo of the same person, from another video: the ceiling"
    vectors = {space: subjects.measured.of(space)[clips] for space in (*subjects.spaces, *subjects.judged)}
    return Answers("another photo", "baseline", text, clips, vectors, real=True, own=True)


def together(answers: Answers) -> Answers | None:
    """What the pictures of a voice have in common: the mean of their unit vectors, as SF2F computes a person's
    vector from all their faces (Bai et al. 2022, arXiv:2006.05888), and the mean of the judges' estimates. None if
    every clip has only one picture."""
    clips, place = np.unique(answers.clips, return_inverse=True)
    if len(clips) == len(answers.clips):
        return None

    def mean(vectors: np.ndarray) -> np.ndarray:
        seen = ~np.isnan(vectors).any(1)
        sums = np.zeros((len(clips), vectors.shape[1]))
        np.add.at(sums, place[seen], directions(vectors[seen]))
        sums[np.bincount(place[seen], minlength=len(clips)) == 0] = np.nan
        length = np.linalg.norm(vectors[seen], axis=1).mean() if seen.any() else np.nan
        return sums / np.linalg.norm(sums, axis=1, keepdims=True) * length

    vectors = {
        space: per_clip_rows(of, place, len(clips)) if is_judge(space) else mean(of)
        for space, of in answers.vectors.items()
    }
    text = f"the mean vector of the pictures that {answers.name} drew for a voice"
    return Answers(f"{answers.name}, pictures of a voice together", "together", text, clips, vectors)


def shuffled(answers: Answers, subjects: Subjects, seed: int = 0) -> Answers:
    """The same faces assigned to other people's clips: their scores owe nothing to the voice. (Somebody with more
    than half of all clips gets some of their own.)"""
    person = np.unique(np.asarray(subjects.measured.people), return_inverse=True)[1]
    places = np.random.default_rng(seed).permutation(person.max() + 1)
    order = np.argsort(places[person], kind="stable")  # a circle of people in random order, their clips side by side,
    given_to = np.empty_like(order)
    given_to[order] = np.roll(order, np.bincount(person).max())  # rotated so far that nobody meets themselves
    given = replace(answers, name=f"{answers.name}, voices shuffled", kind="control", generation={})
    return replace(
        given, clips=given_to[answers.clips], source=f"the faces of {answers.name}, of other people's voices"
    )


def _answers(
    name: str,
    text: str,
    subjects: Subjects,
    of: Callable[[str], np.ndarray],
    real: bool = False,
    judged: bool = False,
) -> Answers:
    """One vector for every clip. judged: include the judges' estimates, for faces of which they have seen a picture."""
    vectors = {space: of(space) for space in (*subjects.spaces, *(subjects.judged if judged else ()))}
    return Answers(name, "baseline", text, np.arange(len(subjects.measured.pairs)), vectors, real)


def _alike(true: FaceLabels, i: int, train: FaceLabels) -> np.ndarray:
    gender = train.gender == true.gender[i]
    decade = gender & (decade_of(train.age) == decade_of(true.age[i : i + 1])[0])
    for members in (decade & (train.ethnicity == true.ethnicity[i]), decade, gender):
        if members.sum() >= _ENOUGH:
            return np.flatnonzero(members)
    return np.arange(len(train.age))
