"""The networks: what they take and give, and that CAM++ here and in the box are one."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from safetensors.torch import load_file

from ds2f.models.packing import unpacked
from ds2f.models.speaker.campplus import CAMPlusPlus, folded, unfolded
from ds2f.models.speaker.encoder import NETWORKS, USUAL, NetworkName, VoiceConfig, VoiceNetwork
from ds2f.models.speaker.features import Features, LogMel
from ds2f.models.speaker.pooling import statistics
from ds2f.voice import campplus
from ds2f.voice.campplus_graph import WEIGHTS

SMALL = {
    "resnetse34l": {"width": 8},
    "resnetse34v2": {"width": 8},
    "resnet34": {"width": 4},
    "ecapa-tdnn": {"width": 64, "last": 96},
    "campplus": {},
}
PARAMETERS = {"resnetse34l": 1_437_080, "resnetse34v2": 8_028_496, "resnet34": 6_634_336, "ecapa-tdnn": 6_190_720}


def test_the_names_are_known_everywhere() -> None:
    assert set(NETWORKS) == set(USUAL) == set(get_args(NetworkName)) == set(SMALL)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_takes_clips_of_any_length_and_each_weight_counts(name: NetworkName) -> None:
    torch.manual_seed(0)
    model = VoiceNetwork(VoiceConfig.usual(name, **SMALL[name]))
    for samples in (8_000, 16_000):
        made, frames = model.both(0.1 * torch.randn(2, samples))
        assert made.shape == (2, model.config.dim)
        assert frames.shape == (2, model.channels)
    made.square().sum().backward()
    unused = [n for n, p in model.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert not unused


@pytest.mark.parametrize("name", PARAMETERS)
def test_they_are_as_large_as_published(name: NetworkName) -> None:
    found = sum(p.numel() for p in VoiceNetwork(VoiceConfig.usual(name)).parameters())
    assert found == pytest.approx(PARAMETERS[name], rel=1e-5)


def test_campplus_without_normalisation_is_the_one_in_the_box() -> None:
    state, features = unpacked(load_file(WEIGHTS)), LogMel(Features())(0.1 * torch.randn(1, 32_000))
    ours, theirs = CAMPlusPlus(normed=False).eval(), campplus.Network().eval()
    ours.load_state_dict(unfolded(state))
    theirs.load_state_dict(state)
    with torch.no_grad():
        torch.testing.assert_close(ours(features).transpose(1, 2), theirs(features), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(
            ours.embedding(ours(features)), theirs.embedding(theirs(features)), rtol=1e-4, atol=1e-4
        )


def test_folding_the_normalisation_changes_nothing() -> None:
    torch.manual_seed(0)
    network, features = CAMPlusPlus(), torch.randn(2, 50, 80)
    network.embedding(network(torch.randn(4, 50, 80)))  # so that its statistics are no longer those it began with
    without = CAMPlusPlus(normed=False).eval()
    without.load_state_dict(unfolded(folded(network.eval().state_dict())))
    with torch.no_grad():
        expected = network.embedding(network(features))
        assert expected.std() > 0.01
        torch.testing.assert_close(without.embedding(without(features)), expected, rtol=1e-4, atol=1e-5)


def test_statistics_weigh_frames() -> None:
    x, weight = torch.tensor([[[1.0, 3.0, 100.0]]]), torch.tensor([[[0.5, 0.5, 0.0]]])
    torch.testing.assert_close(statistics(x, weight, 1e-5), torch.tensor([[2.0, 1.0]]))
