"""The linear map from voice to identity: ridge regression. The simplest prior, and the baseline to beat.

With voices X (n, dv) and identities Y (n, di), both centred by their means over the training pairs,

    W = argmin |X W − Y|² + α |W|²  =  (XᵀX + α I)⁻¹ Xᵀ Y        (Hoerl & Kennard, Technometrics 12(1), 1970)

The intercept is not penalised, which is what the centring does. No iteration and no seed: the same pairs
always give the same map.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

ALPHAS = tuple(float(a) for a in np.geomspace(1e-3, 1e3, 25))
"""Strengths that `choose_alpha` tries; wide enough for unit-length voices and a hundred to many pairs."""
RANKED = 4000  # pairs, at most, among which `choose_alpha` ranks


@dataclass(frozen=True)
class LinearPrior:
    """identity ≈ (voice − voice_mean) @ weight + identity_mean.

    weight: (dv, di); voice_mean: (dv,); identity_mean: (di,); all float32.
    """

    weight: np.ndarray
    voice_mean: np.ndarray
    identity_mean: np.ndarray

    @classmethod
    def fit(cls, voice: np.ndarray, identity: np.ndarray, alpha: float | None = None) -> LinearPrior:
        """voice: (n, dv), identity: (n, di), one row per clip. alpha > 0; None: `choose_alpha`."""
        if alpha is None:
            alpha = choose_alpha(voice, identity)
        voice, identity = voice.astype(np.float64), identity.astype(np.float64)
        voice_mean, identity_mean = voice.mean(0), identity.mean(0)
        x, y = voice - voice_mean, identity - identity_mean
        weight = np.linalg.solve(x.T @ x + alpha * np.eye(x.shape[1]), x.T @ y)
        return cls(weight.astype(np.float32), voice_mean.astype(np.float32), identity_mean.astype(np.float32))

    def predict(self, voice: np.ndarray) -> np.ndarray:
        """(..., dv) voices to (..., di) float32 identity vectors, the mean of p(identity | voice)."""
        return (voice.astype(np.float32) - self.voice_mean) @ self.weight + self.identity_mean


def left_out(
    voice: np.ndarray, identity: np.ndarray, alphas: Sequence[float], people: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """For each alpha what the map fitted on all others says of each left-out person: (n, di) float64, from the mean.

    people: (n,) int, whose row it is; None: every row is a person of its own. Other clips of a person give away the
    answer, so all of them are left out together. For a linear smoother Ŷ = H Y no refit is needed (Allen's PRESS,
    Technometrics 16(1), 1974; by blocks: Cook & Weisberg 1982, Residuals and Influence in Regression):

        y_g − ŷ₍₋g₎ = (I − H_gg)⁻¹ (y_g − ŷ_g),   H = 1/n + X (XᵀX + α I)⁻¹ Xᵀ = 1/n + U diag(s² / (s² + α)) Uᵀ

    with X = U diag(s) Vᵀ centred; 1/n is the share of the intercept. One decomposition serves every alpha.
    """
    x = voice.astype(np.float64) - voice.mean(0, dtype=np.float64)
    y = identity.astype(np.float64) - identity.mean(0, dtype=np.float64)
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    projected = u.T @ y  # (min(n, dv), di)
    clips = _clips_of(len(x), people)
    for alpha in alphas:
        shrink = s**2 / (s**2 + alpha)
        residual = y - u @ (shrink[:, None] * projected)
        for rows in clips:  # (people, clips of each), all with as many clips
            hat = 1.0 / len(x) + np.einsum("pik,k,pjk->pij", u[rows], shrink, u[rows])
            residual[rows] = np.linalg.solve(np.eye(rows.shape[1]) - hat, residual[rows])
        yield y - residual


def choose_alpha(
    voice: np.ndarray, identity: np.ndarray, alphas: Sequence[float] = ALPHAS, people: np.ndarray | None = None
) -> float:
    """The alpha under which left-out people are found best: by the mean place of their true face among those of others,
    nearest in direction from the mean face to what `left_out` says. voice: (n, dv), identity: (n, di), people: (n,).

    Finding wants less shrinkage than the squared error does, which most of a face, unheard in any voice, decides.
    """
    y = identity.astype(np.float64) - identity.mean(0, dtype=np.float64)
    person = np.arange(len(y)) if people is None else people
    asked = np.arange(len(y))
    if len(y) > RANKED:
        asked = np.random.default_rng(0).choice(len(y), RANKED, replace=False)
    true, others = _directions(y[asked]), person[asked][:, None] != person[asked]
    places = []
    for found in left_out(voice, identity, alphas, people):
        nearness = _directions(found[asked]) @ true.T
        before = (nearness > np.diagonal(nearness)[:, None]) & others
        places.append((before.sum(1) / others.sum(1).clip(1)).mean())
    return float(alphas[int(np.argmin(places))])


def _directions(vectors: np.ndarray) -> np.ndarray:
    result: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)
    return result


def _clips_of(count: int, people: np.ndarray | None) -> list[np.ndarray]:
    """Row numbers of people with one clip, with two, ...: (people, clips) each."""
    if people is None:
        return [np.arange(count)[:, None]]
    order = np.argsort(people, kind="stable")
    each = np.split(order, np.flatnonzero(np.diff(people[order])) + 1)
    return [np.stack([rows for rows in each if len(rows) == size]) for size in sorted({len(rows) for rows in each})]
