"""From two recordings to a score, and scores normalised by those of other speakers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

TOP = 300  # closest cohort speakers that adaptive s-norm uses, as in Matějka et al. 2017
LEAST = 1e-6  # minimum of a standard deviation
_CHUNK = 2**24  # numbers at a time


def score(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> np.ndarray:
    """(n,) scores of n pairs of recordings, higher = more alike.

    One crop each: cos(a, b). Several: −mean_ij |a_i − b_j|, the mean distance over all pairs of crops, as in
    voxceleb_trainer (Chung et al., Interspeech 2020, arXiv:2003.11982), where |a − b|² = 2 − 2 cos(a, b).

    first, second: n of (crops, d) float, rows of length 1.
    """
    if not len(first):
        return np.zeros(0)
    a, b = (np.stack(side).astype(np.float64) for side in (first, second))
    if a.shape[1] == b.shape[1] == 1:
        return np.asarray(np.einsum("nd,nd->n", a[:, 0], b[:, 0]))
    step = max(1, _CHUNK // (a.shape[1] * (b.shape[1] + a.shape[2])))
    found = [_distance(a[i : i + step] @ b[i : i + step].transpose(0, 2, 1)) for i in range(0, len(a), step)]
    return np.concatenate([-distance.mean((1, 2)) for distance in found])


def _distance(cosine: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(2 - 2 * cosine, 0.0))


@dataclass(frozen=True)
class Nearest:
    """Recordings' scores against the cohort's closest speakers. mean, std: (recordings,)."""

    mean: np.ndarray
    std: np.ndarray

    def rows(self, some: np.ndarray) -> Nearest:
        """some: (n,) int, recordings, in any order and with repetition."""
        return Nearest(self.mean[some], self.std[some])


def against(recordings: Sequence[np.ndarray], cohort: np.ndarray, top: int = TOP) -> Nearest:
    """Mean and standard deviation of the scores against the `top` speakers that score highest with each recording.

    recordings: of (crops, d), rows of length 1.
    cohort: (speakers, d), rows of length 1, one per speaker.
    top: all speakers if there are no more.
    """
    count = min(top, len(cohort))
    means, spreads = [], []
    for crops in recordings:
        cosine = crops.astype(np.float64) @ cohort.T.astype(np.float64)
        scores = cosine[0] if len(crops) == 1 else -_distance(cosine).mean(0)
        closest = np.partition(scores, len(scores) - count)[-count:]
        means.append(closest.mean())
        spreads.append(max(float(closest.std()), LEAST))
    return Nearest(np.array(means), np.array(spreads))


def adaptive_s_norm(scores: np.ndarray, first: Nearest, second: Nearest) -> np.ndarray:
    """s' = ½ [(s − µ_e) / σ_e + (s − µ_t) / σ_t], where µ and σ are of the scores of either recording against the
    cohort speakers closest to it (Matějka et al., Interspeech 2017, section 2, "adaptive s-norm 1").

    scores: (n,); first, second: of `against`, for the two recordings of each trial.
    """
    return np.asarray(((scores - first.mean) / first.std + (scores - second.mean) / second.std) / 2)


def speaker_means(vectors: Sequence[np.ndarray], speakers: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """(speakers, d) means of length 1 over all vectors of each speaker, and their names. vectors: of (crops, d) or
    (d,)."""
    gathered: dict[str, list[np.ndarray]] = {}
    for vector, speaker in zip(vectors, speakers, strict=True):
        gathered.setdefault(speaker, []).append(np.atleast_2d(vector).astype(np.float64).mean(0))
    means = np.stack([np.mean(rows, axis=0) for rows in gathered.values()])
    return means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), LEAST), list(gathered)
