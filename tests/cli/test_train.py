"""`ds2f train`: what is read of ds2f.toml before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from ds2f.cli.train import print_matching, settings_of
from ds2f.config import Config, Train
from ds2f.evaluation.results import Matching, Measure

HERE = Path("/somewhere")
PATHS = {
    "shards": ["a", "/b"],
    "packed": "a",
    "decoder_from": "a",
    "fast_from": "a",
    "sr_from": "a",
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


def test_a_measure_without_an_interval_is_shown_too(capsys: pytest.CaptureFixture[str]) -> None:
    found = [asdict(Matching(within, 4, Measure(0.75), None, {2: Measure(0.5, 0.25, 1.0)}, {})) for within in ("", "g")]
    print_matching({"measures": {"alignment": found}, "held_out_people": 2, "held_out_clips": 4})
    rows = [line.split("   ")[1:] for line in capsys.readouterr().out.splitlines()]
    shown = [[cell.strip() for cell in row if cell.strip()] for row in rows[1:4]]
    assert shown == [["75 %", "50 %"], ["50 % [25-100]", "50 %"], ["10 %"]]


@pytest.mark.parametrize(
    "words",
    [
        ("train", "prior", "--workers", "2"),
        ("train", "prior", "--ray-address", "auto"),
        ("extract", "--ray-address", "auto"),
    ],
)
def test_options_of_ray_are_refused_without_it(refused: Callable[..., str], words: tuple[str, ...]) -> None:
    assert "leave it out, or add --engine ray" in refused(*words).replace("leave them", "leave it")
