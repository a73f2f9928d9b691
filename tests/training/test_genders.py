"""What voices without a face teach the prior: gender, in one direction of identities, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ds2f.config import Train
from ds2f.dataset import Dataset
from ds2f.dataset.speakers import speakers_of
from ds2f.dataset.splits import SplitRule
from ds2f.dataset.store import store
from ds2f.errors import UserError
from ds2f.models.conditioning import Condition
from ds2f.models.linear import Products
from ds2f.models.prior import Prior, PriorConfig
from ds2f.training import jobs
from ds2f.training.genders import MIN_FACES, GenderAxis, Speakers, load_speakers
from ds2f.training.pairs import PairData
from ds2f.training.prior import PriorTask, out_of_fold
from ds2f.types import GENDERS, CorpusItem
from helpers import PLAN, extracted, item, wanting
from people import made_up_pairs, paired_dataset

ALPHA = 1.5
FEMALE = GENDERS.index("female")


def elsewhere(count: int, seed: int) -> Speakers:
    """Voices recorded otherwise: what tells gender among the pairs is faint here, and another number tells it."""
    rng = np.random.default_rng(seed)
    voice = rng.normal(size=(count, 12)).astype(np.float32)
    gender = rng.integers(0, 2, count)
    voice[:, 0] = 0.0
    voice[:, 1] = np.where(gender == FEMALE, 1.0, -1.0)
    return Speakers({"campplus-frames": Condition.of(torch.from_numpy(voice))}, gender)


def heard(data: PairData | Speakers) -> np.ndarray:
    return data.voices["campplus-frames"].value.numpy()


def axis_of(data: PairData, speakers: Speakers) -> tuple[GenderAxis, Products]:
    pairs = Products.of(heard(data), data.identity)
    axis = GenderAxis.of(data.identity, data.looks.genders, heard(speakers), speakers.gender)
    assert axis is not None
    return axis, pairs


def test_the_score_is_that_of_ridge_on_pairs_and_speakers_together() -> None:
    """By its definition: all rows under one another, the pairs' scores and those of the speakers' genders."""
    data, speakers = made_up_pairs(200, 0, clips=2), elsewhere(300, 1)
    axis, pairs = axis_of(data, speakers)
    linear = axis.fit(pairs, ALPHA)
    score = data.identity @ axis.score
    gender = data.looks.genders
    told = np.where(speakers.gender == FEMALE, *(score[gender == g].mean() for g in (FEMALE, 1 - FEMALE)))
    x = np.concatenate([heard(data), heard(speakers)]) - heard(data).mean(0)
    y = np.concatenate([score, told]) - score.mean()
    rows = np.concatenate([x, np.sqrt(ALPHA) * np.eye(x.shape[1])])
    expected = np.linalg.lstsq(rows, np.concatenate([y, np.zeros(x.shape[1])]), rcond=None)[0]
    np.testing.assert_allclose(linear.weight @ axis.score, expected, atol=1e-4)


def test_the_discriminant_tells_women_from_men_by_one_for_their_difference() -> None:
    data = made_up_pairs(500, 0)
    axis, _ = axis_of(data, elsewhere(50, 1))
    women, men = (data.identity[data.looks.genders == g].mean(0) for g in (FEMALE, 1 - FEMALE))
    np.testing.assert_allclose(axis.axis, women - men, atol=1e-4)
    assert axis.score @ axis.axis == pytest.approx(1.0)
    found = data.identity @ axis.score > (women + men) @ axis.score / 2
    plain = (data.identity - (women + men) / 2) @ (women - men) > 0
    right, by_means = ((side == (data.looks.genders == FEMALE)).mean() for side in (found, plain))
    assert right > by_means + 0.02  # the covariance counts


def test_speakers_teach_gender_where_pairs_cannot_and_nothing_else() -> None:
    data, speakers, others = made_up_pairs(400, 0), elsewhere(300, 1), elsewhere(300, 2)
    axis, pairs = axis_of(data, speakers)
    before, after = pairs.fit(ALPHA), axis.fit(pairs, ALPHA)

    def right(linear_score: np.ndarray) -> float:
        return float(((linear_score > 0) == (others.gender == FEMALE)).mean())

    middle = after.identity_mean @ axis.score
    assert right(before.predict(heard(others)) @ axis.score - middle) < 0.75
    assert right(after.predict(heard(others)) @ axis.score - middle) > 0.85
    changed = after.weight - before.weight
    np.testing.assert_allclose(changed, np.outer(changed @ axis.score, axis.axis), atol=1e-5)
    assert (after.voice_mean == before.voice_mean).all()
    assert (after.identity_mean == before.identity_mean).all()
    expected, found = before.predict(heard(data)), after.predict(heard(data))
    assert np.corrcoef(expected.ravel(), found.ravel())[0, 1] > 0.97  # the pairs' own voices say what they said


def test_out_of_fold_maps_hear_the_speakers_and_not_the_person() -> None:
    data, speakers = made_up_pairs(60, 0, clips=2), elsewhere(200, 1)
    axis, _ = axis_of(data, speakers)
    voice, mine = heard(data), data.person == 4
    alone = out_of_fold(voice, data.identity, data.person, ALPHA)
    before = out_of_fold(voice, data.identity, data.person, ALPHA, axis=axis)
    changed = data.identity + np.where(mine[:, None], 100.0, 0.0).astype(np.float32)
    after = out_of_fold(voice, changed, data.person, ALPHA, axis=axis)
    np.testing.assert_allclose(before[mine], after[mine], atol=1e-3)
    assert np.abs(before[~mine] - after[~mine]).max() > 1.0
    assert np.abs(before - alone).max() > 0.05
    departure = before - alone
    np.testing.assert_allclose(departure, np.outer(departure @ axis.score, axis.axis), atol=1e-4)


def test_many_speakers_leave_to_the_pairs_who_of_a_gender_is_nearer_to_the_other() -> None:
    """A hundred times as many voices as pairs teach no more than as many."""
    data, held_out = made_up_pairs(400, 0), made_up_pairs(400, 3)
    within = []
    for count in (400, 40_000):
        axis, pairs = axis_of(data, elsewhere(count, 1))
        score = axis.fit(pairs, ALPHA).predict(heard(held_out)) @ axis.score
        true, gender = held_out.identity @ axis.score, held_out.looks.genders
        within.append(np.mean([np.corrcoef(score[gender == g], true[gender == g])[0, 1] for g in (0, 1)]))
    assert within[1] > within[0] - 0.05
    assert max(axis.shares(pairs.count)) < 0.02


def test_a_corpus_of_one_gender_does_not_make_its_recordings_sound_so() -> None:
    """Voices of 300 men, recorded alike; women recorded so are still heard as well as without them."""
    data, speakers, others = made_up_pairs(400, 0), elsewhere(600, 1), made_up_pairs(400, 3)
    voice, men, women = heard(speakers), speakers.gender != FEMALE, others.looks.genders == FEMALE
    there = heard(others)[women]
    voice[:, 2] = there[:, 2] = 3.0  # the recording
    assert GenderAxis.of(data.identity, data.looks.genders, voice[men], speakers.gender[men]) is None
    few = men | (np.cumsum(~men) <= 3)  # and of three women
    axis = GenderAxis.of(data.identity, data.looks.genders, voice[few], speakers.gender[few])
    assert axis is not None
    pairs = Products.of(heard(data), data.identity)
    middle = pairs.means[1] @ axis.score
    alone, taught = (
        ((linear.predict(there) @ axis.score) > middle).mean() for linear in (pairs.fit(ALPHA), axis.fit(pairs, ALPHA))
    )
    assert taught > alone - 0.05


@pytest.mark.parametrize("why", ["no speakers", "few women", "genders not known"])
def test_without_speakers_or_faces_of_both_genders_the_map_is_that_of_the_pairs(why: str) -> None:
    data, speakers = made_up_pairs(200, 0), elsewhere(0 if why == "no speakers" else 50, 1)
    female = data.looks.female.copy()
    if why == "few women":
        female[np.flatnonzero(female > 0.5)[MIN_FACES - 1 :]] = 0.0
    if why == "genders not known":
        female[:] = np.nan
    data = replace(data, looks=replace(data.looks, female=female))
    maps = []
    for given in (speakers, None):
        prior = Prior(PriorConfig(voices={"campplus-frames": 12}, identity_dim=6, width=16, depth=1))
        PriorTask(prior, data, made_up_pairs(20, 2), torch.device("cpu"), given)
        maps.append(prior.linear)
    assert torch.equal(*maps)


def test_of_a_dataset(dataset: Dataset) -> None:
    """Dora's and Emil's sounds state a gender and Finn's do not; Anna has a face in a video, Ben one in a picture; Gus
    was filmed, but no face was found, so somebody else may speak."""
    told = {"anna": "female", "ben": "male", "dora": "female", "emil": "male", "gus": "male", "hal": "unsaid"}
    files = {
        "video": ["anna/1.mp4", "gus/1.mp4"],
        "sound": ["anna/2.wav", "ben/1.wav", "dora/1.wav", "dora/2.wav", "emil/1.wav", "finn/1.wav", "hal/1.wav"],
        "still": ["ben/a.jpg"],
    }
    for kind, paths in files.items():
        items = [stating(item(path, path.split("/")[0]), told.get(path.split("/")[0])) for path in paths]
        dataset.add_items(Path(f"/{kind}"), kind, items, SplitRule(0, 0.0, 0.0))
    for number, job in enumerate(wanting(dataset)):
        made = extracted(number, voice=job.kind != "still")
        seen = job.shown.endswith(("a.jpg", "anna/1.mp4"))
        store(dataset, job, made if seen else replace(made, face=None), PLAN)
    found = load_speakers(dataset, "train", ("campplus-frames",))
    names = [GENDERS[g] for g in found.gender]
    assert names == ["female", "female", "male"]  # dora, dora, emil
    assert heard(found).shape == (3, 512)
    assert found.voices["campplus-frames"].given.all()
    assert not len(load_speakers(dataset, "val", ("campplus-frames",)).gender)


def test_the_prior_of_a_dataset_hears_its_speakers(dataset: Dataset, tmp_path: Path) -> None:
    """Of two datasets whose speakers' genders are stated the other way round the priors differ, in one direction."""
    paired_dataset(dataset, 120)
    dataset.add_items(
        Path("/sounds"),
        "sound",
        [stating(item(f"s{i}/1.wav", f"s{i}"), GENDERS[i % 2]) for i in range(30)],
        SplitRule(0, 0.0, 0.0),
    )
    for number, job in enumerate(wanting(dataset)):
        store(dataset, job, replace(extracted(number), face=None), PLAN)
    maps = []
    for turned in (False, True):
        if turned:
            swap = "UPDATE labels SET value = iif(value = 'male', 'female', 'male') WHERE attribute = 'gender'"
            dataset.connection.execute(swap)
            dataset.connection.commit()
        job = jobs.make_job("prior", dataset.path, tmp_path / str(turned), Train())
        assert isinstance(job.task, PriorTask)
        maps.append(job.task.model.linear)
        _, card = job.finish(job.task.model)
        assert card["voices_without_face"] == len(load_speakers(dataset, "train", Train().voices).gender) > 20
        assert card["people"] == speakers_of(dataset, "train") != []
    changed = np.linalg.svd((maps[0] - maps[1]).numpy(), compute_uv=False)
    assert changed[0] > 1e-3
    assert changed[1] < 1e-4 * changed[0]


def test_a_prior_that_has_ended_is_not_taken_for_one_of_other_labels(dataset: Dataset, tmp_path: Path) -> None:
    paired_dataset(dataset, 120)
    sounds = [stating(item(f"s{i}/1.wav", f"s{i}"), GENDERS[i % 2]) for i in range(4)]
    dataset.add_items(Path("/sounds"), "sound", sounds, SplitRule(0, 0.0, 0.0))
    for number, job in enumerate(wanting(dataset)):
        store(dataset, job, replace(extracted(number), face=None), PLAN)
    settings = Train(prior_steps=1, prior_batch=8)
    jobs.train("prior", dataset.path, tmp_path, settings)
    jobs.train("prior", dataset.path, tmp_path, settings)  # nothing has changed
    dataset.connection.execute("UPDATE labels SET value = 'female' WHERE attribute = 'gender' AND value = 'male'")
    dataset.connection.commit()
    with pytest.raises(UserError, match="was of other data"):
        jobs.train("prior", dataset.path, tmp_path, settings)


def stating(entry: CorpusItem, gender: str | None) -> CorpusItem:
    return entry if gender is None else replace(entry, labels=(("gender", gender),))
