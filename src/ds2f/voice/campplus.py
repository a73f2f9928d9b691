"""CAM++: a densely connected time-delay network with context-aware masking (Wang et al., Interspeech 2023,
arXiv:2303.00332), trained on 200,000 speakers of Chinese and English by 3D-Speaker (arXiv:2306.15354).

Weights: https://modelscope.cn/models/iic/speech_campplus_sv_zh_en_16k-common_advanced, Apache-2.0; fine-tuned here for
telephone speech and codecs (recipes voice-robust and voice-robust-long), and stored as 8-bit integers with batch
normalisation folded in (scripts/pack_campplus.py). One forward pass gives two outputs:

campplus         192-d, the speaker embedding, which tells speakers apart
campplus-frames  512-d, the last layer averaged over time, which retains what the embedding is trained to discard, and
                 says more about a face (docs/experiments/prior-and-matching.md)
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from ds2f.config import Numbers
from ds2f.models.packing import unpacked
from ds2f.models.processor import cpu_has_bf16
from ds2f.models.speaker.campplus import BLOCKS, GROWTH, PLANES, SEGMENT
from ds2f.voice.base import in_parts, unit_rows
from ds2f.voice.campplus_graph import WEIGHTS, About
from ds2f.voice.fbank import MEL_BINS, fbank


class CAMPlusPlus(About):
    """See SpeakerEncoder."""

    def __init__(self, device: str = "cpu", frames: bool = False, precision: Numbers = "auto") -> None:
        """frames: the average over frames instead of the embedding; precision: see `[audio] precision` of ds2f.toml."""
        super().__init__(frames)
        self.device = torch.device(device)
        self._network = load_network()
        if self.device.type == "cpu" and precision == "auto" and cpu_has_bf16():
            self._network.in_bfloat16()
        self._network.requires_grad_(False).to(self.device)

    @torch.no_grad()
    def embed(self, clips: np.ndarray) -> np.ndarray:
        """See SpeakerEncoder.embed: (n, dim) float32. Raises ValueError for clips shorter than 25 ms."""
        features = torch.from_numpy(np.stack([fbank(clip) for clip in clips]))
        return unit_rows(in_parts(self._describe, features, self.device), clips)

    def _describe(self, features: Tensor) -> Tensor:
        over_time = self._network(features)
        return over_time.mean(1) if self.frames else self._network.embedding(over_time)


def load_network() -> Network:
    """The network with its weights, in float32."""
    network = Network()
    network.load_state_dict(unpacked(load_file(WEIGHTS)))
    return network.eval()


class Network(nn.Module):
    """(n, frames, 80) log mel energies to the last layer over time, (n, frames / 2, 512) float32.

    Channels are contiguous in memory, both in the planes of the head and in the frames after it, so that a convolution
    over time is a matrix product: a third faster than PyTorch's own for convolutions as short and narrow as these.
    """

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Sequential(
            nn.Conv2d(1, PLANES, 3, padding=1),
            nn.ReLU(),
            *(Residual(PLANES, stride) for stride in (2, 1, 2, 1)),
            nn.Conv2d(PLANES, PLANES, 3, (2, 1), 1),
            nn.ReLU(),
        ).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.enter = OverTime(PLANES * MEL_BINS // 8, 128, 5, stride=2)
        width, self.blocks, self.transits = 128, nn.ModuleList(), nn.ModuleList()
        for layers, dilation in BLOCKS:
            self.blocks.append(nn.ModuleList(Dense(width + GROWTH * i, dilation) for i in range(layers)))
            width += GROWTH * layers
            narrow = OverTime(width, width // 2, 1, bias=False)
            self.transits.append(nn.Sequential(Scale(width), nn.ReLU(inplace=True), narrow))
            width //= 2
        self.last = Scale(width)
        self.leave = nn.Linear(2 * width, 192)

    def in_bfloat16(self) -> Network:
        """Run the products with large matrices in bfloat16. Everything else stays in float32, which is as fast or
        faster there."""
        for part in (self.head, self.enter):
            part.to(torch.bfloat16)
        for transit in self.transits:
            cast(nn.Sequential, transit)[-1].to(torch.bfloat16)
        for layer in self.blocks.modules():
            if isinstance(layer, Dense):
                layer.narrow.to(torch.bfloat16)
                layer.local.to(torch.bfloat16)
        return self

    def forward(self, features: Tensor) -> Tensor:
        given = features.transpose(1, 2)[:, None].to(self.enter.weight.dtype)
        planes = self.head(given.contiguous(memory_format=torch.channels_last))  # (n, 32, 10, frames)
        x = F.relu(self.enter(planes.flatten(1, 2).transpose(1, 2))).float()
        segments = Segments.of(x)
        for block, transit in zip(self.blocks, self.transits, strict=True):
            for layer in cast(nn.ModuleList, block):
                x = layer(x, segments)
            x = transit(x).float()
        return self.last(x).relu_()

    def embedding(self, x: Tensor) -> Tensor:
        """Mean and standard deviation over time of the output of `forward`, mapped to (n, 192)."""
        return self.leave(torch.cat([x.mean(1), x.std(1)], 1))


class Residual(nn.Module):
    """Two convolutions over frequency and time, with a shortcut; the stride is over frequency."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, (stride, 1), 1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.short = nn.Conv2d(width, width, 1, (stride, 1)) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(F.relu(self.first(x))) + self.short(x))


