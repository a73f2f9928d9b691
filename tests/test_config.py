from __future__ import annotations

import re
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from ds2f import config
from ds2f.cli import main
from ds2f.config import Audio, Config, Evaluate, Faces, Generate, Part, Split, Train, load, parts, write_default
from ds2f.dataset.splits import SplitRule
from ds2f.errors import UserError
from ds2f.extract.settings import ExtractSettings
from ds2f.speech2face.settings import SamplingSettings, check


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
        (
            "[audio]\nclip_second = 3\n",
            r"unknown key 'clip_second' in \[audio\]; perhaps clip_seconds( or \w+)* is meant\.$",
        ),
        ("[split]\nwhatever = 3\n", r"unknown key 'whatever' in \[split\]; the keys are .*seed"),
        ("[faces]\nframes = 2.5\n", r"\[faces\] frames must be int"),
        ("[faces]\nframes = true\n", "frames must be int"),
        ('[audio]\nmin_speech = "six"\n', 'min_speech must be float, not "six"'),
        (
            "[audio]\nclip_seconds = 6\n",
            r"clip_seconds must be a list of numbers \(one or more, each at least 0.1\), not 6",
        ),
        ("[audio]\nclip_seconds = []\n", "clip_seconds must be a list of numbers"),
        ('[audio]\nclip_seconds = ["six"]\n', "clip_seconds must be a list of numbers"),
        ('[paths]\nvideos = "videos"\n', "videos must be a list of names"),
        ("[audio]\nmin_speech = 1979-05-27\n", "must be float"),
        ("[audio\n", "not valid TOML"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        load(_written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[audio]\nclip_seconds = [0]\n", r"\[audio\] clip_seconds must be .*each at least 0.1.*, not \[0\]"),
        ("[audio]\nclip_seconds = []\n", r"\[audio\] clip_seconds must be .*one or more.*, not \[\]"),
        ("[audio]\nclip_seconds = [6, 6.0]\n", r"\[audio\] clip_seconds names 6.0 twice"),
        ("[audio]\nclip_seconds = [6, nan]\n", r"\[audio\] clip_seconds = \[6, nan\] must be numbers"),
        ("[audio]\nclip_seconds = [true]\n", r"\[audio\] clip_seconds must be a list of numbers"),
        ("[audio]\nmin_speech = -1\n", r"\[audio\] min_speech = -1 must be at least 0"),
        ("[audio]\nmin_speech = nan\n", r"\[audio\] min_speech = nan must be a number"),
        ("[audio]\nmax_seconds = inf\n", r"\[audio\] max_seconds = inf must be a number"),
        ("[audio]\nmax_seconds = 0.5\n", r"\[audio\] min_speech = 1.0 must be at most max_seconds = 0.5"),
        ("[audio]\nencoders = [1]\n", r"\[audio\] encoders must be a list of names, not \[1\]"),
        ('[audio]\nencoders = [""]\n', r"\[audio\] encoders must be a list of names"),
        ('[audio]\nencoders = ["campplus", "campplus"]\n', r'\[audio\] encoders names "campplus" twice'),
        ("[audio]\nencoders = [[1]]\n", r"\[audio\] encoders must be a list of names, not \[\[1\]\]"),
        ("[faces]\nframes = 0\n", r"\[faces\] frames = 0 must be at least 1"),
        ("[faces]\nmin_score = 2\n", r"\[faces\] min_score = 2 must be from 0 to 1"),
        ("[faces]\nbox_margin_width = -0.1\n", r"\[faces\] box_margin_width = -0.1 must be at least 0"),
        ("[extract]\nitem_seconds = 0\n", r"\[extract\] item_seconds = 0 must be more than 0"),
        ('[extract]\nengine = "spark"\n', r'\[extract\] engine must be one of local, ray, not "spark"'),
        ("[split]\nval = 0.9\ntest = 0.8\n", r"\[split\] val = 0.9 and test = 0.8 must be at most 1 together"),
        ("[split]\nval = 1.7\n", r"\[split\] val = 1.7 must be from 0 to 1"),
        ('[train]\nmodels = ["priors"]\n', r"\[train\] models must be a list of .*prior.*, not ..priors.."),
        ("[train]\ndecoder_size = 60\n", r"\[train\] decoder_size = 60 must be a multiple of 8 and from 16 to 256"),
        ("[train]\ndecoder_patch = 7\n", r"\[train\] decoder_patch = 7 must divide decoder_size = 64"),
        ('[generate]\nsampler = "ddim"\n', r'\[generate\] sampler must be one of .*heun.*, not "ddim"'),
        ("[generate]\nseed = 1.5\n", r"\[generate\] seed must be int, not 1.5"),
        ('[evaluate]\nsplit = "dev"\n', r"\[evaluate\] split must be one of .*test"),
        ("[evaluate]\nbootstrap = 0\n", r"\[evaluate\] bootstrap = 0 must be at least 1"),
        ("[evaluate.guided]\nclips = 3\n", r"unknown key 'guided' in \[evaluate\]"),
        ("[paths]\ndatabase = {}\n", r"\[paths\] database must be a name, not {}"),
    ],
)
def test_what_cannot_be_is_refused_by_name(tmp_path: Path, text: str, words: str) -> None:
    path = _written(tmp_path, text)
    with pytest.raises(UserError, match=words) as refused:
        load(path)
    said = str(refused.value)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        (Audio, {"clip_seconds": [0]}, "each at least 0.1"),
        (Audio, {"encoders": "campplus"}, "encoders must be a list of names"),
        (Split, {"val": 1, "test": 0.5}, "at most 1 together"),
        (SplitRule, {"test": -0.5}, r"\[split\] test = -0.5 must be from 0 to 1"),
        (Train, {"decoder_lr": float("nan")}, "must be a number"),
        (Generate, {"steps": 2.5}, "steps must be int, not 2.5"),
        (Evaluate, {"guided_clips": 0}, "guided_clips = 0 must be at least 1"),
    ],
)
def test_python_is_refused_what_a_file_is(kind: type[Part], given: dict[str, object], words: str) -> None:
    for make in (partial(kind, **given), partial(replace, kind(), **given)):
        with pytest.raises(UserError, match=words):
            make()


