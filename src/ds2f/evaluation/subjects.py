"""Who is measured: the clips of a split, the true face of each, and what is known of the people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ds2f.dataset.clips import ClipFacts, clip_facts, face_encoders, faces_of_people
from ds2f.dataset.queries import Dataset, Pair
from ds2f.errors import UserError
from ds2f.evaluation.agreement import labels_of
from ds2f.face.attributes import IdentityAttributes
from ds2f.face.registry import name_of
from ds2f.types import AGE_BINS, ETHNICITIES, GENDERS, FaceLabels, decade_of, years_of

FACE = "dlib"


@dataclass(frozen=True)
class Split:
    """Clips with a voice and a face in every space. pairs: n of them; identities: {space: (n, d) float64}; labels: of
    their faces, as the corpus states or the attribute model sees them; facts: what else is known, in the same order."""

    pairs: tuple[Pair, ...]
    identities: Mapping[str, np.ndarray]
    labels: FaceLabels
    facts: tuple[ClipFacts, ...]

    @cached_property
    def people(self) -> list[str]:
        return [pair.person for pair in self.pairs]

    @property
    def voices(self) -> np.ndarray:
        """(n, dv) float64"""
        return np.stack([pair.voice for pair in self.pairs]).astype(np.float64)


@dataclass(frozen=True)
class Subjects:
    """measured: the split that is measured; train: what baselines may learn from, perhaps nobody; reference: (n,) int,
    the clip whose face is the true face of clip i, of another video than its voice where the person has one; faces:
    {space: {person: (k, d)}} all faces of the measured people; voice: the speaker encoder of the voices; encoders: how
    the models of spaces are loaded, where their names do not say it."""

    spaces: tuple[str, ...]
    measured: Split
    train: Split | None
    reference: np.ndarray
    faces: Mapping[str, Mapping[str, np.ndarray]]
    voice: str
    encoders: tuple[str, ...] = ()

    def truth(self, space: str) -> np.ndarray:
        """(n, d) float64 vectors of the true faces: the gallery."""
        return np.asarray(self.measured.identities[space][self.reference])

    def middle(self, space: str) -> np.ndarray:
        """(d,) mean identity of the train split; a dataset without one still has a middle."""
        return np.asarray((self.train or self.measured).identities[space].mean(0))

    @cached_property
    def labels(self) -> FaceLabels:
        """Of the true faces."""
        found, chosen = self.measured.labels, self.reference
        return FaceLabels(found.age[chosen], found.gender[chosen], found.ethnicity[chosen])

    @cached_property
    def groups(self) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
        """{kind: (names, (n,) int places in them, -1 for unknown)}."""
        languages = [facts.language for facts in self.measured.facts]
        names = tuple(sorted(set(languages) - {""}))
        spoken = np.array([names.index(language) if language else -1 for language in languages], int)
        return {
            "gender": (GENDERS, self.labels.gender),
            "age": (AGE_BINS, decade_of(self.labels.age)),
            "ethnicity": (ETHNICITIES, self.labels.ethnicity),
            "language": (names, spoken),
        }


def load(
    data: Dataset,
    split: str,
    model: IdentityAttributes,
    spaces: Sequence[str] = (),
    trained: Sequence[str] = (FACE,),
) -> Subjects:
    """The people of a split, in all spaces, those first that training has not seen: they head the report.

    data: the dataset.
    split: of the measured people.
    model: sees what the corpus does not state of a face.
    spaces: face encoders besides dlib, as [faces] encoders has them; none: all that the dataset holds.
    trained: names of those that training has seen.
    Raises UserError for a split without pairs, or with one person only, and for a face encoder that the dataset has no
    vectors of.
    """
    held = face_encoders(data)
    named = {name_of(spec): spec for spec in spaces}
    for name in named:
        if name not in held:
            raise UserError(f"{data.path} holds no faces of {name!r}; add it to [faces] encoders and run ds2f extract.")
    chosen = tuple(sorted({FACE, *(named or held)}, key=lambda name: (name in trained, name)))
    measured = _load_split(data, split, model, chosen)
    if measured is None:
        raise UserError(f"There are no usable pairs in split {split} of {data.path}; run ds2f extract first.")
    if len(set(measured.people)) < 2:
        raise UserError(f"Split {split} of {data.path} has one person only, nobody to tell apart; ingest more videos.")
    train = _load_split(data, "train", model, chosen)
    if train is not None and len(set(train.people)) < 2:
        train = None
    reference = references(measured.people, [facts.recording for facts in measured.facts])
    faces = {space: faces_of_people(data, split, space) for space in chosen}
    return Subjects(chosen, measured, train, reference, faces, data.voice_encoder(), tuple(named.values()))


def references(people: Sequence[str], recordings: Sequence[str]) -> np.ndarray:
    """(n,) int: for each clip the next clip of the same person from another recording, in a circle; the clip itself
    where there is none. So voice and face share no channel, background or day."""
    of_person: dict[str, list[int]] = {}
    for i, person in enumerate(people):
        of_person.setdefault(person, []).append(i)
    result = np.arange(len(people))
    for clips in of_person.values():
        for place, i in enumerate(clips):
            following = clips[place + 1 :] + clips[:place]
            result[i] = next((j for j in following if recordings[j] != recordings[i]), i)
    return result


def _load_split(data: Dataset, split: str, model: IdentityAttributes, spaces: Sequence[str]) -> Split | None:
    of_space = {space: {pair.video_id: pair for pair in data.pairs(split, face=space)} for space in spaces}
    pairs = [p for p in of_space[spaces[0]].values() if all(p.video_id in found for found in of_space.values())]
    if not pairs:
        return None
    identities = {
        space: np.stack([found[pair.video_id].identity for pair in pairs]).astype(np.float64)
        for space, found in of_space.items()
    }
    known = clip_facts(data, split)
    facts = tuple(known[pair.video_id] for pair in pairs)
    seen = labels_of(model.estimate(identities[FACE]))
    return Split(tuple(pairs), identities, _stated(seen, facts), facts)


def _stated(seen: FaceLabels, facts: Sequence[ClipFacts]) -> FaceLabels:
    """What the corpus states goes before what a model sees."""
    age, gender, ethnicity = seen.age.copy(), seen.gender.copy(), seen.ethnicity.copy()
    for i, known in enumerate(facts):
        labels = known.labels
        if "age" in labels and not math.isnan(years := years_of(labels["age"])):
            age[i] = years
        if labels.get("gender") in GENDERS:
            gender[i] = GENDERS.index(labels["gender"])
        if labels.get("ethnicity") in ETHNICITIES:
            ethnicity[i] = ETHNICITIES.index(labels["ethnicity"])
    return FaceLabels(age, gender, ethnicity)
