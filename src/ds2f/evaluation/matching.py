"""Voice-face matching and verification, for encoders that put voices and faces into one space.

All functions take a similarity matrix, (n, n): row i the voice of clip i, column j the face of clip j, higher = more
alike. The tasks are those of "Seeing voices and hearing faces" (Nagrani et al. 2018, arXiv:1804.00326) and "Learnable
PINs" (Nagrani et al. 2018, arXiv:1805.00833); within a group of one gender, age and ethnicity, the shortcut is gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ds2f.evaluation.bootstrap import Bootstrap, interval
from ds2f.evaluation.results import Matching, Measure
from ds2f.evaluation.retrieval import Ranks, rank_similarity
from ds2f.evaluation.verification import error_rates, rates_to_auc, rates_to_eer

WAYS = tuple(range(2, 11))
_DRAWS = 200  # of AUC and EER, which look at all pairs of every draw
_MOST_PAIRS = 200_000  # more negatives than this are thinned out


def n_way(similarity: np.ndarray, people: Sequence[str], ways: int, within: np.ndarray | None = None) -> np.ndarray:
    """(n,) probability that the true face is the most alike among `ways`, the others drawn from all other people (of
    its group); NaN where its group has too few. Exact, without drawing: see `Ranks.hit_in`."""
    return _choice(rank_similarity(similarity, people, within), ways)


def _choice(ranks: Ranks, ways: int) -> np.ndarray:
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
    area, equal = _pairs(similarity[voice, face], voice, face, same, bootstrap)
    ranks = rank_similarity(similarity, people, group)
    choice = {n: bootstrap.mean(_choice(ranks, n)) for n in WAYS}
    return Matching(
        within=within,
        clips=len(true),
        auc=area,
        eer=equal,
        choice={n: measure for n, measure in choice.items() if measure is not None},
    )


def _pairs(
    scores: np.ndarray, voice: np.ndarray, face: np.ndarray, same: np.ndarray, bootstrap: Bootstrap
) -> tuple[Measure | None, Measure | None]:
    """AUC and equal error rate. A pair of two people counts as often as both were drawn: once per pair of copies."""
    if not same.any() or same.all():
        return None, None
    order = np.argsort(-scores, kind="stable")  # once: sorting what is sorted costs little
    scores, voice, face, same = scores[order], voice[order], face[order], same[order]
    drawn = []
    for counts in bootstrap.counts[:_DRAWS]:
        clip = counts[bootstrap.person]
        weights = np.where(same, clip[voice], clip[voice] * clip[face])
        if weights[same].any() and weights[~same].any():
            rates = error_rates(scores, same, weights)
            drawn.append((rates_to_auc(*rates), rates_to_eer(*rates)))
    rates = error_rates(scores, same)
    values = rates_to_auc(*rates), rates_to_eer(*rates)
    if not drawn:
        return Measure(values[0]), Measure(values[1])
    areas, equals = (interval(column) for column in np.array(drawn).T)
    return Measure(values[0], *areas), Measure(values[1], *equals)