def test_extraction_and_sampling_are_refused_what_a_file_is() -> None:
    for item_seconds in (0.0, -1.0, float("nan")):
        with pytest.raises(UserError, match=r"item_seconds = .* must be"):
            ExtractSettings(Audio(), Faces(), item_seconds=item_seconds)
    for wrong in (
        {"steps": 2.5},
        {"noise": float("nan")},
        {"guidance": {"guide": float("inf")}},
        {"guidance": {"age": -1}},
    ):
        with pytest.raises(UserError, match=r"\[generate\] (steps|noise|guidance) .*must be"):
            check(SamplingSettings(**wrong))
    check(SamplingSettings(guidance={}))


def test_the_command_line_is_refused_what_a_file_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generate = ["generate", "talk.wav", "--out", str(tmp_path / "faces")]
    for option, words in (
        (["--guidance", "nan"], "[generate] guidance = nan must be a number"),
        (["--temperature", "50"], "[generate] temperature = 50.0 must be from 0 to 1"),
        (["--guidance", "1000"], "[generate] guidance = 1000.0 must be from 0 to 20"),
        (["--noise", "inf"], "[generate] noise = inf must be a number"),
    ):
        assert main([*generate, *option]) == 2
        assert words in " ".join(capsys.readouterr().err.split())


def test_what_may_be_chosen_is_what_there_is() -> None:
    """The configuration names them itself, so that reading it loads no model."""
    from ds2f.dataset.splits import SPLITS
    from ds2f.diffusion.samplers import SAMPLERS
    from ds2f.training.jobs import JOBS

    kinds = {kind: get_type_hints(kind) for kind in (Generate, Train, Evaluate)}
    assert set(get_args(kinds[Generate]["sampler"])) == set(SAMPLERS)
    assert set(get_args(get_args(kinds[Train]["models"])[0])) == set(JOBS)
    assert get_args(kinds[Evaluate]["split"]) == SPLITS


def test_every_key_is_used() -> None:
    """Outside of config, by its name; what nothing reads has no place in ds2f.toml."""
    declared = Path(config.__file__).parent
    code = "".join(p.read_text() for p in declared.parent.rglob("*.py") if p.parent != declared)
    keys = [key.name for part in parts() for key in fields(getattr(Config(), part.name))]
    assert [key for key in keys if not re.search(rf"[.\"]{key}\b", code)] == []


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
