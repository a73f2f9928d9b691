"""The prior's training, on made-up people whose faces follow from their voices by a known map."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from ds2f.config import Train
from ds2f.dataset import Dataset
from ds2f.diffusion.samplers import heun
from ds2f.errors import UserError
from ds2f.models import folders, store
from ds2f.models.conditioning import Condition
from ds2f.models.prior import Prior, PriorConfig
from ds2f.speech2face.imagine import around
from ds2f.training import jobs, pairs
from ds2f.training.loop import Options, train
from ds2f.training.pairs import PairData
from ds2f.training.prior import PriorTask, out_of_fold, whiten
from people import MAP, made_up_pairs, paired_dataset


def test_whitening_makes_unit_covariance_and_comes_back() -> None:
    rng = np.random.default_rng(0)
    residual, expected = (rng.normal(size=(4000, 5)) @ rng.normal(size=(5, 5)) for _ in range(2))
    w, c, apart = whiten(residual, expected, floor=1e-6)
    np.testing.assert_allclose(np.cov(residual @ w, rowvar=False), np.eye(5), atol=1e-6)
    np.testing.assert_allclose(np.cov(expected @ w, rowvar=False), np.diag(apart), atol=1e-6)
    np.testing.assert_allclose(w @ c, np.eye(5), atol=1e-6)
    assert (np.diff(apart) <= 0).all()


def test_people_who_are_copies_of_each_other_give_finite_numbers(tmp_path: Path) -> None:
    """Their voices say nearly all of their faces, so that what is expected is wider than what is left by 10^8."""
    data = made_up_pairs(8, 1)
    rows = np.tile(np.arange(8), 10)
    voices = {"campplus-frames": Condition.of(data.voices["campplus-frames"].value[rows])}
    identity = data.identity[rows] + np.random.default_rng(0).normal(0, 2e-4, (80, 6)).astype(np.float32)
    copies = PairData(voices, identity, np.arange(80), data.looks.rows(rows))
    prior = Prior(PriorConfig(voices={"campplus-frames": 12}, identity_dim=6, width=16, depth=1))
    PriorTask(prior, copies, made_up_pairs(20, 2), torch.device("cpu"))
    assert prior.spread.max() > 1e3
    store.save(tmp_path, prior, {})
    assert store.load_prior(tmp_path).left_open(2.0).isfinite().all()


def test_out_of_fold_predictions_have_not_seen_the_person() -> None:
    """A person with a unique face: seen in training, ridge would lean towards it; unseen, it cannot know it."""
    data = made_up_pairs(30, 0, clips=3)
    voice, mine = data.voices["campplus-frames"].value.numpy(), data.person == 4
    before = out_of_fold(voice, data.identity, data.person, alpha=0.1)
    changed = data.identity + np.where(mine[:, None], 100.0, 0.0).astype(np.float32)
    after = out_of_fold(voice, changed, data.person, alpha=0.1)
    np.testing.assert_allclose(before[mine], after[mine], atol=1e-4)
    assert np.abs(before[~mine] - after[~mine]).max() > 1.0


def test_the_trained_prior_draws_the_right_people_with_the_right_spread(tmp_path: Path) -> None:
    torch.manual_seed(0)
    prior = Prior(PriorConfig(voices={"campplus-frames": 12}, identity_dim=6, width=32, depth=1))
    task = PriorTask(prior, made_up_pairs(400, 1), made_up_pairs(50, 2), torch.device("cpu"))
    ema = train(task, Options(tmp_path, batch=64, total=64 * 60, lr=1e-3, seed=0, save_seconds=1e9))
    assert isinstance(ema, Prior)

    test = made_up_pairs(300, 3)
    voice = test.voices["campplus-frames"].value
    mean = ema.predict_mean(voice)
    noise = torch.randn(300, 6, generator=torch.Generator().manual_seed(0))
    drawn = (mean + heun(lambda z, t: ema(z, t, Condition.of(mean)), noise, 16) @ ema.colouring).detach().numpy()
    residual = drawn - voice.numpy() @ MAP
    assert residual.std() == pytest.approx(0.5, abs=0.12)  # the spread that the data has round the map
    assert np.corrcoef(drawn.ravel(), test.identity.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("guidance", [0.0, 0.5, 1.0, 1.1, 2.0])
def test_drawn_people_are_spread_as_real_ones_however_far_they_follow_the_voice(guidance: float) -> None:
    """Where expectations are wider apart than people they are not drawn together again, but nothing is added."""
    prior = Prior(PriorConfig(voices={"campplus-frames": 12}, identity_dim=6, width=32, depth=1))
    PriorTask(prior, made_up_pairs(2000, 1, noise=2.0), made_up_pairs(50, 2), torch.device("cpu"))
    voice, noise = made_up_pairs(4000, 3).voices["campplus-frames"].value, torch.randn(4000, 6)
    drawn = (around(prior, voice, noise, 1.0, guidance) @ prior.whitening).var(0).detach()
    spread = prior.spread.numpy()
    assert spread.max() > 1.5 > 0.5 > spread.min()
    np.testing.assert_allclose(drawn, np.maximum(1 + spread, guidance**2 * spread), rtol=0.2)


def test_a_prior_from_before_draws_as_much_at_any_guidance(tmp_path: Path) -> None:
    """Its file has no `spread`: as much is drawn of the rest at any guidance."""
    prior = Prior(PriorConfig(voices={"campplus-frames": 12}, identity_dim=6, width=32, depth=1))
    PriorTask(prior, made_up_pairs(200, 1), made_up_pairs(50, 2), torch.device("cpu"))
    store.save(tmp_path, prior, {}, precision="float32")
    path = tmp_path / "prior.safetensors"
    assert (store.load_prior(tmp_path).left_open(2.0) < 1).any()
    tensors = load_file(path)
    del tensors["spread"]
    save_file(tensors, path)
    assert (store.load_prior(tmp_path).left_open(2.0) == 1).all()
    del tensors["colouring"]
    save_file(tensors, path)
    with pytest.raises(UserError, match="does not fit this version of the prior"):
        store.load_prior(tmp_path)


def test_old_files_of_one_encoder_still_load(tmp_path: Path) -> None:
    old = PriorConfig({"resemblyzer": 256}, width=16, depth=1)
    store.save(tmp_path, Prior(old), {}, precision="float32")
    path = tmp_path / "prior.json"
    description = json.loads(path.read_text())
    config = description["config"]
    del config["voices"]
    config |= {"voice_dim": 256, "voice_encoder": "resemblyzer", "looks": False}
    path.write_text(json.dumps({**description, "config": config}))
    assert store.load_prior(tmp_path).config == old
    assert store.load_prior(folders.shipped()).config.voices == {"campplus-frames": 512}
    for wrong, why in (({**config, "looks": True}, "trained with looks"), ({**config, "depth_": 1}, "depth_")):
        path.write_text(json.dumps({**description, "config": wrong}))
        with pytest.raises(UserError, match=f"does not fit this version of the prior.*{why}"):
            store.load_prior(tmp_path)


def test_a_second_description_of_the_voice_is_used_where_it_is_there() -> None:
    """The face follows from numbers that only the second description holds; of half of the voices it is missing."""
    data = made_up_pairs(400, 1, noise=0.1)
    value = data.voices["campplus-frames"].value
    given = torch.arange(400) % 2 == 0
    blind, noisy = value.clone(), torch.full_like(value, torch.nan)
    blind[:, :6] = 0
    noisy[given] = 1000 * value[given] + 5000  # another unit altogether
    data = PairData(
        {"campplus-frames": Condition.of(blind), "acoustics": Condition(noisy, given)},
        data.identity,
        data.person,
        data.looks,
    )
    prior = Prior(PriorConfig(data.dims, identity_dim=6, width=16, depth=1))
    PriorTask(prior, data, data, torch.device("cpu"))
    error = (prior.predict_mean(prior.inputs(data.voices)) - torch.from_numpy(data.identity)).square().mean(1)
    assert error[given].mean() < 0.4 * error[~given].mean()
    alone = prior.inputs({"campplus-frames": Condition.of(blind)})
    missing = prior.inputs({**data.voices, "acoustics": data.voices["acoustics"].dropped()})
    torch.testing.assert_close(alone, missing)


@pytest.mark.parametrize("people", ["clips", "alike"])
def test_training_from_files_is_training_from_memory_to_the_bit(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, people: str
) -> None:
    """Two voices, one of them with gaps; faces of their own files and, of people with sounds, of any."""
    monkeypatch.setattr(pairs, "BLOCK", 7)
    paired_dataset(dataset, 40)
    with dataset.transaction():
        dataset.connection.execute(
            "INSERT INTO acoustics (video_id, f0_mean_hz) SELECT id, id FROM videos WHERE id % 3"
        )
        dataset.connection.execute("UPDATE videos SET kind = 'sound', identity_id = identity_id - 1 WHERE id % 10 = 2")
    found = []
    for memory_gb in (1.0, 0.0):
        settings = Train(
            voices=["campplus-frames", "acoustics"],
            people=people,  # type: ignore[arg-type]
            memory_gb=memory_gb,
            prior_steps=5,
            prior_batch=8,
            device="cpu",
        )
        runs = tmp_path / str(memory_gb)
        job = jobs.make_job("prior", dataset.path, runs, settings)
        assert isinstance(job.task, PriorTask)
        assert job.task.faces is not None
        assert isinstance(job.task.train.identity.base, np.memmap) == (memory_gb == 0)
        assert (runs / "packed").exists() == (memory_gb == 0)
        model = train(job.task, job.options)
        found.append({**model.state_dict(), "validation": torch.tensor(job.task.validate(model))})
    torch.testing.assert_close(*found, rtol=0, atol=0, equal_nan=True)  # what was never measured has no mean
