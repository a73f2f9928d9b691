"""`ds2f train`: what is read of ds2f.toml before anything is trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ds2f.cli.train import settings_of
from ds2f.config import Config, Train

HERE = Path("/somewhere")
PATHS = {
    "shards": ["a", "/b"],
    "packed": "a",
    "decoder_from": "a",
    "voice_from": "a",
    "voice_teacher": "a",
    "voice_noises": "a",
    "voice_rooms": "a",
    "likeness_judges": ["onnx:a", "onnx:/b"],
}
MOVED = {"a": "/somewhere/a", "/b": "/b", "onnx:a": "onnx:/somewhere/a", "onnx:/b": "onnx:/b"}


@pytest.mark.parametrize("name", PATHS)
def test_paths_start_where_the_configuration_lies(name: str) -> None:
    value = PATHS[name]
    train = Train(**{"voice_keep": 0.5, "voice_from": "campplus", name: value})  # type: ignore[arg-type]
    found = getattr(settings_of(replace(Config(), train=train, folder=HERE)), name)
    assert found == ([MOVED[one] for one in value] if isinstance(value, list) else MOVED[value])


def test_names_of_encoders_and_what_is_empty_stay() -> None:
    train = Train(voice_from="campplus", voice_teacher="campplus", voice_keep=0.5)
    assert settings_of(replace(Config(), train=train, folder=HERE)) == train
