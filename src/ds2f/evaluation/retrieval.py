"""Does the generated face retrieve the true one? Ranks in a gallery of real faces, and what chance would give.

The protocol, for each clip of the split:

- the query is the identity vector of the generated face (or of a baseline);
- the gallery is the clip's own true face and the true faces of all clips of *other* people. Further clips of the same
  person are left out of this query's gallery: counting the best of them would leak, since a person with many clips
  would have many chances, and counting them as wrong would penalise retrieving the right person;
- the rank is the position of the clip's own true face when the gallery is sorted by distance, 1 = nearest.

Equal distances are ties, which are broken at random, analytically: the true face may be at any position from `low` to
`high`, and every measure is its expectation over these positions. So a generator that cannot distinguish the faces of
the gallery scores exactly chance, and so does a clip without a (detectable) generated face, whose positions are 1 to n.

R@k in galleries of N people, the field's protocol (Oh et al. 2019, arXiv:1905.09773; SF2F, Bai et al. 2022,
arXiv:2006.05888), does not need sampled galleries: see `Ranks.hit_in`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import hypergeom

from ds2f.models.linear import directions

DISTANCES = ("cosine", "l1", "l2")
_BLOCK = 2**24  # distances held at once, 64 MiB of float32: limits memory for any gallery size
_ROUNDING = 2e-6  # relative to the largest product: float32 distances closer than this are equal


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """1 − a·b / (|a| |b|), in [0, 2]. A zero vector has no direction and is at distance 1 from everything.

    a, b: (..., d), broadcast against each other; also in `l1` and `l2`.
    """
    norms = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return 1.0 - (a * b).sum(-1) / np.maximum(norms, 1e-12)


def l1(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Σ |aᵢ − bᵢ|"""
    return np.abs(a - b).sum(-1)


def l2(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """√ Σ (aᵢ − bᵢ)²; for dlib's vectors, two photos of one person are closer than 0.6."""
    return np.sqrt(((a - b) ** 2).sum(-1))


@dataclass(frozen=True)
class Ranks:
    """The positions that the true face may take for each query, all equally likely.

    low, high: (n,) int64, 1 ≤ low ≤ high ≤ size, equal without a tie; size: (n,) int64, of the gallery.
    """

    low: np.ndarray
    high: np.ndarray
    size: np.ndarray

    @property
    def middle(self) -> np.ndarray:
        """(n,) float64 expected rank; (size + 1) / 2 where there is no generated face."""
        return (self.low + self.high) / 2

    def hit(self, k: int) -> np.ndarray:
        """(n,) float64 probability that the true face is among the first k."""
        return np.clip((k - self.low + 1) / (self.high - self.low + 1), 0.0, 1.0)

    def hit_in(self, k: int, gallery: int) -> np.ndarray:
        """(n,) float64 probability that the true face is among the first k of a gallery of the given size, made of the
        true face and others drawn from the full gallery. The mean over all such galleries, exactly:

            P(fewer than k of the r − 1 nearer faces are drawn),   draws ~ Hypergeometric(size − 1, r − 1, gallery − 1)

        averaged over the tied positions r. With k = 1 it is the N-way choice. A full gallery that is smaller is used
        whole.
        """
        result = np.empty(len(self.size))
        for size in np.unique(self.size):
            rows = self.size == size
            if size == 1:  # nobody else; the distribution is undefined
                result[rows] = 1.0
                continue
            drawn = min(gallery, size) - 1
            chance = hypergeom.cdf(k - 1, size - 1, np.arange(size), drawn)  # (size,), by how many are nearer
            total = np.concatenate([[0.0], np.cumsum(chance)])
            low, high = self.low[rows], self.high[rows]
            result[rows] = (total[high] - total[low - 1]) / (high - low + 1)
        return result

    def reciprocal(self) -> np.ndarray:
        """(n,) float64 E[1/rank] = (H(high) − H(low − 1)) / (high − low + 1), H(m) = Σ 1/j for j ≤ m."""
        harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, int(self.size.max()) + 1))])
        return (harmonic[self.high] - harmonic[self.low - 1]) / (self.high - self.low + 1)

    def curve(self) -> np.ndarray:
        """(max size,) float64: R@k for k = 1, 2, ..., the cumulative match characteristic."""
        steps = np.zeros(int(self.size.max()) + 2)  # each query adds 1 / ties at every position from low to high
        share = 1 / (self.high - self.low + 1)
        np.add.at(steps, self.low, share)
        np.add.at(steps, self.high + 1, -share)
        return np.clip(np.cumsum(np.cumsum(steps))[1:-1] / len(self.low), 0.0, 1.0)


