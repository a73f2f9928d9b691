"""Voice-face matching: whose face is it? From scores to measures, and the scores of a model's alignment and of the
linear map that it has to beat.

Scores are a matrix, (n, n): row i the voice of clip i, column j the face of clip j, higher = fits better. A voice's own
face is right, faces of other people are wrong, and other faces of the same person are left out. The tasks are those of
"Seeing voices and hearing faces" (Nagrani et al. 2018, arXiv:1804.00326) and "Learnable PINs" (Nagrani et al. 2018,
arXiv:1805.00833); within a group of one gender, age and ethnicity, these cannot be used as a shortcut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from ds2f.dataset import Dataset
from ds2f.dataset.recordings import spoken
from ds2f.evaluation.bootstrap import Bootstrap, interval
from ds2f.evaluation.leaks import learnt_from
from ds2f.evaluation.results import Matching, Measure
from ds2f.evaluation.retrieval import Ranks, rank_similarity
from ds2f.evaluation.subjects import FACE, Subjects
from ds2f.evaluation.verification import error_rates, rates_to_auc, rates_to_eer
from ds2f.models import store
from ds2f.models.linear import LinearPrior
from ds2f.models.voices import given

WAYS = tuple(range(2, 11))
_DRAWS = 200  # bootstrap draws for AUC and EER, which use all pairs of every draw
MOST_CLIPS = 5000
"""Maximum number of clips whose voices and faces are all compared with one another; of more, a random subset."""
_MOST_PAIRS = 200_000  # more negatives than this are subsampled


def choice(ranks: Ranks, ways: int) -> np.ndarray:
    """(n,) probability that the true face scores highest among `ways`, the others drawn from those of `ranks`; NaN
    where there are too few. Exact, without drawing: see `Ranks.hit_in`."""
    return np.where(ranks.size >= ways, ranks.hit_in(1, ways), np.nan)


def measure_matching(
    scores: np.ndarray,
    people: Sequence[str],
    groups: Mapping[str, np.ndarray] | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> list[Matching]:
    """Over all faces, and then within each group.

    scores: (n, n), as above.
    people: n names, the person of each clip.
    groups: {name: (n,) int}, such as {"gender": ...}; within a group, only faces with the true face's number are wrong
        ones.
    draws: of the bootstrap over people.
    seed: of the bootstrap, and of the subsample of wrong pairs if there are very many.
    """
    bootstrap = Bootstrap(people, draws, seed)
    found = [_within("", scores, people, None, bootstrap, seed)]
    return found + [_within(name, scores, people, g, bootstrap, seed) for name, g in (groups or {}).items()]


def alone_where_unknown(place: np.ndarray) -> np.ndarray:
    """A group for `measure_matching`: (n,) int, where -1 for unknown becomes a number that nobody else has."""
    return np.where(place < 0, -1 - np.arange(len(place)), place)


def _within(
    name: str,
    scores: np.ndarray,
    people: Sequence[str],
    group: np.ndarray | None,
    bootstrap: Bootstrap,
    seed: int,
) -> Matching:
    person = bootstrap.person
    wrong = person[:, None] != person
    if group is not None:
        wrong &= group[:, None] == group
    voice, face = np.nonzero(wrong)
    if len(voice) > _MOST_PAIRS:
        kept = np.random.default_rng(seed).choice(len(voice), _MOST_PAIRS, replace=False)
        voice, face = voice[kept], face[kept]
    alone = ~wrong.any(1)
    true = np.flatnonzero(~alone)
    voice, face = np.concatenate([true, voice]), np.concatenate([true, face])
    same = np.arange(len(voice)) < len(true)
    area, equal = measure_pairs(scores[voice, face], voice, face, same, bootstrap)
    faces, voices = (_choices(rank_similarity(asked, people, group), bootstrap) for asked in (scores, scores.T))
    return Matching(within=name, clips=len(true), auc=area, eer=equal, choice=faces, voice_choice=voices)


def _choices(ranks: Ranks, bootstrap: Bootstrap) -> dict[int, Measure]:
    found = {n: bootstrap.mean(choice(ranks, n)) for n in WAYS}
    return {n: measure for n, measure in found.items() if measure is not None}


def measure_pairs(
    scores: np.ndarray, voice: np.ndarray, face: np.ndarray, same: np.ndarray, bootstrap: Bootstrap
) -> tuple[Measure | None, Measure | None]:
    """Area under the ROC curve and equal error rate of n pairs; None without pairs of both kinds.

    scores: (n,), higher = more alike.
    voice, face: (n,) int, which of `bootstrap`'s clips they belong to.
    same: (n,) bool.
    bootstrap: a pair of two people counts in a draw once per pair of copies, that is, the product of how often each was
        drawn.
    """
    if not same.any() or same.all():
        return None, None
    order = np.argsort(-scores, kind="stable")  # once: sorting a sorted array is cheap
    scores, voice, face, same = scores[order], voice[order], face[order], same[order]
    drawn = []
    for counts in bootstrap.counts[:_DRAWS]:
        clip = counts[bootstrap.person]
        weights = np.where(same | (voice == face), clip[voice], clip[voice] * clip[face])
        if weights[same].any() and weights[~same].any():
            rates = error_rates(scores, same, weights)
            drawn.append((rates_to_auc(*rates), rates_to_eer(*rates)))
    rates = error_rates(scores, same)
    values = rates_to_auc(*rates), rates_to_eer(*rates)
    if not drawn:
        return Measure(values[0]), Measure(values[1])
    areas, equals = (interval(column) for column in np.array(drawn).T)
    return Measure(values[0], *areas), Measure(values[1], *equals)


def match_split(
    data: Dataset,
    split: str,
    subjects: Subjects,
    folder: Path,
    draws: int = 1000,
    seed: int = 0,
    allow_leak: bool = False,
) -> tuple[dict[str, tuple[Matching, ...]], str]:
    """{"alignment" or "linear prior": measures}, and why the alignment is missing, "" if it is not.

    data: the dataset.
    split: the one that is measured.
    subjects: its clips and their true faces.
    folder: of the model whose alignment is measured.
    draws: as for `measure_matching`.
    seed: as there, and of the subset of clips if there are very many.
    allow_leak: whether to measure an alignment that was trained on people of the split.
    """
    some = np.sort(np.random.default_rng(seed).permutation(len(subjects.measured.pairs))[:MOST_CLIPS])
    people = [subjects.measured.people[i] for i in some]
    groups = {name: place[some] for name, place in _groups(subjects).items()}
    leak = "" if allow_leak else learnt_from(data, split, folder, "alignment")
    scores = leak or aligned(data, split, subjects, folder, some)
    found = {"alignment": scores, "linear prior": linear(subjects, some)}
    measured = {
        name: tuple(measure_matching(one, people, groups, draws, seed))
        for name, one in found.items()
        if isinstance(one, np.ndarray)
    }
    return measured, scores if isinstance(scores, str) else ""


@torch.no_grad()
def aligned(data: Dataset, split: str, subjects: Subjects, folder: Path, some: np.ndarray) -> np.ndarray | str:
    """(n, n) scores of every voice with every true face, or why there are none.

    data: the dataset.
    split: the one that is measured.
    subjects: its clips and their true faces.
    folder: of the model whose alignment scores.
    some: (n,) int, the clips that take part.
    """
    if not (folder / "alignment.json").is_file():
        return f"the model in {folder} has no alignment; make it with: ds2f train alignment"
    model = store.load_alignment(folder)
    voices, seconds = model.config.voices, model.config.clip_seconds
    known = {r.video_id: r for r in spoken(data, split)}
    clips = [known[subjects.measured.pairs[i].video_id] for i in some]
    main = next(iter(voices))
    heard = {name: [r.heard(name, seconds) for r in clips] for name in voices}
    lacking = sum(vector is None for vector in heard[main])
    if lacking:
        return (
            f"the alignment in {folder} takes {main} of {seconds:g} s, and {lacking} of {len(clips)} clips have no "
            "such voice; set [audio] encoders and clip_seconds, and run ds2f extract"
        )
    told = {name: given(vectors) for name, vectors in heard.items() if any(v is not None for v in vectors)}
    for name, condition in told.items():
        if condition.value.shape[1] != voices[name]:
            return (
                f"the alignment in {folder} takes {name} with {voices[name]} numbers, the dataset has "
                f"{condition.value.shape[1]}"
            )
    faces = torch.from_numpy(subjects.truth(FACE)[some].astype(np.float32))
    found: np.ndarray = model(model.inputs(told), faces).double().numpy()
    return found


def linear(subjects: Subjects, some: np.ndarray) -> np.ndarray | None:
    """(n, n) cosines of the ridge map's predictions with the true faces of the n clips `some`, both centred by the
    mean face; None without a train split."""
    if subjects.train is None:
        return None
    train = subjects.train
    prior = LinearPrior.fit_to_people(train.voices, train.identities[FACE], train.people)
    return prior.similarity(subjects.measured.voices[some], subjects.truth(FACE)[some])


def _groups(subjects: Subjects) -> dict[str, np.ndarray]:
    """{what wrong faces share with the true one: (n,) int}. A clip for which it is unknown is a group of its own."""
    kinds = ("gender", "age", "ethnicity")
    groups = {kind: alone_where_unknown(subjects.groups[kind][1]) for kind in kinds}
    together = np.unique(np.stack(list(groups.values())), axis=1, return_inverse=True)[1].reshape(-1)
    return {**groups, "gender, age and ethnicity": together}
