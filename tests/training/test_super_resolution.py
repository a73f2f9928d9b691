"""Super-resolution: from pictures in the decoder's hand it learns the photographs, and to look like them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ds2f.cli import main
from ds2f.dataset import Dataset
from ds2f.errors import UserError
from ds2f.face.align import template
from ds2f.models import folders, store
from ds2f.models.conditioning import Condition
from ds2f.models.decoder import Decoder, DecoderConfig
from ds2f.models.super_resolution import SuperResolution, SuperResolutionConfig
from ds2f.training.decoder import DecoderTask
from ds2f.training.faces import FaceData
from ds2f.training.loop import Options, train
from ds2f.training.super_resolution import BETAS, RATES, SuperResolutionTask, added_by, photographs
from ds2f.training.warm_start import start_super_resolution
from helpers import tiny_decoder
from people import paired_dataset

CPU = torch.device("cpu")
SIZE = 32


def made_up_photographs(count: int, seed: int) -> FaceData:
    """Soft clouds, and on them stripes of one pixel, which no picture of half the size shows."""
    generator = torch.Generator().manual_seed(seed)
    coarse = F.interpolate(torch.rand(count, 1, 4, 4, generator=generator), SIZE, mode="bilinear").expand(-1, 3, -1, -1)
    stripes = torch.tensor([1.0, -1.0]).repeat(SIZE // 2)[:, None]  # the same when mirrored
    image = 60 + 120 * coarse + 12 * stripes
    more = {"coverage": torch.ones(count, 1), "sharpness": torch.zeros(count, 1)}
    known = {"identity": torch.randn(count, 128, generator=generator), **more}
    return FaceData(image.round().byte(), {name: Condition.of(value) for name, value in known.items()})


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Decoder:
    """Of half the size: it has seen such pictures reduced."""
    torch.manual_seed(0)
    photos, small = made_up_photographs(600, 0), []
    for faces in (photos, made_up_photographs(32, 1)):
        small.append(replace(faces, image=F.avg_pool2d(faces.image.float(), 2).byte()))
    model = Decoder(DecoderConfig(size=SIZE // 2, patch=4, width=64, depth=1, heads=1, refine=4))
    options = Options(tmp_path_factory.mktemp("decoder"), batch=32, total=32 * 60, lr=2e-3, seed=0, save_seconds=1e9)
    learnt = train(DecoderTask(model, *small, CPU), options)
    assert isinstance(learnt, Decoder)
    return learnt


def detail(pictures: Tensor) -> Tensor:
    """How strong is what no picture of half the size can show."""
    return (pictures - F.interpolate(F.avg_pool2d(pictures, 2), scale_factor=2.0)).abs().mean()


def task_of(decoder: Decoder, adversarial: float, features: float) -> SuperResolutionTask:
    return SuperResolutionTask(
        decoder, made_up_photographs(300, 0), made_up_photographs(32, 1), CPU, adversarial, features
    )


def options_for(run: Path, steps: int) -> Options:
    return Options(run, 8, 8 * steps, 1e-3, 0, 1e9, rates=RATES, betas=BETAS)


def test_pairs_are_photographs_and_the_same_faces_drawn(decoder: Decoder) -> None:
    task, rows = task_of(decoder, 0, 0), torch.arange(16)
    real, drawn = task._pairs(task.data, rows, torch.Generator().manual_seed(0))
    assert torch.equal(((real + 1) * 127.5).round().byte(), task.data.images(rows))
    reduced = F.avg_pool2d(real, 2)
    assert drawn.shape == reduced.shape
    apart = (drawn[:, None] - reduced[None]).abs().flatten(2).mean(2)
    assert (apart.argmin(1) == rows).float().mean() > 0.8, "each is the drawing of its own photograph"
    assert apart.diagonal().min() > 0, "and none is the photograph itself"


def test_it_learns_detail_that_no_drawn_picture_has(decoder: Decoder, tmp_path: Path) -> None:
    task = task_of(decoder, 0, 0)
    _, real, before = task._held_out_pairs(task.model, 32)
    learnt = train(task, options_for(tmp_path, 80))
    _, _, after = task._held_out_pairs(learnt, 32)
    assert detail(before) < 0.3 * detail(real)
    assert detail(after) > 0.6 * detail(real)
    assert (after - real).abs().mean() < (before - real).abs().mean()
    assert task.validate(learnt) == pytest.approx(float((after - real).abs().mean()), rel=1e-5)
    assert len(list(tmp_path.glob("preview-*.png"))) == 1


def test_it_may_keep_the_size_and_restore_what_the_decoder_left_soft(decoder: Decoder, tmp_path: Path) -> None:
    photos = [
        FaceData(faces.image[:, :, ::2, ::2].clone(), faces.conditions)
        for faces in (made_up_photographs(300, 0), made_up_photographs(32, 1))
    ]
    for one in photos:
        one.image[:, :, ::2] = (one.image[:, :, ::2].float() + 24).clamp(0, 255).byte()  # stripes again
    task = SuperResolutionTask(decoder, *photos, CPU, 0, 0, factor=1)
    drawn, real, before = task._held_out_pairs(task.model, 32)
    assert drawn.shape == real.shape == before.shape
    torch.testing.assert_close(before, drawn, msg="at first nothing is added")
    learnt = train(task, options_for(tmp_path, 80))
    after = task._held_out_pairs(learnt, 32)[2]
    assert detail(before) < 0.5 * detail(real)
    assert detail(after) > 0.6 * detail(real)
    assert (after - real).abs().mean() < (before - real).abs().mean()


def test_one_that_doubles_teaches_one_that_keeps_the_size() -> None:
    torch.manual_seed(0)
    old = SuperResolution(SuperResolutionConfig(16, 2, (8, 12), (1, 1)))
    torch.nn.init.normal_(old.leave.weight, std=0.1)
    new = SuperResolution(SuperResolutionConfig(32, 1, (8, 12), (1, 1)))
    start_super_resolution(new, old)
    small, noise = torch.rand(2, 3, 16, 16), torch.randn(2, 1, 32, 32)
    large = F.interpolate(small, scale_factor=2.0)
    added = old(small, noise) - F.interpolate(small, scale_factor=2.0, mode="bilinear", align_corners=False)
    torch.testing.assert_close(new(large, noise) - large, added, atol=1e-5, rtol=0)
    assert added.abs().mean() > 0.01
    again = SuperResolution(SuperResolutionConfig(32, 1, (8, 12), (1, 1)))
    start_super_resolution(again, new)
    assert torch.equal(again(large, noise), new(large, noise))
    for other in (
        SuperResolutionConfig(16, 2, (8, 16), (1, 1)),
        SuperResolutionConfig(16, 2, (8,), (1,)),
        SuperResolutionConfig(16, 2, (8, 12), (2, 1)),
    ):
        with pytest.raises(UserError, match="sr_from"):
            start_super_resolution(SuperResolution(other), old)
    with pytest.raises(UserError, match="sr_from"):
        start_super_resolution(SuperResolution(old.config), new)


def test_the_same_generator_gives_the_same_loss_and_both_learn_in_one_step(decoder: Decoder) -> None:
    task = task_of(decoder, 0.1, 0.2)
    once, again = (task.loss(torch.arange(4), torch.Generator().manual_seed(3)) for _ in range(2))
    assert once == again
    once.backward()
    parts = (task.model.generator, task.model.discriminator)
    assert all(any(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters()) for part in parts)
    assert all(p.grad is None for p in task.decoder.parameters())


def test_only_what_is_whole_and_sharp_counts_as_a_photograph() -> None:
    faces = made_up_photographs(5, 0)
    faces.conditions["sharpness"].given[4] = False  # it has no landmarks
    faces.conditions["coverage"].value[1] = 0.9
    faces.conditions["sharpness"].value[2] = -1.0
    assert photographs(faces).tolist() == [0, 3]
    faces.conditions["sharpness"].value[:] = -2.0
    with pytest.raises(UserError, match="Ingest larger pictures"):
        photographs(faces)
    with pytest.raises(UserError, match="no photographs"):
        photographs(FaceData(faces.image, {"coverage": faces.conditions["coverage"]}))


def test_in_use_it_adds_a_share_of_what_it_learnt(decoder: Decoder) -> None:
    learnt = task_of(decoder, 0, 0).model.generator
    torch.nn.init.normal_(learnt.leave.weight, std=0.01)
    picture, noise = torch.rand(2, 3, SIZE // 2, SIZE // 2), torch.randn(2, 1, SIZE, SIZE)
    plain = F.interpolate(picture, scale_factor=2, mode="bilinear", align_corners=False)
    calmer = added_by(learnt, 0.7)(picture, noise)
    torch.testing.assert_close(calmer - plain, 0.7 * (learnt(picture, noise) - plain))
    assert (calmer - plain).abs().mean() > 0.01


def test_what_is_learnt_is_stored_as_what_draws_needs_it(decoder: Decoder, tmp_path: Path) -> None:
    made = task_of(decoder, 0.1, 0.2).model.generator
    torch.nn.init.normal_(made.leave.weight, std=0.01)
    store.save(tmp_path, made, {"decoder": "1234"})
    assert folders.description(tmp_path, "super-resolution")["card"] == {"decoder": "1234"}
    again = store.load_super_resolution(tmp_path)
    picture, noise = torch.rand(1, 3, SIZE // 2, SIZE // 2), torch.randn(1, 1, SIZE, SIZE)
    torch.testing.assert_close(again(picture, noise), made(picture, noise), atol=5e-3, rtol=0)


def test_from_the_command_it_is_trained_saved_and_drawn_by_and_knows_its_decoder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database, runs = tmp_path / "dataset.db", tmp_path / "runs"
    with Dataset(database, create=True) as dataset:
        paired_dataset(dataset, 40)
        dataset.connection.execute("UPDATE faces SET coverage = 1, landmarks = ?", (template(500).tobytes(),))
    store.save(runs / "model", tiny_decoder(), {})
    (tmp_path / "c.toml").write_text("[train]\nsr_batch = 2\nsr_faces = 4\nsr_strength = 0.5\n", "utf-8")
    paths = ["--database", str(database), "--runs", str(runs), "--config", str(tmp_path / "c.toml")]
    assert main(["train", "super-resolution", *paths]) == 0
    card = folders.description(runs / "model", "super-resolution")["card"]
    assert (card["teacher"], card["strength"]) == (folders.digest(runs / "model", "decoder"), 0.5)
    assert folders.drawing_of_size(runs / "model").size == 32
    store.save(runs / "model", tiny_decoder(seed=1), {})
    capsys.readouterr()
    assert main(["train", "super-resolution", *paths]) == 2
    assert f"has the teacher {card['teacher']}, not" in " ".join(capsys.readouterr().err.split())
