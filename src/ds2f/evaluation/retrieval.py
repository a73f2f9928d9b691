"""Does the generated face find the true one? Ranks in a gallery of real faces, and what chance would give.

The protocol, for each clip of the split:

- the query is the identity vector of the generated face (or of a baseline);
- the gallery is the clip's own true face and the true faces of all clips of *other* people. Further clips of
  the same person are left out of this query's gallery: counting the best of them would leak, since a person
  with many clips would have many chances, and counting them as wrong would punish a hit on the right person;
- the rank is the place of the clip's own true face when the gallery is sorted by distance, 1 = nearest.

Equal distances are ties, and a tie is broken by a fair coin, on paper: the true face may come anywhere from
`low` to `high`, and every measure is its expectation over those places. So a generator that cannot tell the
gallery apart scores exactly chance, and so does a clip without a (detectable) generated face, whose places
are 1 to n.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(..., d) and (..., d), broadcast against each other, to (...) distances."""


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """1 − a·b / (|a| |b|), in [0, 2]. A zero vector points nowhere and is at distance 1 from everything."""
    norms = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return 1.0 - (a * b).sum(-1) / np.maximum(norms, 1e-12)


def l1(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Σ |aᵢ − bᵢ|"""
    return np.abs(a - b).sum(-1)


def l2(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """√ Σ (aᵢ − bᵢ)²; for dlib's vectors, two photos of one person lie nearer than 0.6."""
    return np.sqrt(((a - b) ** 2).sum(-1))


@dataclass(frozen=True)
class Ranks:
    """The places that the true face may take for each query, all equally likely.

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

    def reciprocal(self) -> np.ndarray:
        """(n,) float64 E[1/rank] = (H(high) − H(low − 1)) / (high − low + 1), H(m) = Σ 1/j for j ≤ m."""
        harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, int(self.size.max()) + 1))])
        return (harmonic[self.high] - harmonic[self.low - 1]) / (self.high - self.low + 1)

    def curve(self) -> np.ndarray:
        """(max size,) float64: R@k for k = 1, 2, ..., the cumulative match characteristic."""
        return np.array([self.hit(k).mean() for k in range(1, int(self.size.max()) + 1)])


def rank(queries: np.ndarray, gallery: np.ndarray, people: Sequence[str], distance: Distance = l2) -> Ranks:
    """Ranks of the true faces under the protocol above.

    queries: (n, d), row i generated for clip i, a row of NaN where there is no face; gallery: (n, d), row i
    the true face of clip i; people: n names, whose clip it is.
    """
    names = np.unique(np.asarray(people), return_inverse=True)[1]
    low, high, size = (np.empty(len(queries), np.int64) for _ in range(3))
    for i, query in enumerate(queries):  # row by row: equal faces give equal distances to the last bit
        others = names != names[i]
        size[i] = others.sum() + 1
        if np.isnan(query).any():
            low[i], high[i] = 1, size[i]
            continue
        distances = distance(query, gallery)
        low[i] = 1 + (distances[others] < distances[i]).sum()
        high[i] = low[i] + (distances[others] == distances[i]).sum()
    return Ranks(low, high, size)


def chance(size: np.ndarray) -> Ranks:
    """Guessing blindly in galleries of n: E[R@k] = k / n, median rank (n + 1) / 2, E[1/rank] = H(n) / n."""
    return Ranks(np.ones_like(size), size, size)
