"""Whose a picture is, and what no face has: how much of skin, hair, background and person goes with the seed and how
much with the voice, and the energy of a pattern at the period of the patches.

python benchmarks/whose.py SPEECH --judge package/models/faceres.json --real DATABASE [--voices 6] [--seeds 6]

Every voice is drawn with every seed. Shares of the variance of each measure, by a two-way analysis of variance: with
the voice, with the seed, the rest. Beside it real people with several pictures in DATABASE: the share that goes with
the person. Person: the vector of FaceRes (see `benchmarks/wishes.py`), which training never saw. Pattern: mean power of
luminance on forehead and cheeks at the period of the patches and its harmonics, drawn over real.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from ds2f.dataset import Dataset
from ds2f.io.images import decode_image
from ds2f.speech2face.model import Speech2Face
from judges.faceres import FaceRes
from wishes import voices_of

# left, top, right, bottom as shares of a canonical crop
CHEEKS = ((0.30, 0.52, 0.40, 0.64), (0.60, 0.52, 0.70, 0.64))
HAIR = ((0.35, 0.04, 0.65, 0.14),)
CORNERS = ((0.0, 0.0, 0.12, 0.3), (0.88, 0.0, 1.0, 0.3))
SKIN = ((0.375, 0.22, 0.625, 0.345), (0.25, 0.50, 0.375, 0.625), (0.625, 0.50, 0.75, 0.625))  # 32 and 16 px of 128
MOST_REAL = 400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--judge", type=Path, required=True, metavar="faceres.json")
    parser.add_argument("--real", type=Path, required=True, metavar="DATABASE")
    parser.add_argument("--voices", type=int, default=6, help="half of them women's (default: 6)")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--size", type=int)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    judge = FaceRes(options.judge)
    model = Speech2Face.from_pretrained(options.model, device="cpu", size=options.size)
    voices = voices_of(options.speech, model, options.voices // 2)[0]
    seeds = list(range(options.seeds)) * len(voices)
    faces = model.sample_faces(np.repeat(voices, options.seeds, 0), seeds)
    drawn = np.stack([np.asarray(face.image) for face in faces])
    real, person = real_people(options.real)
    print(f"{len(drawn)} pictures of {len(voices)} voices; {len(real)} real ones of {len(set(person))} people\n")
    print("| variance of | with the voice | with the seed | the rest | real: with the person |")
    print("| --- | --- | --- | --- | --- |")
    true = measures(real, judge)
    for name, values in measures(drawn, judge).items():
        shares = two_way(values.reshape(len(voices), options.seeds, -1))
        cells = [f"{100 * share:.0f} %" for share in (*shares, one_way(true[name], person))]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    size = model.size
    same = np.stack([cv2.resize(one, (size, size), interpolation=cv2.INTER_AREA) for one in real])
    period = model.decoder.config.patch
    print(f"\nPattern, period {period} px: {pattern(drawn, period) / pattern(same, period):.2f} x real faces'")


def real_people(database: Path) -> tuple[np.ndarray, np.ndarray]:
    """Crops of people who have two pictures or more, and whose each is."""
    with Dataset(database) as dataset:
        rows = list(dataset.faces())
    people = np.array([row.person for row in rows])
    names, count = np.unique(people, return_counts=True)
    several = [i for i, row in enumerate(rows) if count[np.searchsorted(names, row.person)] > 1][:MOST_REAL]
    return np.stack([decode_image(rows[i].crop) for i in several]), people[several]


def measures(pictures: np.ndarray, judge: FaceRes) -> dict[str, np.ndarray]:
    """{name: (n, d)}. Colours in CIE Lab."""
    lab = np.stack([cv2.cvtColor(one.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) for one in pictures])
    places = {"skin colour": CHEEKS, "hair colour": HAIR, "background": CORNERS}
    found = {name: np.mean([_cut(lab, box).mean((1, 2)) for box in boxes], axis=0) for name, boxes in places.items()}
    vectors = judge.judge(pictures).vector
    return {**found, "person": vectors / np.linalg.norm(vectors, axis=1, keepdims=True)}


def two_way(values: np.ndarray) -> tuple[float, float, float]:
    """(voices, seeds, d) to the shares of the variance that go with the voice, with the seed, and with neither, summed
    over d, each freed of what chance alone gives it (ω², Hays 1963)."""
    a, b = values.shape[:2]
    mean, rows, columns = values.mean((0, 1)), values.mean(1), values.mean(0)
    of_rows, of_columns = b * ((rows - mean) ** 2).sum(), a * ((columns - mean) ** 2).sum()
    total = ((values - mean) ** 2).sum()
    rest = (total - of_rows - of_columns) / ((a - 1) * (b - 1))
    found = [max(0.0, (s - (k - 1) * rest) / (total + rest)) for s, k in ((of_rows, a), (of_columns, b))]
    return found[0], found[1], 1 - sum(found)


def one_way(values: np.ndarray, groups: np.ndarray) -> float:
    """(n, d) to the share of the variance that goes with the group, as in `two_way`."""
    names, place, count = np.unique(groups, return_inverse=True, return_counts=True)
    means = np.stack([values[place == k].mean(0) for k in range(len(names))])
    between = (count[:, None] * (means - values.mean(0)) ** 2).sum()
    total = ((values - values.mean(0)) ** 2).sum()
    rest = (total - between) / (len(values) - len(names))
    return float(max(0.0, (between - (len(names) - 1) * rest) / (total + rest)))


def pattern(pictures: np.ndarray, period: int) -> float:
    """Mean power of the luminance of skin at the frequencies k / period of either axis, k = 1, 2, ..., per pixel."""
    grey = np.stack([cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in pictures]).astype(np.float64)
    found = []
    for box in SKIN:
        skin = _cut(grey, box)
        side = min(skin.shape[1:]) // period * period
        skin = skin[:, :side, :side]
        window = np.outer(np.hanning(side), np.hanning(side))
        flat = skin - skin.mean((1, 2), keepdims=True)
        power = np.abs(np.fft.fft2(flat * window)) ** 2 / (window**2).sum()
        at = np.arange(0, side, side // period)
        power = power[:, at[:, None], at]
        found.append(power.reshape(len(power), -1)[:, 1:].mean())
    return float(np.mean(found))


def _cut(pictures: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    left, top, right, bottom = (round(share * pictures.shape[1]) for share in box)
    return pictures[:, top:bottom, left:right]


if __name__ == "__main__":
    main()
