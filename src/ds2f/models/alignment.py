"""Does this face fit this voice? Two small encoders into one space, and a calibration of their similarity.

CLIP's form (Radford et al. 2021, arXiv:2103.00020) for a few hundred pairs: the encoders are linear maps of whitened
vectors onto a sphere of a few dimensions, and a voice and a face score by their cosine over a learned temperature.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ds2f.models.voices import VoiceInputs
from ds2f.types import VOICE


@dataclass(frozen=True)
class AlignmentConfig:
    """voices: {encoder or "acoustics": length} of the model's input; dim: of the shared space; slope, intercept: of the
    calibration, see `Alignment.log_odds`; clip_seconds: of the voice clips it was trained on; folded: whether the
    whitening has been merged into the maps, see `Alignment.fold`."""

    voices: dict[str, int] = field(default_factory=lambda: {VOICE: 512})
    identity_dim: int = 128
    dim: int = 32
    face_encoder: str = "dlib"
    clip_seconds: float = 6.0
    slope: float = 1.0
    intercept: float = 0.0
    folded: bool = False


class Tower(nn.Module):
    """(n, width) vectors to (n, dim) of length 1: whitened, mapped, normalised."""

    mean: Tensor
    whitening: Tensor | None

    def __init__(self, width: int, dim: int, folded: bool = False) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("whitening", None if folded else torch.eye(width))
        self.map = nn.Linear(width, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        centred = x - self.mean
        return F.normalize(self.map(centred if self.whitening is None else centred @ self.whitening), dim=1)


class Alignment(nn.Module):
    """voice: (n, d) of `inputs`; identity: (m, identity_dim)."""

    def __init__(self, config: AlignmentConfig) -> None:
        super().__init__()
        self.config = config
        self.inputs = VoiceInputs(config.voices)
        self.voice = Tower(self.inputs.dim, config.dim, config.folded)
        self.face = Tower(config.identity_dim, config.dim, config.folded)
        self.log_scale = nn.Parameter(torch.tensor(math.log(5.0)))  # of 1 / temperature

    def forward(self, voice: Tensor, identity: Tensor) -> Tensor:
        """Scores of every voice with every face: (n, m). Only differences are meaningful; see `log_odds`."""
        return self.log_scale.exp() * self.voice(voice) @ self.face(identity).T

    @torch.no_grad()
    def fold(self) -> Alignment:
        """The same scores with whitening and map merged into one matrix: only training needs the two."""
        result = Alignment(replace(self.config, folded=True))
        state = self.state_dict()
        for tower in ("voice", "face") if not self.config.folded else ():
            state[f"{tower}.map.weight"] = state[f"{tower}.map.weight"] @ state.pop(f"{tower}.whitening").T
        result.load_state_dict(state)
        return result.eval()

    def log_odds(self, voice: Tensor, identity: Tensor) -> Tensor:
        """log p(same person) / p(two people drawn at random), with equal prior probabilities: (n, m).

            slope · score + intercept       (Platt 1999, "Probabilistic outputs for support vector machines")

        Its sigmoid answers "do they belong together, or was the face drawn at random?"; a softmax over several faces,
        one of which is right, answers "which of them?".
        """
        return self.config.slope * self(voice, identity) + self.config.intercept

    @property
    def even_cosine(self) -> float:
        """The cosine of a voice and a face, on the sphere, at which the log-odds are 0, or the nearest possible."""
        return min(1.0, max(-1.0, -self.config.intercept / (self.config.slope * float(self.log_scale.exp()))))
