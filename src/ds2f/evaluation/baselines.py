"""What must be beaten: identity vectors that need no diffusion, no picture, or no voice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ds2f.dataset.queries import Pair
from ds2f.models.linear import LinearPrior


@dataclass(frozen=True)
class Baseline:
    """vectors: (n, di) float64, one per clip of the split; description: a phrase for the report."""

    name: str
    description: str
    vectors: np.ndarray


def mean_face(train: Sequence[Pair], pairs: Sequence[Pair]) -> Baseline:
    vectors = np.tile(identities(train).mean(0), (len(pairs), 1))
    return Baseline("mean face", "the mean identity vector of the train split, whatever the voice", vectors)


def random_face(pairs: Sequence[Pair], seed: int) -> Baseline:
    """A real face, but somebody else's. It lies in the gallery itself, at distance 0, so its R@1 is 0 and the
    rest stays at chance: what a perfectly real picture without any likeness is worth."""
    rng = np.random.default_rng(seed)
    people = np.array([pair.person for pair in pairs])
    chosen = [rng.choice(np.flatnonzero(people != person)) for person in people]
    vectors = identities(pairs)[chosen]
    return Baseline("random face", "a real face of the same split, of another person", vectors)


def nearest_voice(train: Sequence[Pair], pairs: Sequence[Pair]) -> Baseline:
    """The face of the train clip whose voice is nearest by cosine. In the train split, of another person."""
    known, heard = _unit(voices(train)), _unit(voices(pairs))
    similarity = heard @ known.T  # (n, train)
    names = np.array([pair.person for pair in train])
    for i, pair in enumerate(pairs):
        similarity[i, names == pair.person] = -np.inf
    vectors = identities(train)[similarity.argmax(1)]
    return Baseline("nearest voice", "the face of the train person with the most similar voice", vectors)


def linear_prior(train: Sequence[Pair], pairs: Sequence[Pair]) -> Baseline:
    vectors = LinearPrior.fit(voices(train), identities(train)).predict(voices(pairs)).astype(np.float64)
    return Baseline("linear prior", "ridge regression from voice to identity, fitted on train", vectors)


def baselines(train: Sequence[Pair], pairs: Sequence[Pair], seed: int = 0) -> list[Baseline]:
    """All four, for the clips of `pairs`. Three learn from `train`: with fewer than two people there, they are out."""
    if len({pair.person for pair in train}) < 2:
        return [random_face(pairs, seed)]
    return [
        mean_face(train, pairs),
        random_face(pairs, seed),
        nearest_voice(train, pairs),
        linear_prior(train, pairs),
    ]


def identities(pairs: Sequence[Pair]) -> np.ndarray:
    """(n, di) float64"""
    return np.stack([pair.identity for pair in pairs]).astype(np.float64)


def voices(pairs: Sequence[Pair]) -> np.ndarray:
    """(n, dv) float64"""
    return np.stack([pair.voice for pair in pairs]).astype(np.float64)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
