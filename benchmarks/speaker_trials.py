"""A trial list from a table of recordings, and a cohort of the speakers that are not in it.

    python benchmarks/speaker_trials.py --table speech/speakers.csv --out lists
    ds2f verify lists/trials.txt --root speech --speakers speech/speakers.csv --cohort lists/cohort.txt --calibrate

The table has columns path, source, speaker and sex. Speakers with one recording form the cohort; for the others, within
each source, there are as many pairs of one speaker as of two of one sex and of two of any, so that neither microphone
nor sex gives the answer away.
"""

from __future__ import annotations

import argparse
import csv
import itertools
from pathlib import Path

import numpy as np

from ds2f.evaluation.speakers.trials import Trial, write_trials

Row = dict[str, str]


def make_lists(table: Path, out: Path, takes: int = 5, cohort: int = 120, seed: int = 0) -> tuple[int, int]:
    """Write trials.txt (in VoxCeleb's format) and cohort.txt. Returns their lengths.

    table: see above.
    out: folder.
    takes: recordings per speaker, at most.
    cohort: speakers in it, at most.
    seed: for the selection.
    """
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    people: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        people.setdefault((row["source"], row["speaker"]), []).append(row)
    rng = np.random.default_rng(seed)
    people = {who: [heard[k] for k in rng.permutation(len(heard))[:takes]] for who, heard in sorted(people.items())}
    trials: list[Trial] = []
    for source in sorted({row["source"] for row in rows}):
        of_source = [heard for (where, _), heard in people.items() if where == source and len(heard) > 1]
        pairs = [pair for heard in of_source for pair in itertools.combinations(heard, 2)]
        trials += [Trial(True, a["path"], b["path"]) for a, b in pairs]
        both = [pair for x, y in itertools.combinations(of_source, 2) for pair in itertools.product(x, y)]
        for some in ([p for p in both if p[0]["sex"] == p[1]["sex"]], both):
            picked = rng.permutation(len(some))[: len(pairs)]
            trials += [Trial(False, some[k][0]["path"], some[k][1]["path"]) for k in picked]
    trials = [trials[k] for k in rng.permutation(len(trials))]
    others = [heard[0]["path"] for heard in people.values() if len(heard) == 1][:cohort]
    out.mkdir(parents=True, exist_ok=True)
    write_trials(out / "trials.txt", trials)
    (out / "cohort.txt").write_text("".join(f"{path}\n" for path in others), "utf-8")
    return len(trials), len(others)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--takes", type=int, default=5)
    parser.add_argument("--cohort", type=int, default=120)
    options = parser.parse_args()
    trials, cohort = make_lists(options.table, options.out, options.takes, options.cohort)
    print(f"{trials:,} trials, {cohort:,} recordings of other speakers")


if __name__ == "__main__":
    main()
