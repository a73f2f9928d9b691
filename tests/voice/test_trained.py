"""Speaker encoders that were trained here, as any other encoder: by name, as vectors, in extraction's plan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ds2f.config import Audio, Faces
from ds2f.errors import UserError
from ds2f.extract.settings import ExtractSettings, plan_of
from ds2f.models import store
from ds2f.models.speaker.encoder import VoiceConfig, VoiceNetwork
from ds2f.voice import encoders, trained
from helpers import noise, tone

CLIPS = np.stack([tone(1.0, 200), noise(1.0), np.zeros(16_000, np.float32)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny encoder that nobody has trained."""
    torch.manual_seed(0)
    network = VoiceNetwork(VoiceConfig.usual("resnetse34l", width=8)).eval()
    store.save(tmp_path / "voice", network, {"licence": "CC0", "speakers": ["0a1b"]}, precision="float32")
    return tmp_path / "voice"


def test_its_vectors_and_those_of_its_last_layer(folder: Path) -> None:
    network = store.load_voice(folder)
    with torch.no_grad():
        expected = [part.numpy() for part in network.both(torch.from_numpy(CLIPS[:2]))]
    for kind, made in zip(("ds2f", "ds2f-frames"), expected, strict=True):
        encoder = encoders.load(f"{kind}:{folder}", precision="float32")
        found = encoder.embed(CLIPS)
        assert (encoder.name, encoder.dim, encoder.licence) == (f"{kind}/voice", made.shape[1], "CC0")
        assert encoder.trained_on == {"0a1b"}, "whom `ds2f verify` does not measure it on"
        assert np.isnan(found[2]).all(), "silence has no speaker"
        np.testing.assert_allclose(found[:2], made / np.linalg.norm(made, axis=1, keepdims=True), atol=1e-5)
        np.testing.assert_array_equal(encoder.embed(CLIPS[1:2]), found[1:2])


@pytest.mark.parametrize("kind", ["ds2f", "ds2f-frames"])
def test_in_bfloat16_they_are_nearly_the_same(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trained, "cpu_has_bf16", lambda: True)
    exact, quick = (encoders.load(f"{kind}:{folder}", precision=p).embed(CLIPS[:2]) for p in ("float32", "auto"))
    assert (exact * quick).sum(1).min() > 0.999
    assert not np.array_equal(exact, quick)


def test_whom_it_was_not_told_apart_it_has_only_heard(folder: Path) -> None:
    card = {"speakers": ["0a1b"], "names": False}
    store.save(folder, store.load_voice(folder), card, precision="float32")
    encoder = encoders.load(str(folder))
    assert (encoder.trained_on, encoder.heard_without_names) == (frozenset(), {"0a1b"})  # type: ignore[attr-defined]


def test_a_folder_by_itself_is_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    np.testing.assert_array_equal(encoders.load("voice").embed(CLIPS[:1]), encoders.load("ds2f:voice").embed(CLIPS[:1]))
    assert encoders.name_of("voice") == encoders.name_of("ds2f:voice") == "ds2f/voice"


def test_extraction_knows_it_by_its_weights_not_by_what_lies_beside_them(folder: Path) -> None:
    settings = ExtractSettings(Audio(encoders=[f"ds2f:{folder}"]), Faces())
    before = dict(plan_of(settings).weights)["voice:ds2f/voice"]
    (folder / "checkpoint-000000001").mkdir()
    (folder / "checkpoint-000000001" / "state.json").write_text("{}")
    assert dict(plan_of(settings).weights)["voice:ds2f/voice"] == before
    store.save(folder, VoiceNetwork(VoiceConfig.usual("resnetse34l", width=8)), {})
    assert dict(plan_of(settings).weights)["voice:ds2f/voice"] != before


def test_what_is_no_encoder_is_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model folder"):
        encoders.load(f"ds2f:{tmp_path / 'none'}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="has no voice; make it with: ds2f train voice"):
        encoders.load(f"ds2f:{tmp_path / 'empty'}")
    described = (folder / "voice.json").read_text()
    for wrong, other in ({'"width": 8': '"width": 16', '"bins": 40': '"bins": 41', '"hamming"': '"round"'}).items():
        (folder / "voice.json").write_text(described.replace(wrong, other))
        with pytest.raises(UserError, match=r"voice.safetensors does not fit this version of the voice"):
            encoders.load(f"ds2f:{folder}")
