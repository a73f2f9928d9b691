"""Voices from elsewhere: is the gender of their faces as often right as for voices of the pairs?

python benchmarks/elsewhere.py DATABASE SPEECH --judge faceres.json [--size 128]

SPEECH: a folder with speakers.csv (path, source, speaker, sex) and its recordings, the first of each speaker. DATABASE:
pairs with stated genders (VoxCeleb's vox1_meta.csv); identities for them come from linear maps that have not seen the
person (see `benchmarks/following.py`). One face a voice, at the default settings; gender by FaceRes (see
`benchmarks/wishes.py`), which training never saw, and by the attribute head, which reads the identity. Centred: the
voices of a corpus moved by what their mean departs from that of the training voices, women and men weighing alike.
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
from ds2f.speech2face.settings import SamplingSettings
from following import Study
from judges.faceres import FaceRes

DRAWS = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--judge", type=Path, required=True, metavar="faceres.json")
    parser.add_argument("--size", type=int, default=128)
    options = parser.parse_args()
    table = _Table(Speech2Face.from_pretrained(device="cpu", size=options.size), FaceRes(options.judge))
    identities, female, people = of_pairs(options.database)
    table.row("VoxCeleb's people, in folds", identities, female, people)
    voices, female, sources = of_speakers(options.speech, table.model)
    middle = table.model.prior.voice_mean.numpy()
    for source in sorted(set(sources)):
        rows = np.array([one == source for one in sources])
        theirs, women = voices[rows], female[rows]
        speakers = [f"{source} {i}" for i in range(len(theirs))]
        table.row(source, table.imagine(theirs), women, speakers)
        mean = (theirs[women].mean(0) + theirs[~women].mean(0)) / 2
        table.row(f"{source}, centred", table.imagine(theirs - mean + middle), women, speakers)


class _Table:
    """Prints a row for some voices as soon as their faces are drawn and judged."""

    def __init__(self, model: Speech2Face, judge: FaceRes) -> None:
        self.model, self.judge, self.head = model, judge, IdentityAttributes()
        print("| voices of | faces | right, by FaceRes | women | men | right, by the head |")
        print("| --- | --- | --- | --- | --- | --- |")

    def imagine(self, voices: np.ndarray) -> np.ndarray:
        return self.model.identities_to_draw(voices.astype(np.float32), first_seeds(len(voices)), SamplingSettings())

    def row(self, name: str, identities: np.ndarray, female: np.ndarray, people: list[str]) -> None:
        """identities: (n, 128); female: (n,) bool, what is known; people: whose voices they are."""
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


def of_pairs(database: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Identities for the voices whose speaker's gender is stated, whether it is female, and whose they are."""
    study, settings = Study(database), SamplingSettings()
    with Dataset(database) as dataset:
        told = stated(dataset, [pair.video_id for pair in study.pairs])
    rows = [i for i, labels in enumerate(told) if "gender" in labels]
    drawn = study.draw(settings.voice_guidance, settings.temperature, seed=0)
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
