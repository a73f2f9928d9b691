"""ECAPA-TDNN (Desplanques et al., Interspeech 2020, arXiv:2005.07143) and other encoders of SpeechBrain.

Source: https://huggingface.co/speechbrain/spkrec-ecapa-voxceleb; Apache-2.0; 83 MB, 192-d. Extra: speechbrain (which
needs torchaudio). SOURCE is a Hub id or a folder with hyperparams.yaml. SpeechBrain builds models from that file, which
can contain code: use only sources you trust.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ds2f.errors import UserError
from ds2f.io.extras import first_line, optional
from ds2f.types import SAMPLE_RATE
from ds2f.voice.base import unit_rows


def load_classifier(source: str, device: str, wanted_by: str) -> Any:
    """SpeechBrain's EncoderClassifier for `source`. Raises UserError if it is unavailable."""
    inference = optional("speechbrain.inference.classifiers", "speechbrain", wanted_by)
    try:
        return inference.EncoderClassifier.from_hparams(source=source, run_opts={"device": device})
    except Exception as error:  # noqa: BLE001 - a download, a file, a class in YAML: anything may be wrong
        raise UserError(f"{wanted_by} cannot load {source} ({first_line(error)}).") from None


class SpeechBrainEncoder:
    """See SpeakerEncoder."""

    licence = "Apache-2.0"

    def __init__(self, source: str, name: str, device: str = "cpu") -> None:
        """source: a Hub id, or a folder. Raises UserError if it is unavailable."""
        self._classifier = load_classifier(source, device, "The encoder speechbrain")
        self.name = name
        self.dim = self.embed(np.zeros((1, SAMPLE_RATE), np.float32)).shape[1]

    @torch.no_grad()
    def embed(self, clips: np.ndarray) -> np.ndarray:
        """See SpeakerEncoder.embed: (n, dim) float32."""
        vectors = self._classifier.encode_batch(torch.from_numpy(np.asarray(clips, np.float32)))  # (n, 1, dim)
        return unit_rows(vectors.flatten(1).cpu().numpy(), clips)
