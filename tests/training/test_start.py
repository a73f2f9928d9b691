"""What `ds2f train` refuses before its first step, its recipes, and its dry run."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
import torch

from ds2f.cli import main
from ds2f.config import Config, Train, load, with_recipe
from ds2f.dataset import Dataset
from ds2f.errors import UserError
from ds2f.models.folders import shipped
from ds2f.models.prior import Prior, PriorConfig
from ds2f.models.store import load_decoder, load_fast_decoder
from ds2f.training.decoder import decoder_config
from ds2f.training.estimate import estimate
from ds2f.training.loop import Options
from ds2f.training.prior import PriorTask
from people import made_up_pairs, paired_dataset

TINY = (
    'device = "cpu"\ndecoder_size = 16\ndecoder_width = 64\ndecoder_depth = 1\ndecoder_batch = 8\ndecoder_images = 80\n'
)


def refusal(capsys: pytest.CaptureFixture[str], dataset: Dataset, folder: Path, settings: str, *more: str) -> str:
    (folder / "c.toml").write_text(f"[train]\n{settings}")
    paths = ["--database", str(dataset.path), "--runs", str(folder / "runs"), "--config", str(folder / "c.toml")]
    assert main(["train", *more, *paths]) == 2
    assert not (folder / "runs").exists(), "nothing may have been started"
    error = " ".join(capsys.readouterr().err.split())
    assert "Traceback" not in error
    return error


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ("decoder_size = 60", "must be a multiple of 8"),
        ("decoder_size = 64\ndecoder_patch = 7", "decoder_patch = 7 must divide decoder_size = 64"),
        ("decoder_size = 512", "from 16 to 256"),
        ("decoder_width = 100", "must be a multiple of 64"),
        ("decoder_width = 0", "must be a multiple of 64"),
        ("decoder_depth = 0", "decoder_depth = 0 must be at least 1"),
        ("decoder_batch = 0", "decoder_batch = 0 must be at least 1"),
        ("decoder_images = 0", "decoder_images = 0 must be at least 1"),
        ("decoder_lr = 0.0", "decoder_lr = 0.0 must be more than 0"),
        ("decoder_lr = -1e-3", "decoder_lr = -0.001 must be more than 0"),
        ("decoder_lr = nan", "decoder_lr = nan must be a number"),
        ("decoder_lr = inf", "decoder_lr = inf must be a number"),
        ("decoder_likeness = -1.0", "decoder_likeness = -1.0 must be at least 0"),
        ("save_seconds = -1.0", "save_seconds = -1.0 must be at least 0"),
        ("seed = -1", "seed = -1 must be from 0 to"),
        ("prior_steps = 0", "prior_steps = 0 must be at least 1"),
        ("fast_lr = -1.0", "fast_lr = -1.0 must be more than 0"),
        ("fast_steps = 9", "fast_steps = 9 must be from 1 to 8"),
        ("accumulate = 0", "accumulate = 0 must be at least 1"),
        ('decoder_from = "nowhere"', "There is no model folder"),
        ("sr_factor = 3", "sr_factor = 3 must be from 1 to 2"),
        ("accumulate = 129", "1 to 128 parts"),
        ("decoder_heads = 3", "unknown key 'decoder_heads'"),
        ('decoder_width = "wide"', "must be int"),
        ('device = "tpu"', "not usable here"),
    ],
)
def test_a_decoder_that_cannot_work_is_refused(
    settings: str, sentence: str, dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paired_dataset(dataset, 4)
    assert sentence in refusal(capsys, dataset, tmp_path, settings, "decoder")


def test_data_that_is_not_there_is_refused(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no faces in split" in refusal(capsys, dataset, tmp_path, TINY, "decoder")
    paired_dataset(dataset, 30)
    for voices, sentence in (
        ('["wespeaker/x"]', "no rows of 'wespeaker/x'"),
        ('["acoustics"]', "a speaker encoder first"),
        ("[]", "voices must be a list of names (one or more), not []"),
    ):
        assert sentence in refusal(capsys, dataset, tmp_path, f"voices = {voices}", "prior")
    refused = refusal(capsys, dataset, tmp_path, "decoder_size = 256", "decoder")
    assert "holds faces of 32 px, and 256 px are wanted; set [faces] crop_size = 256" in refused
    assert "run `ds2f train decoder` first" in refusal(capsys, dataset, tmp_path, "", "super-resolution")
    dataset.connection.execute("UPDATE identities SET split = 'train'")
    assert "0 pairs of voice and face in split 'val'" in refusal(capsys, dataset, tmp_path, "", "prior")
    assert "no faces in split 'val'" in refusal(capsys, dataset, tmp_path, TINY, "decoder")


@pytest.mark.parametrize(
    "name",
    ["cpu-small", "cpu-round", "gpu-20min", "gpu-128px", "gpu-256px", "gpu-round", "gpu-super-resolution", "voxceleb2"],
)
def test_every_recipe_names_keys_that_exist_and_changes_them(name: str) -> None:
    stated = tomllib.loads((files("ds2f") / "recipes" / f"{name}.toml").read_text())
    assert set(stated) == {"train"}
    found = with_recipe(Config(), name).train
    assert found != Train()
    assert {key: getattr(found, key) for key in stated["train"]} == stated["train"]


def test_what_ships_is_the_decoder_that_its_recipe_means() -> None:
    settings = with_recipe(Config(), "cpu-round").train
    own, fast = load_decoder(shipped()).config, load_fast_decoder(shipped())
    assert decoder_config(settings, own.conditions) == own  # which also has a level of the guide, told no more
    assert fast is not None
    assert replace(fast.config, few_steps=0) == own
    assert fast.config.few_steps == settings.fast_steps


def test_a_recipe_wins_over_the_configuration_and_leaves_the_rest(tmp_path: Path) -> None:
    (tmp_path / "ds2f.toml").write_text("[train]\ndecoder_width = 64\nseed = 7\n[generate]\ncount = 9\n")
    found = with_recipe(load(tmp_path / "ds2f.toml"), "cpu-small")
    assert (found.train.decoder_width, found.train.seed, found.generate.count) == (128, 7, 9)
    own = tmp_path / "mine.toml"
    own.write_text("[train]\ndecoder_depth = 2\n")
    assert with_recipe(found, str(own)).train.decoder_depth == 2
    own.write_text("[generate]\ncount = 2\n")
    with pytest.raises(UserError, match=r"a recipe may only have \[train\]"):
        with_recipe(found, str(own))
    with pytest.raises(
        UserError,
        match=r"no recipe 'gpu'; choose cpu-round, cpu-small, .*gpu-round, .*voxceleb2",
    ):
        with_recipe(found, "gpu")


def test_the_dry_run_says_what_would_be_done_and_does_nothing(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ds2f.training.estimate.SECONDS", 0.1)
    paired_dataset(dataset, 40)
    (tmp_path / "c.toml").write_text(f"[train]\n{TINY}")
    paths = ["--database", str(dataset.path), "--runs", str(tmp_path / "runs"), "--config", str(tmp_path / "c.toml")]
    assert main(["train", "decoder", "--dry-run", *paths]) == 0
    said = capsys.readouterr().out
    assert "decoder_width = 64" in said
    assert "80 rows in 10 steps of 8" in said
    assert re.search(r"work: [\d.]+ [MGTP]FLOP a row, [\d.]+ [MGTP]FLOP in all", said)
    assert re.search(r"memory on each device: [1-9][\d.]* [MG]B", said), "never nought of a unit"
    assert not (tmp_path / "runs").exists()
    assert main(["train", "prior", "--dry-run", *paths]) == 0
    assert "76,800 rows in 600 steps" in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()


def test_the_estimate_counts_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ds2f.training.estimate.SECONDS", 0.0)
    model = Prior(PriorConfig({"campplus-frames": 12}, identity_dim=6, width=32, depth=1))
    task = PriorTask(model, made_up_pairs(60, 0), made_up_pairs(30, 1), torch.device("cpu"))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    options = Options(tmp_path, batch=32, total=320, lr=1e-3, seed=0, save_seconds=1.0, muon=False)
    found = estimate(task, options)
    assert found.parameters == sum(p.numel() for p in model.parameters())
    assert found.steps == 10
    weights = sum(p.numel() for p in model.parameters() if p.dim() == 2)
    assert found.flops == pytest.approx(6 * weights, rel=0.2), "two a weight forward, four backward"
    assert found.state_bytes >= 20 * found.parameters, "weight, average, gradient and two of AdamW"
    assert found.activation_bytes > 0
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_fast_decoder_is_taught_by_the_decoder_beside_it(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paired_dataset(dataset, 40)
    settings = TINY + "fast_faces = 32\nfast_batch = 8\nfast_steps = 2\nfast_likeness = 0.0\n"
    assert "There is no decoder" in refusal(capsys, dataset, tmp_path, settings, "fast-decoder")
    wrong = settings.replace("fast_steps = 2", "fast_steps = 0")
    assert "must be from 1 to 8" in refusal(capsys, dataset, tmp_path, wrong, "fast-decoder")
    (tmp_path / "c.toml").write_text(f"[train]\n{settings}")
    paths = ["--database", str(dataset.path), "--runs", str(tmp_path / "runs"), "--config", str(tmp_path / "c.toml")]
    assert main(["train", "decoder", *paths]) == 0
    assert main(["train", "fast-decoder", *paths]) == 0
    fast = load_fast_decoder(tmp_path / "runs" / "model")
    assert fast is not None
    assert fast.config.few_steps == 2
