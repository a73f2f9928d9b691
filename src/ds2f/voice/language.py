"""Which language is spoken, with how much confidence. Models by the names that ds2f.toml gives them:

| spec | model | languages | size | licence |
| --- | --- | --- | --- | --- |
| speechbrain:speechbrain/lang-id-voxlingua107-ecapa | ECAPA-TDNN on VoxLingua107 | 107 | 85 MB | Apache-2.0 |
| speechbrain:speechbrain/lang-id-commonlanguage_ecapa | ECAPA-TDNN on CommonLanguage | 45 | 85 MB | Apache-2.0 |
| whisper:SOURCE | Whisper through faster-whisper: tiny, small, ... or a folder | 99 | 75 MB up | MIT |

There is no offline default: no model of this kind comes inside a package.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Protocol

import numpy as np
import torch

from ds2f.errors import UserError
from ds2f.extras import optional
from ds2f.types import Language

KINDS = ("speechbrain:SOURCE", "whisper:SOURCE")


class LanguageModel(Protocol):
    """Identifies the spoken language."""

    name: str
    licence: str

    def predict(self, clips: np.ndarray) -> list[Language]:
        """clips: (n, samples) float32 in [-1, 1], 16 kHz mono, speech. Returns the likeliest language of each."""
        ...


def name_of(spec: str) -> str:
    """The name that marks rows of this model. Loads nothing. Raises UserError for a spec that means no model."""
    kind, source = _split(spec)
    return f"{kind}/{PurePath(source).name}"


def load(spec: str, device: str = "cpu") -> LanguageModel:
    """Raises UserError for a spec that means no model, a missing package, or weights that cannot be had."""
    kind, source = _split(spec)
    return SpeechBrainLanguage(source, device) if kind == "speechbrain" else WhisperLanguage(source, device)


def _split(spec: str) -> tuple[str, str]:
    kind, _, source = spec.partition(":")
    if kind not in ("speechbrain", "whisper") or not source:
        raise UserError(f"There is no language model {spec!r}; choose one of {', '.join(KINDS)}.")
    return kind, source


class SpeechBrainLanguage:
    licence = "Apache-2.0"

    def __init__(self, source: str, device: str = "cpu") -> None:
        from ds2f.voice.speechbrain_ecapa import load_classifier

        self.name = name_of(f"speechbrain:{source}")
        self._classifier = load_classifier(source, device, "The language model speechbrain")

    @torch.no_grad()
    def predict(self, clips: np.ndarray) -> list[Language]:
        """See LanguageModel.predict. VoxLingua's labels are "th: Thai", CommonLanguage's are names alone."""
        log_posterior, _, index, labels = self._classifier.classify_batch(
            torch.from_numpy(np.asarray(clips, np.float32))
        )
        probability = torch.softmax(log_posterior.float(), 1).gather(1, index.view(-1, 1))[:, 0]
        return [Language(_code(label), float(p)) for label, p in zip(labels, probability, strict=True)]


class WhisperLanguage:
    licence = "MIT"

    def __init__(self, source: str, device: str = "cpu") -> None:
        """source: the name of a size, or a folder of a converted model. Raises UserError if it cannot be had."""
        whisper = optional("faster_whisper", "whisper", "The language model whisper")
        self.name = name_of(f"whisper:{source}")
        try:
            self._model = whisper.WhisperModel(source, device="cuda" if device.startswith("cuda") else "cpu")
        except Exception as error:  # noqa: BLE001 - a download or a file: anything may be wrong
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UserError(f"The language model whisper cannot load {source} ({reason}).") from None

    def predict(self, clips: np.ndarray) -> list[Language]:
        """See LanguageModel.predict."""
        found = [self._model.detect_language(np.asarray(clip, np.float32)) for clip in clips]
        return [Language(code, float(probability)) for code, probability, *_ in found]


def _code(label: str) -> str:
    """ISO 639-1 of a SpeechBrain label; a language without such a code keeps its name, in small letters."""
    code, colon, _ = label.partition(":")
    name = label.strip().lower().replace("_", " ")
    return code.strip().lower() if colon else ISO_639_1.get(name, name)


# The 45 languages of CommonLanguage, by its own names.
ISO_639_1 = {
    "arabic": "ar", "basque": "eu", "breton": "br", "catalan": "ca", "chinese china": "zh", "chinese hongkong": "zh",
    "chinese taiwan": "zh", "chuvash": "cv", "czech": "cs", "dhivehi": "dv", "dutch": "nl", "english": "en",
    "esperanto": "eo", "estonian": "et", "french": "fr", "frisian": "fy", "georgian": "ka", "german": "de",
    "greek": "el", "indonesian": "id", "interlingua": "ia", "italian": "it", "japanese": "ja", "kinyarwanda": "rw",
    "kyrgyz": "ky", "latvian": "lv", "maltese": "mt", "mongolian": "mn", "persian": "fa", "polish": "pl",
    "portuguese": "pt", "romanian": "ro", "romansh sursilvan": "rm", "russian": "ru", "slovenian": "sl",
    "spanish": "es", "swedish": "sv", "tamil": "ta", "tatar": "tt", "turkish": "tr", "ukrainian": "uk", "welsh": "cy",
}  # fmt: skip
