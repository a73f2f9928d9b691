"""What the decoder learns from, on small made-up faces that follow from their identities."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ds2f.dataset import Dataset
from ds2f.dataset.splits import SplitRule
from ds2f.dataset.store import store
from ds2f.diffusion.samplers import heun
from ds2f.errors import UserError
from ds2f.models.conditioning import Condition
from ds2f.models.decoder import ALL_CONDITIONS, Decoder, DecoderConfig
from ds2f.models.folders import shipped
from ds2f.models.store import load_decoder
from ds2f.speech2face.draw import conditions_of, sample_images, sampling_plan
from ds2f.speech2face.settings import SamplingSettings
from ds2f.training.decoder import DecoderTask, drop, fit_linear_face, resolved
from ds2f.training.faces import FaceData, load_faces
from ds2f.training.loop import Options, train
from ds2f.training.warm_start import extended, start_fast, warm_start
from ds2f.types import NO_WISH
from helpers import PLAN, extracted, item, landmarks, wanting
from made_up_faces import SIZE, made_up_faces

TINY = 8  # pixels, enough for one colour or a chequered one


def task() -> DecoderTask:
    torch.manual_seed(0)
    model = Decoder(DecoderConfig(size=SIZE, patch=4, width=64, depth=1, heads=1, refine=4))
    return DecoderTask(model, made_up_faces(1500, 0), made_up_faces(64, 1), torch.device("cpu"))


def test_linear_face_recovers_a_linear_map() -> None:
    identity = torch.randn(500, 6, generator=torch.Generator().manual_seed(0))
    true = torch.randn(6, 3 * 4 * 4, generator=torch.Generator().manual_seed(1))
    x = (identity @ true).unflatten(1, (3, 4, 4))
    found = fit_linear_face(zip(identity.split(200), x.split(200), strict=True), ridge=1e-6)
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
        dataset.add_items(Path("faces"), "still", [item(f"{i}.png", str(i)) for i in range(3)], SplitRule(0, 0.0, 0.0))
        for job in wanting(dataset):
            store(dataset, job, extracted(job.video_id, voice=False), PLAN)
        data = load_faces(dataset, "train", SIZE)
    assert data.image.shape == (3, 3, SIZE, SIZE)
    assert data.image.dtype == torch.uint8
    assert data.of("identity").shape == (3, 128)
    assert set(data.conditions) == {"identity", "coverage", "sharpness"}, "what no face has is no condition"


def test_sharpness_is_known_where_landmarks_are_and_goes_by_the_size_of_the_decoder(tmp_path: Path) -> None:
    with Dataset(tmp_path / "d.db", create=True) as dataset:
        dataset.add_items(Path("faces"), "still", [item(f"{i}.png", str(i)) for i in range(3)], SplitRule(0, 0.0, 0.0))
        for eyes, job in zip((40, 4, 0), wanting(dataset), strict=True):
            made = extracted(job.video_id, voice=False)
            assert made.face is not None
            found = replace(made.face.detected, landmarks=landmarks(eyes / 40) if eyes else np.zeros((0, 2)))
            store(dataset, job, replace(made, face=replace(made.face, detected=found)), PLAN)
        known = {size: load_faces(dataset, "train", size).conditions["sharpness"] for size in (16, 32)}
    between = (73.5318 - 38.2946) / 112 * 0.8  # of a canonical crop
    assert known[16].given.tolist() == known[32].given.tolist() == [True, True, False]
    assert known[32].value[:2, 0].tolist() == pytest.approx([0.0, math.log2(4 / (32 * between))], abs=1e-3)
    assert known[16].value[1] == pytest.approx(math.log2(4 / (16 * between)), abs=1e-3)


def test_detail_is_learnt_from_sharp_faces_alone(tmp_path: Path) -> None:
    """Most faces are soft and of one colour, sharp ones are chequered; both are of anybody."""
    generator = torch.Generator().manual_seed(0)
    n = 256
    soft = (torch.rand(n, 1, generator=generator) < 0.7).float()
    chequered = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(TINY // 2, TINY // 2)
    image = (
        128 + 60 * (1 - soft)[:, :, None, None] * chequered + 10 * torch.randn(n, 1, TINY, TINY, generator=generator)
    )
    told = {
        "identity": Condition.of(torch.randn(n, 128, generator=generator)),
        "coverage": Condition.of(torch.ones(n, 1)),
        "sharpness": Condition(-2 * soft, torch.rand(n, generator=generator) < 0.8),
    }
    data = FaceData(image.expand(n, 3, TINY, TINY).clamp(0, 255).byte(), told)
    torch.manual_seed(0)
    conditions = {name: ALL_CONDITIONS[name] for name in told}
    model = Decoder(DecoderConfig(size=TINY, patch=2, width=64, depth=1, heads=1, conditions=conditions))
    options = Options(tmp_path, batch=64, total=64 * 60, lr=3e-3, seed=0, save_seconds=1e9)
    learnt = train(DecoderTask(model, data, data, torch.device("cpu")), options)
    assert isinstance(learnt, Decoder)
    mean, spread = learnt.conditioning.sharpness_mean, learnt.conditioning.sharpness_std
    assert (float(mean), float(spread)) == (0.0, 1.0), "what is asked may lie far from all that was learnt from"
    given = conditions_of(learnt.config, NO_WISH, np.zeros((8, 128), np.float32), {}, None, 8)
    assert given["sharpness"].tolist() == [[0.0]] * 8
    for sharpness in (0.0, -2.0):
        given["sharpness"] = torch.full((8, 1), sharpness)
        drawn = sample_images(sampling_plan(SamplingSettings(fast=False), learnt, None), given, range(8)).astype(float)
        assert np.abs(drawn[:, 1:] - drawn[:, :-1]).mean() > 60, "chequered by 120, as sharp faces are, soft ones 0"


def test_a_soft_face_has_no_say_in_detail() -> None:
    generator = torch.Generator().manual_seed(0)
    error = torch.randn(4, 3, 16, 16, generator=generator)
    kept = resolved(error, torch.tensor([0.0, -0.2, -1.2, -2.0]))
    assert torch.equal(kept[:2], error[:2]), "as many pixels as the crop, or nearly so"
    for row, blocks in ((2, 2), (3, 4)):
        assert torch.allclose(
            kept[row], F.avg_pool2d(error[row], blocks).repeat_interleave(blocks, 1).repeat_interleave(blocks, 2)
        )
    fine = error - resolved(error, torch.full((4,), -1.0))
    assert resolved(fine, torch.full((4,), -1.0)).abs().max() < 1e-6, "detail alone costs a soft face nothing"


def test_the_decoder_in_the_box_is_asked_to_be_whole_and_sharp() -> None:
    config = load_decoder(shipped()).config
    assert list(conditions_of(config, NO_WISH, np.zeros((1, 128)), {}, None, 1)) == [
        "coverage",
        "sharpness",
        "identity",
    ]


def shaken(model: Decoder) -> Decoder:
    """With weights none of which is zero."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


