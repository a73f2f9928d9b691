"""Speaker embeddings of pyannote.audio (Bredin, Interspeech 2023).

Source: https://huggingface.co/pyannote/wespeaker-voxceleb-resnet34-LM; code MIT, weights CC BY 4.0; 27 MB, 256-d.
Extra: pyannote (which needs torchaudio and torchcodec). SOURCE is a Hub id (some need a token: `hf auth login`), a
checkpoint file or its folder. A checkpoint is a pickle, which can run code: use only sources you trust.
"""

from __future__ import annotations

import os

import numpy as np
import torch

from ds2f.errors import UserError
from ds2f.io.extras import first_line, optional
from ds2f.types import SAMPLE_RATE
from ds2f.voice.base import unit_rows


class PyannoteEncoder:
    """See SpeakerEncoder."""

    licence = "MIT code; weights CC BY 4.0"

    def __init__(self, source: str, name: str, device: str = "cpu") -> None:
        """Raises UserError if the model is unavailable: pyannote returns None if the Hub requires a token."""
        os.environ.setdefault("PYANNOTE_METRICS_ENABLED", "false")  # or it reports which model is loaded
        audio = optional("pyannote.audio", "pyannote", "The encoder pyannote")
        try:
            model = audio.Model.from_pretrained(source)
        except Exception as error:  # noqa: BLE001 - a download or a file: anything may be wrong
            raise UserError(f"The encoder pyannote cannot load {source} ({first_line(error)}).") from None
        if model is None:
            raise UserError(
                f"The encoder pyannote may not load {source}: accept its terms on the Hub and log in there."
            )
        self._model, self._device = model.to(torch.device(device)).eval(), torch.device(device)
        self.name = name
        self.dim = self.embed(np.zeros((1, SAMPLE_RATE), np.float32)).shape[1]

    @torch.no_grad()
    def embed(self, clips: np.ndarray) -> np.ndarray:
        """See SpeakerEncoder.embed: (n, dim) float32."""
        waveforms = torch.from_numpy(np.asarray(clips, np.float32))[:, None].to(self._device)  # (n, channel, samples)
        return unit_rows(self._model(waveforms).cpu().numpy(), clips)
