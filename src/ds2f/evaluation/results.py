"""The results of an evaluation. `metrics.json` is the `Evaluation` below, field by field, with the same names;
docs/evaluation.md explains what each number means and how it is measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VERSION = 2
"""Version of metrics.json; incremented when a name or its meaning changes."""

FEW_PEOPLE = 10
"""Groups of fewer identities are marked: their numbers say little about the group, and something about individuals."""


@dataclass(frozen=True)
class Measure:
    """A number with its 95 % bootstrap interval over people; no interval if it is known exactly, or measured on one
    person."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Retrieval:
    """Retrieval of the true face; see `retrieval` for the protocol.

    clips: number of clips measured; gallery: median number of faces that a query chooses from.
    r_at_1, r_at_5, r_at_10: share of clips in [0, 1] whose true face is among the nearest k of the gallery.
    median_rank: 1 is best.
    mrr: mean of 1 / rank, in (0, 1].
    """

    clips: int
    gallery: float
    r_at_1: Measure
    r_at_5: Measure
    r_at_10: Measure
    median_rank: Measure
    mrr: Measure


@dataclass(frozen=True)
class Recall:
    """The field's protocol: each person is the mean vector of all their faces; one generated face per person;
    averaged over all galleries of a given number of people. r_at_1, r_at_5, r_at_10: in [0, 1]."""

    people: int
    gallery: int
    r_at_1: Measure
    r_at_5: Measure
    r_at_10: Measure


@dataclass(frozen=True)
class Distances:
    """Mean distance from the generated to the true identity vector, over clips that have a generated face; smaller
    is more alike. cosine in [0, 2] (not centred); l1, l2 in the units of the face encoder."""

    cosine: Measure
    l1: Measure
    l2: Measure


@dataclass(frozen=True)
class SpaceResult:
    """One method in the space of one face encoder.

    centred_cosine, euclidean: {gallery: retrieval}, with the galleries "all", "gender" (of the true gender) and
        "gender_age" (and decade). Cosine is centred by the mean identity of the train split.
    people: {distance: the field's protocol} for "cosine", "l1" and "l2".
    distances: None if no clip has a face.
    """

    centred_cosine: dict[str, Retrieval]
    euclidean: dict[str, Retrieval]
    people: dict[str, Recall]
    distances: Distances | None


@dataclass(frozen=True)
class Classes:
    """One attribute as estimated in the generated faces, compared with the true ones. accuracy; balanced: mean
    recall over the true classes; confusion: [true][generated] faces, in the order of `names`; a clip with several
    faces counts once in total."""

    names: tuple[str, ...]
    accuracy: Measure
    balanced: Measure
    confusion: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Agreement:
    """Agreement of attributes. age_mae: years; decade: age in steps of ten years."""

    gender: Classes
    ethnicity: Classes
    decade: Classes
    age_mae: Measure


@dataclass(frozen=True)
class AttributeJudge:
    """A model of age, gender and ethnicity that judges faces.

    trained: whether training or steering has seen it, which makes its judgement optimistic.
    stated: {gender, age or ethnicity: number of clips for which the corpus states it}.
    estimated: the same for the other clips, for which the model's own estimate on the true face is taken as the truth.
    """

    name: str
    trained: bool
    stated: dict[str, int]
    estimated: dict[str, int]


@dataclass(frozen=True)
class Judged:
    """A method's faces judged by one attribute model.

    faces: how many it found; for kind `together`, voices.
    gender, ethnicity: accuracy, in [0, 1].
    age_mae: mean absolute error in years.
    age_bias: mean of how much older than the truth, in years.
    None where the model gives no estimate.
    """

    faces: int
    gender: Measure | None
    age_mae: Measure | None
    age_bias: Measure | None
    ethnicity: Measure | None


@dataclass(frozen=True)
class Realism:
    """Generated faces compared with true faces of the same clips, in a named feature space.

    few: fewer than 2,000 images, with which the Fréchet distance is biased upwards.
    frechet: ≥ 0; kernel: unbiased, may fall below 0.
    precision: share of generated faces that look real; recall: share of real faces that the generated ones cover; both
        in [0, 1].
    """

    space: str
    generated: int
    real: int
    few: bool
    frechet: Measure
    kernel: Measure
    precision: Measure
    recall: Measure


@dataclass(frozen=True)
class Variety:
    """Mean L2 distance between identity vectors. of_voice: between faces of one voice, None if it has only one;
    of_all: between faces of different clips."""

    of_voice: Measure | None
    of_all: Measure


@dataclass(frozen=True)
class Matching:
    """Voice-face matching.

    within: what the wrong faces have in common with the true one, "" for nothing; clips: voices that had a choice.
    auc: area under the ROC curve; eer: where misses and false alarms are equally frequent; both over all pairs of a
        voice and a face.
    choice: {N: share of voices whose face is picked out of N}; voice_choice: {N: share of faces whose voice is}.
    All in [0, 1], with chance at 0.5, 0.5 and 1/N.
    """

    within: str
    clips: int
    auc: Measure | None
    eer: Measure | None
    choice: dict[int, Measure]
    voice_choice: dict[int, Measure]


@dataclass(frozen=True)
class Kept:
    """How well identity is preserved in a picture.

    likeness: cosine of its identity vector and the true one, both centred by the mean identity of train, in [-1, 1];
        None if no true face was found.
    r_at_1, r_at_10: share of pictures that retrieve the true face in the gallery of everybody.
    """

    likeness: Measure | None
    r_at_1: Measure
    r_at_10: Measure


