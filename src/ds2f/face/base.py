"""The interfaces of all face models. Each file in this folder implements one model or family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ds2f.types import AGE_BINS, Attributes, DetectedFace


class FaceDetector(Protocol):
    """Finds faces. `name` and `licence` go into the database and the documentation."""

    name: str
    licence: str

    def detect(self, image: np.ndarray) -> list[DetectedFace]:
        """image: (height, width, 3) uint8 RGB. Returns all faces, highest score first; empty if there are none."""
        ...


class FaceEmbedder(Protocol):
    """Turns faces into identity vectors: the closer two vectors, the more alike the people."""

    name: str
    licence: str
    dim: int

    def embed(self, images: Sequence[np.ndarray], faces: Sequence[DetectedFace]) -> np.ndarray:
        """images: uint8 RGB pictures; faces: one detected face in each. Returns (n, dim) float32."""
        ...


class AttributeModel(Protocol):
    """Estimates age, gender and ethnicity of faces. needs_picture: False if identity vectors are enough."""

    name: str
    licence: str
    needs_picture: bool

    def predict(
        self, images: Sequence[np.ndarray], faces: Sequence[DetectedFace], identities: np.ndarray
    ) -> list[Attributes]:
        """images: uint8 RGB pictures; faces: one detected face in each; both empty if the model does not need the
        picture. identities: (n, 128) float32 from dlib for the same faces."""
        ...


def one_decade(age: float) -> dict[str, float]:
    """`Attributes.age_bins` for a model that gives one age and no distribution: all probability in that decade."""
    decade = min(int(max(age, 0.0)) // 10, len(AGE_BINS) - 1)
    return {name: float(i == decade) for i, name in enumerate(AGE_BINS)}
