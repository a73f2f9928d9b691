"""A face recogniser in a file of the user's (see `file_network`), as a judge that training has never seen. Faces are
aligned like ArcFace's (Deng et al., CVPR 2019), as most later recognisers expect.

Its first output is the vector. The JSON file next to it may contain {"channels": "RGB" or "BGR", "mean": 127.5, "std":
127.5, "size": 112, "licence": "..."}; the numbers here are the defaults.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ds2f.face.align import arcface_points, similarity
from ds2f.face.file_network import FileNetwork, Stated
from ds2f.types import DetectedFace


class FileEmbedder:
    """Identity vectors of length 1."""

    def __init__(self, spec: str) -> None:
        """spec: KIND:FILE. Raises UserError if there is no such file, or it contains no face recogniser."""
        self._network = FileNetwork(spec, "face recogniser", Stated)
        self.name, self.licence = self._network.name, self._network.stated.licence
        self._output, self.dim = next(iter(self._network.dims.items()))

    def embed(self, images: Sequence[np.ndarray], faces: Sequence[DetectedFace]) -> np.ndarray:
        """See FaceEmbedder.embed: (n, d) float32."""
        size = self._network.size
        crops = [_aligned(image, face.landmarks, size) for image, face in zip(images, faces, strict=True)]
        return self.embed_crops(np.array(crops, np.uint8).reshape(-1, size, size, 3))

    def embed_crops(self, crops: np.ndarray) -> np.ndarray:
        """(n, size, size, 3) uint8 RGB, aligned, to (n, d) float32 of length 1."""
        vectors = self._network(crops)[self._output]
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _aligned(image: np.ndarray, landmarks: np.ndarray, size: int) -> np.ndarray:
    matrix = similarity(landmarks.astype(np.float64), arcface_points(size).astype(np.float64))
    return cv2.warpAffine(image, matrix, (size, size))
