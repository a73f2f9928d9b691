from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from ds2f.config import Audio, Config, load, parts, write_default
from ds2f.errors import UserError


def _written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "ds2f.toml"
    path.write_text(text)
    return path


def test_init_round_trip_equals_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "ds2f.toml"
    write_default(path)
    assert load(path) == replace(Config(), folder=tmp_path)


def test_init_explains_every_key(tmp_path: Path) -> None:
    path = tmp_path / "ds2f.toml"
    write_default(path)
    text = path.read_text()
    for part in parts():
        assert f"[{part.name}]" in text
        for key in fields(getattr(Config(), part.name)):
            assert key.metadata["doc"] in text


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    path = _written(tmp_path, "# mine")
    with pytest.raises(UserError, match="exists already"):
        write_default(path)
    assert path.read_text() == "# mine"


def test_init_where_it_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        write_default(tmp_path / "none" / "ds2f.toml")


def test_only_what_is_named_changes(tmp_path: Path) -> None:
    config = load(_written(tmp_path, "[audio]\nclip_seconds = [3, 12.5]\nmin_speech = 2\n"))
    assert config.audio == Audio(clip_seconds=[3.0, 12.5], min_speech=2.0)
    assert all(type(number) is float for number in (*config.audio.clip_seconds, config.audio.min_speech))
    assert config.train == Config().train


def test_without_a_file_all_is_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load() == Config()
    _written(tmp_path, "[split]\nseed = 5\n")
    assert load().split.seed == 5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[audoi]\n", r"unknown part \[audoi\].*audio"),
        ("audio = 3\n", r"unknown part \[audio\]"),
        ("[audio]\nclip_second = 3\n", "unknown key 'clip_second'.*clip_seconds"),
        ("[faces]\nframes = 2.5\n", r"\[faces\] frames must be int"),
        ("[faces]\nframes = true\n", "frames must be int"),
        ('[audio]\nmin_speech = "six"\n', 'min_speech must be float, not "six"'),
        ("[audio]\nclip_seconds = 6\n", "clip_seconds must be a list of numbers, not 6"),
        ("[audio]\nclip_seconds = []\n", "clip_seconds must be a list of numbers"),
        ('[audio]\nclip_seconds = ["six"]\n', "clip_seconds must be a list of numbers"),
        ('[paths]\nvideos = "videos"\n', "videos must be list"),
        ("[audio]\nmin_speech = 1979-05-27\n", "must be float"),
        ("[audio\n", "not valid TOML"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        load(_written(tmp_path, text))


def test_unreadable_configuration(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        load(tmp_path / "none.toml")
    path = tmp_path / "ds2f.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not valid TOML"):
        load(path)


def test_paths_are_relative_to_the_configuration(tmp_path: Path) -> None:
    config = load(_written(tmp_path, '[paths]\ndatabase = "data/my.db"\n'))
    assert config.path(config.paths.database) == tmp_path / "data" / "my.db"
    assert config.path("/absolute/my.db") == Path("/absolute/my.db")
