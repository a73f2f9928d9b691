"""dlib's face descriptor as a PyTorch module: the same weights, read from dlib's own file, and the same outputs, but
differentiable, in batches and on any device. Training uses it to check whether a drawn face shows the person it was
conditioned on.

The network is `anet_type` in dlib's example `dnn_face_recognition_ex.cpp` (Davis King): ResNet-29 with affine layers
instead of batch normalisation; in a downsampling block, the shortcut is averaged over 2×2 pixels and padded with zero
channels.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ds2f.models.pixels import from_uint8, square_of

CHIP = 150  # pixels of the square face picture that the network expects
# Where dlib's 68 landmarks place that square in a canonical crop (see `align`): its centre and width as shares of the
# crop; mean over 397 faces of AVSpeech, VoxCeleb, LFW and UTKFace, spread 0.023, 0.007 and 0.034.
_CHIP_CENTRE, _CHIP_WIDTH = (0.4915, 0.5625), 0.7105
_MEAN = (122.782, 117.001, 104.298)  # of red, green and blue; dlib's `input_rgb_image`
_WIDTHS = (32, 32, 32, -64, 64, 64, 64, -128, 128, 128, -256, 256, 256, -256)  # of the blocks; negative: downsampling
_BATCH = 16  # crops per pass; bounds memory
_LAYER = re.compile(rb"\x01.(con_4|affine_|fc_2)")


class DlibTorch(nn.Module):
    """(n, 3, 150, 150) RGB in [-1, 1], cropped like `dlib.get_face_chip`, to (n, 128) identity vectors."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(_MEAN).view(3, 1, 1))
        self.stem = _Convolution(3, 32, 7, 2, 0)
        widths = [32, *(abs(w) for w in _WIDTHS)]
        self.blocks = nn.ModuleList(_Block(a, abs(w), w < 0) for a, w in zip(widths, _WIDTHS, strict=False))
        self.head = nn.Linear(256, 128, bias=False)

    def forward(self, chips: Tensor) -> Tensor:
        x = ((chips + 1) * 127.5 - self.mean) / 256
        x = F.max_pool2d(F.relu(self.stem(x)), 3, 2)
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((2, 3)))

    def of_crops(self, crops: Tensor, shift: Tensor | None = None, scale: Tensor | None = None) -> Tensor:
        """Identity vectors, (n, 128), for canonical crops, (n, 3, size, size) in [-1, 1]; see `chip_of_crop`."""
        chips = chip_of_crop(crops.float(), shift, scale).contiguous(memory_format=torch.channels_last)
        found: Tensor = self(chips)
        return found.float()


def chip_of_crop(crops: Tensor, shift: Tensor | None = None, scale: Tensor | None = None) -> Tensor:
    """(n, 3, size, size) canonical crops to the (n, 3, 150, 150) pictures that `DlibTorch` expects, without detecting
    landmarks, whose places are fixed in a canonical crop. From crops of 64 px, 99 % of 600 faces are nearest to their
    own identity vector, which was computed from the whole picture. shift, scale: see `square_of`."""
    return square_of(crops, _CHIP_CENTRE, _CHIP_WIDTH, CHIP, shift, scale)


class _Convolution(nn.Module):
    """Convolution, followed by dlib's affine layer: a factor and an offset per channel."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)

    def load(self, weight: np.ndarray, affine: np.ndarray) -> None:
        """γ (W x + b) + β is one convolution with weights γ W and offset γ b + β."""
        kernel, bias = np.split(weight, [self.conv.weight.numel()])
        gamma, beta = np.split(affine, 2)
        kernel = kernel.reshape(self.conv.weight.shape) * gamma[:, None, None, None]
        self.conv.weight.copy_(torch.from_numpy(kernel))
        assert self.conv.bias is not None
        self.conv.bias.copy_(torch.from_numpy(gamma * bias + beta))


class _Block(nn.Module):
    """Two 3×3 convolutions with a shortcut; where the two differ in size, the smaller is padded with zeros."""

    def __init__(self, inputs: int, outputs: int, shrink: bool) -> None:
        super().__init__()
        self.shrink = shrink
        self.first = _Convolution(inputs, outputs, 3, 2 if shrink else 1, 0 if shrink else 1)
        self.second = _Convolution(outputs, outputs, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(F.relu(self.first(x)))
        shortcut = F.avg_pool2d(x, 2) if self.shrink else x
        shape = [max(a, b) for a, b in zip(y.shape[1:], shortcut.shape[1:], strict=True)]
        return F.relu(_fill(y, shape) + _fill(shortcut, shape))


def _fill(x: Tensor, shape: list[int]) -> Tensor:
    channels, height, width = (wanted - have for wanted, have in zip(shape, x.shape[1:], strict=True))
    return F.pad(x, (0, width, 0, height, 0, channels)) if channels or height or width else x


def embed_crops(crops: np.ndarray, network: DlibTorch) -> np.ndarray:
    """Identity vectors of canonical crops: (n, size, size, 3) uint8 RGB to (n, 128) float32, see `chip_of_crop`."""
    device = network.head.weight.device
    with torch.no_grad():
        seen = [network.of_crops(part.to(device)).cpu() for part in from_uint8(crops).split(_BATCH)]
    found: np.ndarray = torch.cat(seen).numpy()
    return found


def load_dlib(path: Path | str) -> DlibTorch:
    """The network with the weights of `dlib_face_recognition_resnet_model_v1.dat`, frozen and in evaluation mode.

    dlib writes a layer as its name, followed by a tensor of all its parameters: a version, four extents, float32
    values.
    Raises ValueError if the file holds another network.
    """
    data = Path(path).read_bytes()
    parameters: list[np.ndarray] = []
    at = 0
    while (found := _LAYER.search(data, at)) is not None:
        at = found.end()
        if found[1] == b"fc_2":  # this layer first writes its numbers of outputs and inputs
            for _ in range(2):
                _, at = _integer(data, at)
        values, at = _tensor(data, at)
        parameters.append(values)
    model = DlibTorch()
    convolutions = [m for m in model.modules() if isinstance(m, _Convolution)]
    if len(parameters) != 2 * len(convolutions) + 1:
        raise ValueError(f"{path} is not dlib's face recognition network")
    with torch.no_grad():
        for layer, weight, affine in zip(convolutions, parameters[:-1:2], parameters[1:-1:2], strict=True):
            layer.load(weight, affine)
        model.head.weight.copy_(torch.from_numpy(parameters[-1].reshape(256, 128).T))
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model.eval().requires_grad_(False)


def _tensor(data: bytes, at: int) -> tuple[np.ndarray, int]:
    """The float32 values of the tensor written at `at`, and the position after it."""
    extents = []
    for _ in range(5):  # version, then samples, channels, rows, columns
        value, at = _integer(data, at)
        extents.append(value)
    count = int(np.prod(extents[1:]))
    return np.frombuffer(data, "<f4", count, at).copy(), at + 4 * count


def _integer(data: bytes, at: int) -> tuple[int, int]:
    """dlib's integer: a byte with the sign (bit 7) and the number of bytes that follow, least significant first."""
    size = data[at] & 0x0F
    value = int.from_bytes(data[at + 1 : at + 1 + size], "little")
    return (-value if data[at] & 0x80 else value), at + 1 + size
