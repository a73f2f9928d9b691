"""The linear map from voice to identity: ridge regression. The simplest prior, and the baseline to beat.

With voices X (n, dv) and identities Y (n, di), both centred by their means over the training pairs,

    W = argmin |X W − Y|² + α |W|²  =  (XᵀX + α I)⁻¹ Xᵀ Y        (Hoerl & Kennard, Technometrics 12(1), 1970)

The intercept is not penalised, which is what centring achieves. There is no iteration and no seed: the same pairs
always give the same map.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

People = Sequence[object] | np.ndarray
"""Which person each row belongs to: n names or numbers."""
ALPHAS = tuple(float(a) for a in np.geomspace(1e-3, 1e3, 25))
"""Values that `choose_alpha` tries; a wide enough range for unit-length voices and from a hundred to many pairs."""
BLOCK = 8192  # pairs processed at a time, wherever they are stored
CHOSEN_ON = 50_000  # pairs, at most, of whole people, that `choose_alpha` uses; more make little difference
RANKED = 4000  # pairs, at most, that `choose_alpha` ranks


@dataclass(frozen=True)
class LinearPrior:
    """identity ≈ (voice − voice_mean) @ weight + identity_mean.

    weight: (dv, di); voice_mean: (dv,); identity_mean: (di,); all float32.
    """

    weight: np.ndarray
    voice_mean: np.ndarray
    identity_mean: np.ndarray

    @classmethod
    def fit(cls, voice: np.ndarray, identity: np.ndarray, alpha: float) -> LinearPrior:
        """voice: (n, dv), identity: (n, di), one row per clip; alpha > 0."""
        return Products.of(voice, identity).fit(alpha)

    @classmethod
    def fit_to_people(cls, voice: np.ndarray, identity: np.ndarray, people: People) -> LinearPrior:
        """With the alpha that is best for people left out; see `choose_alpha`."""
        return cls.fit(voice, identity, choose_alpha(voice, identity, people))

    def predict(self, voice: np.ndarray) -> np.ndarray:
        """(..., dv) voices to (..., di) float32 identity vectors, the mean of p(identity | voice)."""
        return (voice.astype(np.float32) - self.voice_mean) @ self.weight + self.identity_mean

    def similarity(self, voice: np.ndarray, identity: np.ndarray) -> np.ndarray:
        """(n, m) cosines between the identities predicted for n voices, (n, dv), and m faces, (m, di), both relative to
        the mean face."""
        expected, true = self.predict(voice) - self.identity_mean, identity - self.identity_mean
        return np.asarray(directions(expected) @ directions(true).T)


@dataclass(frozen=True)
class Products:
    """The sufficient statistics of n pairs for the map, whatever n is: sums of x, y, xᵀx and xᵀy, with x and y relative
    to `origin`. To fit the map without some of the pairs, their statistics are subtracted from those of all.

    count: n; x: (dv,); y: (di,); xx: (dv, dv); xy: (dv, di); origin: (dv,) and (di,); all float64.
    """

    count: int
    x: np.ndarray
    y: np.ndarray
    xx: np.ndarray
    xy: np.ndarray
    origin: tuple[np.ndarray, np.ndarray]

    @classmethod
    def of(
        cls,
        voice: np.ndarray,
        identity: np.ndarray,
        origin: tuple[np.ndarray, np.ndarray] | None = None,
        rows: np.ndarray | None = None,
    ) -> Products:
        """voice: (n, dv).
        identity: (n, di).
        origin: None for the means.
        rows: (k,) int, to use only these; None for all.
        """
        rows = np.arange(len(voice)) if rows is None else rows
        if origin is None:
            origin = voice.mean(0, dtype=np.float64), identity.mean(0, dtype=np.float64)
        dv, di = voice.shape[1], identity.shape[1]
        x_sum, y_sum, xx, xy = np.zeros(dv), np.zeros(di), np.zeros((dv, dv)), np.zeros((dv, di))
        for start in range(0, len(rows), BLOCK):
            part = rows[start : start + BLOCK]
            x, y = voice[part] - origin[0], identity[part] - origin[1]
            x_sum, y_sum, xx, xy = x_sum + x.sum(0), y_sum + y.sum(0), xx + x.T @ x, xy + x.T @ y
        return cls(len(rows), x_sum, y_sum, xx, xy, origin)

    def __sub__(self, some: Products) -> Products:
        """Of the pairs without some of them. some: with the same origin."""
        sums = (self.x - some.x, self.y - some.y, self.xx - some.xx, self.xy - some.xy)
        return Products(self.count - some.count, *sums, self.origin)

    @property
    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """Of voices and identities, (dv,) and (di,) float64."""
        return self.origin[0] + self.x / self.count, self.origin[1] + self.y / self.count

    def about(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sums of xᵀx and xᵀy, (dv, dv) and (dv, di), with x and y relative to another origin, (dv,) and (di,)."""
        x, y = x - self.origin[0], y - self.origin[1]
        square = self.xx - np.outer(x, self.x) - np.outer(self.x, x) + self.count * np.outer(x, x)
        cross = self.xy - np.outer(x, self.y) - np.outer(self.x, y) + self.count * np.outer(x, y)
        return square, cross

    def fit(self, alpha: float) -> LinearPrior:
        """The map of these pairs. alpha: > 0."""
        means = self.means
        square, cross = self.about(*means)
        weight = np.linalg.solve(square + alpha * np.eye(len(square)), cross)
        return LinearPrior(weight.astype(np.float32), *(mean.astype(np.float32) for mean in means))


