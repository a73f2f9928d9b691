"""Verification lists as Learnable PINs made them, of a split of a dataset: random, gender and age.

    python benchmarks/verification_lists.py --database dataset.db --split test --out lists
    ds2f verify-faces lists/*.txt --protocol pins --root videos/avspeech --root videos/voxceleb --out pins

Each voice gets a right pair, its true face (of another recording where there is one), and a wrong one: the true face of
another person, drawn from all, from those of the same gender, from those of the same decade of age. What the corpus
states goes before what the attribute model sees. Beside the lists stands what the linear map makes of them: `ds2f
verify-faces` measures the alignment of a model.
"""

from __future__ import annotations

import argparse
import csv
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ds2f.dataset import Dataset
from ds2f.evaluation.bootstrap import Bootstrap
from ds2f.evaluation.matching import linear, measure_pairs
from ds2f.evaluation.protocols.pins import COLUMNS
from ds2f.evaluation.subjects import Subjects, load
from ds2f.face.attributes import IdentityAttributes
from ds2f.types import decade_of


def write_lists(database: Path, split: str, out: Path, seed: int = 0, draws: int = 1000) -> dict[str, Any]:
    """Write veriflist_test_random_unseenunheard.txt and those of G and A; returns the linear map's result by list."""
    with Dataset(database) as data:
        subjects = load(data, split, IdentityAttributes())
    out.mkdir(parents=True, exist_ok=True)
    scores = linear(subjects, np.arange(len(subjects.measured.pairs)))
    groups = {
        "random": np.zeros(len(subjects.measured.pairs), int),
        "G": subjects.labels.gender,
        "A": decade_of(subjects.labels.age),
    }
    bootstrap, found = Bootstrap(subjects.measured.people, draws, seed), {}
    for name, group in groups.items():
        voice, face = draw_pairs(bootstrap.person, group, seed)
        _write(out / f"veriflist_test_{name}_unseenunheard.txt", subjects, bootstrap.person, voice, face)
        if scores is not None:
            same = bootstrap.person[voice] == bootstrap.person[face]
            auc, eer = measure_pairs(scores[voice, face], voice, face, same, bootstrap)
            found[name] = {"pairs": len(voice), "auc": auc and asdict(auc), "eer": eer and asdict(eer)}
    return found


def draw_pairs(person: np.ndarray, group: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(2n,) clips of the voices and of the faces of a right and a wrong pair, for each clip whose group, (n,) int, is
    known (not -1) and contains somebody else."""
    rng = np.random.default_rng(seed)
    voices, faces = [], []
    for clip in range(len(person)):
        others = np.flatnonzero((person != person[clip]) & (group == group[clip]))
        if group[clip] >= 0 and len(others):
            voices += [clip, clip]
            faces += [clip, int(rng.choice(others))]
    return np.array(voices), np.array(faces)


def _write(path: Path, subjects: Subjects, person: np.ndarray, voice: np.ndarray, face: np.ndarray) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for number, (v, f) in enumerate(zip(voice, face, strict=True), 1):
            a, b = int(person[v]), int(person[f])
            writer.writerow((number, a, b, int(a == b), subjects.measured.pairs[v].path, subjects.true.paths[f]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    print(json.dumps(write_lists(options.database, options.split, options.out), indent=2))


if __name__ == "__main__":
    main()
