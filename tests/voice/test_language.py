"""With stand-ins of the libraries' interfaces; test_speechbrain.py has the real library where it can be imported."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from ds2f.errors import UserError
from ds2f.types import Language
from ds2f.voice import language

CLIPS = np.zeros((2, 16_000), np.float32)


def _classifier(labels: list[str], scores: list[float]) -> type:
    class EncoderClassifier:
        @classmethod
        def from_hparams(cls, source: str, run_opts: dict[str, str]) -> EncoderClassifier:
            return cls()

        def classify_batch(self, wavs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[str]]:
            found = torch.tensor([scores] * len(wavs))
            return found, *found.max(1), labels[: len(wavs)]

    return EncoderClassifier


LOG_POSTERIOR = np.log([0.7, 0.2, 0.1]).tolist()


@pytest.mark.parametrize(
    ("labels", "codes"),
    [
        (["th: Thai", "en: English"], ["th", "en"]),
        (["iw: Hebrew", "haw: Hawaiian"], ["he", "haw"]),
        (["German", "Chinese_Taiwan"], ["de", "zh"]),
        (["Mangolian", "Ukranian"], ["mn", "uk"]),  # as CommonLanguage spells them
        (["Hakha_Chin", "Kabyle"], ["hakha chin", "kabyle"]),  # no code of two letters
    ],
)
def test_speechbrain(labels: list[str], codes: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch, _classifier(labels, LOG_POSTERIOR))
    found = language.load("speechbrain:speechbrain/lang-id-voxlingua107-ecapa").predict(CLIPS)
    assert [f.code for f in found] == codes
    assert [f.probability for f in found] == pytest.approx([0.7, 0.7])


def test_cosines_become_probabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    """CommonLanguage's model answers with cosines: a sure answer must not come out as one in 45."""
    _install(monkeypatch, _classifier(["French", "French"], [0.8, 0.6, *[-0.1] * 43]))
    found = language.load("speechbrain:speechbrain/lang-id-commonlanguage_ecapa").predict(CLIPS)
    assert found[0].probability == pytest.approx(1 / (1 + np.exp(-6.0)), abs=1e-6)


def _install(monkeypatch: pytest.MonkeyPatch, classifier: type) -> None:
    for name in ("speechbrain", "speechbrain.inference", "speechbrain.inference.classifiers"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    vars(sys.modules["speechbrain.inference.classifiers"])["EncoderClassifier"] = classifier


def test_whisper(monkeypatch: pytest.MonkeyPatch) -> None:
    class WhisperModel:
        def __init__(self, source: str, device: str, device_index: int = 0, cpu_threads: int = 0) -> None:
            if source == "none":
                raise ValueError("Invalid model size 'none'")
            assert (device, device_index) == (("cuda", 1) if source == "large" else ("cpu", 0))
            self.model = SimpleNamespace(is_multilingual=not source.endswith(".en"))

        def detect_language(self, audio: np.ndarray) -> tuple[str, float, list[tuple[str, float]]]:
            assert audio.shape == (16_000,)
            return "jw", 0.9, [("jw", 0.9), ("en", 0.1)]

    module = ModuleType("faster_whisper")
    vars(module)["WhisperModel"] = WhisperModel
    monkeypatch.setitem(sys.modules, "faster_whisper", module)
    assert language.load("whisper:small").predict(CLIPS) == [Language("jv", 0.9)] * 2, "Javanese, jw before 2001"
    language.load("whisper:large", "cuda:1")
    with pytest.raises(UserError, match="English only"):
        language.load("whisper:small.en")
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
