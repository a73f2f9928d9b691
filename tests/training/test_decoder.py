"""What the decoder learns from, on small made-up faces that follow from their identities."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ds2f.dataset import Dataset
from ds2f.dataset.store import store
from ds2f.errors import UserError
from ds2f.models.conditioning import Condition
from ds2f.models.decoder import Decoder, DecoderConfig
from ds2f.training.decoder import DecoderTask, FaceData, fit_linear_face, load_faces
from ds2f.training.loop import Options, train
from helpers import PLAN, extracted, item, wanting

SIZE = 16


def made_up_faces(count: int, seed: int) -> FaceData:
    """Left-right symmetric pictures, a fixed linear map of 4 of the 128 identity numbers, plus noise."""
    generator = torch.Generator().manual_seed(seed)
    identity = torch.randn(count, 128, generator=generator)
    pattern = torch.randn(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(99))
    pattern = pattern + pattern.flip(3)
    image = torch.einsum("nd,dchw->nchw", identity[:, :4], pattern) * 15 + 128
    image = image + 8 * torch.randn(image.shape, generator=generator)
    conditions = {"identity": Condition.of(identity), "coverage": Condition.of(torch.ones(count, 1))}
    return FaceData(image.clamp(0, 255).byte(), conditions)


def task() -> DecoderTask:
    torch.manual_seed(0)
    model = Decoder(DecoderConfig(size=SIZE, patch=4, width=64, depth=1, heads=1, refine=4))
    return DecoderTask(model, made_up_faces(1500, 0), made_up_faces(64, 1), torch.device("cpu"))


def test_linear_face_recovers_a_linear_map() -> None:
    identity = torch.randn(500, 6, generator=torch.Generator().manual_seed(0))
    true = torch.randn(6, 3 * 4 * 4, generator=torch.Generator().manual_seed(1))
    found = fit_linear_face(identity, (identity @ true).unflatten(1, (3, 4, 4)), ridge=1e-6)
    torch.testing.assert_close(found, true, atol=1e-3, rtol=1e-3)


def test_linear_face_is_fitted_and_zero_where_no_identity_is_given() -> None:
    model, held_out = task().model, made_up_faces(64, 1)
    x = model.normalise(held_out.image.float() / 127.5 - 1)
    linear = model.linear({"identity": Condition.of(held_out.of("identity"))})
    assert linear is not None
    assert (x - linear).square().mean() < 0.3 * x.square().mean()
    nothing = model.linear({"identity": Condition.of(held_out.of("identity")).dropped()})
    assert nothing is not None
    assert nothing.abs().max() == 0
    assert model.linear({}) is None


def test_training_lowers_the_loss_on_faces_not_seen(tmp_path: Path) -> None:
    job = task()
    before = job.validate(job.model)
    ema = train(job, Options(tmp_path, batch=32, total=32 * 60, lr=2e-3, seed=0, save_seconds=1e9))
    assert job.validate(ema) < 0.6 * before
    assert len(list(tmp_path.glob("preview-*.png"))) == 1


def test_the_same_generator_gives_the_same_loss_and_another_another() -> None:
    job, rows = task(), torch.arange(16)
    losses = [float(job.loss(rows, torch.Generator().manual_seed(seed)).detach()) for seed in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]


def test_faces_come_out_of_the_dataset_in_size_and_split(tmp_path: Path) -> None:
    with Dataset(tmp_path / "d.db", create=True) as dataset:
        with pytest.raises(UserError, match="no faces in split 'train'"):
            load_faces(dataset, "train", SIZE)
        from ds2f.dataset.queries import SplitRule

        dataset.add_items(Path("faces"), "still", [item(f"{i}.png", str(i)) for i in range(3)], SplitRule(0, 0.0, 0.0))
        for job in wanting(dataset):
            store(dataset, job, extracted(job.video_id, voice=False), PLAN)
        data = load_faces(dataset, "train", SIZE)
    assert data.image.shape == (3, 3, SIZE, SIZE)
    assert data.image.dtype == torch.uint8
    assert data.of("identity").shape == (3, 128)
    assert set(data.conditions) == {"identity", "coverage"}, "what no face has is no condition"
