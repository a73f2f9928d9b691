"""Which model a command uses: --model, else [generate] model, else the one in the box."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ds2f.cli import main
from ds2f.cli.models import alignment_folder, model_folder, with_model
from ds2f.config import Config
from ds2f.demo import samples
from ds2f.models.folders import shipped

CLIP = str(samples() / "person-1.mp4")
COMMANDS = {
    "generate": ["generate", CLIP, "--out", "out"],
    "describe": ["describe", CLIP],
    "match": ["match", CLIP, CLIP],
    "verify-faces": ["verify-faces", "list.txt", "--protocol", "pins", "--out", "out"],
    "export": ["export", "--format", "onnx", "--out", "out"],
    "serve": ["serve", "--port", "0"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_configured_model_that_is_not_there_is_never_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str], command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ds2f.toml").write_text('[generate]\nmodel = "none/of/it"\n')
    assert "There is no model folder none/of/it" in refused(*COMMANDS[command])


def test_a_model_that_only_draws_leaves_matching_to_the_one_in_the_box(tmp_path: Path) -> None:
    config = with_model(Config(), str(tmp_path))
    assert model_folder(config) == tmp_path
    assert alignment_folder(config, None) is None
    assert alignment_folder(config, str(tmp_path)) == tmp_path, "who names one is told that it has no alignment"
    (tmp_path / "alignment.json").write_text("{}")
    assert alignment_folder(config, None) == tmp_path
    assert alignment_folder(config, str(shipped())) == shipped()


def test_relative_folders_start_at_the_configuration_or_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "model").mkdir(parents=True)
    (tmp_path / "b" / "model").mkdir(parents=True)
    config = replace(Config(), folder=tmp_path / "a")
    monkeypatch.chdir(tmp_path / "b")
    assert model_folder(with_model(config, "model")) == tmp_path / "b" / "model"
    assert model_folder(replace(config, generate=replace(config.generate, model="model"))) == tmp_path / "a" / "model"
    assert main(["describe", CLIP, "--model", "model"]) == 2
