"""Voices from other sources: is the gender of their faces right as often as for voices of the pairs?

    python benchmarks/elsewhere.py DATABASE SPEECH --judge faceres.json [--size 128]

SPEECH: a folder with speakers.csv (path, source, speaker, sex) and its recordings, of which the first of each speaker
is used. DATABASE: pairs with stated genders (VoxCeleb's vox1_meta.csv); identities for them come from linear maps that
have not seen the person (see `benchmarks/following.py`), those of the speakers from maps of all pairs: fitted to these
alone, and additionally to the gender of other speakers' voices, in folds by speaker (`training/genders.py`): of the
same corpus and the others, and of the other corpora alone. One face per voice, at the default settings; gender by
FaceRes (see `benchmarks/wishes.py`), which training never saw, and by the attribute head, which reads the identity.
Intervals of 95 % over people.
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
from ds2f.evaluation.bootstrap import Bootstrap
from ds2f.face.attributes import IdentityAttributes
from ds2f.speech2face.model import Speech2Face
from ds2f.speech2face.settings import DEFAULT
from ds2f.types import GENDERS
from following import Study
from judges.faceres import FaceRes

DRAWS, FOLDS = 1000, 5
MALE, FEMALE = (GENDERS.index(name) for name in ("male", "female"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--judge", type=Path, required=True, metavar="faceres.json")
    parser.add_argument("--size", type=int, default=128)
    options = parser.parse_args()
    study = Study(options.database, options.size)
    table = _Table(study.model, FaceRes(options.judge))
    identities, female, people = of_pairs(study)
    table.row("VoxCeleb's people, in folds", identities, female, people)
    voices, female, sources = of_speakers(options.speech, table.model)
    corpora = np.array(sources)
    for source in sorted(set(sources)):
        rows = np.flatnonzero(corpora == source)
        speakers = [f"{source} {i}" for i in range(len(rows))]
        parts = np.random.default_rng(0).permutation(len(rows)) % FOLDS
        told = {
            "pairs alone": np.zeros(0, int),
            "others of the corpus, too": np.arange(len(voices)),
            "other corpora, too": np.flatnonzero(corpora != source),
        }
        for name, some in told.items():
            expected = np.empty((len(rows), study.identity.shape[1]), np.float32)
            for out in (rows[parts == k] for k in range(FOLDS)):
                known = np.setdiff1d(some, out)
                linear = study.map(voices[known], np.where(female[known], FEMALE, MALE))
                expected[np.isin(rows, out)] = linear.predict(voices[out])
            seeds = first_seeds(len(rows))
            drawn = study.around(expected, linear.identity_mean, DEFAULT.voice_guidance, DEFAULT.temperature, seeds)
            table.row(f"{source}: {name}", drawn, female[rows], speakers)


class _Table:
    """Prints the row for some voices as soon as their faces are drawn and judged."""

    def __init__(self, model: Speech2Face, judge: FaceRes) -> None:
        self.model, self.judge, self.head = model, judge, IdentityAttributes()
        print("| voices of | faces | right, by FaceRes | women | men | right, by the head |")
        print("| --- | --- | --- | --- | --- | --- |")

    def row(self, name: str, identities: np.ndarray, female: np.ndarray, people: list[str]) -> None:
        """identities: (n, 128); female: (n,) bool, the truth; people: the person of each."""
        pictures = self.model.sample_images(identities, range(len(identities)))
        seen, read = self.judge.judge(pictures).female > 0.5, self.head.estimate(identities).female > 0.5
        cells, everybody = [], np.ones(len(female), bool)
        for said, some in ((seen, everybody), (seen, female), (seen, ~female), (read, everybody)):
            rows = np.flatnonzero(some)
            found = Bootstrap([people[i] for i in rows], DRAWS, 0).mean((said == female)[rows].astype(float))
            assert found is not None
            low, high = (100 * (bound or 0.0) for bound in (found.low, found.high))
            cells.append(f"{100 * found.value:.0f} % [{low:.0f}-{high:.0f}]")
        print(f"| {name} | {len(identities)} | {' | '.join(cells)} |", flush=True)


def of_pairs(study: Study) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Identities for the voices whose speaker's gender is stated, whether it is female, and the person of each."""
    with Dataset(study.database) as dataset:
        told = stated(dataset, [pair.video_id for pair in study.pairs])
    rows = [i for i, labels in enumerate(told) if "gender" in labels]
    drawn = study.draw(DEFAULT.voice_guidance, DEFAULT.temperature, seed=0)
    female = np.array([told[i]["gender"] == "female" for i in rows])
    return drawn[rows], female, [study.people[i] for i in rows]


def of_speakers(folder: Path, model: Speech2Face) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The first usable recording of each speaker: (n, d) voices, (n,) bool female, and the corpus of each."""
    voices, female, sources = [], [], []
    done = set[tuple[str, str]]()
    with (folder / "speakers.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if (speaker := (row["source"], row["speaker"])) in done:
                continue
            try:
                voices.append(model.embed_voice(folder / row["path"]))
            except ItemError:
                continue
            done.add(speaker)
            female.append(row["sex"] == "female")
            sources.append(row["source"])
    return np.stack(voices), np.array(female), sources


if __name__ == "__main__":
    main()
