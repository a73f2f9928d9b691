"""How good a detected face is as a portrait: a number in [0, 1] by which the best frame is chosen."""

from __future__ import annotations

import cv2
import numpy as np

from ds2f.types import DetectedFace

GOOD_EYE_DISTANCE = 40.0  # pixels; beyond this, a larger face adds nothing to a 128 px crop


def eye_distance(face: DetectedFace) -> float:
    """Pixels between the eyes."""
    return float(np.linalg.norm(face.landmarks[1] - face.landmarks[0]))


def frontality(face: DetectedFace) -> float:
    """1 for a frontal face, 0 for a profile: how far the nose is from midway between the eyes."""
    left, right, nose = face.landmarks[:3]
    axis = right - left
    along = float(np.dot(nose - left, axis) / max(float(np.dot(axis, axis)), 1e-6))  # 0 left eye, 1 right eye
    return float(np.clip(1.0 - abs(along - 0.5) * 2.0, 0.0, 1.0))


def sharpness(crop: np.ndarray) -> float:
    """0 for a flat blur towards 1 for a crisp crop: variance of the Laplacian (Pech-Pacheco et al., ICPR 2000)."""
    variance = float(cv2.Laplacian(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var())
    return variance / (variance + 100.0)


def quality(face: DetectedFace, crop: np.ndarray) -> float:
    """Product of detector score, size, frontality and (damped) sharpness, each in [0, 1]."""
    size = min(1.0, eye_distance(face) / GOOD_EYE_DISTANCE)
    return face.score * size * (0.25 + 0.75 * frontality(face)) * (0.5 + 0.5 * sharpness(crop))
