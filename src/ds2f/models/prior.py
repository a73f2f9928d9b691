"""The prior p(identity | voice): a linear map to the expected identity, and a flow over how people differ from it.

One voice fits many faces. The ridge map gives what the voice determines; a small flow-matching network samples the
rest, as a residual in whitened coordinates. With few pairs, the residual is the map's error on people it has not seen,
so it is fitted on leave-one-person-out errors, never on training errors.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ds2f.models.conditioning import Condition, Conditioning
from ds2f.models.voices import VoiceInputs
from ds2f.types import VOICE


@dataclass(frozen=True)
class PriorConfig:
    """voices: {speaker encoder or "acoustics": length} of the model's input; identity_dim: of the vectors of
    face_encoder; clip_seconds: of the voice clips it was trained on."""

    voices: dict[str, int] = field(default_factory=lambda: {VOICE: 512})
    identity_dim: int = 128
    width: int = 64
    depth: int = 2
    dropout: float = 0.3
    face_encoder: str = "dlib"
    clip_seconds: float = 6.0


class Prior(nn.Module):
    """(z, t, mean) to the predicted clean residual, in whitened coordinates.

    z: (n, identity_dim) noisy residual; t: (n,) in [0, 1]; mean: the linear prediction for the voice.

    In these coordinates, the residuals of people with one voice have covariance I, or less in directions in which they
    hardly differ, and the linear predictions have covariance diag(spread).
    """

    voice_mean: Tensor
    identity_mean: Tensor
    linear: Tensor
    whitening: Tensor
    colouring: Tensor
    spread: Tensor

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        self.config = config
        dim, width = config.identity_dim, config.width
        self.inputs = VoiceInputs(config.voices)
        self.register_buffer("voice_mean", torch.zeros(self.inputs.dim))
        self.register_buffer("identity_mean", torch.zeros(dim))
        self.register_buffer("linear", torch.zeros(self.inputs.dim, dim))
        self.register_buffer("whitening", torch.eye(dim))
        self.register_buffer("colouring", torch.eye(dim))
        self.register_buffer("spread", torch.zeros(dim))
        self.conditioning = Conditioning({"mean": dim}, width)
        self.enter = nn.Linear(dim, width)
        self.blocks = nn.ModuleList(PriorBlock(width, config.dropout) for _ in range(config.depth))
        self.leave = nn.Linear(width, dim)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, z: Tensor, t: Tensor, mean: Condition) -> Tensor:
        cond = self.conditioning(t, {"mean": mean})
        x = self.enter(z)
        for block in self.blocks:
            x = block(x, cond)
        # If residuals were exactly N(0, I), E[x | z] = t z / (t² + (1 − t)²); the network learns the difference.
        gaussian = (t / (t**2 + (1 - t) ** 2))[:, None] * z
        return gaussian + self.leave(F.silu(x))

    def predict_mean(self, voice: Tensor) -> Tensor:
        """The linear prediction: (n, d) voices from `inputs` to (n, identity_dim)."""
        return (voice - self.voice_mean) @ self.linear + self.identity_mean

    def left_open(self, guidance: float | Tensor) -> Tensor:
        """How much of the residual to draw, (identity_dim,), when linear predictions are scaled by w = guidance.

        Along a whitened coordinate, people have variance 1 + λ, λ = spread: 1 around their linear predictions, plus λ
        of the predictions themselves, if the two are independent. Scaled by w, the predictions alone have variance w²
        λ. Sampled people spread as widely as real ones if the residual has the remaining variance; where the
        predictions alone already spread more widely, the residual has none, and people spread too widely:

            s² = max(0, 1 + λ − w² λ),   w = guidance; 1 for w = 1
        """
        return (1 - (guidance**2 - 1) * self.spread).clamp(min=0).sqrt()


class PriorBlock(nn.Module):
    """A residual MLP block, modulated by the condition."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.modulation = nn.Linear(width, 3 * width)
        self.body = nn.Sequential(
            nn.Linear(width, 2 * width), nn.SiLU(), nn.Dropout(dropout), nn.Linear(2 * width, width)
        )
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        shift, scale, gate = self.modulation(cond).chunk(3, dim=-1)
        return x + gate * self.body(F.rms_norm(x, (x.shape[-1],)) * (1 + scale) + shift)
