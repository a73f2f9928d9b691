"""Detectors, embedders and attribute models of `uniface` (MIT; ONNX): better than the offline defaults, for machines
with a connection. Needs: pip install "ds2f[uniface]".

uniface downloads a model's file when first used, verifies its SHA-256 and keeps it in ~/.uniface/models, or in the
folder given by UNIFACE_CACHE_DIR: copy that folder to a machine without a connection. Weights have licences of their
own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ds2f.errors import UserError
from ds2f.face.base import one_decade
from ds2f.io.extras import optional
from ds2f.types import AGE_BINS, GENDERS, Attributes, DetectedFace


@dataclass(frozen=True)
class Weights:
    """family: the class in uniface; variant: of its weights (a member of `uniface.constants.<family>Weights`);
    size: of the file in MB."""

    family: str
    variant: str
    licence: str
    size: int


_INSIGHTFACE = "non-commercial research (InsightFace)"
DETECTORS = {
    "scrfd": Weights("SCRFD", "SCRFD_10G_KPS", _INSIGHTFACE, 17),
    "retinaface": Weights("RetinaFace", "RESNET34", "MIT", 56),
}
EMBEDDERS = {
    "arcface": Weights("ArcFace", "RESNET", _INSIGHTFACE, 166),
    "arcface-mobile": Weights("ArcFace", "MNET", _INSIGHTFACE, 8),
    "adaface": Weights("AdaFace", "IR_101", "MIT", 249),
}
ATTRIBUTES = {
    "fairface": Weights("FairFace", "DEFAULT", "CC BY 4.0", 44),
    "agegender": Weights("AgeGender", "DEFAULT", _INSIGHTFACE, 8),
}

FAIRFACE_RACES = ("White", "Black", "Latino Hispanic", "East Asian", "Southeast Asian", "Indian", "Middle Eastern")
FAIRFACE_AGES = (1.0, 6.0, 14.5, 24.5, 34.5, 44.5, 54.5, 64.5, 75.0)
"""Central year of FairFace's nine classes: 0-2, 3-9, 10-19, 20-29, ..., 60-69, 70 and older."""


class UnifaceDetector:
    """See FaceDetector."""

    def __init__(self, model: str, min_score: float = 0.5) -> None:
        """model: a key of DETECTORS; min_score: in [0, 1], on the model's own scale, lower than MTCNN's."""
        self.name, self.licence = f"uniface:{model}", DETECTORS[model].licence
        self._model = _load(DETECTORS[model], confidence_threshold=min_score)

    def detect(self, image: np.ndarray) -> list[DetectedFace]:
        """See FaceDetector.detect."""
        found = []
        for face in self._model.detect(_bgr(image)):
            left, top, right, bottom = (round(float(v)) for v in face.bbox)
            if right > left and bottom > top:
                landmarks = np.asarray(face.landmarks, np.float32)
                found.append(DetectedFace((left, top, right - left, bottom - top), landmarks, float(face.confidence)))
        return sorted(found, key=lambda face: -face.score)


class UnifaceEmbedder:
    """Identity vectors of length 1, so that distance and cosine rank people alike."""

    dim = 512

    def __init__(self, model: str) -> None:
        """model: a key of EMBEDDERS."""
        self.name, self.licence = f"uniface:{model}", EMBEDDERS[model].licence
        self._model = _load(EMBEDDERS[model])

    def embed(self, images: Sequence[np.ndarray], faces: Sequence[DetectedFace]) -> np.ndarray:
        """See FaceEmbedder.embed: (n, 512) float32."""
        vectors = [
            self._model.get_normalized_embedding(_bgr(image), face.landmarks)
            for image, face in zip(images, faces, strict=True)
        ]
        return np.array(vectors, np.float32).reshape(len(vectors), self.dim)


class FairFace:
    """Kärkkäinen & Joo, WACV 2021. Its `predict` returns only the most probable class, so the logits are read here."""

    name = "uniface:fairface"
    needs_picture = True
    licence = ATTRIBUTES["fairface"].licence

    def __init__(self) -> None:
        self._model = _load(ATTRIBUTES["fairface"])

    def predict(
        self, images: Sequence[np.ndarray], faces: Sequence[DetectedFace], identities: np.ndarray
    ) -> list[Attributes]:
        """See AttributeModel.predict. FairFace's last class is "70 and older", all of which counts as 70-79."""
        return [self._predict_one(image, face) for image, face in zip(images, faces, strict=True)]

    def _predict_one(self, image: np.ndarray, face: DetectedFace) -> Attributes:
        model = self._model
        blob = model.preprocess(_bgr(image), _corners(face))
        race, gender, age = (_softmax(logits[0]) for logits in model.session.run(None, {model.input_name: blob}))
        bins = [age[0] + age[1], *age[2:], 0.0]
        return Attributes(
            age=float(age @ np.array(FAIRFACE_AGES)),
            age_bins={name: float(p) for name, p in zip(AGE_BINS, bins, strict=True)},
            gender={name: float(p) for name, p in zip(GENDERS, gender, strict=True)},
            ethnicity={name: float(p) for name, p in zip(FAIRFACE_RACES, race, strict=True)},
        )


class AgeGender:
    """InsightFace's small model for age and gender. It gives a single age and no ethnicity."""

    name = "uniface:agegender"
    needs_picture = True
    licence = ATTRIBUTES["agegender"].licence

    def __init__(self) -> None:
        self._model = _load(ATTRIBUTES["agegender"])

    def predict(
        self, images: Sequence[np.ndarray], faces: Sequence[DetectedFace], identities: np.ndarray
    ) -> list[Attributes]:
        """See AttributeModel.predict."""
        return [self._predict_one(image, face) for image, face in zip(images, faces, strict=True)]

    def _predict_one(self, image: np.ndarray, face: DetectedFace) -> Attributes:
        model = self._model
        blob = model.preprocess(_bgr(image), _corners(face))
        output = model.session.run(None, {model.input_name: blob})[0][0]  # logits for female and male, age / 100
        female, male = _softmax(output[:2])
        age = float(np.clip(100 * output[2], 0, 100))
        return Attributes(age, one_decade(age), {"male": float(male), "female": float(female)}, {})


def _load(weights: Weights, **settings: Any) -> Any:
    uniface = optional("uniface", "uniface", "The face model uniface")
    constants = optional("uniface.constants", "uniface", "The face model uniface")
    variant = getattr(getattr(constants, f"{weights.family}Weights"), weights.variant)
    try:
        return getattr(uniface, weights.family)(model_name=variant, **settings)
    except (OSError, RuntimeError) as error:  # no connection, or a file that ONNX Runtime cannot read
        raise UserError(
            f"uniface cannot load {weights.family} ({error}); its {weights.size} MB are fetched at the first use: "
            "connect once, or copy ~/.uniface/models from a machine that has them."
        ) from None


def _bgr(image: np.ndarray) -> np.ndarray:
    """uniface expects pictures in OpenCV's channel order."""
    return np.ascontiguousarray(image[..., ::-1])


def _corners(face: DetectedFace) -> np.ndarray:
    x, y, w, h = face.box
    return np.array([x, y, x + w, y + h])


def _softmax(logits: np.ndarray) -> np.ndarray:
    weight = np.exp(logits.astype(np.float64) - logits.max())
    return weight / weight.sum()
