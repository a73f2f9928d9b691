"""Whose voice is it? Voice-face matching by the alignment of a model, and by the linear map that it has to beat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ds2f.dataset import Dataset
from ds2f.dataset.recordings import recordings
from ds2f.evaluation.matching import measure
from ds2f.evaluation.results import Matching
from ds2f.evaluation.subjects import FACE, Subjects
from ds2f.models import store
from ds2f.models.linear import LinearPrior
from ds2f.models.voices import given

MOST_CLIPS = 5000
"""Whose voices and faces are all compared with one another; of more clips, as many are drawn."""
_UNKNOWN = -1


def matching(
    data: Dataset, split: str, subjects: Subjects, folder: Path, draws: int, seed: int
) -> dict[str, tuple[Matching, ...]]:
    """{name: measures}. folder: of a model; without an alignment in it, or without a train split, less is measured."""
    some = np.sort(np.random.default_rng(seed).permutation(len(subjects.reference))[:MOST_CLIPS])
    people = [subjects.measured.people[i] for i in some]
    groups = {name: place[some] for name, place in _groups(subjects).items()}
    similarities = {
        "alignment": aligned(data, split, subjects, folder, some),
        "linear prior": linear(subjects, some),
    }
    return {
        name: tuple(measure(found, people, groups, draws, seed))
        for name, found in similarities.items()
        if found is not None
    }


@torch.no_grad()
def aligned(data: Dataset, split: str, subjects: Subjects, folder: Path, some: np.ndarray) -> np.ndarray | None:
    """(n, n) scores of every voice with every true face of the n clips `some`; None without an alignment that fits
    these vectors."""
    if not (folder / "alignment.json").is_file():
        return None
    model = store.load_alignment(folder)
    config = model.config
    known = {r.video_id: r for r in recordings(data, split)}
    clips = [known[subjects.measured.pairs[i].video_id] for i in some]
    main = next(iter(config.voices))
    if config.face_encoder not in subjects.spaces or any(r.heard(main, config.clip_seconds) is None for r in clips):
        return None
    heard = {name: [r.heard(name, config.clip_seconds) for r in clips] for name in config.voices}
    told = {name: given(vectors) for name, vectors in heard.items() if any(v is not None for v in vectors)}
    if any(condition.value.shape[1] != config.voices[name] for name, condition in told.items()):
        return None
    faces = torch.from_numpy(subjects.truth(config.face_encoder)[some].astype(np.float32))
    found: np.ndarray = model(model.inputs(told), faces).double().numpy()
    return found


def linear(subjects: Subjects, some: np.ndarray) -> np.ndarray | None:
    """(n, n) cosines of the ridge map's predictions with the true faces of the n clips `some`, both as they depart from
    the mean face; None without a train split."""
    if subjects.train is None:
        return None
    train = subjects.train
    prior = LinearPrior.fit_to_people(train.voices, train.identities[FACE], train.people)
    return prior.similarity(subjects.measured.voices[some], subjects.truth(FACE)[some])


def _groups(subjects: Subjects) -> dict[str, np.ndarray]:
    """{what wrong faces share with the true one: (n,) int}. Clips of which it is not known are alone."""
    place = {kind: found for kind, (_, found) in subjects.groups.items()}
    alone = -1 - np.arange(len(subjects.reference))
    groups = {kind: np.where(place[kind] == _UNKNOWN, alone, place[kind]) for kind in ("gender", "age", "ethnicity")}
    together = np.unique(np.stack(list(groups.values())), axis=1, return_inverse=True)[1].reshape(-1)
    return {**groups, "gender, age and ethnicity": together}
