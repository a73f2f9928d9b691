"""What a voice says of gender, learnt also from speakers whose gender is stated and whose face nobody has seen.

Pairs of a voice and a face are few, and of one kind of recording; speech with its speaker's gender is plentiful, and of
every kind. What it cannot teach, it leaves alone: it changes the map in one direction of identities, that in which the
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

MIN_FACES, MAX_FACES = 20, 50_000  # of women, and of men, from which their difference is learnt; more change it little
SHRINKAGE = 0.01  # of the covariance, towards as much in every direction


@dataclass(frozen=True)
class Speakers:
    """k voices of people whose face is not known. voices: as of `pairs.PairData`; gender: (k,) int, as stated, places
    in types.GENDERS."""

    voices: dict[str, Condition]
    gender: np.ndarray


def load_speakers(dataset: Dataset, split: str, voices: Sequence[str], zeros: Zeros = np.zeros) -> Speakers:
    """Voices of a split whose speaker's gender the corpus states, and of whom the dataset has no face.

    dataset: that holds them.
    split: train, val or test.
    voices: speaker encoders, and "acoustics"; those that the first describes, as of `pairs.load_pairs`.
    zeros: makes the arrays of vectors.
    """
    seconds = dataset.clip_seconds(voices[0])
    files, gender = faceless(dataset, split, voices[0], seconds).T
    heard = read_voices(dataset, files, voices, seconds, zeros)
    told = {name: Condition(torch.from_numpy(v), torch.from_numpy(there)) for name, (v, there) in heard.items()}
    return Speakers(told, gender)


@dataclass(frozen=True)
class GenderAxis:
    """The direction in which faces of women and men differ, and what speakers of known gender say of it.

    With the means μ of the identities of men and women and their covariance S within a gender, Fisher's discriminant
    (Annals of Eugenics 7(2), 1936) is the score y · u of an identity y:

        δ = μ_women − μ_men,   u = S⁻¹ δ / (δᵀ S⁻¹ δ),   so that u · δ = 1

    axis: δ, (di,); score: u, (di,); speakers: products of k voices, (k, dv), and their gender's mean score, (k, 1).
    """

    axis: np.ndarray
    score: np.ndarray
    speakers: Products

    @classmethod
    def of(
        cls,
        identity: np.ndarray,
        looks: np.ndarray,
        voice: np.ndarray,
        gender: np.ndarray,
    ) -> GenderAxis | None:
        """None where there are no speakers, or too few faces of known gender.

        identity: (n, di), faces.
        looks: (n,) int, their gender as a model sees it, -1 where it is not known.
        voice: (k, dv), of the speakers.
        gender: (k,) int, as stated.
        """
        rows = [np.flatnonzero(looks == GENDERS.index(name)) for name in ("male", "female")]
        if not len(voice) or min(map(len, rows)) < MIN_FACES:
            return None
        faces = [identity[some[:: -(-len(some) // MAX_FACES)]].astype(np.float64) for some in rows]
        men, women = (some.mean(0) for some in faces)
        within = np.concatenate([faces[0] - men, faces[1] - women])
        covariance = within.T @ within / len(within)
        even = np.trace(covariance) / len(covariance) * np.eye(len(covariance))
        axis = women - men
        score = np.linalg.solve((1 - SHRINKAGE) * covariance + SHRINKAGE * even, axis)
        score /= score @ axis
        told = np.where(gender == GENDERS.index("female"), women @ score, men @ score)
        return cls(axis, score, Products.of(voice, told[:, None]))

    def fit(self, pairs: Products, alpha: float) -> LinearPrior:
        """The map W of the pairs, whose score is learnt from the speakers as well; means stay those of the pairs:

            w = argmin |X w − Y u|² + |X′ w − s|² + α |w|²,   W + (w − W u) δᵀ

        X, Y: voices and faces of the pairs; X′, s: voices of the speakers and the mean scores of their genders; all
        from the means of the pairs.

        pairs: products of X and Y.
        alpha: > 0.
        """
        linear = pairs.fit(alpha)
        x, y = pairs.means
        square, cross = pairs.about(x, y)
        more, told = self.speakers.about(x, y @ self.score)
        weight = np.linalg.solve(square + more + alpha * np.eye(len(x)), cross @ self.score + told[:, 0])
        changed = linear.weight + np.outer(weight - linear.weight @ self.score, self.axis)
        return LinearPrior(changed.astype(np.float32), linear.voice_mean, linear.identity_mean)
