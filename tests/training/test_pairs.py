"""What the prior and the alignment learn from where voices and faces of people come from different files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ds2f.dataset import Dataset
from ds2f.dataset.splits import SplitRule
from ds2f.dataset.store import store
from ds2f.errors import UserError
from ds2f.models.alignment import Alignment, AlignmentConfig
from ds2f.models.conditioning import Condition
from ds2f.models.decoder import voice_condition
from ds2f.models.linear import LinearPrior
from ds2f.models.prior import Prior, PriorConfig
from ds2f.training.alignment import AlignmentTask, fit_score
from ds2f.training.faces import load_faces
from ds2f.training.loop import Options, train
from ds2f.training.pairs import Faces, Looks, PairData, load_pairs
from ds2f.training.prior import PriorTask
from helpers import PLAN, extracted, item, wanting
from people import MAP, made_up_pairs, paired_dataset

VOICES, FACES = 3, 4  # of each person
CONFIG = AlignmentConfig(voices={"campplus-frames": 12}, identity_dim=6, dim=4)


def by_person(count: int, seed: int) -> PairData:
    """People whose voices and faces are in files of their own, three voices and four faces each."""
    rng = np.random.default_rng(seed)
    person = rng.normal(size=(count, 12)).astype(np.float32)
    voice = np.repeat(person, VOICES, 0) + 0.2 * rng.normal(size=(count * VOICES, 12)).astype(np.float32)
    face = np.repeat(person @ MAP, FACES, 0) + 0.5 * rng.normal(size=(count * FACES, 6)).astype(np.float32)
    numbers = np.arange(count)
    mean = face.reshape(count, FACES, 6).mean(1)
    return PairData(
        {"campplus-frames": Condition.of(torch.from_numpy(voice))},
        np.repeat(mean, VOICES, 0),
        np.repeat(numbers, VOICES),
        Looks.of([None] * len(voice)),
        Faces(face.astype(np.float32), np.repeat(numbers, FACES), Looks.of([None] * len(face))),
    )


def test_any_face_of_the_person_is_drawn_and_of_nobody_else() -> None:
    data = by_person(10, 0)
    assert data.faces is not None
    drawn = data.draw(torch.arange(len(data)).repeat(200), torch.Generator().manual_seed(0)).reshape(200, -1).numpy()
    assert (data.faces.person[drawn] == data.person).all()
    assert all(len(np.unique(drawn[:, i])) == FACES for i in range(len(data)))
    one, other = data.sample(0), data.sample(1)
    assert one.faces is None
    assert not np.array_equal(one.identity, other.identity)
    for person, identity in zip(one.person, one.identity, strict=True):
        assert (data.faces.identity[data.faces.person == person] == identity).all(1).any()


def test_the_mean_face_stands_for_all_pairs_of_voices_and_faces() -> None:
    """The ridge map of n voices with mean faces is that of the product, four times as many rows."""
    data = by_person(30, 1)
    assert data.faces is not None
    voice = data.voices["campplus-frames"].value.numpy()
    pairs = [(i, j) for i in range(len(data)) for j in np.flatnonzero(data.faces.person == data.person[i])]
    rows, faces = np.array(pairs).T
    of_product = LinearPrior.fit(voice[rows], data.faces.identity[faces], alpha=2.0 * FACES)
    of_means = LinearPrior.fit(voice, data.identity, alpha=2.0)
    np.testing.assert_allclose(of_means.weight, of_product.weight, atol=1e-5)
    np.testing.assert_allclose(of_means.identity_mean, of_product.identity_mean, atol=1e-5)


def test_people_weigh_alike() -> None:
    few, many = made_up_pairs(2, 0), made_up_pairs(1, 1, clips=10)
    data = PairData(
        {"campplus-frames": Condition.of(torch.cat([d.voices["campplus-frames"].value for d in (few, many)]))},
        np.concatenate([few.identity, many.identity]),
        np.array([0, 1] + [2] * 10),
        Looks.of([None] * 12),
    )
    alike = data.alike()
    assert np.bincount(alike.person).tolist() == [4, 4, 4]
    assert len(np.unique(alike.identity[alike.person == 2], axis=0)) == 4  # different clips of the one
    assert len(np.unique(alike.identity[alike.person == 0], axis=0)) == 1  # the same of the other
    assert np.bincount(data.person).tolist() == [1, 1, 10]


def test_the_prior_learns_from_voices_and_faces_of_different_files(tmp_path: Path) -> None:
    """The spread that it learns is that of faces round the map, not of the means of people's faces."""
    torch.manual_seed(0)
    prior = Prior(PriorConfig(voices={"campplus-frames": 12}, identity_dim=6, width=32, depth=1))
    data = by_person(200, 2)
    task = PriorTask(prior, data, by_person(30, 3).sample(), torch.device("cpu"))
    target = task._targets(torch.arange(len(data)), torch.Generator().manual_seed(0)).numpy()
    np.testing.assert_allclose(np.cov(target, rowvar=False), np.eye(6), atol=0.25)
    ema = train(task, Options(tmp_path, batch=64, total=64 * 5, lr=1e-3, seed=0, save_seconds=1e9))
    assert np.isfinite(task.validate(ema))
    voice = by_person(50, 4).voices["campplus-frames"].value
    assert np.corrcoef(prior.predict_mean(voice).numpy().ravel(), (voice.numpy() @ MAP).ravel())[0, 1] > 0.95


