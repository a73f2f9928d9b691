"""`ds2f run`: what its steps hand to each other. The steps themselves are tested by their own names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ds2f.cli import run as module
from ds2f.config import load
from ds2f.errors import UserError


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


@pytest.mark.parametrize(("trained", "missing"), [("decoder", "prior"), ("prior", "decoder"), ("alignment", "prior")])
def test_a_model_that_could_not_draw_is_refused_before_anything_is_done(
    trained: str, missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml = f'[paths]\nvideos = ["videos"]\n[train]\nmodels = ["{trained}"]\n'
    (tmp_path / "ds2f.toml").write_text(toml)
    monkeypatch.setattr(module, "ingest", lambda *given, **named: pytest.fail("something was done"))
    with pytest.raises(UserError, match=rf'makes no {missing}, .*/runs/model has none, .*add "{missing}"'):
        module.everything(load(tmp_path / "ds2f.toml"), workers=1)


def test_a_decoder_alone_is_trained_for_the_prior_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "ds2f.toml").write_text('[train]\nmodels = ["decoder"]\n')
    (tmp_path / "runs/model").mkdir(parents=True)
    (tmp_path / "runs/model/prior.json").write_text("{}")
    config = load(tmp_path / "ds2f.toml")
    assert module._trained_here(config, tmp_path / "runs") == tmp_path / "runs/model"
    (tmp_path / "ds2f.toml").write_text('[train]\nmodels = ["voice"]\n')
    assert module._trained_here(load(tmp_path / "ds2f.toml"), tmp_path / "runs") is None
