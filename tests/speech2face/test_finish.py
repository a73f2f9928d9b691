"""What follows the decoder, super-resolution and halving: from every way of drawing the same picture, and the old one
where not wanted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ds2f import Speech2Face
from ds2f.config import Audio
from ds2f.demo import samples
from ds2f.errors import UserError
from ds2f.models import folders, store
from ds2f.models.decoder import Decoder, DecoderConfig
from ds2f.models.super_resolution import SuperResolution, SuperResolutionConfig
from ds2f.speech2face import graphs, hub, quick
from ds2f.speech2face.finish import finished, halved
from ds2f.speech2face.sampler import by_network
from ds2f.speech2face.settings import SamplingSettings
from ds2f.types import NO_WISH

RECORDING = samples() / "person-2.mp4"
BARE = SamplingSettings(watermark=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model in the box, with its decoder of 64 px as the main one, and a super-resolution of random weights."""
    at = tmp_path_factory.mktemp("model")
    hub.save(folders.shipped(), at / "whole")
    for file in (at / "whole").glob("*decoder.*"):
        file.unlink()
    for file in (at / "whole").glob("super-resolution.*"):
        file.unlink()
    for file in (at / "whole" / "64").iterdir():
        file.rename(at / "whole" / file.name)
    (at / "whole" / "64").rmdir()
    torch.manual_seed(0)
    network = SuperResolution(SuperResolutionConfig(64, 2, (8, 12), (1, 1)))
    nn.init.normal_(network.leave.weight, std=0.02)
    store.save(at / "whole", network, {})
    graphs.write_super_resolution(at / "whole")
    return at / "whole"


def test_a_voice_and_a_seed_are_one_face_by_both_ways_alone_and_among_others(folder: Path) -> None:
    drawing = folders.drawing_of_size(folder)
    assert (drawing.size, drawing.super_resolution) == (128, True)
    assert quick.can_draw(folder, drawing, BARE, NO_WISH, "cpu")
    mine = quick.QuickSpeech2Face(folder, drawing, Audio())(RECORDING, 2, 3, settings=BARE)
    other = Speech2Face.from_pretrained(folder, device="cpu")
    theirs = other(RECORDING, 2, 3, settings=BARE)
    (alone,) = other(RECORDING, 1, 4, settings=BARE)
    assert theirs[0].image.size == (128, 128)
    for ours, its in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(ours.image, its.image)
        assert ours.details == its.details
    np.testing.assert_array_equal(theirs[1].image, alone.image)


def test_by_pytorch_it_is_the_same_picture_but_for_rounding(folder: Path) -> None:
    model = Speech2Face.from_pretrained(folder, device="cpu")
    pictures = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    by_graph = quick.by_graph(quick.Graph(folder / "super-resolution.onnx"))
    assert model._sharpen is not None
    by_torch = by_network(store.load_super_resolution(folder))
    both = [finished(pictures, [5, -7], model.drawing, by) for by in (by_graph, by_torch)]
    assert both[0].shape == (2, 128, 128, 3)
    assert np.abs(both[0].astype(int) - both[1]).max() <= 1
    assert not np.array_equal(both[0], finished(pictures, [6, -7], model.drawing, by_graph)), (
        "noise follows from the seed"
    )


def test_the_decoders_own_size_is_drawn_without_it(folder: Path) -> None:
    small = Speech2Face.from_pretrained(folder, device="cpu", size=folders.own_size(folder))
    known = Speech2Face.from_pretrained(device="cpu", size=64)
    assert small.size == 64
    np.testing.assert_array_equal(small(RECORDING, 1, 0)[0].image, known(RECORDING, 1, 0)[0].image)
    assert small.fingerprint != Speech2Face.from_pretrained(folder, device="cpu").fingerprint


