from __future__ import annotations

import cv2
import numpy as np
import pytest

from ds2f.face.quality import eye_distance, frontality, quality, sharpness
from helpers import detected, landmarks


def _crop() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def test_eye_distance_is_in_pixels() -> None:
    assert eye_distance(detected()) == pytest.approx(40.0)


def test_frontality_falls_as_the_head_turns() -> None:
    points = landmarks()
    assert frontality(detected(points)) == pytest.approx(1.0)
    points[2, 0] = 60
    assert frontality(detected(points)) == pytest.approx(0.5)
    points[2, 0] = 90  # the nose beyond the eye: a profile
    assert frontality(detected(points)) == 0.0


def test_frontality_does_not_mind_a_tilted_head() -> None:
    turn = np.array([[0.8, -0.6], [0.6, 0.8]], np.float32)
    assert frontality(detected(landmarks() @ turn.T)) == pytest.approx(1.0, abs=1e-5)


def test_frontality_survives_eyes_in_one_place() -> None:
    points = landmarks()
    points[1] = points[0]
    assert 0.0 <= frontality(detected(points)) <= 1.0


def test_sharpness_falls_with_blur() -> None:
    crop = _crop()
    blurred = cv2.GaussianBlur(crop, (0, 0), 4)
    assert 0.0 <= sharpness(blurred) < sharpness(crop) < 1.0
    assert sharpness(np.full((64, 64, 3), 90, np.uint8)) == 0.0


def test_quality_is_a_share_and_prefers_large_frontal_sure_faces() -> None:
    best = quality(detected(), _crop())
    assert 0.9 < best <= 1.0
    assert quality(detected(landmarks(0.5)), _crop()) == pytest.approx(best / 2, rel=0.01)
    assert quality(detected(score=0.9), _crop()) == pytest.approx(best * 0.9)
    assert quality(detected(), np.zeros((64, 64, 3), np.uint8)) == pytest.approx(best / 2, rel=0.05)
