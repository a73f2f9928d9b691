"""The attribute head as a file, and what its probabilities are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ds2f.errors import UserError
from ds2f.models import store
from ds2f.models.attributes import CLASSES, AttributeHead, AttributesConfig


def test_probabilities_sum_to_one_and_follow_the_temperature() -> None:
    torch.manual_seed(0)
    head = AttributeHead(AttributesConfig(identity_dim=6, width=8)).eval()
    identity = torch.randn(5, 6)
    before = head.probabilities(identity)
    assert {name: p.shape for name, p in before.items()} == {name: (5, count) for name, count in CLASSES.items()}
    for p in before.values():
        torch.testing.assert_close(p.sum(1), torch.ones(5))
    head.temperature[1] = 0.25
    after = head.probabilities(identity)
    torch.testing.assert_close(after["age"], before["age"])
    assert (after["gender"].max(1).values > before["gender"].max(1).values).all()


def test_round_trip_keeps_statistics_and_temperature(tmp_path: Path) -> None:
    torch.manual_seed(0)
    head = AttributeHead(AttributesConfig(identity_dim=6, width=8)).eval()
    head.mean.fill_(0.5), head.temperature.fill_(1.5)
    store.save(tmp_path, head, {"note": "test"}, precision="float32")
    loaded = store.load_attributes(tmp_path)
    assert loaded.config == head.config
    identity = torch.randn(5, 6)
    torch.testing.assert_close(loaded.probabilities(identity), head.probabilities(identity))


def test_a_folder_without_one_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="ds2f train attributes"):
        store.load_attributes(tmp_path)
