"""Model files: what is written comes back, and what does not fit is refused in one sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ds2f.errors import UserError
from ds2f.models import folders, store
from ds2f.models.decoder import Decoder
from ds2f.models.prior import Prior, PriorConfig
from helpers import tiny_decoder


def test_round_trip(tmp_path: Path) -> None:
    decoder, prior = tiny_decoder(), Prior(PriorConfig(width=16, depth=1)).eval()
    store.save(tmp_path, decoder, {"note": "test"}, precision="float32")
    store.save(tmp_path, prior, {}, precision="float32")
    z, t = torch.randn(1, 3, 16, 16), torch.rand(1)
    with torch.no_grad():
        torch.testing.assert_close(store.load_decoder(tmp_path)(z, t, {}), decoder(z, t, {}))
    torch.testing.assert_close(store.load_prior(tmp_path).leave.bias, prior.leave.bias)
    assert folders.description(tmp_path, "decoder")["card"] == {"note": "test"}
    assert not list(tmp_path.glob("*.part"))


def test_a_models_own_decoder_comes_before_another_of_its_size(tmp_path: Path) -> None:
    store.save(tmp_path, tiny_decoder(), {})
    store.save(tmp_path / "16", tiny_decoder(seed=1), {})
    assert folders.decoders(tmp_path) == {16: tmp_path}


def test_whole_numbers_come_back_to_half_a_step(tmp_path: Path) -> None:
    decoder = tiny_decoder()
    store.save(tmp_path, decoder, {}, precision="int8")
    for (name, found), value in zip(
        store.load_decoder(tmp_path).state_dict().items(), decoder.state_dict().values(), strict=True
    ):
        if value.dim() > 1:
            step = value.abs().flatten(1).amax(1).view(-1, *[1] * (value.dim() - 1)) / 127
            assert bool(((found - value).abs() <= 0.501 * step + 1e-7).all()), name
        else:
            torch.testing.assert_close(found, value.half().float())
    store.save(tmp_path / "half", decoder, {})
    small, half = (f.stat().st_size for f in (tmp_path / "decoder.safetensors", tmp_path / "half/decoder.safetensors"))
    assert small < 0.8 * half


def test_half_precision_halves_the_file(tmp_path: Path) -> None:
    store.save(tmp_path / "full", tiny_decoder(), {}, precision="float32")
    store.save(tmp_path / "half", tiny_decoder(), {}, precision="float16")
    full, half = ((tmp_path / name / "decoder.safetensors").stat().st_size for name in ("full", "half"))
    assert half < 0.6 * full


def test_fingerprint_follows_the_weights(tmp_path: Path) -> None:
    store.save(tmp_path, tiny_decoder(), {})
    store.save(tmp_path, Prior(PriorConfig(width=16, depth=1)), {})
    before = folders.fingerprint(tmp_path)
    store.save(tmp_path, tiny_decoder(seed=5), {})
    assert folders.fingerprint(tmp_path) != before


def test_fingerprint_follows_the_fast_decoder_too(tmp_path: Path) -> None:
    store.save(tmp_path, tiny_decoder(), {})
    store.save(tmp_path, Prior(PriorConfig(width=16, depth=1)), {})
    seen = {folders.fingerprint(tmp_path)}
    for seed in (1, 2):
        student = Decoder(replace(tiny_decoder().config, few_steps=4))
        torch.manual_seed(seed)
        torch.nn.init.normal_(next(student.parameters()))
        store.save(tmp_path, student, {})
        seen.add(folders.fingerprint(tmp_path))
    assert len(seen) == 3


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model folder"):
        store.load_decoder(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"has no decoder.*ds2f train decoder"):
        store.load_decoder(tmp_path)
    store.save(tmp_path, tiny_decoder(), {})
    description = json.loads((tmp_path / "decoder.json").read_text())
    for wrong, why in (
        ({"depth": 5}, "Error"),
        ({"depth": "deep"}, r"Expected `int`, got `str` - at `\$\.depth`"),
        ({"conditions": {"identity": 1.5}}, r"conditions\[\.\.\.\]"),
        ({"deepness": 5}, "there is no 'deepness' in DecoderConfig"),
    ):
        changed = {**description, "config": {**description["config"], **wrong}}
        (tmp_path / "decoder.json").write_text(json.dumps(changed))
        with pytest.raises(UserError, match=f"does not fit .*{why}"):
            store.load_decoder(tmp_path)
    (tmp_path / "decoder.json").write_text(json.dumps({**description, "format": 99}))
    with pytest.raises(UserError, match="format"):
        store.load_decoder(tmp_path)
    (tmp_path / "decoder.json").write_text(json.dumps(description))
    (tmp_path / "decoder.safetensors").write_bytes(b"not tensors at all")
    with pytest.raises(UserError, match="does not fit"):
        store.load_decoder(tmp_path)


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(UserError, match="not usable"):
        store.pick_device("cuda:77")


def test_numbers_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    """Float16 ends at 65,504: a larger number would come back as infinity."""
    prior = Prior(PriorConfig(width=16, depth=1))
    prior.spread[3] = 1e6
    with pytest.raises(UserError, match="prior cannot be written: spread"):
        store.save(tmp_path, prior, {})
    assert not list(tmp_path.iterdir())
    store.save(tmp_path, prior, {}, precision="float32")
    assert store.load_prior(tmp_path).spread[3] == 1e6