def test_it_may_keep_the_size_of_a_picture_and_only_add_detail(folder: Path, tmp_path: Path) -> None:
    hub.save(folder, tmp_path / "copy")
    torch.manual_seed(0)
    network = SuperResolution(SuperResolutionConfig(64, 1, (8, 12), (1, 1)))
    nn.init.normal_(network.leave.weight, std=0.02)
    store.save(tmp_path / "copy", network, {})
    graphs.write_super_resolution(tmp_path / "copy")
    (drawing,) = folders.drawings(tmp_path / "copy")
    assert (drawing.size, drawing.super_resolution) == (64, True), "the decoder's own picture is not finished"
    faces = [
        quick.QuickSpeech2Face(tmp_path / "copy", drawing, Audio())(RECORDING, 1, 3, settings=BARE),
        Speech2Face.from_pretrained(tmp_path / "copy", device="cpu")(RECORDING, 1, 3, settings=BARE),
        Speech2Face.from_pretrained(device="cpu", size=64)(RECORDING, 1, 3, settings=BARE),
    ]
    mine, theirs, plain = (np.asarray(one[0].image, int) for one in faces)
    np.testing.assert_array_equal(mine, theirs)
    assert mine.shape == plain.shape
    assert 0 < np.abs(mine - plain).mean() < 20, "the same face, not quite"


def test_large_pictures_are_also_drawn_at_half_their_size(folder: Path, tmp_path: Path) -> None:
    drawing = folders.Drawing(64, folder, super_resolution=True, halved=True)
    pictures = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)
    by = quick.by_graph(quick.Graph(folder / "super-resolution.onnx"))
    whole, half = (finished(pictures, [5], how, by) for how in (folders.drawing_of_size(folder), drawing))
    assert (whole.shape, half.shape) == ((1, 128, 128, 3), (1, 64, 64, 3))
    np.testing.assert_array_equal(half, halved(whole))
    assert half[0, 3, 5, 1] == round(float(whole[0, 6:8, 10:12, 1].mean()))
    np.testing.assert_array_equal(
        finished(pictures, [5], folders.Drawing(32, folder, halved=True), None), halved(pictures)
    )
    store.save(tmp_path, Decoder(DecoderConfig(256, 64, 64, 1, 1, 4)), {})
    assert folders.drawings(tmp_path) == [folders.Drawing(256, tmp_path), folders.Drawing(128, tmp_path, halved=True)]


def test_without_a_graph_pytorch_draws(folder: Path, tmp_path: Path) -> None:
    hub.save(folder, tmp_path / "copy")
    (tmp_path / "copy" / "super-resolution.onnx").unlink()
    drawing = folders.drawing_of_size(tmp_path / "copy")
    assert not quick.can_draw(tmp_path / "copy", drawing, BARE, NO_WISH, "cpu")
    faces = [
        Speech2Face.from_pretrained(at, device="cpu")(RECORDING, 1, 0, settings=BARE)
        for at in (folder, tmp_path / "copy")
    ]
    pixels = [np.asarray(one[0].image, int) for one in faces]
    assert np.abs(pixels[0] - pixels[1]).max() <= 1


def test_sizes_are_said_and_what_does_not_belong_together_is_left_out(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert [(one.size, one.super_resolution) for one in folders.drawings(folder)] == [(128, True), (64, False)]
    with pytest.raises(UserError, match="draws faces of 64 or 128 px, not 256"):
        folders.drawing_of_size(folder, 256)
    hub.save(folder, tmp_path / "copy")
    store.save(tmp_path / "copy", SuperResolution(SuperResolutionConfig(32, 2, (8, 12), (1, 1))), {})
    assert [one.size for one in folders.drawings(tmp_path / "copy")] == [64], "what does not fit is left out"
    assert "takes 32 px, and the decoder draws 64" in caplog.text


def test_the_model_in_the_box_draws_three_sizes() -> None:
    found = folders.drawings(folders.shipped())
    assert [(one.size, one.super_resolution) for one in found] == [(256, True), (64, False), (128, True)]
    assert Speech2Face.from_pretrained(device="cpu").size == 256
