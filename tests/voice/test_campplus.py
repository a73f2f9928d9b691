"""CAM++ as it lies in the box."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch

from ds2f.io.media import decode
from ds2f.types import VOICE
from ds2f.voice import encoders
from ds2f.voice.campplus import SEGMENT, WEIGHTS, Dense, Network
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
    assert said["licence"] == "Apache-2.0"
    assert "3D-Speaker" in said["copyright"]


def test_masks_look_around_over_segments_and_the_last_may_be_short() -> None:
    """Against the same in steps, for the frames of the last segment."""
    torch.manual_seed(0)
    layer, x = Dense(8, 1).eval(), torch.randn(1, 8, SEGMENT + 30)
    with torch.no_grad():
        found = layer(x)
        assert found.shape == (1, 8 + 32, SEGMENT + 30)
        torch.testing.assert_close(found[:, :8], x)
        h = torch.relu(layer.narrow(torch.relu(layer.before(x))))
        last = h.mean(2) + h[:, :, SEGMENT:].mean(2)  # the mean of what is there, not of a hundred frames
        mask = torch.sigmoid(layer.mask(torch.relu(layer.context(last[:, :, None]))))
        torch.testing.assert_close(found[:, 8:, SEGMENT:], (layer.local(h) * mask)[:, :, SEGMENT:])


def test_frames_are_halved_and_the_embedding_is_of_their_mean_and_spread() -> None:
    network = Network().eval()
    with torch.no_grad():
        over_time = network(torch.randn(2, 101, 80))
        assert over_time.shape == (2, 512, 51)
        pooled = torch.cat([over_time.mean(2), over_time.std(2)], 1)
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