class OverTime(nn.Conv1d):
    """A convolution over time of (n, frames, channels), centred: the frames in its receptive field side by side, times
    one matrix, in the data type of its weights. Takes the arguments of `nn.Conv1d`, with an odd kernel; it does its own
    padding."""

    def __init__(self, *shape: Any, **more: Any) -> None:
        super().__init__(*shape, **more)
        self.weight.data = self.weight.data.transpose(1, 2).contiguous().transpose(1, 2)  # layout for the product
        self.reach = (self.kernel_size[0] - 1) * self.dilation[0]  # frames, from the first to the last one used

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype != self.weight.dtype:
            x = x.to(self.weight.dtype)
        if self.reach == 0:
            return F.linear(x, self.weight[:, :, 0], self.bias)
        (stride,), (dilation,), around = self.stride, self.dilation, self.reach // 2
        if torch.onnx.is_in_onnx_export():  # ONNX Runtime has faster ways of its own
            return F.conv1d(x.transpose(1, 2), self.weight, self.bias, stride, around, dilation).transpose(1, 2)
        seen = F.pad(x, (0, 0, around, around)).unfold(1, self.reach + 1, stride)[..., ::dilation].transpose(2, 3)
        return F.linear(seen.flatten(2), self.weight.transpose(1, 2).flatten(1), self.bias)


class Dense(nn.Module):
    """(n, frames, width) to (n, frames, width + GROWTH): appends new channels, masked according to their context."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.before = Scale(width)
        self.narrow = OverTime(width, 4 * GROWTH, 1)
        self.local = OverTime(4 * GROWTH, GROWTH, 3, dilation=dilation, bias=False)
        self.context = OverTime(4 * GROWTH, 2 * GROWTH, 1)
        self.mask = OverTime(2 * GROWTH, GROWTH, 1)

    def forward(self, x: Tensor, segments: Segments) -> Tensor:
        h = self.narrow(self.before(x).relu_()).relu_()
        mask = self.mask(self.context(segments.around @ h.float()).relu_()).sigmoid_()  # one for each segment
        return torch.cat([x, self.local(h) * (segments.member @ mask)], 2)


class Segments(NamedTuple):
    """member: (frames, segments), 1 where a frame is in a segment; around: (segments, frames), which averages frames
    over a segment (possibly a short one at the end) and over all of time, and adds the two."""

    member: Tensor
    around: Tensor

    @staticmethod
    def of(x: Tensor) -> Segments:
        """The segments of (n, frames, channels)."""
        frame = torch.arange(x.shape[1], device=x.device)
        member = (frame[:, None] // SEGMENT == frame[::SEGMENT] // SEGMENT).float()
        return Segments(member, (member / member.sum(0)).T + 1 / x.shape[1])


class Scale(nn.Module):
    """What remains of batch normalisation after training: a scale and a shift per channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.bias, x, self.weight)
