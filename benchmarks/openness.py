"""What a voice leaves open, and whether it is drawn: how close the faces for many voices are to real ones as a whole,
how different two seeds of one voice are, and how often the true face is found, depending on voice guidance.

    python benchmarks/openness.py DATABASE --real LFW.db --judge tflite:MobileFaceNet.tflite
        [--draw WEIGHT,TEMPERATURE ...]

Identities and pictures for each voice of validation and test, by `voice_guidance` and `temperature` of [generate]: the
first of a set of four, which is the most typical; two of the others, whose noises are balanced; and one of another set.
Real faces are those of the train split and of another dataset, all in the space of a recogniser in a file that training
has not seen.
Fréchet and kernel distance to the real faces (lower is better), next to those of the true faces of the same voices, and
of pictures of those people's own identities; departure: squared distance of the mean face from that of the real ones;
two seeds, of one set and of two: their centred cosine, next to that of two photographs of one person in the other
dataset and of two people (there with the 5th and 95th of a hundred pairs), and of true faces of people whose voices
give the same prediction (see `same_voice`); two people: share of pairs from one set that are less alike than the
threshold at which photographs of one and of two people are distinguished with equal error rates; first tenth: true face
among the others' true faces.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ds2f.dataset import Dataset
from ds2f.diffusion.plain import SET, first_seeds
from ds2f.evaluation.bootstrap import Bootstrap, interval
from ds2f.evaluation.realism import frechet_distance, kernel_distance
from ds2f.io.images import decode_image
from ds2f.models.linear import directions
from ds2f.speech2face.model import Speech2Face
from ds2f.speech2face.settings import DEFAULT
from face_encoder import places, seen_by

CHOICES = ((1.8, 1.0), (2.0, 1.0), (2.0, 0.8), (2.0, 0.9), (2.0, 0.7), (2.0, 0.6), (2.5, 1.0), (3.0, 0.4))
DRAWS = 1000


class Space:
    """real: (m, d) vectors of real faces, the last of which are photographs of `photographed`; true: (n, d) of the
    people behind n voices, whose names are in `people`."""

    def __init__(
        self,
        judge: str,
        real: Sequence[np.ndarray],
        photographed: Sequence[int],
        true: Sequence[np.ndarray],
        people: Sequence[str],
    ) -> None:
        self._judge = judge
        self.real, self.true = self.vectors(real), self.vectors(true)
        self.people = np.array(people)
        self._draws = Bootstrap(people, DRAWS)
        near, person = directions(self.real[-len(photographed) :] - self.real.mean(0)), np.array(photographed)
        first, second = np.triu_indices(len(near), 1)
        alike, one = (near @ near.T)[first, second], person[first] == person[second]
        self._one, self._two = alike[one], alike[~one]
        missed, confused = (np.sort(values) for values in (self._one, self._two))
        steps = np.linspace(-1, 1, 2001)
        wrong = np.searchsorted(missed, steps) / len(missed) + np.searchsorted(confused, steps) / len(confused) - 1
        self._apart = steps[np.abs(wrong).argmin()]

    def vectors(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """Of canonical crops."""
        return seen_by(self._judge, crops)

    def line(
        self, name: str, first: np.ndarray, second: np.ndarray | None = None, other: np.ndarray | None = None
    ) -> str:
        """For pictures of the n voices, others with a seed of the same set of four, and with one of another set."""
        found = [name, f"{frechet_distance(first, self.real):.3f}", f"{1000 * kernel_distance(first, self.real):.2f}"]
        found += [f"{((first.mean(0) - self.real.mean(0)) ** 2).sum():.3f}"]
        if second is None or other is None:
            return f"| {' | '.join(found)} | | | | |"
        middle = self.real.mean(0)
        alike, apart = ((directions(first - middle) * directions(one - middle)).sum(1) for one in (second, other))
        tenth = (self._first_tenth(first) + self._first_tenth(second)) / 2
        share = "{:.0f} % [{:.0f}-{:.0f}]"
        cosine = "{:.2f} [{:.2f}-{:.2f}]"
        measures = ((alike, cosine), (apart, cosine), (100.0 * (alike < self._apart), share))
        for values, shape in (*measures, (100 * tenth, share.replace("0f", "1f", 1))):
            found.append(shape.format(values.mean(), *interval(self._draws.means(values))))
        return f"| {' | '.join(found)} |"

    def photographs(self) -> list[str]:
        """The lines for real people with several photographs."""
        lines = []
        for name, alike in (("one person", self._one), ("two people", self._two)):
            low, high = np.percentile(alike, (5, 95))
            share = 100 * (alike < self._apart).mean()
            lines.append(
                f"| photographs of {name} | | | | {alike.mean():.2f} [{low:.2f}-{high:.2f}] | | {share:.0f} % | |"
            )
        return lines

    def same_voice(self, expected: np.ndarray) -> str:
        """How alike the true faces of different people are whose voices give the same prediction.

        With f the centred cosine of two people's faces and e that of the predictions for their voices, the
        least-squares line f = a + b e over all pairs of people, at e = 1.

        expected: (n, identity_dim) relative to the average person, for voices whose people `true` shows.
        """
        faces, voices = (directions(one) for one in (self.true - self.true.mean(0), expected))
        first, second = np.triu_indices(len(faces), 1)
        strangers = self.people[first] != self.people[second]
        f, e = ((one @ one.T)[first, second][strangers] for one in (faces, voices))
        slope, start = np.polyfit(e, f, 1)
        return f"| two people whose voices say the same | | | | {start + slope:.2f} | | | |"

    def _first_tenth(self, drawn: np.ndarray) -> np.ndarray:
        """Whether the true face of each is among the most similar tenth; other clips of a person are left out."""
        middle = self.real.mean(0)
        return (places(drawn - middle, self.true - middle, self.people) < 0.1).astype(float)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path)
    parser.add_argument("--real", type=Path, required=True, metavar="DATABASE")
    parser.add_argument("--judge", required=True, metavar="KIND:FILE")
    parser.add_argument("--draw", action="append", metavar="WEIGHT,TEMPERATURE")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--size", type=int, help="pixels of a face (default: the model's own)")
    options = parser.parse_args()
    with Dataset(options.database) as dataset:
        pairs = [pair for split in ("val", "test") for pair in dataset.pairs(split)]
        real = [decode_image(pair.crop) for pair in dataset.pairs("train")]
    with Dataset(options.real) as dataset:
        others = list(dataset.faces())
    real += [decode_image(face.crop) for face in others]
    true, people = [decode_image(pair.crop) for pair in pairs], [pair.person for pair in pairs]
    space = Space(options.judge, real, [face.person for face in others], true, people)
    model = Speech2Face.from_pretrained(options.model, device="cpu", size=options.size)
    voices = np.stack([pair.voice for pair in pairs])
    fours, further = np.split(np.array(first_seeds(2 * len(pairs))), 2)
    seeds = [fours.tolist(), (fours + 1).tolist(), (fours + 2).tolist(), (further + 1).tolist()]
    plain = replace(DEFAULT, watermark=False)
    print(f"{len(pairs)} voices of {len(set(space.people))} people, {len(real)} real faces\n")
    print("| | Fréchet | kernel x1000 | departure | two seeds | of two fours | two people | first tenth |")
    print("|" + " --- |" * 8)
    print(space.line("the true faces themselves", space.true))
    print("\n".join(space.photographs()))
    expected = model.prior.predict_mean(torch.from_numpy(voices)) - model.prior.identity_mean
    print(space.same_voice(expected.numpy()))
    own = model.sample_images(np.stack([pair.identity for pair in pairs]), seeds[0], plain)
    print(space.line("drawn from their own identities", space.vectors(list(own))), flush=True)
    asked = [tuple(map(float, choice.split(","))) for choice in options.draw or ()]
    for weight, temperature in asked or CHOICES:
        asked_for = replace(plain, voice_guidance=weight, temperature=temperature)
        drawn = []
        for numbers in seeds:
            identities = model.identities_to_draw(voices, numbers, asked_for)
            drawn.append(space.vectors(list(model.sample_images(identities, numbers, plain))))
        typical, *samples = drawn
        name, turn = f"guidance {weight:g}, temperature {temperature:g}", np.arange(len(pairs)) % SET
        print(space.line(name, *samples))
        print(space.line("its most typical", typical, samples[0], samples[2]))
        mixed = np.where(turn[:, None] == 0, typical, samples[0])
        print(space.line("one of each set in turn", mixed), flush=True)


if __name__ == "__main__":
    main()