@torch.no_grad()
def test_a_warm_start_draws_as_the_old_decoder_did_until_it_learns_more() -> None:
    old = shaken(task().model)
    wanted = replace(old.config, conditions={**ALL_CONDITIONS, "voice:other": 7}, guide=True)
    new = Decoder(extended(wanted, old.config))
    warm_start(new, old)
    z, t = torch.randn(3, 3, SIZE, SIZE), torch.rand(3)
    told = {"identity": Condition.of(torch.randn(3, 128)), "coverage": Condition.of(torch.ones(3, 1))}
    expected = old(z, t, told)
    assert torch.equal(new(z, t, told), expected)
    for name, dim in new.config.conditions.items():
        if name not in old.config.conditions:
            told[name] = Condition.of(torch.randn(3, dim))
    told["guide"] = Condition.of(torch.randn(3, 3, SIZE, SIZE))
    torch.testing.assert_close(new(z, t, told), expected, msg="what is new is without effect, though it is told")
    for other in (replace(wanted, width=128, heads=2), replace(wanted, depth=0), replace(wanted, size=32)):
        with pytest.raises(UserError, match="another shape of decoder"):
            warm_start(Decoder(extended(other, old.config)), old)


@torch.no_grad()
def test_a_warm_start_at_twice_the_size_draws_the_old_picture_enlarged() -> None:
    old = shaken(task().model)
    for parameter in old.refine.parameters():  # the last convolutions look at pixels, which are others now
        parameter.zero_()
    wanted = replace(old.config, size=2 * SIZE, patch=8)
    new = Decoder(extended(wanted, old.config))
    warm_start(new, old)
    assert (new.config.noise, new.linear_size) == (2 * old.config.noise, SIZE)
    z, t = torch.randn(3, 3, 2 * SIZE, 2 * SIZE), torch.rand(3)
    told = {"coverage": Condition.of(torch.ones(3, 1))}
    small = old(F.avg_pool2d(z, 2), t, told)
    torch.testing.assert_close(new(z, t, told), F.interpolate(small, scale_factor=2))
    told["identity"] = Condition.of(torch.randn(3, 128))
    small, large = old(F.avg_pool2d(z, 2), t, told), F.avg_pool2d(new(z, t, told), 2)
    assert (large - small).square().mean() < 0.3 * small.square().mean()  # the linear face is enlarged smoothly


