"""A speaker encoder that was trained here, `ds2f:FOLDER`, or that `models.store` has as one: voice.safetensors and
voice.json, which says what it reads. `ds2f-frames:FOLDER` is its last layer over time, averaged: it holds what an
embedding is trained to forget, and more of a face (docs/experiments/prior-and-matching.md)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ds2f.config import Numbers
from ds2f.models.processor import cpu_has_bf16
from ds2f.models.speaker.encoder import Learnt
from ds2f.models.store import description, load_voice
from ds2f.voice.base import unit_rows


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
        device: where it runs.
        frames: the average over frames, not the embedding.
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
        """See SpeakerEncoder.embed: (n, dim) float32. Raises ValueError for clips of under 25 ms."""
        audio = torch.from_numpy(np.ascontiguousarray(clips, np.float32))
        # A CPU is no faster with many at once, and alone the last bits of a vector do not depend on its neighbours.
        parts = audio.split(1 if self.device.type == "cpu" else len(audio))
        found = torch.cat([self._describe(part.to(self.device)).cpu() for part in parts])
        return unit_rows(found.numpy(), clips)

    def _describe(self, audio: torch.Tensor) -> torch.Tensor:
        """As CAM++ in the box: the network in bfloat16, features before it and sums over time after it in float32."""
        features, network = self._network.features(audio), self._network.network
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bfloat16):
            over_time = network(features)
        over_time = over_time.float()
        return over_time.mean(2) if self.frames else network.embedding(over_time)
