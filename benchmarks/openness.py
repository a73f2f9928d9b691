"""What a voice leaves open, drawn or not: how near the faces for many voices are to real ones, all together, how far
two seeds of one voice lie apart, and how often the true face is found, by how far a face follows the voice.

python benchmarks/openness.py DATABASE --real LFW.db --judge tflite:MobileFaceNet.tflite [--draw WEIGHT,TEMPERATURE ...]

One identity and one picture for each voice of validation and test, twice, by `voice_guidance` and `temperature` of
[generate]; real faces are those of the train split and of another dataset. All in the space of a recogniser in a file
that training has not seen. Fréchet and kernel distance to the real faces, lower is better, beside what the true faces
of the same voices score, and pictures of those people's own identities; departure: squared distance of the mean face
from that of the real ones; two seeds: their centred cosine, beside that of two photographs of one person of the other
dataset (there with the 5th and 95th of a hundred pairs); first tenth: true face among the others' true faces.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ds2f.dataset import Dataset
from ds2f.evaluation.bootstrap import Bootstrap, interval
from ds2f.evaluation.realism import frechet_distance, kernel_distance
from ds2f.io.images import decode_image
from ds2f.models.linear import directions
from ds2f.speech2face.model import Speech2Face
from ds2f.speech2face.settings import DEFAULT
from face_encoder import places, seen_by

CHOICES = ((2.0, 0.4), (2.0, 0.5), (2.0, 0.6), (2.0, 0.7), (2.25, 0.7), (2.5, 0.7), (3.0, 0.4))
BATCH = 32
DRAWS = 1000


class Space:
    """real: (m, d) vectors of real faces; true: (n, d) of the people behind n voices, whose names `people` has."""

    def __init__(
        self, judge: str, real: Sequence[np.ndarray], true: Sequence[np.ndarray], people: Sequence[str]
    ) -> None:
        self._judge = judge
        self.real, self.true = self.vectors(real), self.vectors(true)
        self.people = np.array(people)
        self._draws = Bootstrap(people, DRAWS)

    def vectors(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """Of canonical crops."""
        parts = (list(crops[i : i + BATCH]) for i in range(0, len(crops), BATCH))
        return np.concatenate([seen_by(self._judge, part) for part in parts])

    def line(self, name: str, first: np.ndarray, second: np.ndarray | None = None) -> str:
        """Of pictures for the n voices, and others by another seed."""
        found = [name, f"{frechet_distance(first, self.real):.3f}", f"{1000 * kernel_distance(first, self.real):.2f}"]
        found += [f"{((first.mean(0) - self.real.mean(0)) ** 2).sum():.3f}"]
        if second is None:
            return f"| {' | '.join(found)} | | |"
        middle = self.real.mean(0)
        alike = (directions(first - middle) * directions(second - middle)).sum(1)
        tenth = (self._first_tenth(first) + self._first_tenth(second)) / 2
        for values, shape in ((alike, "{:.2f} [{:.2f}-{:.2f}]"), (100 * tenth, "{:.1f} % [{:.0f}-{:.0f}]")):
            found.append(shape.format(values.mean(), *interval(self._draws.means(values))))
        return f"| {' | '.join(found)} |"

    def photographs(self, faces: np.ndarray, people: Sequence[int]) -> str:
        """The line of real people with several photographs: (m, d)."""
        near, person = directions(faces - self.real.mean(0)), np.array(people)
        first, second = np.triu_indices(len(near), 1)
        alike = (near @ near.T)[first, second][person[first] == person[second]]
        low, high = np.percentile(alike, (5, 95))
        return f"| two photographs of one person | | | | {alike.mean():.2f} [{low:.2f}-{high:.2f}] | |"

    def _first_tenth(self, drawn: np.ndarray) -> np.ndarray:
        """Whether the true face of each is among the tenth that is most alike; other clips of a person are left out."""
        middle = self.real.mean(0)
        return (places(drawn - middle, self.true - middle, self.people) < 0.1).astype(float)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path)
    parser.add_argument("--real", type=Path, required=True, metavar="DATABASE")
    parser.add_argument("--judge", required=True, metavar="KIND:FILE")
    parser.add_argument("--draw", action="append", metavar="WEIGHT,TEMPERATURE")
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    with Dataset(options.database) as dataset:
        pairs = [pair for split in ("val", "test") for pair in dataset.pairs(split)]
        real = [decode_image(pair.crop) for pair in dataset.pairs("train")]
    with Dataset(options.real) as dataset:
        others = list(dataset.faces())
    real += [decode_image(face.crop) for face in others]
    space = Space(options.judge, real, [decode_image(p.crop) for p in pairs], [p.person for p in pairs])
    model = Speech2Face.from_pretrained(options.model, device="cpu")
    voices = np.stack([pair.voice for pair in pairs])
    seeds = [list(range(k * len(pairs), (k + 1) * len(pairs))) for k in range(2)]
    plain = replace(DEFAULT, watermark=False)
    print(f"{len(pairs)} voices of {len(set(space.people))} people, {len(real)} real faces\n")
    print("| | Fréchet | kernel x1000 | departure | two seeds | first tenth |")
    print("| --- | --- | --- | --- | --- | --- |")
    print(space.line("the true faces themselves", space.true))
    print(space.photographs(space.real[-len(others) :], [face.person for face in others]))
    own = model.sample_images(np.stack([pair.identity for pair in pairs]), seeds[0], plain)
    print(space.line("drawn from their own identities", space.vectors(list(own))), flush=True)
    asked = [tuple(map(float, choice.split(","))) for choice in options.draw or ()]
    for weight, temperature in asked or CHOICES:
        drawn = []
        for numbers in seeds:
            identities = model.sample_identities(voices, numbers, temperature, voice_guidance=weight)
            drawn.append(space.vectors(list(model.sample_images(identities, numbers, plain))))
        print(space.line(f"guidance {weight:g}, temperature {temperature:g}", *drawn), flush=True)


if __name__ == "__main__":
    main()
