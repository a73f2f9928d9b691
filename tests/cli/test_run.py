"""`ds2f run`: what its steps hand to each other. The steps themselves are tested by their own names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ds2f.cli import run as module
from ds2f.config import load


def test_faces_are_drawn_by_the_model_and_not_by_a_speaker_encoder_trained_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ds2f.toml").write_text(
        '[paths]\nvideos = ["videos"]\n[train]\nmodels = ["voice", "prior", "decoder"]\n[evaluate]\nallow_leak = true\n'
    )
    trained: list[str] = []
    drawn: list[str] = []

    def train(name: str, database: Path, runs: Path, config: Any) -> Path:
        trained.append(name)
        return runs / ("voice" if name == "voice" else "model")

    def draw(database: Path, split: str, faces: Path, config: Any, device: str) -> None:
        drawn.append(config.generate.model)

    monkeypatch.setattr(module, "train", train)
    monkeypatch.setattr(module, "generate_dataset", draw)
    for name in ("ingest", "extract", "evaluate"):
        monkeypatch.setattr(module, name, lambda *given, **named: None)
    module.everything(load(tmp_path / "ds2f.toml"), workers=1)
    assert trained == ["voice", "prior", "decoder"]
    assert [Path(model).name for model in drawn] == ["model"]
