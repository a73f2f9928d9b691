"""Voice-face matching and verification, for encoders that put voices and faces into one space.

All functions take a similarity matrix, (n, n): row i the voice of clip i, column j the face of clip j, higher = more
alike. The tasks are those of "Seeing voices and hearing faces" (Nagrani et al. 2018, arXiv:1804.00326) and "Learnable
PINs" (Nagrani et al. 2018, arXiv:1805.00833); within a group of one gender, age and ethnicity, the shortcut is gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ds2f.evaluation.bootstrap import Bootstrap, interval
from ds2f.evaluation.results import Measure
from ds2f.evaluation.retrieval import rank_similarity
from ds2f.voice.trials import error_rates, rates_to_eer

WAYS = tuple(range(2, 11))
_DRAWS = 200  # of AUC and EER, which look at all pairs of every draw
_MOST_PAIRS = 1_000_000  # more negatives than this are thinned out


@dataclass(frozen=True)
class Matching:
    """auc: area under the ROC curve; eer: where misses and false alarms are equally frequent; both over all pairs of a
    voice and a face; choice: {N: share of voices whose face is picked out of N}; all in [0, 1], chance 0.5, 0.5, 1/N.

    within: what the wrong faces have in common with the true one, "" for nothing; clips: voices that had a choice.
    """

    within: str
    clips: int
    auc: Measure | None
    eer: Measure | None
    choice: dict[int, Measure]


def auc(similarity: np.ndarray, same: np.ndarray, weights: np.ndarray | None = None) -> float:
    """P(a pair of one person is more alike than a pair of two), a tie counting half: (n,), (n,) bool, to [0, 1].

    The area under `error_rates` by trapezia (Hanley & McNeil, Radiology 143(1), 1982). weights: (n,) of the pairs.
    """
    alarm, miss = error_rates(similarity, same, weights)
    return float(np.trapezoid(1 - miss, alarm))


def eer(similarity: np.ndarray, same: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Equal error rate, in [0, 1]; see `voice.trials.equal_error_rate`."""
    return rates_to_eer(*error_rates(similarity, same, weights))


def n_way(similarity: np.ndarray, people: Sequence[str], ways: int, within: np.ndarray | None = None) -> np.ndarray:
    """(n,) probability that the true face is the most alike among `ways`, the others drawn from all other people (of
    its group); NaN where its group has too few. Exact, without drawing: see `Ranks.hit_in`."""
    ranks = rank_similarity(similarity, people, within)
    return np.where(ranks.size >= ways, ranks.hit_in(1, ways), np.nan)


def measure(
    similarity: np.ndarray,
    people: Sequence[str],
    groups: Mapping[str, np.ndarray] | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> list[Matching]:
    """Everything, over all faces and then within each of `groups`: {name: (n,) int}, such as {"gender": ...}."""
    bootstrap = Bootstrap(people, draws, seed)
    found = [_measure("", similarity, people, None, bootstrap, seed)]
    return found + [_measure(name, similarity, people, g, bootstrap, seed) for name, g in (groups or {}).items()]


def _measure(
    within: str,
    similarity: np.ndarray,
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
    choice = {n: bootstrap.mean(n_way(similarity, people, n, group)) for n in WAYS}
    return Matching(
        within=within,
        clips=len(true),
        auc=_pairs(auc, similarity, voice, face, same, bootstrap),
        eer=_pairs(eer, similarity, voice, face, same, bootstrap),
        choice={n: measure for n, measure in choice.items() if measure is not None},
    )


def _pairs(
    statistic: object,
    similarity: np.ndarray,
    voice: np.ndarray,
    face: np.ndarray,
    same: np.ndarray,
    bootstrap: Bootstrap,
) -> Measure | None:
    """A pair of two people counts as often as both were drawn: once per pair of their copies."""
    assert callable(statistic)
    if not same.any() or same.all():
        return None
    order = np.argsort(-similarity[voice, face], kind="stable")  # once: sorting what is sorted costs little
    voice, face, same = voice[order], face[order], same[order]
    scores = similarity[voice, face]
    found = []
    for counts in bootstrap.counts[:_DRAWS]:
        clip = counts[bootstrap.person]
        weights = np.where(same, clip[voice], clip[voice] * clip[face])
        if weights[same].any() and weights[~same].any():
            found.append(statistic(scores, same, weights))
    return Measure(float(statistic(scores, same)), *interval(np.array(found)))
