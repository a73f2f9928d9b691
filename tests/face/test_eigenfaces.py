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


def cut_out(crop: np.ndarray, top: float, side: float) -> tuple[np.ndarray, np.ndarray]:
    """As a crop looks of whose picture a share is missing above and at either side, and where it was seen."""
    size = len(crop)
    first, left = round(top * size), round(side * size)
    seen = np.zeros((size, size), np.float32)
    seen[first:, left : size - left] = 1.0
    rest = crop[first:, left : size - left]
    return np.pad(rest, ((first, 0), (left, left), (0, 0)), mode="edge"), seen


def test_beyond_the_edge_of_a_picture_lies_what_this_face_lets_one_expect(crops: list[np.ndarray]) -> None:
    """Nearer to the truth than what lies around faces in the mean; what was seen stays."""
    expected, on_average = [], []
    mean = 255 * eigenfaces._faces()[0].transpose(1, 2, 0)
    for crop in crops:
        repeated, seen = cut_out(crop, 0.25, 0.15)
        found = eigenfaces.surround(repeated, seen)
        deep = cv2.erode(seen, np.ones((41, 41))) > 0
        assert (found[deep] == crop[deep]).all()
        true, around = (
            cv2.resize(picture, mean.shape[:2], interpolation=cv2.INTER_AREA).astype(float) for picture in (crop, found)
        )
        outside = cv2.resize(seen, mean.shape[:2], interpolation=cv2.INTER_AREA) < 0.01
        expected.append(((around - true)[outside] ** 2).mean())
        on_average.append(((mean - true)[outside] ** 2).mean())
    assert np.mean(expected) < 0.85 * np.mean(on_average)


def test_what_is_expected_is_the_mean_of_the_gaussian_that_it_says(crops: list[np.ndarray]) -> None:
    """Against Σ_ok Σ_kk⁻¹ with the covariance written out; pixels of the crop are those of the eigenfaces."""
    size = eigenfaces.SIZE
    mean, axes = eigenfaces._faces()
    flat = axes.reshape(len(axes), -1).astype(np.float64)
    crop = cv2.resize(crops[2], (size, size), interpolation=cv2.INTER_AREA)
    repeated, seen = cut_out(crop, 0.25, 0.25)
    known = np.tile(seen.ravel() > 0.5, 3)
    rest = repeated.transpose(2, 0, 1).ravel() / 255 - mean.ravel()
    covariance = flat.T @ flat
    noise = eigenfaces.NOISE * eigenfaces.TOGETHER
    within = covariance[np.ix_(known, known)] + noise * np.eye(known.sum())
    expected = mean.ravel() + covariance[:, known] @ np.linalg.solve(within, rest[known])
    found = eigenfaces.surround(repeated, seen)
    far = np.zeros((size, size), bool)
    far[: size // 4 - 1] = True  # a pixel away from the seam
    picture = 255 * expected.reshape(3, size, size).transpose(1, 2, 0).clip(0, 1)
    np.testing.assert_allclose(found[far], picture[far], atol=1.0)


def test_a_picture_without_colours_gets_none(crops: list[np.ndarray]) -> None:
    grey = np.repeat(crops[1].mean(-1, keepdims=True).astype(np.uint8), 3, -1)
    found = eigenfaces.surround(*cut_out(grey, 0.25, 0.15))
    assert (found == found[..., :1]).all()


def test_a_crop_that_lies_within_its_picture_stays(crops: list[np.ndarray]) -> None:
    found = eigenfaces.surround(crops[0], np.ones(crops[0].shape[:2], np.float32))
    assert (found == crops[0]).all()


@pytest.mark.parametrize("pixels", [8, 24, 200])
def test_a_guide_that_is_cut_tightly_gets_a_head(
    crops: list[np.ndarray], landmarks: list[np.ndarray], pixels: int
) -> None:
    """Not the border of the picture drawn out to the crop's: columns above a forehead differ along their length."""
    from ds2f.face.encode import FaceEncoder

    encoder, streaks = FaceEncoder(), []
    for crop, points in zip(crops[:4], landmarks[:4], strict=True):
        aligned = encoder.align(cut(crop, points, 2.6, (0.0, 0.0), pixels), 128).astype(float)
        streaks.append(np.abs(np.diff(aligned[:12, 32:96], axis=0)).mean())
    assert np.mean(streaks) > 0.5
