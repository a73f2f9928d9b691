"""A face recogniser in an ONNX file as a judge in training: differentiable, on crops as decoders draw them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ds2f.errors import UserError
from ds2f.face.align import arcface_square
from ds2f.face.file_network import Stated, is_file, name_of, path_of, read_stated
from ds2f.io.extras import first_line
from ds2f.models.onnx_network import OnnxNetwork
from ds2f.models.pixels import square_of

_BATCH = 16  # faces processed together for their mean; bounds memory


class FileJudge(nn.Module):
    """(n, 3, size, size) canonical crops in [-1, 1] to (n, d): vectors of length 1, minus that of the mean person.

    Landmarks have fixed places in a canonical crop, so ArcFace's tighter crop is cut from it without a detector. Pixel
    scaling is stated in the JSON file next to it, see `face.file_network`. name: of its rows in a dataset.
    """

    mean: Tensor
    from_pixels: Tensor
    per_pixels: Tensor

    def __init__(self, spec: str) -> None:
        """spec: onnx:FILE. Raises UserError if there is no such file, or it contains no recogniser that can be
        differentiated."""
        super().__init__()
        if not spec.startswith("onnx:") or not is_file(spec):
            raise UserError(
                f"[train] likeness_judges: {spec!r} cannot be differentiated; only recognisers in ONNX files can, "
                "as onnx:FILE."
            )
        path = path_of(spec, "face recogniser")
        self.name, self._stated, self.network = name_of(spec), read_stated(path, Stated), OnnxNetwork(path)
        shape = self.network.shape
        if len(shape) != 3 or 3 not in (shape[0], shape[2]):
            raise UserError(f"{path} is not a face recogniser: its input is {shape}, not a picture in three colours.")
        self._last = shape[0] != 3  # channels last, as in files converted from TensorFlow
        self.size = shape[1] or self._stated.size
        self.register_buffer("mean", torch.zeros(1))
        self.register_buffer("from_pixels", _of_channels(self._stated.mean), persistent=False)
        self.register_buffer("per_pixels", _of_channels(self._stated.std), persistent=False)
        try:
            seen = self(torch.zeros(2, 3, self.size, self.size))
        except (RuntimeError, TypeError, ValueError, IndexError, KeyError) as error:
            raise UserError(f"The face recogniser {path} cannot be run ({first_line(error)}).") from None
        if seen.dim() != 2 or len(seen) != 2:
            raise UserError(
                f"{path} is not a face recogniser: it returns {tuple(seen.shape[1:])} for a face, not a vector."
            )

    def forward(self, faces: Tensor, shift: Tensor | None = None, scale: Tensor | None = None) -> Tensor:
        """faces: (n, 3, size, size); shift, scale: see `square_of`."""
        centre, width = arcface_square()
        small = round(self.size / width)
        if faces.shape[-1] > small:  # to avoid aliasing
            faces = F.interpolate(faces.float(), small, mode="bilinear", antialias=True, align_corners=False)
        pixels = (square_of(faces.float(), centre, width, self.size, shift, scale) + 1) * 127.5
        x = pixels.flip(1) if self._stated.channels == "BGR" else pixels
        x = (x - self.from_pixels) / self.per_pixels
        x = x.permute(0, 2, 3, 1) if self._last else x
        return F.normalize(self.network(x).float()) - self.mean

    @torch.no_grad()
    def centre(self, faces: Tensor) -> None:
        """Set the mean from its vectors of real faces, (n, 3, size, size)."""
        self.mean = torch.cat([self(part) + self.mean for part in faces.split(_BATCH)]).mean(0)


def _of_channels(value: float | list[float]) -> Tensor:
    """One number, or one per channel, broadcastable to (n, 3, h, w)."""
    return torch.tensor(value, dtype=torch.float32).reshape(-1, 1, 1)
