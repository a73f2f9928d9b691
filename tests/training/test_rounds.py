"""Rounds of training add up: each goes on from the model of the last, the first at twice the size of its start."""

from __future__ import annotations

import runpy
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ds2f.dataset import Dataset
from ds2f.dataset.splits import SplitRule
from ds2f.dataset.store import store as store_result
from ds2f.models import folders, store
from ds2f.models.decoder import Decoder, DecoderConfig
from ds2f.models.super_resolution import SuperResolution, SuperResolutionConfig
from ds2f.training.warm_start import carry_over, extended, warm_start
from helpers import PLAN, extracted, item, wanting

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_round.py"
TINY = """[train]
decoder_size = 32
decoder_patch = 8
decoder_width = 64
decoder_depth = 1
decoder_batch = 4
decoder_images = 8
decoder_likeness = 0.0
"""


def test_a_round_goes_on_from_the_last_and_one_cut_short_is_finished_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Dataset(tmp_path / "d.db", create=True) as dataset:
        dataset.add_items(Path("faces"), "still", [item(f"{i}.png", str(i)) for i in range(40)], SplitRule())
        for job in wanting(dataset):
            store_result(dataset, job, extracted(job.video_id, voice=False), PLAN)
    torch.manual_seed(0)
    start = Decoder(DecoderConfig(size=16, patch=4, width=64, depth=1, heads=1, guide=True))
    store.save(tmp_path / "start", start, {})
    (tmp_path / "tiny.toml").write_text(TINY)

    def run() -> int:
        words = [
            tmp_path / "d.db",
            tmp_path / "rounds",
            "--recipe",
            tmp_path / "tiny.toml",
            "--start",
            tmp_path / "start",
        ]
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, words)])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        return int(end.value.code or 0)

    assert run() == 0
    first = store.load_decoder(tmp_path / "rounds/round-001/model")
    assert (first.config.size, first.config.patch, first.config.noise) == (32, 8, 2.0)
    assert run() == 0
    second = tmp_path / "rounds/round-002"
    assert str(tmp_path / "rounds/round-001/model") in (second / "ds2f.toml").read_text()
    one, two = first.state_dict(), store.load_decoder(second / "model").state_dict()
    change = (one["embed.weight"] - two["embed.weight"]).norm() / one["embed.weight"].norm()
    assert 0 < float(change) < 0.5
    (second / "finished").unlink()
    (second / "model" / "decoder.json").unlink()  # as if it had been cut short
    assert run() == 0
    assert (second / "model" / "decoder.json").exists()
    assert not (tmp_path / "rounds/round-003").exists()
    (second / "finished").unlink()  # as if it had been, after the decoder was there
    assert run() == 0
    assert (second / "finished").exists()
    assert not (tmp_path / "rounds/round-003").exists(), "the rest of the model is carried over first"
    shutil.rmtree(tmp_path / "rounds/round-001")
    assert run() == 0
    assert str(second / "model") in (tmp_path / "rounds/round-003/ds2f.toml").read_text(), "numbers go on from the last"


def test_what_else_the_start_has_is_fitted_to_the_new_decoder(tmp_path: Path) -> None:
    start, model = tmp_path / "start", tmp_path / "model"
    torch.manual_seed(0)
    old = Decoder(DecoderConfig(size=16, patch=4, width=64, depth=2, heads=1))
    new = Decoder(extended(replace(old.config, size=32, patch=8), old.config))
    warm_start(new, old)
    fast = Decoder(replace(old.config, few_steps=3))
    fast.load_state_dict({name: value + 0.03 for name, value in old.state_dict().items()})
    sharp = SuperResolution(SuperResolutionConfig(16, 2, (8, 12), (1, 1)))
    store.save(start, old, {})
    store.save(model, new, {"judges": ["dlib"]})
    carry_over(start, model)
    assert store.load_fast_decoder(model) is None, "there was none"
    store.save(start, fast, {"teacher": folders.digest(start, "decoder")})
    store.save(start, sharp, {"strength": 0.7})
    for name in ("prior.json", "prior.onnx", "notes.txt"):
        (start / name).write_text(name)
    carry_over(start, model, ["blocks.1"])
    found = store.load_fast_decoder(model)
    assert found is not None
    assert (found.config.size, found.config.few_steps) == (32, 3)
    moved, before = found.state_dict(), store.load_decoder(model).state_dict()
    torch.testing.assert_close(moved["modulation.weight"], before["modulation.weight"] + 0.03, atol=2e-3, rtol=0)
    assert torch.equal(moved["blocks.1.qkv.weight"], before["blocks.1.qkv.weight"]), "frozen"
    assert folders.judges(model) == ["dlib"], "of both decoders"
    assert [(one.size, one.super_resolution) for one in folders.drawings(model)] == [(32, True)]
    assert folders.description(model, "super-resolution")["card"] == {"strength": 0.7}
    assert (model / "prior.onnx").read_text() == "prior.onnx"
    assert not (model / "notes.txt").exists()


def test_decoders_of_one_descent_are_averaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = Path(__file__).parents[2] / "scripts" / "average_decoders.py"
    config = DecoderConfig(size=16, patch=4, width=64, depth=1, heads=1)
    for seed, name in enumerate(("start", "one", "two")):
        torch.manual_seed(seed)
        store.save(tmp_path / name, Decoder(config), {"judges": [name]}, "float32")
    store.save(tmp_path / "other", Decoder(replace(config, depth=2)), {})

    def average(*models: str) -> None:
        paths = [str(tmp_path / name) for name in models]
        where = ["--start", str(tmp_path / "start"), "--out", str(tmp_path / "mean")]
        monkeypatch.setattr(sys, "argv", [str(script), *paths, *where])
        runpy.run_path(str(script), run_name="__main__")

    average("one", "two")
    one, two, mean = (store.load_decoder(tmp_path / name).embed.weight for name in ("one", "two", "mean"))
    torch.testing.assert_close(mean, (one + two) / 2, atol=1e-4, rtol=0)
    assert folders.judges(tmp_path / "mean") == ["one", "two"]
    with pytest.raises(SystemExit):
        average("one", "other")