@torch.no_grad()
def test_what_distillation_changed_carries_over_to_a_larger_and_further_trained_teacher() -> None:
    old = shaken(task().model)
    fast = shaken(copy.deepcopy(old))
    teacher = Decoder(extended(replace(old.config, size=2 * SIZE, patch=8), old.config))
    warm_start(teacher, old)
    student = copy.deepcopy(teacher)
    start_fast(student, old, fast)
    expected = copy.deepcopy(teacher)
    warm_start(expected, fast)
    for (name, mine), its in zip(student.state_dict().items(), expected.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, its, msg=name)
    shaken(teacher)
    student = copy.deepcopy(teacher)
    start_fast(student, old, fast)
    change = student.modulation.weight - teacher.modulation.weight
    torch.testing.assert_close(change, fast.modulation.weight - old.modulation.weight, atol=1e-6, rtol=0)
    with pytest.raises(UserError, match="fast_from has another shape"):
        start_fast(Decoder(replace(old.config, depth=0)), old, fast)


@torch.no_grad()
def test_a_warm_start_forgets_nothing_and_keeps_the_languages_apart() -> None:
    config = task().model.config
    dims = {**config.conditions, "age": 1, "language": 2}
    old = shaken(Decoder(replace(config, conditions=dims, languages=("en", "de"))))
    dims = {**config.conditions, "language": 3}
    grown = extended(replace(config, conditions=dims, languages=("en", "de", "fr")), old.config)
    assert grown.conditions == {**config.conditions, "age": 1, "language": 3}
    new = Decoder(grown)
    warm_start(new, old)
    z, t, age = torch.randn(3, 3, SIZE, SIZE), torch.rand(3), Condition.of(torch.rand(3, 1))
    first, again = torch.eye(2)[[0, 1, 1]], torch.eye(3)[[0, 1, 1]]
    told = old(z, t, {"age": age, "language": Condition.of(first)})
    torch.testing.assert_close(new(z, t, {"age": age, "language": Condition.of(again)}), told)
    assert (told - old(z, t, {"age": age, "language": Condition.of(1 - first)})).abs().max() > 1e-3


