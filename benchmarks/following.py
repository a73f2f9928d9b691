"""How far a face should move in the direction of the voice, and how much of the rest should be left to chance.

    python benchmarks/following.py DATABASE [--draw WEIGHT,TEMPERATURE ...] [--images FOLDER ...]

Uses all pairs of train and validation, in ten folds by person: identities come from a linear map that has not seen the
person, but was also fitted to the dataset's voices of stated gender without a face, and are ranked among all of them.
By centred cosine and by Euclidean distance: share of true faces in the first tenth of the gallery, and median rank in
per cent of it; gender, and years older than the true identity, by the attribute model; variety: distance between two
draws for one voice; distance: from the mean person (real ones: 0.58). --draw: also draws pictures of 64 px for some
choices. --images: folders of another method's pictures for the same clips.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from ds2f.dataset import Dataset
from ds2f.diffusion.noise import normal_by_seed, typical_first_by_seed
from ds2f.diffusion.plain import first_seeds
from ds2f.evaluation import retrieval
from ds2f.evaluation.embed import embed_pictures, embedder, find_pictures
from ds2f.face.attributes import IdentityAttributes
from ds2f.face.dlib_resnet import network_file
from ds2f.face.dlib_torch import embed_crops, load_dlib
from ds2f.models.linear import LinearPrior, Products, choose_alpha
from ds2f.speech2face.imagine import around_expected
from ds2f.speech2face.model import Speech2Face
from ds2f.training.genders import GenderAxis, fit_map, load_speakers
from ds2f.training.pairs import folds
from ds2f.training.prior import FOLDS
from ds2f.types import GENDERS, VOICE

SPLITS = ("train", "val")
CHOICES = (
    (1.0, 1.0),  # a possible person: the prediction for the voice, and everything that it leaves open
    *((weight, 0.0) for weight in (1.0, 1.8, 2.0, 3.0, 4.0)),
    (1.8, 1.0),
    *((weight, temperature) for weight in (2.0, 2.5, 3.0, 4.0) for temperature in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0)),
)
DRAWS = 3
Noise = Callable[..., torch.Tensor]


class Study:
    """identity: (n, 128), the true ones; expected, others: the predictions for a voice by the map of the other folds,
    and their mean person."""

    def __init__(self, database: Path, size: int = 64) -> None:
        self.database = database
        with Dataset(database) as dataset:
            self.pairs = [pair for split in SPLITS for pair in dataset.pairs(split)]
            speakers = load_speakers(dataset, "train", (VOICE,))
        self.identity = np.stack([pair.identity for pair in self.pairs])
        self.people = [pair.person for pair in self.pairs]
        voice = self.voice = np.stack([pair.voice for pair in self.pairs])
        person = self.person = np.unique(self.people, return_inverse=True)[1]
        fold = folds(person, FOLDS)
        self.average = self.identity.mean(0)
        self.model, self.attributes = Speech2Face.from_pretrained(device="cpu", size=size), IdentityAttributes()
        self.dlib = load_dlib(network_file())
        looks = self.attributes.estimate(self.identity)
        self.female, self.age = looks.female > 0.5, looks.age
        told = speakers.voices[VOICE].value.numpy(), speakers.gender
        self.expected, self.others = np.empty_like(self.identity), np.empty_like(self.identity)
        for out in (fold == k for k in range(FOLDS)):
            linear = self.map(*told, known=~out)
            self.expected[out], self.others[out] = linear.predict(voice[out]), linear.identity_mean

    def map(self, voice: np.ndarray, gender: np.ndarray, known: np.ndarray | None = None) -> LinearPrior:
        """From the known pairs, (n,) bool, None for all, and from the gender, (k,) int, indices into types.GENDERS, of
        voices without a face, (k, d); none for k = 0."""
        known = np.ones(len(self.identity), bool) if known is None else known
        heard, identity = self.voice[known], self.identity[known]
        pairs, alpha = Products.of(heard, identity), choose_alpha(heard, identity, self.person[known])
        looks = np.where(self.female[known], GENDERS.index("female"), GENDERS.index("male"))
        return fit_map(pairs, alpha, GenderAxis.of(identity, looks, voice, gender))

    def seeds(self, seed: int) -> list[int]:
        """One seed of a set of four for each pair: seed in [0, 3]."""
        return [first + seed for first in first_seeds(len(self.pairs))]

    def draw(self, weight: float, temperature: float, seed: int, noise: Noise = typical_first_by_seed) -> np.ndarray:
        """(n, 128) as `Speech2Face.identities_to_draw`, around the predictions of the folds. noise: by seed; if not
        normal, seed 0 draws the most typical person at any temperature."""
        return self.around(self.expected, self.others, weight, temperature, self.seeds(seed), noise)

    @torch.no_grad()
    def around(
        self,
        expected: np.ndarray,
        average: np.ndarray,
        weight: float,
        temperature: float,
        seeds: Sequence[int],
        noise: Noise = typical_first_by_seed,
    ) -> np.ndarray:
        """People around the predictions for their voices: (m, 128) each, except for a single average person, (128,) or
        (m, 128)."""
        drawn = noise(seeds, expected.shape[1], stream=0, to=torch.device("cpu"))
        there, middle = (torch.from_numpy(values).float() for values in (expected, average))
        found: np.ndarray = around_expected(self.model.prior, there, middle, drawn, temperature, weight).numpy()
        return found

    def measure(self, found: np.ndarray, rows: np.ndarray | None = None) -> list[float]:
        """For the identities found for the pairs, or for some of them: (m, 128)."""
        rows = np.arange(len(found)) if rows is None else rows
        true, people = self.identity[rows], [self.people[i] for i in rows]
        numbers = []
        for offset, distance in ((self.average, "cosine"), (0 * self.average, "l2")):
            ranks = retrieval.rank(found - offset, true - offset, people, distance)
            place = ranks.middle / ranks.size
            numbers += [100 * float((place <= 0.1).mean()), 100 * float(np.median(place))]
        looks = self.attributes.estimate(found)
        right = (looks.female > 0.5) == self.female[rows]
        return [*numbers, 100 * float(right.mean()), float((looks.age - self.age[rows]).mean())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path)
    parser.add_argument("--draw", metavar="WEIGHT,TEMPERATURE", nargs="*", default=[])
    parser.add_argument("--images", type=Path, nargs="+", default=[], metavar="FOLDER")
    options = parser.parse_args()
    study = Study(options.database)
    print(f"{len(study.pairs)} pairs of {len(set(study.people))} people\n")
    head = ("voice guidance", "temperature", "first tenth", "median", "L2: first tenth", "median", "gender", "older")
    print(f"| {' | '.join((*head, 'variety', 'distance'))} |")
    print("|" + " --- |" * 10)
    for weight, temperature in CHOICES:
        drawn = [study.draw(weight, temperature, seed, normal_by_seed) for seed in range(DRAWS)]
        spread = [float(retrieval.l2(drawn[0], other).mean()) for other in (drawn[1], study.average[None])]
        _row(f"{weight:g} | {temperature:g}", np.mean([study.measure(one) for one in drawn], 0), *spread)
    for weight, temperature in (map(float, choice.split(",")) for choice in options.draw):
        pictures = study.model.sample_images(study.draw(weight, temperature, 0, normal_by_seed), study.seeds(0))
        _row(f"{weight:g}, pictures | {temperature:g}", study.measure(embed_crops(pictures, study.dlib)))
    for folder in options.images:
        files, look = find_pictures(folder, study.pairs), embedder(["dlib"])
        vectors = embed_pictures(folder.name, folder, files, look, {"dlib": 128}, lambda: None).vectors["dlib"]
        rows = np.flatnonzero(np.isfinite(vectors).all(1))
        _row(f"{folder.name}, {len(rows)} pictures |", study.measure(vectors[rows].astype(np.float32), rows))


def _row(name: str, numbers: list[float] | np.ndarray, *spread: float) -> None:
    cells = [f"{number:.1f} %" for number in numbers[:-1]] + [f"{numbers[-1]:+.1f}"]
    cells += [f"{number:.2f}" for number in spread]
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
