"""What is learnt besides the encoder: the speakers' centres, or scale and shift of a cosine. By name, as a module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ds2f.training.losses import batches, classes

LossName = Literal["softmax", "am-softmax", "aam-softmax", "prototypical", "angular-prototypical", "ge2e"]
OVER_CLASSES = ("softmax", "am-softmax", "aam-softmax")


@dataclass(frozen=True)
class LossConfig:
    """name: see `classes` and `batches`; margin, scale: of losses with a margin; centres: per speaker."""

    name: LossName = "aam-softmax"
    margin: float = 0.2
    scale: float = 30.0
    centres: int = 1


class Head(nn.Module):
    """The loss of some utterances."""

    def __init__(self, config: LossConfig, dim: int, speakers: int) -> None:
        super().__init__()
        self.config = config
        if config.name in OVER_CLASSES:
            each = 1 if config.name == "softmax" else config.centres
            self.centres = nn.Parameter(nn.init.xavier_normal_(torch.empty(speakers * each, dim)))
        if config.name == "softmax":
            self.bias = nn.Parameter(torch.zeros(speakers))
        if config.name in ("angular-prototypical", "ge2e"):
            self.scale, self.shift = nn.Parameter(torch.tensor(10.0)), nn.Parameter(torch.tensor(-5.0))

    @torch.no_grad()
    def begin_at(self, means: Tensor) -> None:
        """Initialise the centres with the speakers' means: (speakers, dim)."""
        if self.config.name in OVER_CLASSES:
            each = len(self.centres) // len(means)
            apart = 0.01 * means.std() * torch.randn(len(self.centres), means.shape[1])
            self.centres.copy_(means.repeat_interleave(each, 0) + (apart if each > 1 else 0))

    def forward(self, embedding: Tensor, speaker: Tensor) -> Tensor:
        """Mean loss, a scalar. embedding: (n, m, d), m utterances of each speaker; speaker: (n,) int64."""
        config = self.config
        with torch.autocast(embedding.device.type, enabled=False):
            embedding = embedding.float()
            match config.name:
                case "prototypical":
                    return batches.prototypical(embedding, speaker)
                case "angular-prototypical":
                    return batches.angular_prototypical(embedding, speaker, self.scale, self.shift)
                case "ge2e":
                    return batches.ge2e(embedding, speaker, self.scale, self.shift)
            x, speaker = embedding.flatten(0, 1), speaker.repeat_interleave(embedding.shape[1])
            if config.name == "softmax":
                return classes.softmax(x, self.centres, self.bias, speaker)
            cosine = classes.cosines(x, self.centres, config.centres)
            margin = classes.am_softmax if config.name == "am-softmax" else classes.aam_softmax
            return margin(cosine, speaker, config.margin, config.scale)
