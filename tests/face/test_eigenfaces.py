"""Faces of synthetic people, cut out by hand and shrunk to a few pixels, are found where they lie."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ds2f.demo import samples
from ds2f.face import eigenfaces
from ds2f.face.align import template
from ds2f.io.media import decode

EYES = float(np.linalg.norm(template(1)[1] - template(1)[0]))


@pytest.fixture(scope="module")
def crops() -> list[np.ndarray]:
    """Canonical crops of 256 px: the frames of the samples are."""
    return [decode(path, frames=1).frames[0].image for path in sorted(samples().glob("*.mp4"))]


@pytest.fixture(scope="module")
def landmarks(crops: list[np.ndarray]) -> list[np.ndarray]:
    from ds2f.face.encode import FaceEncoder

    encoder = FaceEncoder()
    return [encoder.detect(crop)[0].landmarks for crop in crops]


def cut(crop: np.ndarray, points: np.ndarray, across: float, aside: tuple[float, float], pixels: int) -> np.ndarray:
    """A square `across` eye distances wide whose middle lies aside of that of the landmarks, and its landmarks."""
    eyes = np.linalg.norm(points[1] - points[0])
    scale = 256 / (across * eyes)
    middle = points.mean(0) - np.array(aside) * eyes
    move = np.hstack([scale * np.eye(2), (128 - scale * middle)[:, None]])
    loose = cv2.warpAffine(crop, move, (256, 256), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    return cv2.resize(loose, (pixels, pixels), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("pixels", [6, 8, 12, 24])
@pytest.mark.parametrize("across", [2.8, 3.8])
def test_a_face_of_a_few_pixels_is_found_where_it_lies(
    crops: list[np.ndarray], landmarks: list[np.ndarray], pixels: int, across: float
) -> None:
    off, before = [], []
    for number, (crop, points) in enumerate(zip(crops, landmarks, strict=True)):
        aside = (0.3 * (-1) ** number, 0.25 * (-1) ** (number // 2))
        tiny = cut(crop, points, across, aside, pixels)
        eyes = np.linalg.norm(points[1] - points[0])
        true = (points - points.mean(0)) / eyes / across + 0.5 + np.array(aside) / across
        found = eigenfaces.locate(tiny) / pixels
        off.append(np.linalg.norm(found - true, axis=1).mean() * across)
        before.append(np.linalg.norm(template(1) - true, axis=1).mean() * across)
    assert np.mean(off) < 0.6 * np.mean(before)
    assert np.mean(off) < 0.3


def test_in_a_picture_that_is_not_square_the_middle_is_looked_at(
    crops: list[np.ndarray], landmarks: list[np.ndarray]
) -> None:
    tiny = cut(crops[0], landmarks[0], 3.4, (0.2, 0.0), 10)
    wide = np.pad(tiny, ((0, 0), (4, 6), (0, 0)), mode="edge")
    np.testing.assert_allclose(eigenfaces.locate(wide[:, :-2]) - (4, 0), eigenfaces.locate(tiny), atol=1e-3)
    tall = np.pad(tiny, ((5, 5), (0, 0), (0, 0)), mode="edge")
    np.testing.assert_allclose(eigenfaces.locate(tall) - (0, 5), eigenfaces.locate(tiny), atol=1e-3)


def test_surprise_is_that_of_the_gaussian_that_it_says() -> None:
    """Against the density itself, with the covariance written out."""
    mean, axes = eigenfaces._faces()
    picture = np.random.default_rng(0).uniform(size=(3, eigenfaces.SHOWN, eigenfaces.SHOWN)).astype(np.float32)
    side = EYES * eigenfaces.WIDTHS[0]
    weights = eigenfaces._averaging(template(1).mean(0)[0] - side / 2, side)
    rows = eigenfaces._averaging(template(1).mean(0)[1] - side / 2, side)
    moved = np.einsum("ys,kcst,xt->kcyx", rows, axes, weights).reshape(len(axes), -1).astype(np.float64)
    covariance = moved.T @ moved + eigenfaces.NOISE * np.eye(moved.shape[1])
    rest = (picture - np.einsum("ys,cst,xt->cyx", rows, mean, weights)).ravel()
    known = rest @ np.linalg.solve(covariance, rest) + np.linalg.slogdet(covariance)[1]
    first = np.flatnonzero(np.isclose(eigenfaces.places().landmarks.mean(1), 0.5).all(1))[0]
    assert eigenfaces.places().surprise(picture)[first] == pytest.approx(known, rel=1e-3)


def test_what_is_fitted_is_stored_as_it_is(crops: list[np.ndarray], tmp_path: Path) -> None:
    """Few faces vary in few ways: their eigenfaces give each of them back. safetensors takes an array that
    does not lie in C's order for another."""
    known = eigenfaces.fit(crops)
    save_file(known, tmp_path / "eigenfaces.safetensors")
    stored = load_file(tmp_path / "eigenfaces.safetensors")
    axes = (stored["axes"] * stored["axes.scale"]).reshape(eigenfaces.COUNT, -1)
    axes = axes[np.linalg.norm(axes, axis=1) > 0.05]
    face = cv2.resize(crops[0], (eigenfaces.SIZE,) * 2, interpolation=cv2.INTER_AREA).transpose(2, 0, 1) / 255
    rest = (face - stored["mean"]).ravel()
    left = rest - np.linalg.lstsq(axes.T, rest, rcond=None)[0] @ axes
    assert 0 < len(axes) <= 2 * len(crops)
    assert np.linalg.norm(left) < 0.05 * np.linalg.norm(rest)
