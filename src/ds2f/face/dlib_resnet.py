"""dlib's 128-d face descriptor (ResNet-29; Davis King, "High quality face recognition with deep metric learning").

Weights from the package `face_recognition_models` (CC0); landmarks and chips from `dlib-bin` (Boost). The network runs
in PyTorch, in batches and on any device (see `dlib_torch`), or in dlib's own code. Two photographs of one person are
closer than 0.6 (Euclidean) according to the author's calibration.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ds2f.errors import UserError
from ds2f.io.extras import optional
from ds2f.types import DetectedFace

SAME_PERSON_DISTANCE = 0.6


def _model_file(name: str) -> str:
    # The package's own __init__ needs pkg_resources, which new versions of setuptools lack: find its files without
    # importing it.
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("The package face_recognition_models is missing; run: pip install 'ds2f[faces]'")
    return str(Path(spec.submodule_search_locations[0]) / "models" / name)


def network_file() -> str:
    """The file with the weights of the descriptor network."""
    return _model_file("dlib_face_recognition_resnet_model_v1.dat")


class DlibOwn:
    """See FaceEmbedder. Uses dlib's own code: the same vectors as `DlibResNet` without importing PyTorch, which takes
    longer than a few faces do."""

    name = "dlib"
    licence = "CC0 weights, Boost code"
    dim = 128

    def __init__(self) -> None:
        """Raises UserError without the extra `faces`."""
        self._dlib = optional("dlib", "faces", "Telling faces apart")
        self._landmarks = self._dlib.shape_predictor(_model_file("shape_predictor_68_face_landmarks.dat"))

    def embed(self, images: Sequence[np.ndarray], faces: Sequence[DetectedFace]) -> np.ndarray:
        """See FaceEmbedder.embed: (n, 128) float32."""
        if not images:
            return np.zeros((0, self.dim), np.float32)
        chips = []
        for image, face in zip(images, faces, strict=True):
            x, y, w, h = face.box
            shape = self._landmarks(image, self._dlib.rectangle(x, y, x + w, y + h))
            chips.append(self._dlib.get_face_chip(image, shape))
        return self._describe(np.stack(chips))

    def _describe(self, chips: np.ndarray) -> np.ndarray:
        """(n, 150, 150, 3) uint8 RGB to (n, 128) float32."""
        return np.array([self._own.compute_face_descriptor(chip) for chip in chips], np.float32)

    @cached_property
    def _own(self) -> Any:
        return self._dlib.face_recognition_model_v1(network_file())


class DlibResNet(DlibOwn):
    """See FaceEmbedder. Uses PyTorch."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__()
        import torch

        from ds2f.face.dlib_torch import load_dlib

        self._device = torch.device(device)
        self._network = load_dlib(network_file()).to(self._device)

    def _describe(self, chips: np.ndarray) -> np.ndarray:
        import torch

        pixels = torch.from_numpy(chips).to(self._device).permute(0, 3, 1, 2)
        with torch.inference_mode():
            # On a CPU, one at a time costs little, and a vector's last bits do not depend on the rest of the batch.
            batches = pixels.split(1 if self._device.type == "cpu" else 256)
            vectors = [self._network(faces.float() / 127.5 - 1) for faces in batches]
        found: np.ndarray = torch.cat(vectors).cpu().numpy()
        return found
