"""How often `describe` gets a speaker's gender right, and how confident it is.

    python benchmarks/describe.py path/to/speech [--limit 140] [--model FOLDER]

The folder contains speakers.csv with the columns path, speaker and sex; one recording of each speaker is used. The
bundled prior was trained on the genders of four fifths of LibriSpeech's and RAVDESS's speakers (`training/genders.py`).
"""

from __future__ import annotations

import argparse
import csv
import random
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

from ds2f import ItemError, Speech2Face

BINS = (0.5, 0.7, 0.85, 1.0)  # of confidence


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int, default=140)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    with (options.folder / "speakers.csv").open() as file:
        rows = list(csv.DictReader(file))
    random.Random(0).shuffle(rows)
    speakers: dict[str, dict[str, str]] = {}
    for row in rows:
        speakers.setdefault(row["speaker"], row)
    model = Speech2Face.from_pretrained(options.model, device="cpu")
    female, said, determined = [], [], []
    started = time.perf_counter()
    for row in list(speakers.values())[: options.limit]:
        try:
            told = model.describe(options.folder / row["path"])
        except ItemError as error:
            print(f"{row['path']}: {error}")
            continue
        female.append(row["sex"] == "female")
        said.append(told.gender.probabilities["female"])
        determined.append(told.determined)
    print(f"{len(said)} speakers, {(time.perf_counter() - started) / len(said):.2f} s each")
    report(np.array(female), np.array(said), np.array(determined))


def report(female: np.ndarray, said: np.ndarray, determined: np.ndarray) -> None:
    """female: (n,) bool, the truth; said: (n,) its predicted probability; determined: (n,) shares."""
    right = (said > 0.5) == female
    sure = np.maximum(said, 1 - said)
    print(f"gender right: {right.mean():.1%}, women {right[female].mean():.1%}, men {right[~female].mean():.1%}")
    for low, high in pairwise(BINS):
        chosen = (sure > low) & (sure <= high)
        if chosen.any():
            print(f"  {low:.0%} to {high:.0%} sure: {chosen.sum()} speakers, {right[chosen].mean():.1%} right")
    low, middle, high = np.percentile(determined, (10, 50, 90))
    print(f"share of the face determined: {middle:.0%}, for four fifths of the speakers {low:.0%} to {high:.0%}")


if __name__ == "__main__":
    main()
