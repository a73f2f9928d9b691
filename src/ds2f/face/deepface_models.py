"""Embedders and attribute models of `deepface` (MIT). Needs: pip install "ds2f[deepface]".

deepface downloads a model's file when first used and keeps it in ~/.deepface/weights (the environment variable
DEEPFACE_HOME moves it). The weights have licences of their own. It receives the face that we detected, rotated and
cropped as its own detectors would, so it does no detection.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from ds2f.errors import UserError
from ds2f.face.base import one_decade
from ds2f.io.extras import first_line, optional
from ds2f.types import Attributes, DetectedFace

EMBEDDERS = {
    "VGG-Face": "CC BY-NC 4.0 (Visual Geometry Group)",
    "Facenet": "MIT",
    "Facenet512": "MIT",
    "ArcFace": "MIT",
    "SFace": "Apache-2.0",
    "GhostFaceNet": "MIT",
}
"""Names as deepface spells them, and licences as it states them."""


class DeepFaceEmbedder:
    """Identity vectors of length 1, so that distance and cosine rank people alike."""

    def __init__(self, model: str) -> None:
        """model: a key of EMBEDDERS."""
        self.name, self.licence = f"deepface:{model}", EMBEDDERS[model]
        self._model = model
        self._library = _library()
        self.dim = int(_fetch(self._library, model, "facial_recognition").output_shape)

    def embed(self, images: Sequence[np.ndarray], faces: Sequence[DetectedFace]) -> np.ndarray:
        """See FaceEmbedder.embed: (n, dim) float32."""
        vectors = np.zeros((len(images), self.dim), np.float32)
        for i, (image, face) in enumerate(zip(images, faces, strict=True)):
            found = self._library.represent(
                _bgr(level_crop(image, face)),
                model_name=self._model,
                detector_backend="skip",
                enforce_detection=False,
            )
            vectors[i] = found[0]["embedding"]
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


class DeepFaceAttributes:
    """Age as one number, gender and six ethnicities as probabilities."""

    name = "deepface"
    needs_picture = True
    licence = "MIT; weights trained for research on IMDB-WIKI and FairFace"

    def __init__(self) -> None:
        self._library = _library()
        for model in ("Age", "Gender", "Race"):
            _fetch(self._library, model, "facial_attribute")

    def predict(
        self, images: Sequence[np.ndarray], faces: Sequence[DetectedFace], identities: np.ndarray
    ) -> list[Attributes]:
        """See AttributeModel.predict."""
        return [self._predict_one(level_crop(image, face)) for image, face in zip(images, faces, strict=True)]

    def _predict_one(self, crop: np.ndarray) -> Attributes:
        found = self._library.analyze(
            _bgr(crop),
            actions=("age", "gender", "race"),
            detector_backend="skip",
            enforce_detection=False,
            silent=True,
        )[0]
        gender = _shares(found["gender"])
        age = float(found["age"])
        return Attributes(
            age=age,
            age_bins=one_decade(age),
            gender={"male": gender["Man"], "female": gender["Woman"]},
            ethnicity=_shares(found["race"]),
        )


def level_crop(image: np.ndarray, face: DetectedFace) -> np.ndarray:
    """The box of a face, rotated about its centre until the eyes are level: (h, w, 3) uint8."""
    x, y, w, h = face.box
    across, down = (float(v) for v in face.landmarks[1] - face.landmarks[0])
    matrix = cv2.getRotationMatrix2D((x + w / 2, y + h / 2), math.degrees(math.atan2(down, across)), 1.0)
    matrix[:, 2] -= (x, y)
    return cv2.warpAffine(image, matrix, (w, h), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _library() -> Any:
    return optional("deepface.DeepFace", "deepface", "The face model deepface")


def _fetch(library: Any, model: str, task: str) -> Any:
    try:
        return library.build_model(model, task=task)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        raise UserError(
            f"deepface cannot load {model} ({first_line(error)}); its weights are fetched at the first use: "
            "connect once, or copy ~/.deepface/weights from a machine that has them."
        ) from None


def _bgr(image: np.ndarray) -> np.ndarray:
    """deepface expects pictures in OpenCV's channel order."""
    return np.ascontiguousarray(image[..., ::-1])


def _shares(percent: dict[str, float]) -> dict[str, float]:
    """deepface returns percentages; ours are shares that sum to 1."""
    total = sum(percent.values())
    return {name: float(value) / total for name, value in percent.items()}
