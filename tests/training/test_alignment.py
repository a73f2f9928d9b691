"""The alignment's training, on made-up people whose faces follow from their voices by a known map."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ds2f.cli import main
from ds2f.dataset import Dataset
from ds2f.errors import UserError
from ds2f.models import folders, store
from ds2f.models.alignment import Alignment, AlignmentConfig
from ds2f.models.conditioning import Condition
from ds2f.models.linear import LinearPrior
from ds2f.training.alignment import (
    AlignmentTask,
    calibrated,
    choose,
    fit_score,
    info_nce,
    linear_scores,
    scores,
    whiten,
)
from ds2f.training.loop import Options, train
from ds2f.training.pairs import PairData
from people import made_up_pairs, paired_dataset, ten_clips_each

CONFIG = AlignmentConfig(voices={"campplus-frames": 12}, identity_dim=6, dim=4)


def options(run: Path, pairs: PairData, steps: int) -> Options:
    return Options(run, len(pairs), len(pairs) * steps, lr=1e-2, seed=0, save_seconds=1e9, ema=0.1, muon=False)


def test_info_nce_takes_every_clip_of_a_person_as_right() -> None:
    score = torch.tensor([[2.0, 1.0, 0.0]])
    right = torch.tensor([[True, True, False]])
    everyone = torch.ones(1, 3, dtype=torch.bool)
    log_p = score.log_softmax(1)[0]
    torch.testing.assert_close(info_nce(score, right, everyone), -(log_p[0] + log_p[1]) / 2)
    nobody_else = torch.tensor([[False, False, False]])
    log_p = score[:, :2].log_softmax(1)[0]
    torch.testing.assert_close(info_nce(score, right, nobody_else), -(log_p[0] + log_p[1]) / 2)


def test_whitening_without_shrinkage_gives_unit_covariance_and_shrinkage_less() -> None:
    x = torch.randn(2000, 5, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 2, 3, 4, 5])
    torch.testing.assert_close(torch.cov((x @ whiten(x, 0.0)).T), torch.eye(5), atol=1e-4, rtol=0)
    spread = torch.linalg.eigvalsh(torch.cov((x @ whiten(x, 0.5)).T))
    assert spread[0] < 0.3 < 0.7 < spread[-1] < 1


def test_training_from_the_closed_form_makes_it_better_on_people_not_seen(tmp_path: Path) -> None:
    pairs, held_out = made_up_pairs(150, 1, clips=2), made_up_pairs(150, 2)
    task = AlignmentTask(Alignment(CONFIG), pairs, held_out, shrinkage=0.5)
    before, loss = fit_score(task.model.eval(), held_out), task.validate(task.model)
    found = train(task, options(tmp_path, pairs, 60))
    assert before > 0.75, "the closed form alone knows much"
    assert fit_score(found, held_out) > before
    assert task.validate(found) < loss


@pytest.mark.filterwarnings("error")
def test_the_size_is_chosen_on_few_people_of_whom_each_fold_holds_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ds2f.training.alignment.STEPS", (2,))
    pairs = made_up_pairs(6, 1, clips=4)
    found = choose(CONFIG, pairs, options(tmp_path, pairs, 2), None)
    assert 0 < found.score <= 1, "a fold of one person would have no wrong pair, and no score"
    with pytest.raises(UserError, match="four people or more, not of 3"):
        choose(CONFIG, pairs.rows(pairs.person < 3), options(tmp_path, pairs, 2), None)


def test_training_that_makes_it_worse_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ds2f.training.alignment.STEPS", (2,))
    pairs = made_up_pairs(40, 1)
    wild = replace(options(tmp_path, pairs, 2), lr=5.0)
    found = choose(CONFIG, pairs, wild, None)
    assert found.steps == 0
    assert found.score > 0.6, "the closed form"
    task = AlignmentTask(Alignment(CONFIG), pairs, made_up_pairs(40, 2), found.shrinkage)
    before = scores(task.model.eval(), pairs)
    np.testing.assert_array_equal(scores(train(task, replace(wild, total=0)), pairs), before)


def test_voices_and_faces_that_have_nothing_to_do_with_each_other_score_near_chance() -> None:
    pairs, held_out = made_up_pairs(300, 1), made_up_pairs(300, 2)
    shuffled = pairs.identity[np.random.default_rng(0).permutation(300)]
    task = AlignmentTask(Alignment(CONFIG), PairData(**{**vars(pairs), "identity": shuffled}), held_out, 0.5)
    assert fit_score(task.model, held_out) == pytest.approx(0.5, abs=0.12)


def test_folded_it_scores_the_same_in_less_space(tmp_path: Path) -> None:
    pairs = made_up_pairs(60, 1)
    model = AlignmentTask(Alignment(CONFIG), pairs, pairs, shrinkage=0.5).model.eval()
    folded = model.fold()
    np.testing.assert_allclose(scores(folded, pairs), scores(model, pairs), atol=1e-4)
    np.testing.assert_allclose(scores(folded.fold(), pairs), scores(model, pairs), atol=1e-4)
    for place, one in ((tmp_path / "whole", model), (tmp_path, folded)):
        store.save(place, one, {}, precision="float32")
        np.testing.assert_allclose(scores(store.load_alignment(place), pairs), scores(model, pairs), atol=1e-4)
    assert not any("whitening" in name for name in folded.state_dict())


def test_calibrated_odds_are_frequencies(tmp_path: Path) -> None:
    pairs, held_out, unseen = (made_up_pairs(400, seed, noise=2.0) for seed in (1, 2, 3))
    model = calibrated(AlignmentTask(Alignment(CONFIG), pairs, held_out, 0.5).model, held_out)
    odds = model.config.slope * scores(model, unseen) + model.config.intercept
    right, wrong = np.diagonal(odds), odds[~np.eye(400, dtype=bool)]
    for low, high in ((-1.5, -0.5), (-0.5, 0.5), (0.5, 1.5)):
        hits, misses = (((x > low) & (x < high)).mean() for x in (right, wrong))
        assert hits / (hits + misses) == pytest.approx(1 / (1 + np.exp(-(low + high) / 2)), abs=0.12)


def test_the_command_chooses_trains_measures_and_saves(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ds2f.training.alignment.STEPS", (2, 5))
    monkeypatch.setattr("ds2f.training.alignment.DIMS", (8, 16))
    monkeypatch.setattr("ds2f.training.alignment.SHRINKAGES", (0.5, 1.5))
    paired_dataset(dataset, 240)
    monkeypatch.setattr("ds2f.training.estimate.SECONDS", 0.0)
    runs = tmp_path / "runs"
    command = ["train", "alignment", "--database", str(dataset.path), "--runs", str(runs)]
    assert main([*command, "--dry-run"]) == 0
    assert "in 5 steps" in capsys.readouterr().out, "as many as it may choose"
    assert not runs.exists()
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "right of 10, same gender" in said
    model = store.load_alignment(runs / "model")
    card = folders.description(runs / "model", "alignment")["card"]
    assert card["choice"]["dim"] == model.config.dim
    assert card["measures"]["alignment"][0]["auc"]["value"] > 0.7
    voice = {"campplus-frames": Condition.of(torch.randn(3, 512))}
    odds = model.log_odds(model.inputs(voice), torch.randn(2, 128))
    assert odds.shape == (3, 2)


def test_too_few_pairs_and_missing_voices_are_refused(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paired_dataset(dataset, 12)
    train_it = ["train", "alignment", "--database", str(dataset.path), "--runs", str(tmp_path)]
    assert main(train_it) == 2
    assert "at least 20 are needed" in " ".join(capsys.readouterr().err.split())
    (tmp_path / "c.toml").write_text('[train]\nvoices = ["campplus-frames", "acoustics"]\n')
    assert main([*train_it, "--config", str(tmp_path / "c.toml")]) == 2
    assert "no rows of 'acoustics'" in " ".join(capsys.readouterr().err.split())


def test_the_linear_map_to_be_beaten_is_fitted_on_people_left_out() -> None:
    voice, identity, person = (x.astype(np.float32) for x in ten_clips_each(1))
    looks = made_up_pairs(80, 0, clips=10).looks
    data = PairData({"v": Condition.of(torch.from_numpy(voice))}, identity, person.astype(int), looks)
    known, held_out = data.rows(person < 60), data.rows(person >= 60)
    best = LinearPrior.fit_to_people(voice[person < 60], known.identity, known.person)
    expected = best.similarity(voice[person >= 60], held_out.identity)
    np.testing.assert_allclose(linear_scores(known, held_out, ["v"]), expected, atol=1e-4)