def test_every_condition_is_dropped_by_itself_and_all_at_once() -> None:
    n = 4000
    names = ("identity", "age", "coverage", "guide")
    known = {name: Condition.of(torch.zeros(n, 1)) for name in names}
    known["age"] = Condition(torch.zeros(n, 1), torch.arange(n) % 2 == 0)  # known of every other face
    given = {name: c.given for name, c in drop(known, n, torch.Generator().manual_seed(0)).items()}
    share = {name: float(rows.float().mean()) for name, rows in given.items()}
    assert share["identity"] == pytest.approx(0.8 * 0.9, abs=0.03)
    assert share["age"] == pytest.approx(0.5 * 0.7 * 0.9, abs=0.03)
    assert share["coverage"] == pytest.approx(0.95, abs=0.02)
    assert not given["age"][1::2].any()
    told = torch.stack([given[name] for name in ("identity", "age", "guide")])
    assert float((~told[:, ::2].any(0)).float().mean()) > 0.1


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Decoder:
    """A decoder trained for a moment on pictures of one colour: red follows the voice, green the age, blue nothing."""
    generator = torch.Generator().manual_seed(0)
    n = 512
    voice, age = torch.randn(n, 1, generator=generator).expand(n, 256), 20 + 60 * torch.rand(n, 1, generator=generator)
    colour = torch.stack(
        [voice[:, 0] * 40 + 128, (age[:, 0] - 50) * 2 + 128, 256 * torch.rand(n, generator=generator)], 1
    )
    image = colour[:, :, None, None].expand(n, 3, TINY, TINY).clamp(0, 255).byte()
    data = FaceData(
        image,
        {
            "identity": Condition.of(torch.randn(n, 128, generator=generator)),
            "coverage": Condition.of(torch.ones(n, 1)),
            "voice": Condition(voice, torch.rand(n, generator=generator) < 0.7),
            "age": Condition.of(age),
        },
    )
    conditions = {name: ALL_CONDITIONS[name] for name in data.conditions}
    torch.manual_seed(0)
    model = Decoder(DecoderConfig(size=TINY, patch=2, width=64, depth=1, heads=1, conditions=conditions, guide=True))
    job = DecoderTask(model, data, data, torch.device("cpu"))
    options = Options(tmp_path_factory.mktemp("run"), batch=64, total=64 * 150, lr=3e-3, seed=0, save_seconds=1e9)
    ema = train(job, options)
    assert isinstance(ema, Decoder)
    return ema


def _colour(decoder: Decoder, **told: torch.Tensor) -> np.ndarray:
    """Mean colour of what it draws, 0..255: (3,)."""
    conditions = {name: Condition.of(value) for name, value in told.items()}
    noise = torch.randn(32, 3, TINY, TINY, generator=torch.Generator().manual_seed(0))
    rows = {name: Condition.of(c.value.expand(32, *c.value.shape[1:])) for name, c in conditions.items()}
    drawn = decoder.denormalise(heun(lambda z, t: decoder(z, t, rows), noise, 8))
    return ((drawn.mean((0, 2, 3)) + 1) * 127.5).numpy()


def test_the_voice_and_only_the_voice_changes_the_face(taught: Decoder) -> None:
    high, low = torch.full((1, 256), 2.0), torch.full((1, 256), -2.0)
    (red, green, blue), (red2, green2, blue2) = _colour(taught, voice=high), _colour(taught, voice=low)
    assert red - red2 > 60
    assert abs(green - green2) < 30
    assert abs(blue - blue2) < 30


def test_each_condition_acts_alone_and_with_others(taught: Decoder) -> None:
    old, young = torch.tensor([[78.0]]), torch.tensor([[22.0]])
    assert _colour(taught, age=old)[1] - _colour(taught, age=young)[1] > 60
    both = _colour(taught, age=old, voice=torch.full((1, 256), 2.0))
    assert both[0] > 160
    assert both[1] > 140


def test_a_guide_is_followed(taught: Decoder) -> None:
    shade = torch.tensor([60.0, 200.0, 120.0])
    guide = taught.normalise((shade / 127.5 - 1).view(1, 3, 1, 1).expand(1, 3, TINY, TINY))
    drawn = _colour(taught, guide=guide)
    assert np.abs(drawn - shade.numpy()).max() < 35
