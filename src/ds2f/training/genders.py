"""What a voice tells about gender, learnt additionally from speakers with a stated gender and no known face.

Pairs of a voice and a face are few, and from one kind of recording; speech with its speaker's gender is plentiful, and
of every kind. It only changes what it can teach: the map in a single direction of identity space, that in which the
faces of women and men differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ds2f.dataset import Dataset
from ds2f.dataset.vectors import Zeros, faceless, read_voices
from ds2f.models.conditioning import Condition
from ds2f.models.linear import LinearPrior, Products
from ds2f.types import GENDERS

MIN_FACES, MAX_FACES = 20, 50_000  # per gender, to learn their difference from; more change it little
SHRINKAGE = 0.01  # of the covariance, towards an isotropic one
PAIRS, OTHERS = 0.5, 2.0  # total weight of a gender's voices relative to the pairs and the other's, at most


@dataclass(frozen=True)
class Speakers:
    """k voices of people without a known face. voices: as in `pairs.PairData`; gender: (k,) int, as stated, indices
    into types.GENDERS."""

    voices: dict[str, Condition]
    gender: np.ndarray


def load_speakers(dataset: Dataset, split: str, voices: Sequence[str], zeros: Zeros = np.zeros) -> Speakers:
    """Voices of a split whose speaker's gender is stated by the corpus, and who have no face in the dataset.

    dataset: to read from.
    split: train, val or test.
    voices: speaker encoders, and "acoustics"; only voices stored for the first, as in `pairs.load_pairs`.
    zeros: creates the arrays of vectors.
    """
    seconds = dataset.clip_seconds(voices[0])
    files, gender = faceless(dataset, split, voices[0], seconds).T
    heard = read_voices(dataset, files, voices, seconds, zeros)
    given = {name: Condition(torch.from_numpy(v), torch.from_numpy(there)) for name, (v, there) in heard.items()}
    return Speakers(given, gender)


@dataclass(frozen=True)
class GenderAxis:
    """The direction in which faces of women and men differ, and what speakers of known gender contribute to it.

    With the means μ of the identities of men and women and their covariance S within a gender, Fisher's discriminant
    (Annals of Eugenics 7(2), 1936) is the score y · u of an identity y:

        δ = μ_women − μ_men,   u = S⁻¹ δ / (δᵀ S⁻¹ δ),   so that u · δ = 1

    axis: δ, (di,); score: u, (di,); speakers: for men and for women, products of k voices, (k, dv), and the mean score
    of their gender, (k, 1).
    """

    axis: np.ndarray
    score: np.ndarray
    speakers: tuple[Products, Products]

    @classmethod
    def of(
        cls,
        identity: np.ndarray,
        looks: np.ndarray,
        voice: np.ndarray,
        gender: np.ndarray,
    ) -> GenderAxis | None:
        """None unless there are speakers of both genders, and enough faces of known gender.

        identity: (n, di), faces.
        looks: (n,) int, their gender according to a model, -1 where unknown.
        voice: (k, dv), of the speakers.
        gender: (k,) int, as stated.
        """
        seen, heard = ([np.flatnonzero(of == GENDERS.index(g)) for g in ("male", "female")] for of in (looks, gender))
        if min(map(len, heard)) == 0 or min(map(len, seen)) < MIN_FACES:
            return None
        faces = [identity[rows[:: -(-len(rows) // MAX_FACES)]].astype(np.float64) for rows in seen]
        men, women = (some.mean(0) for some in faces)
        within = np.concatenate([faces[0] - men, faces[1] - women])
        covariance = within.T @ within / len(within)
        even = np.trace(covariance) / len(covariance) * np.eye(len(covariance))
        axis = women - men
        score = np.linalg.solve((1 - SHRINKAGE) * covariance + SHRINKAGE * even, axis)
        score /= score @ axis
        target = np.where(gender == GENDERS.index("female"), women @ score, men @ score)[:, None]
        of_men, of_women = (Products.of(voice, target, rows=rows) for rows in heard)
        return cls(axis, score, (of_men, of_women))

    def shares(self, pairs: int) -> list[float]:
        """The weights of a male and a female speaker's voice relative to one of this many pairs. With too many
        speakers, the pairs would no longer determine who looks more like the other gender; and if a corpus contained
        only men, it would seem that its recording conditions are what men sound like."""
        counts = [voices.count for voices in self.speakers]
        return [min(1.0, PAIRS * pairs / n, OTHERS * m / n) for n, m in zip(counts, counts[::-1], strict=True)]

    def fit(self, pairs: Products, alpha: float) -> LinearPrior:
        """The map W of the pairs, with its score learnt from the speakers as well; means remain those of the pairs:

            w = argmin |X w − Y u|² + Σ_g c_g |X_g w − s_g|² + α |w|²,   W + (w − W u) δᵀ

        X, Y: voices and faces of the pairs; X_g, s_g, c_g: voices of the speakers of a gender, its mean score and their
        weight, see `shares`; all relative to the means of the pairs.

        pairs: products of X and Y.
        alpha: > 0.
        """
        linear = pairs.fit(alpha)
        x, y = pairs.means
        square, cross = pairs.about(x, y)
        wanted = cross @ self.score
        for voices, share in zip(self.speakers, self.shares(pairs.count), strict=True):
            more, told = voices.about(x, y @ self.score)
            square, wanted = square + share * more, wanted + share * told[:, 0]
        weight = np.linalg.solve(square + alpha * np.eye(len(x)), wanted)
        changed = linear.weight + np.outer(weight - linear.weight @ self.score, self.axis)
        return LinearPrior(changed.astype(np.float32), linear.voice_mean, linear.identity_mean)


def fit_map(pairs: Products, alpha: float, axis: GenderAxis | None) -> LinearPrior:
    """The map of the pairs, with the contribution of speakers along the axis if there is one. alpha: > 0."""
    return pairs.fit(alpha) if axis is None else axis.fit(pairs, alpha)