def rank(
    queries: np.ndarray,
    gallery: np.ndarray,
    people: Sequence[str],
    distance: str = "l2",
    clips: np.ndarray | None = None,
    within: np.ndarray | None = None,
) -> Ranks:
    """Ranks of the true faces under the protocol above.

    queries: (m, d), a row of NaN if there is no face.
    gallery: (n, d), row i the true face of clip i.
    people: n names, the person of each clip.
    distance: one of DISTANCES.
    clips: (m,) int, the clip that each query was generated for; None: 0 to n − 1 in order.
    within: (n,) int; if given, only faces of the true face's group are in the gallery.
    """
    clips = np.arange(len(queries)) if clips is None else clips
    names = np.unique(np.asarray(people), return_inverse=True)[1]
    groups = np.zeros(len(gallery), int) if within is None else within
    low, high, size = (np.ones(len(queries), np.int64) for _ in range(3))
    for group in np.unique(groups[clips]):
        inside = np.flatnonzero(groups == group)
        asking = np.flatnonzero(groups[clips] == group)
        own = np.searchsorted(inside, clips[asking])
        found = _rank(queries[asking], gallery[inside], names[inside], own, distance)
        low[asking], high[asking], size[asking] = found
    return Ranks(low, high, size)


def rank_similarity(similarity: np.ndarray, people: Sequence[str], within: np.ndarray | None = None) -> Ranks:
    """The same from any similarities. similarity: (n, n), row i the query of clip i, higher = more alike."""
    names = np.unique(np.asarray(people), return_inverse=True)[1]
    groups = np.zeros(len(names), int) if within is None else within
    gallery = (groups[:, None] == groups) & (names[:, None] != names)  # (n, n), besides the true one
    own = np.diag(similarity)[:, None]
    low = 1 + ((similarity > own) & gallery).sum(1)
    return Ranks(low, low + ((similarity == own) & gallery).sum(1), 1 + gallery.sum(1))


def chance(size: np.ndarray) -> Ranks:
    """Guessing blindly in galleries of n: E[R@k] = k / n, median rank (n + 1) / 2, E[1/rank] = H(n) / n."""
    return Ranks(np.ones_like(size), size, size)


def _rank(
    queries: np.ndarray, gallery: np.ndarray, names: np.ndarray, own: np.ndarray, distance: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(low, high, size). names: (n,) int, the people of the gallery; own: (m,) int, the index of each query's true
    face in it."""
    count = np.bincount(names)[names[own]]  # faces of the same person, the true one included
    size = len(gallery) - count + 1
    low, high = np.ones_like(size), size.copy()
    order = np.argsort(names, kind="stable")
    of_person = np.split(order, np.cumsum(np.bincount(names))[:-1])
    seen = np.flatnonzero(~np.isnan(queries).any(1))
    nearer, level = np.empty(len(gallery), bool), np.empty(len(gallery), bool)
    for rows, block, slack in _similarities(queries[seen], gallery, distance):
        for i, similarity, tie in zip(seen[rows], block, slack, strict=True):
            same, true = of_person[names[own[i]]], similarity[own[i]]
            np.greater(similarity, true + tie, out=nearer)
            np.greater_equal(similarity, true - tie, out=level)
            ahead = np.count_nonzero(nearer) - np.count_nonzero(nearer[same])
            low[i] = 1 + ahead
            high[i] = 1 + np.count_nonzero(level) - np.count_nonzero(level[same])
    return low, high, size


def _similarities(
    queries: np.ndarray, gallery: np.ndarray, distance: str
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Blocks of (their queries, (rows, n) float32 similarities, (rows,) differences within which two are equal).

    Only the order matters, so a single matrix product suffices: for cosine q·g / |g|, and for L2, as |q − g|² = |q|² −
    2 (q·g − |g|²/2), q·g − |g|²/2 with |g|²/2 as an additional column.
    """
    step = max(1, _BLOCK // len(gallery))
    pieces = [slice(at, at + step) for at in range(0, len(queries), step)]
    if distance == "l1":
        for rows in pieces:
            far = cdist(queries[rows], gallery, "cityblock").astype(np.float32)
            yield rows, -far, np.finfo(np.float32).eps * far.max(1)  # summed in double precision
        return
    if distance == "cosine":
        left, right = queries, directions(gallery)
    else:
        centre = gallery.mean(0)  # changes no distance, but keeps the products small
        left, right = queries - centre, gallery - centre
        left = np.append(left, np.ones((len(left), 1)), 1)
        right = np.append(right, -0.5 * (right**2).sum(1, keepdims=True), 1)
    left, right = left.astype(np.float32), np.ascontiguousarray(right.T, np.float32)
    slack = _ROUNDING * np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=0).max(initial=0.0)
    block = np.empty((min(step, len(left)), right.shape[1]), np.float32)
    for rows in pieces:
        part = left[rows]
        yield rows, np.matmul(part, right, out=block[: len(part)]), slack[rows]
