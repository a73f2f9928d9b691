"""Who is measured: the clips of a split, the true face of each, and what is known about the people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ds2f.dataset.clips import ClipFacts, clip_facts, face_encoders, faces_of_people, stated
from ds2f.dataset.pairing import Shown, crop_of, faces_by_person, next_face, paired
from ds2f.dataset.people import face_vectors
from ds2f.dataset.queries import Dataset, Pair
from ds2f.errors import UserError
from ds2f.evaluation.agreement import labels_of, rows_to_labels
from ds2f.evaluation.judges import Judge, rows_of
from ds2f.face.attributes import IdentityAttributes
from ds2f.face.registry import name_of
from ds2f.io.files import by_name
from ds2f.types import AGE_BINS, ETHNICITIES, GENDERS, FaceLabels, decade_of, years_of

FACE = "dlib"


@dataclass(frozen=True)
class Split:
    """Clips with a voice and a face in every space.

    pairs: n of them.
    identities: {space: (n, d) float64}.
    labels: of their faces, as stated by the corpus or estimated by the attribute model.
    facts: what else is known, in the same order.
    judged: {key of a judge: (n, 2 + k) rows of its estimates}.
    """

    pairs: tuple[Pair, ...]
    identities: Mapping[str, np.ndarray]
    labels: FaceLabels
    facts: tuple[ClipFacts, ...]
    judged: Mapping[str, np.ndarray] = field(default_factory=dict)

    def of(self, key: str) -> np.ndarray:
        """(n, d) for a space or a judge."""
        return self.judged[key] if key in self.judged else self.identities[key]

    @cached_property
    def people(self) -> list[str]:
        return [pair.person for pair in self.pairs]

    @property
    def voices(self) -> np.ndarray:
        """(n, dv) float64"""
        return np.stack([pair.voice for pair in self.pairs]).astype(np.float64)


@dataclass(frozen=True)
class TrueFaces:
    """The true face of each of n clips.

    files, paths: of the recordings that show it.
    crops: WebP.
    identities, labels: as in `Split`.
    apart: (n,) bool, whether it is from another recording than the voice.
    judged: {key of a judge: the truth, as stated by the corpus or else as estimated by the judge}.
    stated: {key of a judge: only what the corpus states}.
    """

    files: tuple[int, ...]
    paths: tuple[str, ...]
    crops: tuple[bytes, ...]
    identities: Mapping[str, np.ndarray]
    labels: FaceLabels
    apart: np.ndarray
    judged: Mapping[str, FaceLabels] = field(default_factory=dict)
    stated: Mapping[str, FaceLabels] = field(default_factory=dict)


@dataclass(frozen=True)
class Subjects:
    """The people and clips of an evaluation.

    measured: the split that is measured.
    train: what baselines may learn from; None if there is nothing.
    true: from another recording than the voice if the person has one.
    faces: {space: {person: (k, d)}} all faces of the measured people.
    voice: the speaker encoder of the voices.
    encoders: specs of spaces' models whose names do not say how they are loaded.
    judges: of age, gender and ethnicity.
    """

    spaces: tuple[str, ...]
    measured: Split
    train: Split | None
    true: TrueFaces
    faces: Mapping[str, Mapping[str, np.ndarray]]
    voice: str
    encoders: tuple[str, ...] = ()
    judges: tuple[Judge, ...] = ()

    @property
    def judged(self) -> tuple[str, ...]:
        """Keys of the judges."""
        return tuple(judge.key for judge in self.judges)

    def truth(self, space: str) -> np.ndarray:
        """(n, d) float64 vectors of the true faces: the gallery."""
        return np.asarray(self.true.identities[space])

    def middle(self, space: str) -> np.ndarray:
        """(d,) mean identity of the train split, or of the measured one if there is no train split."""
        return np.asarray((self.train or self.measured).identities[space].mean(0))

    @property
    def labels(self) -> FaceLabels:
        """Labels of the true faces."""
        return self.true.labels

    @cached_property
    def groups(self) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
        """{kind: (names, (n,) int indices into them, -1 for unknown)}."""
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
    judges: Sequence[Judge] = (),
) -> Subjects:
    """The people of a split, in all spaces; spaces that training has not seen come first, since they head the report.

    data: the dataset.
    split: of the measured people.
    model: estimates what the corpus does not state about a face.
    spaces: face encoders besides dlib, as in [faces] encoders; none: all in the dataset.
    trained: names of those that training has seen.
    judges: of age, gender and ethnicity.
    Raises UserError for a split without pairs, or with only one person, and for a face encoder without vectors in the
    dataset.
    """
    held = face_encoders(data)
    named = by_name(spaces, name_of)
    for name in named:
        if name not in held:
            raise UserError(f"{data.path} holds no faces of {name!r}; add it to [faces] encoders and run ds2f extract.")
    chosen = tuple(sorted({FACE, *(named or held)}, key=lambda name: (name in trained, name)))
    measured = _load_split(data, split, model, chosen, judges)
    if measured is None:
        raise UserError(f"There are no usable pairs in split {split} of {data.path}; run ds2f extract first.")
    if len(set(measured.people)) < 2:
        raise UserError(
            f"Split {split} of {data.path} has only one person, so nobody to choose from; give another "
            "--split, or ds2f ingest more."
        )
    train = _load_split(data, "train", model, chosen, judges)
    if train is not None and len(set(train.people)) < 2:
        train = None
    true = _true_faces(data, split, measured, model, judges)
    faces = {space: faces_of_people(data, split, space) for space in chosen}
    encoders = tuple(named.values())
    return Subjects(chosen, measured, train, true, faces, data.voice_encoder(), encoders, tuple(judges))


def choose_true(
    pairs: Sequence[Pair], recordings: Sequence[str], faces: Mapping[str, Sequence[Shown]]
) -> tuple[list[Shown], np.ndarray]:
    """The true face of each of n clips: the person's next face from another recording, cyclically from the clip's own;
    the clip's own if there is none. This way voice and face share no channel, background or day.

    recordings: of the n voices; faces: of each person. Returns the faces, and (n,) bool: whether voice and face are
        from different recordings.
    """
    chosen, apart = [], []
    for pair, recording in zip(pairs, recordings, strict=True):
        own = faces[pair.person]
        at = next(place for place, shown in enumerate(own) if shown.file == pair.face_file)
        if own[at].recording == recording:
            after = next_face(own, at, recording)
            at = after if own[after].recording != recording else at
        chosen.append(own[at])
        apart.append(own[at].recording != recording)
    return chosen, np.array(apart, bool)


def _true_faces(
    data: Dataset, split: str, measured: Split, model: IdentityAttributes, judges: Sequence[Judge]
) -> TrueFaces:
    spaces = list(measured.identities)
    recordings = [facts.recording for facts in measured.facts]
    chosen, apart = choose_true(measured.pairs, recordings, faces_by_person(data, split, spaces))
    files = [shown.file for shown in chosen]
    identities = {space: face_vectors(data, files, space).astype(np.float64) for space in spaces}
    told = stated(data, files)
    labels = _stated(labels_of(model.estimate(identities[FACE])), told)
    crops = tuple(crop_of(data, file) for file in files)
    seen = {judge: rows_to_labels(rows_of(data, judge, files, identities)) for judge in judges}
    nothing = FaceLabels(np.full(len(files), np.nan), np.full(len(files), -1), np.full(len(files), -1))
    return TrueFaces(
        files=tuple(files),
        paths=tuple(shown.path for shown in chosen),
        crops=crops,
        identities=identities,
        labels=labels,
        apart=apart,
        judged={judge.key: _stated(found, told, judge.classes) for judge, found in seen.items()},
        stated={judge.key: _stated(nothing, told, judge.classes) for judge in judges},
    )


def _load_split(
    data: Dataset, split: str, model: IdentityAttributes, spaces: Sequence[str], judges: Sequence[Judge]
) -> Split | None:
    pairs = paired(data, split, faces=spaces)
    if not pairs:
        return None
    files = [pair.face_file for pair in pairs]
    identities = {space: face_vectors(data, files, space).astype(np.float64) for space in spaces}
    known = clip_facts(data, split)
    facts = tuple(known[pair.video_id] for pair in pairs)
    labels = _stated(labels_of(model.estimate(identities[FACE])), stated(data, files))
    judged = {judge.key: rows_of(data, judge, files, identities) for judge in judges}
    return Split(tuple(pairs), identities, labels, facts, judged)


def _stated(
    seen: FaceLabels, told: Sequence[Mapping[str, str]], ethnicities: Sequence[str] = ETHNICITIES
) -> FaceLabels:
    """What the corpus states takes precedence over estimates. ethnicities: those that the model distinguishes."""
    age, gender, ethnicity = seen.age.copy(), seen.gender.copy(), seen.ethnicity.copy()
    for i, labels in enumerate(told):
        if "age" in labels and not math.isnan(years := years_of(labels["age"])):
            age[i] = years
        if labels.get("gender") in GENDERS:
            gender[i] = GENDERS.index(labels["gender"])
        if labels.get("ethnicity") in ethnicities:
            ethnicity[i] = ethnicities.index(labels["ethnicity"])
    return FaceLabels(age, gender, ethnicity)
