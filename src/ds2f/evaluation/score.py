"""Scores methods, all against the same galleries and with the same bootstrap draws of people."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from ds2f.evaluation import realism, retrieval
from ds2f.evaluation.agreement import agreement, judge_rows, labels_of, per_clip
from ds2f.evaluation.baselines import Answers
from ds2f.evaluation.bootstrap import Bootstrap
from ds2f.evaluation.inception import INCEPTION, Inception
from ds2f.evaluation.results import (
    FEW_PEOPLE,
    Agreement,
    Chance,
    Distances,
    GroupResult,
    Judged,
    Measure,
    MethodResult,
    Realism,
    Recall,
    Retrieval,
    SpaceResult,
    Variety,
)
from ds2f.evaluation.retrieval import Ranks
from ds2f.evaluation.subjects import FACE, Subjects
from ds2f.face.attributes import IdentityAttributes
from ds2f.io.images import decode_image
from ds2f.types import FaceLabels, decade_of

PEOPLE = 100
"""Size of a gallery in the field's protocol; smaller if there are fewer people."""
MOST_CLIPS = 5000
"""Maximum number of clips whose faces are all compared with one another; of more, a random subset, the same for all
methods."""


class Scorer:
    """Measures one method after another. curves: {method: R@k for k = 1, 2, ...}, filled in the process."""

    def __init__(
        self,
        subjects: Subjects,
        model: IdentityAttributes,
        draws: int,
        seed: int,
        inception: Inception | None = None,
    ) -> None:
        """Prepare galleries and draws.

        subjects: the clips with their true faces, and the galleries.
        model: estimates age, gender and ethnicity of a drawn face.
        draws: of people, for the intervals.
        seed: of the draws, and of the subset of clips if there are more than MOST_CLIPS.
        inception: for the FID; None: without it.
        """
        self.subjects, self.model, self.inception = subjects, model, inception
        self.people = subjects.measured.people
        self.count = len(self.people)
        self.bootstrap = Bootstrap(self.people, draws, seed)
        gender = subjects.labels.gender
        decades = gender * 100 + decade_of(subjects.labels.age)
        self.within: dict[str, np.ndarray | None] = {"all": None, "gender": gender, "gender_age": decades}
        names = list(dict.fromkeys(self.people))
        self.first = np.array([self.people.index(name) for name in names])  # each person's first clip
        self.of_people = {
            space: (names, np.stack([faces[name].mean(0) for name in names]).astype(np.float64))
            for space, faces in subjects.faces.items()
        }
        self.some = np.sort(np.random.default_rng(seed).permutation(self.count)[:MOST_CLIPS])
        self.curves: dict[str, np.ndarray] = {}

    # ── one method ────────────────────────────────────────────────────────────────────────────────────────────

    def score(self, answers: Answers) -> MethodResult:
        seen = ~np.isnan(answers.vectors[FACE]).any(1)
        found = self._attributes(answers, seen)
        ranks = self._rank(answers, self.subjects.spaces[0], "cosine", "all")
        values = self._per_clip(answers, ranks, found)
        self.curves[answers.name] = ranks.curve()
        return MethodResult(
            name=answers.name,
            kind=answers.kind,
            source=answers.source,
            clips=len(np.unique(answers.clips)),
            pictures=sum(file is not None for file in answers.files),
            faces=int(seen.sum()),
            missing=answers.missing,
            faceless=answers.faceless,
            spaces={space: self._space(answers, space) for space in self.subjects.spaces},
            agreement=self._agreement(answers, found),
            realism=self._realism(answers, seen),
            variety=self._variety(answers, seen),
            groups=self._groups(values),
            per_clip={name: _listed(of_clips) for name, of_clips in values.items()},
            generation=dict(answers.generation),
            judged=self._judged(answers),
        )

    def _rank(self, answers: Answers, space: str, distance: str, gallery: str) -> Ranks:
        truth, vectors = self.subjects.truth(space), answers.vectors[space]
        if distance == "cosine":
            truth, vectors = truth - self.subjects.middle(space), vectors - self.subjects.middle(space)
        return retrieval.rank(vectors, truth, self.people, distance, answers.clips, self.within[gallery])

    def _space(self, answers: Answers, space: str) -> SpaceResult:
        cosine, euclidean = (
            {g: self.retrieval(self._rank(answers, space, distance, g), answers.clips) for g in self.within}
            for distance in ("cosine", "l2")
        )
        return SpaceResult(cosine, euclidean, self._recalls(answers, space), self._distances(answers, space))

    def retrieval(self, ranks: Ranks, clips: np.ndarray, exact: bool = False) -> Retrieval:
        """clips: (m,) int, of the queries; exact: without intervals, for what is calculated rather than measured."""
        choice = ranks.size > 1  # a face alone in its gallery has nothing to be distinguished from

        def measured(values: np.ndarray, median: bool = False) -> Measure:
            of_clips = per_clip(np.where(choice, values, np.nan), clips, self.count)
            found = self.bootstrap.median(of_clips) if median else self.bootstrap.mean(of_clips)
            return Measure(np.nan) if found is None else Measure(found.value) if exact else found

        return Retrieval(
            clips=len(np.unique(clips[choice])),
            gallery=float(np.median(ranks.size[choice])) if choice.any() else 1.0,
            r_at_1=measured(ranks.hit(1)),
            r_at_5=measured(ranks.hit(5)),
            r_at_10=measured(ranks.hit(10)),
            median_rank=measured(ranks.middle, median=True),
            mrr=measured(ranks.reciprocal()),
        )

    def _recalls(self, answers: Answers, space: str) -> dict[str, Recall]:
        """The field's protocol. Not for photos of the person, because the mean of all their faces contains the photo
        itself."""
        asked = [int(np.flatnonzero(answers.clips == clip)[0]) for clip in self.first if clip in answers.clips]
        if answers.own or len(asked) < len(self.first):
            return {}
        names, gallery = self.of_people[space]
        return {
            distance: self._recall(retrieval.rank(answers.vectors[space][asked], gallery, names, distance))
            for distance in retrieval.DISTANCES
        }

    def _recall(self, ranks: Ranks) -> Recall:
        size = min(PEOPLE, len(self.first))

        def measured(k: int) -> Measure:
            values = np.full(self.count, np.nan)
            values[self.first] = ranks.hit_in(k, size)
            found = self.bootstrap.mean(values)
            assert found is not None
            return found

        return Recall(len(self.first), size, measured(1), measured(5), measured(10))

    def _distances(self, answers: Answers, space: str) -> Distances | None:
        true = self.subjects.truth(space)[answers.clips]
        found = []
        for distance in (retrieval.cosine, retrieval.l1, retrieval.l2):
            values = distance(answers.vectors[space], true)
            measure = self.bootstrap.mean(per_clip(values, answers.clips, self.count))
            if measure is None:
                return None
            found.append(measure)
        return Distances(*found)

    # ── attributes, realism, groups ───────────────────────────────────────────────────────────────────────────

    def _attributes(self, answers: Answers, seen: np.ndarray) -> FaceLabels:
        """Of the generated faces, (m,); unknown if there is none."""
        found = FaceLabels(np.full(len(seen), np.nan), np.full(len(seen), -1), np.full(len(seen), -1))
        if seen.any():
            labels = labels_of(self.model.estimate(answers.vectors[FACE][seen].astype(np.float32)))
            found.age[seen], found.gender[seen], found.ethnicity[seen] = labels.age, labels.gender, labels.ethnicity
        return found

    def _agreement(self, answers: Answers, found: FaceLabels) -> Agreement | None:
        return agreement(self.subjects.labels, found, answers.clips, self.bootstrap)

    def _judged(self, answers: Answers) -> dict[str, Judged]:
        """By the attribute models that have judged its faces."""
        found = {
            judge.name: judge_rows(rows, self.subjects.true.judged[judge.key], answers.clips, self.bootstrap)
            for judge in self.subjects.judges
            if (rows := answers.vectors.get(judge.key)) is not None
        }
        return {name: judged for name, judged in found.items() if judged is not None}

    def _realism(self, answers: Answers, seen: np.ndarray) -> tuple[Realism, ...]:
        """Only for pictures, and only for methods with all clips; the shuffled ones are just as real."""
        if not answers.real or answers.kind == "control" or len(np.unique(answers.clips)) < self.count:
            return ()
        seen = seen & np.isin(answers.clips, self.some)
        clips, spaces = answers.clips[seen], self.subjects.spaces
        if min(len(clips), len(self.some)) <= realism.NEIGHBOURS:
            return ()
        features = {s: (answers.vectors[s][seen], self.subjects.truth(s)[self.some]) for s in spaces}
        generated, true = features[FACE]
        features[self.model.name] = self._features(generated), self._features(true)
        if self.inception is not None and INCEPTION in answers.vectors:
            features[INCEPTION] = (answers.vectors[INCEPTION][seen], self._true_inception)
        return tuple(
            realism.measure_realism(space, generated, clips, real, self.some, self.bootstrap)
            for space, (generated, real) in features.items()
        )

    def _features(self, vectors: np.ndarray) -> np.ndarray:
        return self.model.features(vectors.astype(np.float32)).astype(np.float64)

    @cached_property
    def _true_inception(self) -> np.ndarray:
        """(n, 2048) features of the true faces of `some`."""
        assert self.inception is not None
        crops = self.subjects.true.crops
        return self.inception.features([decode_image(crops[i]) for i in self.some])

    def _variety(self, answers: Answers, seen: np.ndarray) -> Variety | None:
        seen = seen & np.isin(answers.clips, self.some)
        vectors, clips = answers.vectors[self.subjects.spaces[0]][seen], answers.clips[seen]
        of_all = self.bootstrap.mean(realism.spread(vectors, clips, self.count))
        if of_all is None:
            return None
        return Variety(self.bootstrap.mean(realism.variety(vectors, clips, self.count)), of_all)

    def _per_clip(self, answers: Answers, ranks: Ranks, found: FaceLabels) -> dict[str, np.ndarray]:
        """{measure: (n,)}, by centred cosine in the first space; several faces of a clip are averaged."""
        space, clips, true = self.subjects.spaces[0], answers.clips, self.subjects.labels
        truth = self.subjects.truth(space)[clips]
        known = found.gender >= 0
        values = {
            "r_at_1": ranks.hit(1),
            "r_at_5": ranks.hit(5),
            "r_at_10": ranks.hit(10),
            "rank": ranks.middle,
            "mrr": ranks.reciprocal(),
            "cosine": retrieval.cosine(answers.vectors[space], truth),
            "l2": retrieval.l2(answers.vectors[space], truth),
            "gender": np.where(known, found.gender == true.gender[clips], np.nan),
            "ethnicity": np.where(known, found.ethnicity == true.ethnicity[clips], np.nan),
            "age": found.age,
            "age_error": np.abs(found.age - true.age[clips]),
        }
        return {name: per_clip(of_faces, clips, self.count) for name, of_faces in values.items()}

    def _groups(self, values: Mapping[str, np.ndarray]) -> tuple[GroupResult, ...]:
        return tuple(
            self._group(kind, name, member, values)
            for kind, (names, place) in self.subjects.groups.items()
            for i, name in enumerate(names)
            if (member := place == i).any()
        )

    def _group(self, kind: str, name: str, member: np.ndarray, values: Mapping[str, np.ndarray]) -> GroupResult:
        own = {measure: np.where(member, of_clips, np.nan) for measure, of_clips in values.items()}
        people = len(np.unique(self.bootstrap.person[member]))
        means = {m: self.bootstrap.mean(own[m]) for m in ("r_at_10", "mrr", "cosine", "gender")}
        return GroupResult(
            kind=kind,
            name=name,
            clips=int(member.sum()),
            people=people,
            few=people < FEW_PEOPLE,
            median_rank=self.bootstrap.median(own["rank"]),
            age_mae=self.bootstrap.mean(own["age_error"]),
            **means,
        )

    # ── chance ────────────────────────────────────────────────────────────────────────────────────────────────────

    def chance(self) -> Chance:
        truth, clips = self.subjects.truth(FACE), np.arange(self.count)
        size = {g: retrieval.rank(truth, truth, self.people, within=within).size for g, within in self.within.items()}
        blind = retrieval.chance(size["all"])
        self.curves["chance"] = blind.curve()
        told = Ranks(blind.low, size["gender"], size["all"])
        self.curves["chance within gender"] = told.curve()
        drawn = min(PEOPLE, len(self.first))

        def recall(factor: int) -> Recall:
            return Recall(len(self.first), drawn, *(Measure(min(1.0, factor * k / drawn)) for k in (1, 5, 10)))

        return Chance(
            retrieval={g: self.retrieval(retrieval.chance(n), clips, exact=True) for g, n in size.items()},
            knowing_gender=self.retrieval(told, clips, exact=True),
            people=recall(1),
            people_knowing_gender=recall(2),
        )


def _listed(values: np.ndarray) -> tuple[float | None, ...]:
    """For JSON: None for NaN, and no more digits than are meaningful."""
    return tuple(None if np.isnan(value) else round(float(value), 6) for value in values)
