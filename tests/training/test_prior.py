"""The prior's training, on made-up people whose faces follow from their voices by a known map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ds2f.models.prior import Prior, PriorConfig
from ds2f.training.loop import Options, train
from ds2f.training.prior import PriorTask, out_of_fold, whiten
from people import MAP, made_up_pairs


def test_whitening_makes_unit_covariance_and_comes_back() -> None:
    rng = np.random.default_rng(0)
    residual = rng.normal(size=(4000, 5)) @ rng.normal(size=(5, 5))
    w, c = whiten(residual, floor=1e-6)
    np.testing.assert_allclose(np.cov(residual @ w, rowvar=False), np.eye(5), atol=1e-6)
    np.testing.assert_allclose(w @ c, np.eye(5), atol=1e-6)


def test_out_of_fold_predictions_have_not_seen_the_person() -> None:
    """A person with a unique face: seen in training, ridge would lean towards it; unseen, it cannot know it."""
    data = made_up_pairs(30, 0, clips=3)
    voice, mine = data.voices["resemblyzer"].value.numpy(), data.person == 4
    before = out_of_fold(voice, data.identity, data.person, alpha=0.1)
    changed = data.identity + np.where(mine[:, None], 100.0, 0.0).astype(np.float32)
    after = out_of_fold(voice, changed, data.person, alpha=0.1)
    np.testing.assert_allclose(before[mine], after[mine], atol=1e-4)
    assert np.abs(before[~mine] - after[~mine]).max() > 1.0


def test_the_trained_prior_draws_the_right_people_with_the_right_spread(tmp_path: Path) -> None:
    torch.manual_seed(0)
    prior = Prior(PriorConfig(voices={"resemblyzer": 12}, identity_dim=6, width=32, depth=1))
    task = PriorTask(prior, made_up_pairs(400, 1), made_up_pairs(50, 2), torch.device("cpu"))
    ema = train(task, Options(tmp_path, batch=64, total=64 * 60, lr=1e-3, seed=0, save_seconds=1e9))
    assert isinstance(ema, Prior)

    from ds2f.diffusion.samplers import heun
    from ds2f.models.conditioning import Condition

    test = made_up_pairs(300, 3)
    voice = test.voices["resemblyzer"].value
    mean = ema.predict_mean(voice)
    noise = torch.randn(300, 6, generator=torch.Generator().manual_seed(0))
    drawn = (mean + heun(lambda z, t: ema(z, t, Condition.of(mean)), noise, 16) @ ema.colouring).detach().numpy()
    residual = drawn - voice.numpy() @ MAP
    assert residual.std() == pytest.approx(0.5, abs=0.12)  # the spread that the data has round the map
    assert np.corrcoef(drawn.ravel(), test.identity.ravel())[0, 1] > 0.9