def test_the_alignment_learns_from_voices_and_faces_of_different_files(tmp_path: Path) -> None:
    data, held_out = by_person(150, 5), by_person(60, 6).sample()
    task = AlignmentTask(Alignment(CONFIG), data, held_out, shrinkage=0.5)
    before = fit_score(task.model.eval(), held_out)
    options = Options(tmp_path, len(data), len(data) * 40, lr=1e-2, seed=0, save_seconds=1e9, ema=0.1, muon=False)
    found = train(task, options)
    assert isinstance(found, Alignment)
    assert before > 0.7
    assert fit_score(found, held_out) >= before - 0.01


def test_of_a_dataset(dataset: Dataset) -> None:
    """Ben has sounds and pictures, Cleo a video and a picture, Anna videos; Dora has no face, Emil no voice."""
    files = {
        "video": ["anna/1.mp4", "anna/2.mp4", "cleo/1.mp4"],
        "sound": ["ben/1.wav", "ben/2.wav", "dora/1.wav"],
        "still": ["ben/a.jpg", "ben/b.jpg", "ben/c.jpg", "cleo/a.jpg", "emil/a.jpg"],
    }
    for kind, paths in files.items():
        items = [item(path, path.split("/")[0]) for path in paths]
        dataset.add_items(Path(f"/{kind}"), kind, items, SplitRule(0, 0.0, 0.0))
    for number, job in enumerate(wanting(dataset)):
        made = extracted(number, voice=job.kind != "still")
        store(dataset, job, replace(made, face=None) if job.kind == "sound" else made, PLAN)
    data = load_pairs(dataset, "train", at_least=5)
    assert data.faces is not None
    assert (len(data), len(np.unique(data.person))) == (5, 3)  # no product: as many rows as voices
    assert np.bincount(data.faces.person).tolist() == [0, 2, 3]  # anna's videos keep their faces
    drawn = data.draw(torch.arange(5), torch.Generator().manual_seed(0))
    assert (drawn[data.person == 0] == -1).all()
    assert (drawn[data.person > 0] >= 0).all()
    ben = data.faces.identity[data.faces.person == 2].mean(0)
    np.testing.assert_allclose(data.identity[data.person == 2], [ben, ben], atol=1e-6)
    voice = load_faces(dataset, "train", 32).conditions[voice_condition("campplus-frames")]
    assert voice.given.sum() == 7  # the decoder hears Ben's voices with his pictures, Cleo's with hers, Emil none
    said = {row.tobytes() for row in data.voices["campplus-frames"].value.numpy()}
    assert {row.tobytes() for row in voice.value[voice.given].numpy()} == said
    with pytest.raises(UserError, match="or sounds and pictures of the same people"):
        load_pairs(dataset, "train", at_least=6)


def test_one_person_alone_teaches_nothing(dataset: Dataset) -> None:
    """The map is fitted to everybody but a person, and there would be nobody."""
    paired_dataset(dataset, 24)
    assert len(load_pairs(dataset, "train", at_least=5)) > 5
    dataset.connection.execute("UPDATE videos SET identity_id = (SELECT min(id) FROM identities WHERE split = 'train')")
    with pytest.raises(UserError, match=r"All 24 pairs .* are of one person"):
        load_pairs(dataset, "train", at_least=5)
    assert len(load_pairs(dataset, "train", at_least=1)) == 24
