"""TitaNet (Koluguri et al., ICASSP 2022, arXiv:2110.04410) of NVIDIA NeMo.

Source: https://huggingface.co/nvidia/speakerverification_en_titanet_large; code Apache-2.0, weights CC BY 4.0; 97 MB,
192-d. Extra: titanet. SOURCE is a Hub id or a .nemo file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ds2f.errors import UserError
from ds2f.io.extras import first_line, optional
from ds2f.types import SAMPLE_RATE
from ds2f.voice.base import unit_rows


class TitaNet:
    """See SpeakerEncoder."""

    licence = "Apache-2.0 code; weights CC BY 4.0"

    def __init__(self, source: str, name: str, device: str = "cpu") -> None:
        """Raises UserError if the model is unavailable."""
        models = optional("nemo.collections.asr.models", "titanet", "The encoder titanet")
        kind = models.EncDecSpeakerLabelModel
        try:
            is_file = source.endswith(".nemo") or Path(source).exists()
            model = kind.restore_from(source) if is_file else kind.from_pretrained(source)
        except Exception as error:  # noqa: BLE001 - a download or a file: anything may be wrong
            raise UserError(
                f"The encoder titanet cannot load {source} ({first_line(error)}); "
                "it is fetched once, which needs a network."
            ) from None
        self._model, self._device = model.to(torch.device(device)).eval(), torch.device(device)
        self.name = name
        self.dim = self.embed(np.zeros((1, SAMPLE_RATE), np.float32)).shape[1]

    @torch.no_grad()
    def embed(self, clips: np.ndarray) -> np.ndarray:
        """See SpeakerEncoder.embed: (n, dim) float32."""
        signal = torch.from_numpy(np.asarray(clips, np.float32)).to(self._device)
        length = torch.full((len(clips),), clips.shape[1], device=self._device)
        _, vectors = self._model.forward(input_signal=signal, input_signal_length=length)  # (logits, embeddings)
        return unit_rows(vectors.cpu().numpy(), clips)