SPOILT, RESTORED, WITH_VOICE = "spoilt", "restored", "with the voice"


@dataclass(frozen=True)
class Restoration:
    """Guided mode: a true face, degraded, and completed from that.

    kind: one of `models.guide.DEGRADATIONS`; level: its strength in [0, 1]; degradation: both in words.
    picture: SPOILT, RESTORED from that alone, or WITH_VOICE.
    clips: number measured; psnr: dB; ssim: in [-1, 1].
    spaces: {face encoder: how well identity is preserved}.
    """

    kind: str
    level: float
    degradation: str
    picture: str
    clips: int
    psnr: Measure
    ssim: Measure
    spaces: dict[str, Kept]


@dataclass(frozen=True)
class GroupResult:
    """Clips of one group, in the gallery of everybody, by centred cosine. kind: gender, age, ethnicity or language;
    few: fewer than FEW_PEOPLE people. The measures are None if the method has no face in the group."""

    kind: str
    name: str
    clips: int
    people: int
    few: bool
    r_at_10: Measure | None
    median_rank: Measure | None
    mrr: Measure | None
    cosine: Measure | None
    gender: Measure | None
    age_mae: Measure | None


@dataclass(frozen=True)
class MethodResult:
    """One row of the tables.

    kind: images, together (the mean of several images of a clip), control (images assigned to other clips) or baseline.
    source: the folder, or what else it is.
    clips: number measured (those for which the method exists at all); pictures: number found; faces: pictures with a
        usable face.
    missing: clips without a picture; faceless: pictures without a usable face (both count as chance in retrieval).
    spaces: {face encoder: results}.
    per_clip: {measure: one value per clip, in the order of `Evaluation.clips`, None where it does not apply}.
    generation: contents of the folder's generation.json, empty without one.
    judged: {attribute model: its judgement}: for kind images of each picture alone, for kind together of the mean of
        its ages and probabilities over the pictures of a voice.
    """

    name: str
    kind: str
    source: str
    clips: int
    pictures: int
    faces: int
    missing: int
    faceless: int
    spaces: dict[str, SpaceResult]
    agreement: Agreement | None
    realism: tuple[Realism, ...]
    variety: Variety | None
    groups: tuple[GroupResult, ...]
    per_clip: dict[str, tuple[float | None, ...]]
    generation: dict[str, Any] = field(default_factory=dict)
    judged: dict[str, Judged] = field(default_factory=dict)


@dataclass(frozen=True)
class Clip:
    """One measured clip.

    path: relative to its root.
    age: years; gender, ethnicity: as the corpus states, else as the attribute model estimates from the true face.
    language: "" if unknown.
    reference: path of the video that the true face is from, another one than the voice's if the person has several.
    picture: unique path of its pictures in a folder of images, without number and suffix.
    """

    path: str
    person: str
    age: float
    gender: str
    ethnicity: str
    language: str
    reference: str
    picture: str


@dataclass(frozen=True)
class Chance:
    """The results of guessing. retrieval: guessing blindly, {gallery: retrieval}; knowing_gender: guessing among
    faces of the right gender, in the gallery of all; people: K / N of the field's protocol; people_knowing_gender:
    2K / N."""

    retrieval: dict[str, Retrieval]
    knowing_gender: Retrieval
    people: Recall
    people_knowing_gender: Recall


@dataclass(frozen=True)
class Provenance:
    """Where the numbers come from.

    database, fingerprint: the dataset, and a hash of which clips are in which split.
    train_clips, train_people: of the split that the baselines learnt from.
    bootstrap, seed: of the intervals and the random faces.
    voice_encoder: the speaker encoder of the voices.
    trained_spaces: face encoders that training has seen; results in their space are optimistic.
    leaks: problems of the data that were allowed.
    made: when, UTC.
    versions: of ds2f and the packages used for measuring.
    guided: model and settings that completed the degraded faces, empty without guided mode.
    """

    database: str
    fingerprint: str
    train_clips: int
    train_people: int
    bootstrap: int
    seed: int
    voice_encoder: str
    trained_spaces: tuple[str, ...]
    leaks: tuple[str, ...]
    made: str
    versions: dict[str, str]
    guided: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """The results of an evaluation.

    version: see VERSION.
    split: the one measured; people: number in it.
    spaces: face encoders; the first is used for the headline.
    same_video: clips whose voice and true face come from one video, because the person has no other.
    matching: {alignment or linear prior: overall, then within each group}.
    unmatched: why the alignment is not among them, "" if it is.
    guided: by degradation and picture, if requested.
    judges: of age, gender and ethnicity; those that training has not seen come first.
    """

    version: int
    split: str
    people: int
    spaces: tuple[str, ...]
    same_video: int
    provenance: Provenance
    chance: Chance
    clips: tuple[Clip, ...]
    methods: tuple[MethodResult, ...]
    matching: dict[str, tuple[Matching, ...]]
    unmatched: str
    guided: tuple[Restoration, ...]
    metrics_file: Path
    report_file: Path
    judges: tuple[AttributeJudge, ...] = ()

    def headline(self, method: MethodResult) -> tuple[Measure | None, Measure | None]:
        """Gender accuracy and mean absolute error of age: by the first judge if training has not seen it, else by
        our own attribute head, which reads them from identity vectors and so needs no picture."""
        if self.judges and not self.judges[0].trained:
            judged = method.judged.get(self.judges[0].name)
            return (judged.gender, judged.age_mae) if judged else (None, None)
        seen = method.agreement
        return (seen.gender.accuracy, seen.age_mae) if seen else (None, None)
