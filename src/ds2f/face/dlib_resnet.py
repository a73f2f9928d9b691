"""dlib's 128-d face descriptor (ResNet-29; Davis King, "High quality face recognition with deep metric learning").

Weights from the package `face_recognition_models` (CC0); code `dlib-bin` (Boost). ~80 ms per face on one core.
Two photos of one person lie nearer than 0.6 (Euclidean) in the author's calibration.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ds2f.errors import UserError
from ds2f.types import DetectedFace

SAME_PERSON_DISTANCE = 0.6


def _model_file(name: str) -> str:
    # The package's own __init__ needs pkg_resources, gone from new setuptools: find its files without importing it.
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("The package face_recognition_models is missing; run: pip install face_recognition_models")
    return str(Path(spec.submodule_search_locations[0]) / "models" / name)


class DlibResNet:
    name = "dlib"
    licence = "CC0 weights, Boost code"
    dim = 128

    def __init__(self) -> None:
        import dlib

        self._dlib = dlib
        self._landmarks = dlib.shape_predictor(_model_file("shape_predictor_68_face_landmarks.dat"))
        self._net = dlib.face_recognition_model_v1(_model_file("dlib_face_recognition_resnet_model_v1.dat"))

    def embed(self, images: Sequence[np.ndarray], faces: Sequence[DetectedFace]) -> np.ndarray:
        """See FaceEmbedder.embed: (n, 128) float32."""
        if not images:
            return np.zeros((0, self.dim), np.float32)
        chips = []
        for image, face in zip(images, faces, strict=True):
            x, y, w, h = face.box
            shape = self._landmarks(image, self._dlib.rectangle(x, y, x + w, y + h))
            chips.append(self._dlib.get_face_chip(image, shape))
        return np.array(self._net.compute_face_descriptor(chips), np.float32)