def left_out(voice: np.ndarray, identity: np.ndarray, people: People, alphas: Sequence[float]) -> Iterator[np.ndarray]:
    """For each alpha, the predictions for each left-out person of a map fitted on all others: (n, di) float64, relative
    to the mean.

    people: which person each row belongs to, n names or numbers. Other clips of a person would give away the answer, so
    all of them are left out together. For a linear smoother Ŷ = H Y no refit is needed (Allen's PRESS, Technometrics
    16(1), 1974; by blocks: Cook & Weisberg 1982, Residuals and Influence in Regression):

        y_g − ŷ₍₋g₎ = (I − H_gg)⁻¹ (y_g − ŷ_g),   H = 1/n + X (XᵀX + α I)⁻¹ Xᵀ = 1/n + U diag(s² / (s² + α)) Uᵀ

    with X = U diag(s) Vᵀ centred; 1/n is the share of the intercept. One decomposition serves every alpha.
    """
    x = voice.astype(np.float64) - voice.mean(0, dtype=np.float64)
    y = identity.astype(np.float64) - identity.mean(0, dtype=np.float64)
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    projected = u.T @ y  # (min(n, dv), di)
    clips = _clips_of(_numbered(people))
    for alpha in alphas:
        shrink = s**2 / (s**2 + alpha)
        residual = y - u @ (shrink[:, None] * projected)
        for rows in clips:  # (people, clips of each), all with the same number of clips
            hat = 1.0 / len(x) + (u[rows] * shrink) @ u[rows].swapaxes(1, 2)
            residual[rows] = np.linalg.solve(np.eye(rows.shape[1]) - hat, residual[rows])
        yield y - residual


def choose_alpha(voice: np.ndarray, identity: np.ndarray, people: People, alphas: Sequence[float] = ALPHAS) -> float:
    """The alpha with which left-out people are retrieved best: by the mean rank of their true face among those of
    others, by cosine, relative to the mean face, to the predictions of `left_out`. voice: (n, dv), identity: (n, di),
    people: n names or numbers; without knowing which clips share a person, a person's other clips would suggest that
    hardly any shrinkage is needed.

    Retrieval favours less shrinkage than squared error does, which is dominated by everything about a face that no
    voice reveals.
    """
    person = _numbered(people)
    if len(person) > CHOSEN_ON:
        counts = np.bincount(person)
        drawn = np.random.default_rng(0).permutation(len(counts))
        some = drawn[: max(2, int(np.searchsorted(np.cumsum(counts[drawn]), CHOSEN_ON)))]
        rows = np.flatnonzero(np.isin(person, some))
        voice, identity, person = voice[rows], identity[rows], person[rows]
    y = identity.astype(np.float64) - identity.mean(0, dtype=np.float64)
    asked = np.arange(len(y))
    if len(y) > RANKED:
        asked = np.random.default_rng(0).choice(len(y), RANKED, replace=False)
    true, others = directions(y[asked]), person[asked][:, None] != person[asked]
    places = []
    for found in left_out(voice, identity, person, alphas):
        nearness = directions(found[asked]) @ true.T
        before = (nearness > np.diagonal(nearness)[:, None]) & others
        places.append((before.sum(1) / others.sum(1).clip(1)).mean())
    return float(alphas[int(np.argmin(places))])


def directions(vectors: np.ndarray) -> np.ndarray:
    """Rows normalised to length 1, (n, d); a row of zeros, which has no direction, is unchanged."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12))


def _numbered(people: People) -> np.ndarray:
    """(n,) int, equal for rows of one person."""
    return np.unique(np.asarray(people), return_inverse=True)[1]


def _clips_of(people: np.ndarray) -> list[np.ndarray]:
    """Row numbers of people with one clip, with two, ...: each (people, clips). people: (n,) int."""
    order = np.argsort(people, kind="stable")
    each = np.split(order, np.flatnonzero(np.diff(people[order])) + 1)
    return [np.stack([rows for rows in each if len(rows) == size]) for size in sorted({len(rows) for rows in each})]
