"""A speaker encoder that was trained here: `ds2f:FOLDER`, or one that `models.store` holds: voice.safetensors and
voice.json, which describes its input. `ds2f-frames:FOLDER` is its last layer averaged over time, which retains what an
embedding is trained to discard, and says more about a face (docs/experiments/prior-and-matching.md)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ds2f.config import Numbers
from ds2f.models.folders import description
from ds2f.models.processor import cpu_has_bf16
from ds2f.models.speaker.encoder import Learnt
from ds2f.models.store import load_voice
from ds2f.voice.base import in_parts, unit_rows


class TrainedEncoder:
    """See SpeakerEncoder."""

    def __init__(
        self,
        folder: Path,
        name: str,
        device: str = "cpu",
        frames: bool = False,
        precision: Numbers = "auto",
    ) -> None:
        """Raises UserError if there is no such model.

        folder: of the model.
        name: of its vectors.
        device: to run it on.
        frames: the average over frames instead of the embedding.
        precision: see `[audio] precision` of ds2f.toml.
        """
        self.name, self.frames, self.device = name, frames, torch.device(device)
        self._bfloat16 = self.device.type == "cpu" and precision == "auto" and cpu_has_bf16()
        self._network = load_voice(folder).to(self.device)
        card = description(folder, "voice")["card"]
        self.licence = str(card.get("licence", "of whoever trained it"))
        self.trained_on, self.heard_without_names = Learnt.of(card)
        self.dim = self._network.channels if frames else self._network.config.dim

    @torch.no_grad()
    def embed(self, clips: np.ndarray) -> np.ndarray:
        """See SpeakerEncoder.embed: (n, dim) float32. Raises ValueError for clips shorter than 25 ms."""
        audio = torch.from_numpy(np.ascontiguousarray(clips, np.float32))
        return unit_rows(in_parts(self._describe, audio, self.device), clips)

    def _describe(self, audio: torch.Tensor) -> torch.Tensor:
        """As with the bundled CAM++: the network in bfloat16, the features before it and the sums over time after it in
        float32."""
        features, network = self._network.features(audio), self._network.network
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bfloat16):
            over_time = network(features)
        over_time = over_time.float()
        return over_time.mean(2) if self.frames else network.embedding(over_time)
