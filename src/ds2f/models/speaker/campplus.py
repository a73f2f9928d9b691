"""Trainable CAM++ (Wang et al., Interspeech 2023, arXiv:2303.00332): with batch normalisation from scratch, or without
it from weights into which it has been folded, such as the bundled ones. Parameter names are the same, so one can be
loaded as the other once it is folded."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GROWTH = 32  # channels added by a dense layer
SEGMENT = 100  # frames, of 20 ms, that a mask takes into account
BLOCKS = ((12, 1), (24, 2), (16, 2))  # layers, dilation
PLANES = 32  # of the two-dimensional head
EPSILON = 1e-5  # of the batch normalisation


class Scale(nn.Module):
    """What remains of batch normalisation after folding: a scale and a shift per channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.bias[:, None], x, self.weight[:, None])


class After(nn.Module):
    """A convolution or linear map, followed by batch normalisation in `norm`, if there is any."""

    def __init__(self, layer: nn.Module, norm: nn.Module | None) -> None:
        super().__init__()
        self.layer, self.norm = layer, norm

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(x)
        return x if self.norm is None else self.norm(x)


class Residual(nn.Module):
    """Two convolutions over frequency and time, with a shortcut; the stride is over frequency."""

    def __init__(self, stride: int, normed: bool) -> None:
        super().__init__()
        self.first = _planes(PLANES, 3, stride, normed)
        self.second = _planes(PLANES, 3, 1, normed)
        self.short = _planes(PLANES, 1, stride, normed) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(F.relu(self.first(x))) + self.short(x))


class Dense(nn.Module):
    """(n, width, frames) to (n, width + GROWTH, frames): appends new channels, masked according to their context."""

    def __init__(self, width: int, dilation: int, normed: bool) -> None:
        super().__init__()
        narrow = 4 * GROWTH
        self.before = nn.BatchNorm1d(width) if normed else Scale(width)
        self.narrow = After(nn.Conv1d(width, narrow, 1), nn.BatchNorm1d(narrow) if normed else None)
        self.local = nn.Conv1d(narrow, GROWTH, 3, padding=dilation, dilation=dilation, bias=False)
        self.context = nn.Conv1d(narrow, 2 * GROWTH, 1)
        self.mask = nn.Conv1d(2 * GROWTH, GROWTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.narrow(F.relu(self.before(x))))
        around = h.mean(2, keepdim=True) + F.avg_pool1d(h, SEGMENT, ceil_mode=True)
        mask = torch.sigmoid(self.mask(F.relu(self.context(around))))  # one for each segment
        mask = mask.repeat_interleave(SEGMENT, 2)[:, :, : x.shape[2]]
        return torch.cat([x, self.local(h) * mask], 1)


class CAMPlusPlus(nn.Module):
    """(n, frames, bins) to (n, 512, frames / 2). normed: with batch normalisation."""

    channels = 512

    def __init__(self, bins: int = 80, dim: int = 192, normed: bool = True) -> None:
        super().__init__()
        self.normed = normed
        self.head = nn.Sequential(
            _planes(1, 3, 1, normed),
            nn.ReLU(),
            *(Residual(stride, normed) for stride in (2, 1, 2, 1)),
            _planes(PLANES, 3, 2, normed),
            nn.ReLU(),
        )
        enter = nn.Conv1d(PLANES * (bins // 8), 128, 5, stride=2, padding=2)
        self.enter = After(enter, nn.BatchNorm1d(128) if normed else None)
        width, self.blocks, self.transits = 128, nn.ModuleList(), nn.ModuleList()
        for layers, dilation in BLOCKS:
            self.blocks.append(nn.Sequential(*(Dense(width + GROWTH * i, dilation, normed) for i in range(layers))))
            width += GROWTH * layers
            norm = nn.BatchNorm1d(width) if normed else Scale(width)
            self.transits.append(nn.Sequential(norm, nn.ReLU(), nn.Conv1d(width, width // 2, 1, bias=False)))
            width //= 2
        self.last = nn.BatchNorm1d(width) if normed else Scale(width)
        self.leave = After(nn.Linear(2 * width, dim), nn.BatchNorm1d(dim, affine=False) if normed else None)
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)
        for parameter in self.head.parameters():  # on a CPU, halves the time of its forward and backward pass
            if parameter.dim() == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    def forward(self, features: Tensor) -> Tensor:
        planes = self.head(features.transpose(1, 2)[:, None].contiguous(memory_format=torch.channels_last))
        x = F.relu(self.enter(planes.flatten(1, 2)))
        for block, transit in zip(self.blocks, self.transits, strict=True):
            x = transit(block(x))
        return F.relu(self.last(x))

    def embedding(self, over_time: Tensor) -> Tensor:
        """Mean and standard deviation over time of the output of `forward`, mapped to (n, dim)."""
        return self.leave(torch.cat([over_time.mean(2), over_time.std(2)], 1))


def _planes(inside: int, kernel: int, stride: int, normed: bool) -> After:
    conv = nn.Conv2d(inside, PLANES, kernel, (stride, 1), kernel // 2)
    return After(conv, nn.BatchNorm2d(PLANES) if normed else None)


def folded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A network's state with its batch normalisation folded into the preceding layer:

        γ (W x + b − μ) / √(σ² + ε) + β  =  (s W) x + (s (b − μ) + β),   s = γ / √(σ² + ε)

    under the names used by a network without it, and by the bundled one.
    """
    found = {name: value for name, value in state.items() if not name.endswith(_OF_NORMS) and ".norm." not in name}
    for name in (name.removesuffix(".running_mean") for name in state if name.endswith(".running_mean")):
        mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        scale = state.get(f"{name}.weight", torch.ones_like(mean)) / (variance + EPSILON).sqrt()
        shift = state.get(f"{name}.bias", torch.zeros_like(mean)) - scale * mean
        if not name.endswith(".norm"):
            found[f"{name}.weight"], found[f"{name}.bias"] = scale, shift
            continue
        layer = name.removesuffix("norm") + "layer"
        weight = state[f"{layer}.weight"]
        found[f"{layer}.weight"] = weight * scale.view(-1, *[1] * (weight.dim() - 1))
        found[f"{layer}.bias"] = scale * state[f"{layer}.bias"] + shift
    return {name.replace(".layer.", "."): value for name, value in found.items()}


def unfolded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The names of a folded state, as `CAMPlusPlus(normed=False)` has them."""
    wrapped = CAMPlusPlus(normed=False).state_dict()
    ours = {name.replace(".layer.", "."): name for name in wrapped}
    return {ours[name]: value for name, value in state.items()}


_OF_NORMS = (".running_mean", ".running_var", ".num_batches_tracked")
