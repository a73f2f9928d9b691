from __future__ import annotations

import cv2
import numpy as np
import pytest

from ds2f.face.align import arcface_points, arcface_square, canonical_crop, coverage, sharpness, similarity, template
from helpers import landmarks


def test_similarity_recovers_a_known_transform() -> None:
    angle, scale, shift = 0.4, 1.7, np.array([12.0, -3.0])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    source = landmarks().astype(np.float64)
    matrix = similarity(source, source @ turn.T + shift)
    np.testing.assert_allclose(matrix[:, :2], turn, atol=1e-4)
    np.testing.assert_allclose(matrix[:, 2], shift, atol=1e-3)


def test_similarity_never_mirrors() -> None:
    source = landmarks().astype(np.float64)
    matrix = similarity(source, source * (-1, 1))
    assert np.linalg.det(matrix[:, :2]) > 0


def test_template_scales_with_the_size_and_stays_inside() -> None:
    np.testing.assert_allclose(template(128), 2 * template(64), rtol=1e-5)
    assert (template(64) > 0).all()
    assert (template(64) < 64).all()


@pytest.mark.parametrize("scale", [0.5, 1.0, 6.0])
def test_canonical_crop_puts_landmarks_on_the_template(scale: float) -> None:
    points = template(100) * scale + 20
    side = round(100 * scale + 40)
    image = np.zeros((side, side, 3), np.uint8)
    for x, y in points:
        cv2.circle(image, (round(float(x)), round(float(y))), max(2, round(2 * scale)), (255, 255, 255), -1)
    crop = canonical_crop(image, points, 64)
    assert crop.shape == (64, 64, 3)
    assert crop.dtype == np.uint8
    for x, y in template(64):
        assert crop[round(float(y)), round(float(x))].mean() > 120
    assert crop[2:6, 2:6].mean() < 30


def test_coverage_is_the_share_inside_the_picture() -> None:
    points = template(100)
    assert coverage(np.zeros((100, 100, 3), np.uint8), points) == pytest.approx(1.0, abs=0.07)
    assert coverage(np.zeros((500, 500, 3), np.uint8), points + 200) == pytest.approx(1.0, abs=1e-3)
    half = coverage(np.zeros((100, 50, 3), np.uint8), points)  # the right half of the crop is missing
    assert half == pytest.approx(0.5, abs=0.05)


def test_sharpness_counts_pixels_between_the_eyes() -> None:
    points = template(256)
    assert sharpness(points, 256) == sharpness(3 * points, 256) == sharpness(points, 128) == 0
    assert sharpness(points / 2, 256) == pytest.approx(-1)
    assert sharpness(points / 100, 256) == sharpness(0 * points, 256) == -3


def test_arcface_sees_a_square_of_the_canonical_crop() -> None:
    centre, width = arcface_square()
    np.testing.assert_allclose((template(1) - centre) / width + 0.5, arcface_points(1), atol=1e-6)
