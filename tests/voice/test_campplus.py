"""CAM++ as it lies in the box."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import conv1d

from ds2f.config import Numbers
from ds2f.demo import samples
from ds2f.io.media import decode
from ds2f.models import processor
from ds2f.models.speaker.campplus import SEGMENT
from ds2f.types import SAMPLE_RATE, VOICE
from ds2f.voice import encoders
from ds2f.voice.campplus import CAMPlusPlus, Dense, Network, OverTime, Segments
from ds2f.voice.campplus_graph import WEIGHTS, CAMPlusPlusGraph
from ds2f.voice.fbank import fbank
from helpers import noise, tone

NAMES = {"campplus": 192, VOICE: 512}


@pytest.mark.parametrize("name", NAMES)
def test_a_vector_of_length_one_that_does_not_depend_on_its_neighbours(name: str) -> None:
    encoder, clips = encoders.load(name), np.stack([noise(2.0, 0.2, 1), tone(2.0, 300), np.zeros(32_000, np.float32)])
    found = encoder.embed(clips)
    assert (encoder.name, encoder.dim) == (name, NAMES[name])
    assert found.shape == (3, NAMES[name])
    np.testing.assert_allclose(np.linalg.norm(found[:2], axis=1), 1.0, atol=1e-5)
    assert np.isnan(found[2]).all(), "silence has no speaker"
    np.testing.assert_array_equal(encoder.embed(clips[1:2]), found[1:2])
    assert found[0] @ found[1] < 0.9


def test_what_comes_with_the_weights_says_whose_they_are() -> None:
    said = json.loads(WEIGHTS.with_suffix(".json").read_text())
    assert said["licence"].startswith("Apache-2.0 as published")
    assert "3D-Speaker" in said["copyright"]
    encoder = encoders.load("campplus")
    assert encoder.heard_without_names == set(said["heard"])  # type: ignore[attr-defined]
    assert len(said["heard"]) > 700


def test_masks_look_around_over_segments_and_the_last_may_be_short() -> None:
    """Against the same in steps, for the frames of the last segment."""
    torch.manual_seed(0)
    layer, x = Dense(8, 1).eval(), torch.randn(1, SEGMENT + 30, 8)
    with torch.no_grad():
        found = layer(x, Segments.of(x))
        assert found.shape == (1, SEGMENT + 30, 8 + 32)
        torch.testing.assert_close(found[:, :, :8], x)
        h = torch.relu(layer.narrow(torch.relu(layer.before(x))))
        last = h.mean(1) + h[:, SEGMENT:].mean(1)  # the mean of what is there, not of a hundred frames
        mask = torch.sigmoid(layer.mask(torch.relu(layer.context(last[:, None]))))
        torch.testing.assert_close(found[:, SEGMENT:, 8:], (layer.local(h) * mask)[:, SEGMENT:])


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(1, 1, 1), (3, 1, 2), (5, 2, 1)])
@pytest.mark.parametrize("frames", [30, 31])
def test_a_convolution_over_time_is_that_of_pytorch(kernel: int, stride: int, dilation: int, frames: int) -> None:
    torch.manual_seed(0)
    layer, x = OverTime(6, 4, kernel, stride, dilation=dilation), torch.randn(2, frames, 6, requires_grad=True)
    around = (kernel - 1) * dilation // 2
    known = conv1d(x.transpose(1, 2), layer.weight, layer.bias, stride, around, dilation).transpose(1, 2)
    found = layer(x)
    torch.testing.assert_close(found, known)
    (ours,), (theirs,) = (torch.autograd.grad(y.square().sum(), layer.weight) for y in (found, known))
    torch.testing.assert_close(ours, theirs)


def test_in_bfloat16_a_voice_keeps_its_vector() -> None:
    """On every processor, if slowly where it does not multiply such numbers."""
    exact, rough = CAMPlusPlus(precision="float32"), CAMPlusPlus(precision="float32")
    rough._network.in_bfloat16()
    for name in ("person-1.mp4", "person-5.mp4"):
        sound = decode(samples() / name, frames=0, max_seconds=60.0).audio
        features = torch.from_numpy(fbank(sound[: 3 * SAMPLE_RATE])[None])
        with torch.no_grad():
            one, other = exact._network(features), rough._network(features)
            assert one.dtype == other.dtype == torch.float32
            assert torch.cosine_similarity(one.mean(1), other.mean(1)).item() > 0.999
            said = exact._network.embedding(one), rough._network.embedding(other)
            assert torch.cosine_similarity(*said).item() > 0.999


def test_bfloat16_is_for_processors_that_have_it_and_float32_can_be_had_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def numbers(precision: Numbers) -> torch.dtype:
        return CAMPlusPlus(precision=precision)._network.enter.weight.dtype

    for has, chosen in (True, torch.bfloat16), (False, torch.float32):
        monkeypatch.setattr("ds2f.voice.campplus.cpu_has_bf16", lambda has=has: has)
        assert numbers("auto") == chosen
        assert numbers("float32") == torch.float32


def test_the_graph_gives_the_vectors_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    clips = np.stack([noise(2.3, 0.2, 1), tone(2.3, 300), np.zeros(36_800, np.float32)])
    for name in NAMES:
        for has, kind in (True, CAMPlusPlus), (False, CAMPlusPlusGraph):
            monkeypatch.setattr(encoders, "cpu_has_bf16", lambda has=has: has)
            assert type(encoders.load(name)) is kind
        quick, exact = encoders.load(name, precision="float32"), CAMPlusPlus(frames=name == VOICE, precision="float32")
        assert type(quick) is CAMPlusPlusGraph
        assert (quick.name, quick.dim) == (exact.name, exact.dim)
        np.testing.assert_allclose(quick.embed(clips), exact.embed(clips), atol=1e-5)


def test_what_the_processor_says_of_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = (processor.cpu_has_bf16, processor.cpu_has_vnni)

    def answers() -> list[bool]:
        for one in asked:
            one.cache_clear()
        return [one() for one in asked]

    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "cpuinfo")
    for flags, has in (("avx2 avx512_bf16", [True, False]), ("avx2 avx_vnni", [False, True]), ("avx2", [False, False])):
        (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n")
        assert answers() == has
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "no such file")
    assert answers()[1] is False, "not known, so what is safe"
    monkeypatch.undo()
    answers()


def test_frames_are_halved_and_the_embedding_is_of_their_mean_and_spread() -> None:
    network = Network().eval()
    with torch.no_grad():
        over_time = network(torch.randn(2, 101, 80))
        assert over_time.shape == (2, 51, 512)
        pooled = torch.cat([over_time.mean(1), over_time.std(1)], 1)
        torch.testing.assert_close(network.embedding(over_time), network.leave(pooled))


def test_it_tells_speakers_apart(shared_data: Path) -> None:
    encoder, speakers = encoders.load("campplus"), defaultdict(list)
    for row in csv.DictReader((shared_data / "speech" / "speakers.csv").open()):
        speakers[row["speaker"]].append(shared_data / "speech" / row["path"])
    chosen = [paths[:2] for paths in speakers.values() if len(paths) > 1][:8]
    first, second = (
        np.concatenate(
            [encoder.embed(decode(pair[i], frames=0, max_seconds=60.0).audio[None, :96_000]) for pair in chosen]
        )
        for i in (0, 1)
    )
    alike = first @ second.T
    others = alike[~np.eye(len(chosen), dtype=bool)]
    assert np.diagonal(alike).mean() > others.mean() + 0.3
    assert (alike.argmax(1) == np.arange(len(chosen))).mean() > 0.8
