"""CAM++: a densely connected time-delay network with context-aware masking (Wang et al., Interspeech 2023,
arXiv:2303.00332), trained on 200,000 speakers of Chinese and English by 3D-Speaker (arXiv:2306.15354).

Weights: https://modelscope.cn/models/iic/speech_campplus_sv_zh_en_16k-common_advanced, Apache-2.0; here as whole
numbers of 8 bits, batch normalisation folded in (scripts/pack_campplus.py). Of one pass there are two things to have:

campplus         192-d, the speaker embedding: what tells speakers apart
campplus-frames  512-d, the last layer over time, averaged: it still holds what the embedding is trained to forget, and
                 says more about a face (docs/results.md)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from ds2f.models.packing import unpacked
from ds2f.voice.base import unit_rows
from ds2f.voice.fbank import MEL_BINS, fbank

WEIGHTS = Path(__file__).with_suffix(".safetensors")
GROWTH = 32  # channels that a dense layer adds
SEGMENT = 100  # frames, of 20 ms, over which a mask looks around
BLOCKS = ((12, 1), (24, 2), (16, 2))  # layers, dilation


class CAMPlusPlus:
    """See SpeakerEncoder."""

    licence = "Apache-2.0"

    def __init__(self, device: str = "cpu", frames: bool = False) -> None:
        """frames: the average over frames, not the embedding."""
        self.frames, self.device = frames, torch.device(device)
        self.name, self.dim = ("campplus-frames", 512) if frames else ("campplus", 192)
        self._network = Network()
        self._network.load_state_dict(unpacked(load_file(WEIGHTS)))
        self._network.eval().requires_grad_(False).to(self.device)

    @torch.no_grad()
    def embed(self, clips: np.ndarray) -> np.ndarray:
        """See SpeakerEncoder.embed: (n, dim) float32. Raises ValueError for clips of under 25 ms."""
        features = torch.from_numpy(np.stack([fbank(clip) for clip in clips]))
        # A CPU is no faster with many at once, and alone the last bits of a vector do not depend on its neighbours.
        parts = features.split(1 if self.device.type == "cpu" else len(features))
        found = torch.cat([self._describe(part.to(self.device)).cpu() for part in parts])
        return unit_rows(found.numpy(), clips)

    def _describe(self, features: Tensor) -> Tensor:
        over_time = self._network(features)
        return over_time.mean(2) if self.frames else self._network.embedding(over_time)


class Network(nn.Module):
    """(n, frames, 80) log mel energies to the last layer over time, (n, 512, frames / 2)."""

    def __init__(self) -> None:
        super().__init__()
        width = 32
        self.head = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            nn.ReLU(),
            *(Residual(width, stride) for stride in (2, 1, 2, 1)),
            nn.Conv2d(width, width, 3, (2, 1), 1),
            nn.ReLU(),
        )
        self.enter = nn.Conv1d(width * MEL_BINS // 8, 128, 5, stride=2, padding=2)
        width, self.blocks, self.transits = 128, nn.ModuleList(), nn.ModuleList()
        for layers, dilation in BLOCKS:
            self.blocks.append(nn.Sequential(*(Dense(width + GROWTH * i, dilation) for i in range(layers))))
            width += GROWTH * layers
            self.transits.append(nn.Sequential(Scale(width), nn.ReLU(), nn.Conv1d(width, width // 2, 1, bias=False)))
            width //= 2
        self.last = Scale(width)
        self.leave = nn.Linear(2 * width, 192)

    def forward(self, features: Tensor) -> Tensor:
        planes = self.head(features.transpose(1, 2)[:, None])  # (n, 32, 10, frames)
        x = F.relu(self.enter(planes.flatten(1, 2)))
        for block, transit in zip(self.blocks, self.transits, strict=True):
            x = transit(block(x))
        return F.relu(self.last(x))

    def embedding(self, x: Tensor) -> Tensor:
        """Mean and standard deviation over time of what `forward` gives, to (n, 192)."""
        return self.leave(torch.cat([x.mean(2), x.std(2)], 1))


class Residual(nn.Module):
    """Two convolutions over frequency and time, beside a short cut; the stride is over frequency."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, (stride, 1), 1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.short = nn.Conv2d(width, width, 1, (stride, 1)) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(F.relu(self.first(x))) + self.short(x))


class Dense(nn.Module):
    """(n, width, frames) to (n, width + GROWTH, frames): new channels beside the old, masked by what is around them."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.before = Scale(width)
        self.narrow = nn.Conv1d(width, 4 * GROWTH, 1)
        self.local = nn.Conv1d(4 * GROWTH, GROWTH, 3, padding=dilation, dilation=dilation, bias=False)
        self.context = nn.Conv1d(4 * GROWTH, 2 * GROWTH, 1)
        self.mask = nn.Conv1d(2 * GROWTH, GROWTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.narrow(F.relu(self.before(x))))
        around = h.mean(2, keepdim=True) + F.avg_pool1d(h, SEGMENT, ceil_mode=True)
        mask = torch.sigmoid(self.mask(F.relu(self.context(around))))  # one for each segment
        mask = mask.repeat_interleave(SEGMENT, 2)[:, :, : x.shape[2]]
        return torch.cat([x, self.local(h) * mask], 1)


class Scale(nn.Module):
    """What is left of a batch normalisation once it is trained: a scale and a shift of each channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.bias[:, None], x, self.weight[:, None])
