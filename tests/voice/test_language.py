"""With stand-ins of the libraries' interfaces: no language model comes inside a package."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest
import torch

from ds2f.errors import UserError
from ds2f.types import Language
from ds2f.voice import language

CLIPS = np.zeros((2, 16_000), np.float32)


def _classifier(labels: list[str]) -> type:
    class EncoderClassifier:
        @classmethod
        def from_hparams(cls, source: str, run_opts: dict[str, str]) -> EncoderClassifier:
            return cls()

        def classify_batch(self, wavs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[str]]:
            posterior = torch.tensor([[0.7, 0.2, 0.1]] * len(wavs)).log()
            score, index = posterior.max(1)
            return posterior, score, index, labels[: len(wavs)]

    return EncoderClassifier


@pytest.mark.parametrize(
    ("labels", "codes"),
    [(["th: Thai", "en: English"], ["th", "en"]), (["German", "Chinese_Taiwan"], ["de", "zh"])],
)
def test_speechbrain(labels: list[str], codes: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("speechbrain", "speechbrain.inference", "speechbrain.inference.classifiers"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    vars(sys.modules["speechbrain.inference.classifiers"])["EncoderClassifier"] = _classifier(labels)
    found = language.load("speechbrain:speechbrain/lang-id-voxlingua107-ecapa").predict(CLIPS)
    assert [f.code for f in found] == codes
    assert [f.probability for f in found] == pytest.approx([0.7, 0.7])


def test_whisper(monkeypatch: pytest.MonkeyPatch) -> None:
    class WhisperModel:
        def __init__(self, source: str, device: str) -> None:
            if source == "none":
                raise ValueError("Invalid model size 'none'")

        def detect_language(self, audio: np.ndarray) -> tuple[str, float, list[tuple[str, float]]]:
            assert audio.shape == (16_000,)
            return "fr", 0.9, [("fr", 0.9), ("en", 0.1)]

    module = ModuleType("faster_whisper")
    vars(module)["WhisperModel"] = WhisperModel
    monkeypatch.setitem(sys.modules, "faster_whisper", module)
    assert language.load("whisper:small").predict(CLIPS) == [Language("fr", 0.9)] * 2
    with pytest.raises(UserError, match="cannot load none"):
        language.load("whisper:none")


def test_names_and_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert language.name_of("speechbrain:a/lang-id") == "speechbrain/lang-id"
    assert language.name_of("whisper:small") == "whisper/small"
    for spec in ("", "whisper", "google:x"):
        with pytest.raises(UserError, match="no language model"):
            language.name_of(spec)
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(UserError, match=r"pip install 'ds2f\[whisper\]'"):
        language.load("whisper:small")
