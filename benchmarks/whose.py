"""What determines a picture, and what no real face has: how much of skin, hair, background and identity depends on the
seed and how much on the voice, and the energy of a pattern with the period of the patches.

    python benchmarks/whose.py SPEECH --judge faceres.json --real LFW.db [--voices 8] [--seeds 8] [--light 1] [--fine]

Every voice is drawn with every seed. Reports the shares of the variance of each measure, by a two-way analysis of
variance: due to the voice, to the seed, the rest. For comparison, real people in LFW.db with several photographs from
different days (`ds2f ingest --kind faces lfw.tar`): the share due to the person. Also how much colours vary in CIE Lab
(standard deviations of L, a, b) among the seeds of a voice and the photographs of a person, and among voices and
people. Person: the vector of FaceRes (see `benchmarks/wishes.py`), which training never saw. Pattern:
`ds2f.evaluation.pattern`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from ds2f.dataset import Dataset
from ds2f.evaluation.pattern import log_spectra, pattern_energy
from ds2f.io.images import decode_image
from ds2f.speech2face.model import Speech2Face
from ds2f.speech2face.settings import SamplingSettings
from judges.faceres import FaceRes
from wishes import voices_of

# left, top, right, bottom as shares of a canonical crop
CHEEKS = ((0.30, 0.52, 0.40, 0.64), (0.60, 0.52, 0.70, 0.64))
HAIR = ((0.35, 0.04, 0.65, 0.14),)
CORNERS = ((0.0, 0.0, 0.12, 0.3), (0.88, 0.0, 1.0, 0.3))
PLACES = {"skin colour": CHEEKS, "hair colour": HAIR, "background": CORNERS}
FEWEST, MOST_REAL = 3, 600  # photographs of a person; in all
DRAWS = 500  # of the bootstrap


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--judge", type=Path, required=True, metavar="faceres.json")
    parser.add_argument("--real", type=Path, required=True, metavar="DATABASE")
    parser.add_argument("--voices", type=int, default=8, help="half of them women's (default: 8)")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--size", type=int)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--light", type=float, default=SamplingSettings.light)
    parser.add_argument("--fine", action="store_true")
    options = parser.parse_args()
    judge = FaceRes(options.judge)
    model = Speech2Face.from_pretrained(options.model, device="cpu", size=options.size)
    voices = voices_of(options.speech, model, options.voices // 2)[0]
    seeds = list(range(options.seeds)) * len(voices)
    settings = SamplingSettings(light=options.light, fast=not options.fine)
    faces = model.sample_faces(np.repeat(voices, options.seeds, 0), seeds, settings)
    drawn = np.stack([np.asarray(face.image) for face in faces])
    voice = np.repeat(np.arange(len(voices)), options.seeds)
    real, person = real_people(options.real)
    print(f"{len(drawn)} pictures of {len(voices)} voices; {len(real)} real ones of {len(set(person))} people\n")
    ours, true = measures(drawn, judge), measures(real, judge)
    print("| variance of | with the voice | with the seed | the rest | real: with the person |")
    print("| --- | --- | --- | --- | --- |")
    for name, values in ours.items():
        shares = two_way(values.reshape(len(voices), options.seeds, -1))
        cells = [f"{100 * share:.0f} %" for share in (*shares, one_way(true[name], person))]
        print(f"| {name} | {' | '.join(cells)} |")
    print("\n| L, a, b | seeds of a voice | photographs of a person | voices | people |")
    print("| --- | --- | --- | --- | --- |")
    for name in PLACES:
        apart = zip(spread(ours[name], voice), spread(true[name], person), strict=True)
        cells = [", ".join(f"{number:.1f}" for number in one) for pair in apart for one in pair]
        print(f"| {name} | {' | '.join(cells)} |")
    same = np.stack([cv2.resize(one, (model.size, model.size), interpolation=cv2.INTER_AREA) for one in real])
    print_pattern(drawn, same, model.decoder.config.patch * model.size // model.decoder.config.size)


def real_people(database: Path) -> tuple[np.ndarray, np.ndarray]:
    """Crops of people who have several pictures, and the person of each."""
    with Dataset(database) as dataset:
        rows = list(dataset.faces())
    people = np.array([row.person for row in rows])
    names, count = np.unique(people, return_counts=True)
    several = [i for i, row in enumerate(rows) if count[np.searchsorted(names, row.person)] >= FEWEST][:MOST_REAL]
    return np.stack([decode_image(rows[i].crop) for i in several]), people[several]


def measures(pictures: np.ndarray, judge: FaceRes) -> dict[str, np.ndarray]:
    """{name: (n, d)}. Colours in CIE Lab."""
    lab = np.stack([cv2.cvtColor(one.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) for one in pictures])
    found = {name: np.mean([_cut(lab, box).mean((1, 2)) for box in boxes], axis=0) for name, boxes in PLACES.items()}
    vectors = judge.judge(pictures).vector
    return {**found, "person": vectors / np.linalg.norm(vectors, axis=1, keepdims=True)}


def two_way(values: np.ndarray) -> tuple[float, float, float]:
    """(voices, seeds, d) to the shares of the variance due to the voice, to the seed, and to neither, summed over d,
    each corrected for chance (ω², Hays 1963)."""
    a, b = values.shape[:2]
    mean, rows, columns = values.mean((0, 1)), values.mean(1), values.mean(0)
    of_rows, of_columns = b * ((rows - mean) ** 2).sum(), a * ((columns - mean) ** 2).sum()
    total = ((values - mean) ** 2).sum()
    rest = (total - of_rows - of_columns) / ((a - 1) * (b - 1))
    found = [max(0.0, (s - (k - 1) * rest) / (total + rest)) for s, k in ((of_rows, a), (of_columns, b))]
    return found[0], found[1], 1 - sum(found)


def one_way(values: np.ndarray, groups: np.ndarray) -> float:
    """(n, d) to the share of the variance due to the group, as in `two_way`."""
    names, place, count = np.unique(groups, return_inverse=True, return_counts=True)
    means = np.stack([values[place == k].mean(0) for k in range(len(names))])
    between = (count[:, None] * (means - values.mean(0)) ** 2).sum()
    total = ((values - values.mean(0)) ** 2).sum()
    rest = (total - between) / (len(values) - len(names))
    return float(max(0.0, (between - (len(names) - 1) * rest) / (total + rest)))


def spread(values: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, d) to standard deviations within and between groups, (d,) each: roots of the variance components of a one-way
    analysis of variance with groups of any size (Searle, Casella & McCulloch 1992, section 3.6)."""
    place, count = np.unique(groups, return_inverse=True, return_counts=True)[1:]
    means = np.stack([values[place == k].mean(0) for k in range(len(count))])
    within = ((values - means[place]) ** 2).sum(0) / (len(values) - len(count))
    between = (count[:, None] * (means - values.mean(0)) ** 2).sum(0) / (len(count) - 1)
    size = (len(values) - (count**2).sum() / len(values)) / (len(count) - 1)
    return np.sqrt(within), np.sqrt(np.maximum(0.0, (between - within) / size))


def print_pattern(drawn: np.ndarray, real: np.ndarray, period: int) -> None:
    """With an interval over pictures, for both kinds."""
    ours, theirs = log_spectra(drawn, period), log_spectra(real, period)
    chance = np.random.default_rng(0)
    again = [pattern_energy(*(s[chance.integers(len(s), size=len(s))] for s in (ours, theirs))) for _ in range(DRAWS)]
    low, high = np.percentile(again, [2.5, 97.5])
    print(f"\nPattern, period {period} px: {pattern_energy(ours, theirs):.2f} [{low:.2f}-{high:.2f}], 1 = none")


def _cut(pictures: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    left, top, right, bottom = (round(share * pictures.shape[1]) for share in box)
    return pictures[:, top:bottom, left:right]


if __name__ == "__main__":
    main()
