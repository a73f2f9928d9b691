"""The fast decoder: taught by a decoder, it draws what that one draws, in few steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors
import torch
from torch import Tensor

from ds2f.cli import main
from ds2f.dataset import Dataset
from ds2f.diffusion.samplers import euler, multistep
from ds2f.models import folders, store
from ds2f.models.conditioning import Condition
from ds2f.models.decoder import Decoder, DecoderConfig
from ds2f.models.prior import Prior, PriorConfig
from ds2f.speech2face.model import Speech2Face
from ds2f.speech2face.settings import SamplingSettings
from ds2f.training.decoder import DecoderTask
from ds2f.training.distillation import DistillationTask, heard_identities
from ds2f.training.loop import Options, train
from helpers import tiny_decoder
from made_up_faces import SIZE, made_up_faces
from people import paired_dataset

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Decoder:
    torch.manual_seed(0)
    model = Decoder(DecoderConfig(size=SIZE, patch=8, width=64, depth=1, heads=1, refine=4))
    task = DecoderTask(model, made_up_faces(1500, 0), made_up_faces(64, 1), CPU)
    run = tmp_path_factory.mktemp("teacher")
    learnt = train(task, Options(run, batch=32, total=32 * 60, lr=2e-3, seed=0, save_seconds=1e9))
    assert isinstance(learnt, Decoder)
    return learnt


def test_the_student_learns_to_land_where_the_teacher_does(teacher: Decoder, tmp_path: Path) -> None:
    held_out = made_up_faces(64, 1)
    task = DistillationTask(teacher, made_up_faces(600, 0), held_out, CPU, steps=2)
    told = {"identity": held_out.conditions["identity"], "coverage": held_out.conditions["coverage"]}
    noise = 0.85 * torch.randn(64, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(5))
    taught = multistep(task._teach(told), noise, 8)

    def missed(student: Decoder) -> Tensor:
        return (euler(lambda z, t: student(z, t, told), noise, 2) - taught).square().mean()

    before, measured = missed(task.model), task.validate(task.model)
    learnt = train(task, Options(tmp_path, batch=16, total=16 * 60, lr=2e-3, seed=0, save_seconds=1e9))
    assert isinstance(learnt, Decoder)
    assert missed(learnt) < 0.85 * before
    assert task.validate(learnt) < 0.5 * measured
    assert len(list(tmp_path.glob("preview-*.png"))) == 1
    unchanged = zip(teacher.parameters(), task.teacher.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in unchanged), "the teacher teaches only"


def test_every_condition_can_be_taught_and_the_same_generator_gives_the_same_loss() -> None:
    model, faces = tiny_decoder(every_condition=True), made_up_faces(32, 0)
    more = {"sharpness": 1, "voice": 256, "age": 1, "gender": 1, "ethnicity": 5}
    for name, dim in more.items():
        faces.conditions[name] = Condition.of(torch.rand(32, dim, generator=torch.Generator().manual_seed(dim)))
    task = DistillationTask(model, faces, faces, CPU, steps=4)
    for seed in range(6):  # what is told differs: identities alone, or any subset
        once, again = (task.loss(torch.arange(8), torch.Generator().manual_seed(seed)) for _ in range(2))
        assert torch.isfinite(once)
        assert once == again


def test_half_of_whom_it_is_taught_are_heard_in_voices() -> None:
    faces, generator = made_up_faces(64, 0), torch.Generator().manual_seed(0)
    heard = torch.full((10, faces.of("identity").shape[1]), 7.0)
    task = DistillationTask(tiny_decoder(), faces, faces, CPU, steps=4, heard=heard)
    drawn = torch.cat([task._conditions(faces, torch.arange(64), generator)["identity"].value for _ in range(20)])
    assert 0.45 < (drawn == 7.0).all(1).float().mean() < 0.55


def test_whom_a_prior_hears_lie_around_what_it_expects(dataset: Dataset, tmp_path: Path) -> None:
    assert heard_identities(dataset, tmp_path) is None, "there is no prior"
    paired_dataset(dataset, 60)
    model = Speech2Face.from_pretrained(device="cpu", size=64)
    store.save(tmp_path, model.prior, {})
    store.save(tmp_path, model.decoder, {})
    heard, count = heard_identities(dataset, tmp_path), len(dataset.pairs("train"))
    assert heard is not None
    assert heard.shape == (12 * count, 128), "four weights by three temperatures"
    drawn = heard.unflatten(0, (4, 3, count))
    further = drawn[1:, 0] - drawn[:-1, 0]
    assert (further[0].norm(dim=1) > 0.01).all()
    torch.testing.assert_close(further[1:], further[:1].expand_as(further[1:]), msg="each as far again from the mean")
    away = (drawn[:, 1:] - drawn[:, :1]).norm(dim=3).mean(2)
    assert (away[:, 1] > away[:, 0]).all(), "a higher temperature, a wider circle"
    assert (away[:, 0] > 0.1).all()


def test_a_model_draws_with_the_fast_decoder_that_its_own_decoder_taught(
    teacher: Decoder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.save(tmp_path, teacher, {})
    store.save(tmp_path, Prior(PriorConfig({"campplus-frames": 12}, width=32, depth=1)), {})
    identities = made_up_faces(3, 2).of("identity").numpy()

    def drawn(settings: SamplingSettings) -> tuple[np.ndarray, int, bool]:
        """Pictures, steps they took, and what their details say of the fast decoder."""
        model, seen = Speech2Face.from_pretrained(tmp_path, device="cpu"), []
        pictures = model.sample_images(identities, [1, 2, 3], settings, lambda *done: seen.append(done))
        return pictures, len(seen), model.details(settings)["fast"]

    slow = drawn(SamplingSettings())
    assert slow[1:] == (10, False), "there is no fast decoder yet"
    faces = made_up_faces(64, 1)
    student = DistillationTask(teacher, faces, faces, CPU, steps=4).model
    store.save(tmp_path, student, {"teacher": folders.digest(tmp_path, "decoder")})
    quick = drawn(SamplingSettings())
    assert quick[1:] == (4, True)
    assert quick[0].shape == (3, SIZE, SIZE, 3)
    assert (quick[0] != slow[0]).any()
    for asked in (
        SamplingSettings(fast=False),
        SamplingSettings(guidance=1.0),
        SamplingSettings(steps=6),
        SamplingSettings(sampler="heun"),
    ):
        assert drawn(asked)[1:] == (asked.steps, False), "it was not taught that"
    np.testing.assert_array_equal(drawn(SamplingSettings(fast=False))[0], slow[0])

    store.save(tmp_path, tiny_decoder(), {})
    assert drawn(SamplingSettings())[1:] == (10, False)
    assert "was taught by another decoder" in caplog.text


def test_a_fast_decoder_starts_from_an_older_one_keeps_what_is_frozen_and_stores_it_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs, start = tmp_path / "runs", tmp_path / "start"
    with Dataset(tmp_path / "d.db", create=True) as dataset:
        paired_dataset(dataset, 20)
    old, new = tiny_decoder(0), tiny_decoder(1)
    store.save(start, old, {})
    fast = Decoder(replace(old.config, few_steps=4))
    fast.load_state_dict({name: value + 0.05 for name, value in old.state_dict().items()})
    config = (
        f'[train]\nfast_from = "start"\nfast_frozen = ["blocks.1"]\nfast_faces = 1\nfast_batch = 1\nfast_lr = {1e-9}\n'
    )
    (tmp_path / "c.toml").write_text(config + "fast_likeness = 0.0\n", "utf-8")
    words = ["train", "fast-decoder", "--database", str(tmp_path / "d.db"), "--runs", str(runs)]
    store.save(runs / "model", new, {})
    assert main([*words, "--config", str(tmp_path / "c.toml")]) == 2
    assert "has no fast decoder taught by its decoder" in capsys.readouterr().err
    store.save(start, fast, {"teacher": folders.digest(start, "decoder")})
    assert main([*words, "--config", str(tmp_path / "c.toml")]) == 0
    found = store.load_fast_decoder(runs / "model")
    assert found is not None
    made, teacher = found.state_dict(), store.load_decoder(runs / "model").state_dict()
    for name, value in made.items():
        if value.dtype.is_floating_point and "mean" not in name and "std" not in name:
            apart = float((value - teacher[name]).abs().max())
            assert apart == (0.0 if name.startswith("blocks.1.") else pytest.approx(0.05, abs=5e-3)), name

    card = {"teacher": folders.digest(runs / "model", "decoder")}
    store.save(runs / "model", found, card, beside=store.shared(runs / "model"))
    with safetensors.safe_open(runs / "model" / "fast-decoder.safetensors", "pt") as file:
        kept = set(file.keys())
    assert not any(name.startswith("blocks.1.") for name in kept), "the decoder has them"
    assert "blocks.0.qkv.weight" in kept
    again = store.load_fast_decoder(runs / "model")
    assert again is not None
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), found.parameters(), strict=True))
    (tmp_path / "c.toml").write_text('[train]\nfast_frozen = ["block.1"]\n', "utf-8")
    store.save(tmp_path / "other" / "model", new, {})
    capsys.readouterr()
    assert main([*words[:-1], str(tmp_path / "other"), "--config", str(tmp_path / "c.toml")]) == 2
    assert "fast_frozen: the decoder has no part 'block.1'; it has" in capsys.readouterr().err
