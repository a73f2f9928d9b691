"""Recognisers in ONNX files as judges of likeness, beside dlib's network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ds2f.cli import main
from ds2f.dataset import Dataset
from ds2f.errors import UserError
from ds2f.face.align import arcface_square
from ds2f.face.file_embedder import FileEmbedder
from ds2f.models import folders, store
from ds2f.models.pixels import square_of
from ds2f.training.decoder import DecoderTask
from ds2f.training.distillation import DistillationTask
from ds2f.training.judges import FileJudge
from ds2f.training.likeness import VIEWS, Likeness, View
from helpers import tiny_decoder
from made_up_faces import made_up_faces
from made_up_networks import node, numbers, recogniser, written
from people import paired_dataset

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"onnx:{recogniser(tmp_path_factory.mktemp('judges') / 'small.onnx')}"


def waves(count: int, size: int = 32) -> torch.Tensor:
    """(count, 3, size, size) smooth pictures in [-1, 1]."""
    coarse = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, size, mode="bicubic", align_corners=False).clamp(-1, 1)


@pytest.mark.parametrize("last", [False, True], ids=["colours first", "colours last"])
def test_it_says_of_a_crop_what_the_same_file_says_of_an_aligned_face(tmp_path: Path, last: bool) -> None:
    nodes = [node("Transpose", "x", "first", perm=[0, 3, 1, 2])] if last else [node("Identity", "x", "first")]
    nodes += [node("Conv", "first w", "c"), node("Relu", "c", "r"), node("Flatten", "r", "y")]
    shape = ("n", 16, 16, 3) if last else ("n", 3, 16, 16)
    path = written(tmp_path / "j.onnx", nodes, {"w": numbers(4, 3, 5, 5)}, shape)
    path.with_suffix(".json").write_text(json.dumps({"channels": "BGR", "mean": [90, 100, 120], "std": 50}))
    judge, crops = FileJudge(f"onnx:{path}"), waves(3, size=20)  # where ArcFace's crop is 16 px wide
    cut = square_of(crops, *arcface_square(), 16).permute(0, 2, 3, 1)
    seen = FileEmbedder(f"onnx:{path}").embed_crops(((cut + 1) * 127.5).round().byte().numpy())
    np.testing.assert_allclose(judge(crops).numpy(), seen, atol=0.01)
    judge.centre(crops)
    np.testing.assert_allclose(judge(crops).numpy(), seen - seen.mean(0), atol=0.01)
    large = torch.nn.functional.interpolate(crops, 80, mode="bilinear", antialias=True, align_corners=False)
    np.testing.assert_allclose(judge(large).numpy(), judge(crops).numpy(), atol=0.05)


def test_all_judges_are_asked_and_a_face_moves_towards_the_person_where_the_loss_falls(spec: str) -> None:
    faces = waves(3)
    likeness = Likeness(torch.zeros(128), [spec])
    likeness.mean.copy_(likeness.vectors(faces).mean(0))
    likeness.centre(faces)
    assert likeness.names == ["dlib", "onnx:small"]
    identity, real = likeness.vectors(faces).roll(1, 0), faces.roll(1, 0)
    torch.testing.assert_close(likeness(faces, identity.roll(-1, 0), real=faces), torch.ones(3))
    (judge,) = likeness.judges
    alone = torch.cosine_similarity(judge(faces), judge(real))
    both = Likeness(likeness.mean)(faces, identity) + alone
    torch.testing.assert_close(likeness(faces, identity, real=real), both / 2)
    moved = faces.clone().requires_grad_()
    (slope,) = torch.autograd.grad(likeness(moved, identity, torch.Generator().manual_seed(0), real).sum(), moved)
    with torch.no_grad():
        better = moved + 0.02 * slope.sign()
        assert likeness(better, identity, real=real).mean() > likeness(faces, identity, real=real).mean() + 0.01
        assert torch.cosine_similarity(judge(better), judge(real)).mean() > alone.mean() + 0.01
    with pytest.raises(ValueError, match="onnx:small compares pictures"):
        likeness(faces, identity)


def test_a_pattern_fixed_on_the_grid_of_pixels_pleases_less_in_changing_views(spec: str) -> None:
    faces, judge = waves(8), FileJudge(spec)
    judge.centre(faces)
    real = judge(faces.roll(1, 0))
    pattern = torch.zeros_like(faces)
    for _ in range(10):  # what pleases a judge that looks at the same place always
        pattern.requires_grad_()
        (slope,) = torch.autograd.grad(torch.cosine_similarity(judge(faces + pattern), real).sum(), pattern)
        pattern = (pattern.detach() + 0.01 * slope.sign()).clamp(-0.03, 0.03)

    def gain(views: tuple[str, ...]) -> float:
        found = []
        for seed in range(4):
            view = View.drawn(faces, views, torch.Generator().manual_seed(seed))
            seen = [judge(view.of(x), view.shift, view.scale) for x in (faces + pattern, faces)]
            found += [torch.cosine_similarity(seen[0], real) - torch.cosine_similarity(seen[1], real)]
        return float(torch.stack(found).mean())

    assert gain(()) > 0.05
    for kind in ("shift", "mirror", "scale"):
        assert gain((kind,)) < 0.97 * gain(()), kind
    assert gain(VIEWS) < 0.5 * gain(())


def test_views_are_of_the_generator_and_those_of_before_as_they_were() -> None:
    faces = waves(6)
    first, again = (View.drawn(faces, VIEWS, torch.Generator().manual_seed(3)) for _ in range(2))
    for name in ("mirrored", "noise", "shift", "scale"):
        assert torch.equal(getattr(first, name), getattr(again, name))
    before = View.drawn(faces, ("shift", "mirror"), torch.Generator().manual_seed(3))
    assert before.shift is not None
    assert before.mirrored is not None
    assert torch.equal(before.shift, first.shift)
    assert torch.equal(before.mirrored, first.mirrored)
    assert before.noise is before.scale is None
    assert first.scale.min() > 0.9
    assert first.scale.max() < 1.1
    assert first.noise.abs().max() < 0.5


def test_decoders_are_judged_and_say_by_whom(spec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faces, rows = made_up_faces(8, 0), torch.arange(2)
    plain = DecoderTask(tiny_decoder(), faces, faces, CPU, 0.5)
    asked = DecoderTask(tiny_decoder(), faces, faces, CPU, 0.5, judges=[spec], views=VIEWS)
    losses = [float(task.loss(rows, torch.Generator().manual_seed(0)).detach()) for task in (plain, asked, asked)]
    assert losses[0] != losses[1] == losses[2]
    assert float(asked.likeness.judges[0].mean.norm()) > 0  # type: ignore[union-attr, operator]
    fast = DistillationTask(tiny_decoder(), faces, faces, CPU, 2, 0.5, judges=[spec], views=VIEWS)
    fast.loss(rows, torch.Generator().manual_seed(0)).backward()
    store.save(tmp_path / "old", tiny_decoder(), {"judges": ["dlib", "onnx:other"]})
    assert asked.judged_by(tmp_path / "old") == ["dlib", "onnx:other", "onnx:small"]
    with Dataset(tmp_path / "d.db", create=True) as dataset:
        paired_dataset(dataset, 40)
    (tmp_path / "ds2f.toml").write_text(
        "[train]\ndecoder_size = 16\ndecoder_width = 64\ndecoder_depth = 1\ndecoder_batch = 2\ndecoder_images = 2\n"
        f"likeness_judges = {json.dumps([spec])}\nlikeness_views = {json.dumps(VIEWS)}\n"
        "fast_faces = 2\nfast_batch = 2\n"
    )
    paths = ["--config", tmp_path / "ds2f.toml", "--database", tmp_path / "d.db", "--runs", tmp_path / "runs"]
    for model in ("decoder", "fast-decoder"):
        assert main(["train", model, *map(str, paths)]) == 0, capsys.readouterr().err
    assert folders.judges(tmp_path / "runs" / "model") == ["dlib", "onnx:small"]
    for model in ("decoder", "fast-decoder"):
        assert folders.description(tmp_path / "runs/model", model)["card"]["judges"] == ["dlib", "onnx:small"]


def bad(path: Path, nodes: list[Any], shape: tuple[int | str, ...]) -> str:
    return f"onnx:{written(path, nodes, {}, shape)}"


def test_what_is_no_judge_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"likeness_judges: 'tflite:m.tflite' cannot be differentiated"):
        FileJudge("tflite:m.tflite")
    with pytest.raises(UserError, match=r"There is no face recogniser nowhere\.onnx"):
        FileJudge("onnx:nowhere.onnx")
    with pytest.raises(UserError, match=r"its input is \(4, 9, 9\), not a picture in three colours"):
        FileJudge(bad(tmp_path / "four.onnx", [node("Flatten", "x", "y")], ("n", 4, 9, 9)))
    with pytest.raises(UserError, match=r"it returns \(3, 9, 9\) for a face, not a vector"):
        FileJudge(bad(tmp_path / "same.onnx", [node("Identity", "x", "y")], ("n", 3, 9, 9)))
    with pytest.raises(UserError, match="has the operator Erf"):
        FileJudge(bad(tmp_path / "erf.onnx", [node("Erf", "x", "e"), node("Flatten", "e", "y")], ("n", 3, 9, 9)))
