"""Which language is spoken, and how confidently. Models by the names used in ds2f.toml:

| spec | model | languages | size | licence |
| --- | --- | --- | --- | --- |
| speechbrain:speechbrain/lang-id-voxlingua107-ecapa | ECAPA-TDNN on VoxLingua107 | 107 | 85 MB | Apache-2.0 |
| speechbrain:speechbrain/lang-id-commonlanguage_ecapa | ECAPA-TDNN on CommonLanguage | 45 | 85 MB | Apache-2.0 |
| whisper:SOURCE | Whisper through faster-whisper: tiny, small, ... or a folder | 99 | 75 MB up | MIT |

There is no offline default, because no package contains such a model.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from ds2f.errors import UserError
from ds2f.io.extras import first_line, optional
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
    """The name that marks rows of this model. Loads nothing. Raises UserError for a spec that matches no model."""
    kind, source = _split(spec)
    return f"{kind}/{Path(source).absolute().name}"


def load(spec: str, device: str = "cpu") -> LanguageModel:
    """Raises UserError for a spec that matches no model, a missing package, or weights that are unavailable."""
    kind, source = _split(spec)
    return SpeechBrainLanguage(source, device) if kind == "speechbrain" else WhisperLanguage(source, device)


def _split(spec: str) -> tuple[str, str]:
    kind, _, source = spec.partition(":")
    if kind not in ("speechbrain", "whisper") or not source:
        raise UserError(f"There is no language model {spec!r}; choose one of {', '.join(KINDS)}.")
    return kind, os.path.expanduser(source)  # no shell expands ~ after a colon


class SpeechBrainLanguage:
    """See LanguageModel."""

    licence = "Apache-2.0"

    def __init__(self, source: str, device: str = "cpu") -> None:
        from ds2f.voice.speechbrain_ecapa import load_classifier

        self.name = name_of(f"speechbrain:{source}")
        self._classifier = load_classifier(source, device, "The language model speechbrain")

    @torch.no_grad()
    def predict(self, clips: np.ndarray) -> list[Language]:
        """See LanguageModel.predict. VoxLingua's labels look like "th: Thai", CommonLanguage's are names only."""
        scores, _, _, labels = self._classifier.classify_batch(torch.from_numpy(np.asarray(clips, np.float32)))
        probability = _posterior(scores.float()).amax(1)
        return [Language(_code(label), float(p)) for label, p in zip(labels, probability, strict=True)]


class WhisperLanguage:
    """See LanguageModel."""

    licence = "MIT"

    def __init__(self, source: str, device: str = "cpu") -> None:
        """source: the name of a size, or a folder with a converted model. Raises UserError if it is unavailable."""
        whisper = optional("faster_whisper", "whisper", "The language model whisper")
        self.name = name_of(f"whisper:{source}")
        kind, _, index = device.partition(":")
        place = {"device": "cuda", "device_index": int(index or 0)} if kind == "cuda" else {"device": "cpu"}
        try:
            self._model = whisper.WhisperModel(source, **place, cpu_threads=1)  # parallelism is over files
        except Exception as error:  # noqa: BLE001 - a download or a file: anything may be wrong
            raise UserError(
                f"The language model whisper cannot load {source} ({first_line(error)}); "
                "it is fetched once, which needs a network."
            ) from None
        if not self._model.model.is_multilingual:
            raise UserError(f"The language model whisper {source} knows English only; choose one without .en.")

    def predict(self, clips: np.ndarray) -> list[Language]:
        """See LanguageModel.predict."""
        found = [self._model.detect_language(np.asarray(clip, np.float32)) for clip in clips]
        return [Language(_code(f"{code}:"), float(probability)) for code, probability, *_ in found]


def _posterior(scores: torch.Tensor) -> torch.Tensor:
    """The output of SpeechBrain's classifiers, (n, languages), as probabilities.

    Xvector.Classifier (VoxLingua107) returns log p, which softmax turns into p. ECAPA_TDNN.Classifier (CommonLanguage)
    returns cosines, despite the documentation of classify_batch (speechbrain issue 1294); it was trained so that
    p = softmax(s cos θ), s = 30   (additive angular margin, Deng et al., CVPR 2019, arXiv:1801.07698)
    """
    is_log = torch.allclose(scores.exp().sum(1), scores.new_ones(len(scores)), atol=1e-2)
    return torch.softmax(scores if is_log else MARGIN_SCALE * scores, 1)


def _code(label: str) -> str:
    """ISO 639-1 for "th: Thai" or "Thai"; if there is none, the model's own code, or the name in lower case."""
    code, colon, _ = label.strip().lower().partition(":")
    name = code.replace("_", " ")
    return WITHDRAWN.get(code, code) if colon else ISO_639_1.get(name, name)


MARGIN_SCALE = 30.0  # from SpeechBrain's recipe for CommonLanguage
WITHDRAWN = {"iw": "he", "jw": "jv", "in": "id", "ji": "yi"}  # codes of 1988 that models still use

# The languages of CommonLanguage that have a code; Mongolian and Ukrainian are misspelt there.
ISO_639_1 = {
    "arabic": "ar", "basque": "eu", "breton": "br", "catalan": "ca", "chinese china": "zh", "chinese hongkong": "zh",
    "chinese taiwan": "zh", "chuvash": "cv", "czech": "cs", "dhivehi": "dv", "dutch": "nl", "english": "en",
    "esperanto": "eo", "estonian": "et", "french": "fr", "frisian": "fy", "georgian": "ka", "german": "de",
    "greek": "el", "indonesian": "id", "interlingua": "ia", "italian": "it", "japanese": "ja", "kinyarwanda": "rw",
    "kyrgyz": "ky", "latvian": "lv", "maltese": "mt", "mangolian": "mn", "mongolian": "mn", "persian": "fa",
    "polish": "pl", "portuguese": "pt", "romanian": "ro", "romansh sursilvan": "rm", "russian": "ru",
    "slovenian": "sl", "spanish": "es", "swedish": "sv", "tamil": "ta", "tatar": "tt", "turkish": "tr",
    "ukranian": "uk", "ukrainian": "uk", "welsh": "cy",
}  # fmt: skip
