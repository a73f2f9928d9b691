"""One canonical crop for every face: a similarity transform puts the five landmarks in fixed places.

The template is ArcFace's five points for a 112 px crop (Deng et al., CVPR 2019, arXiv:1801.07698), shrunk about the
centre so that forehead and chin stay in the picture: the decoder draws whole heads, not masks.
"""

from __future__ import annotations

import cv2
import numpy as np

_ARCFACE_112 = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]],
    np.float32,
)
SCALE = 0.80  # relative to ArcFace's tight crop
CENTRE = (0.5, 0.56)  # where the nose is placed, as a share of the crop
SOFTEST = -3.0  # anything softer looks equally blurred
_NOSE = (0.5, 0.62)  # in ArcFace's crop


def arcface_points(size: int) -> np.ndarray:
    """The five landmarks in the crop of `size` pixels that recognisers are trained on: (5, 2) float32."""
    return _ARCFACE_112 * (size / 112.0)


def template(size: int) -> np.ndarray:
    """The five landmarks in a canonical crop of `size` pixels: (5, 2) float32."""
    points = _ARCFACE_112 / 112.0
    points = (points - _NOSE) * SCALE + CENTRE
    return (points * size).astype(np.float32)


def arcface_square() -> tuple[tuple[float, float], float]:
    """ArcFace's crop within a canonical one: its centre, (x, y), and its width, as shares of the larger crop."""
    x, y = ((0.5 - nose) * SCALE + centre for nose, centre in zip(_NOSE, CENTRE, strict=True))
    return (x, y), SCALE


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Least-squares similarity transform of (n, 2) points onto (n, 2) points, as a (2, 3) matrix.

    min over s, R, t of  Σ |s R xᵢ + t − yᵢ|²   (Umeyama, IEEE TPAMI 13(4), 1991; eqs. 40-42)
    """
    mean_source, mean_target = source.mean(0), target.mean(0)
    centred_source, centred_target = source - mean_source, target - mean_target
    u, d, vt = np.linalg.svd(centred_target.T @ centred_source / len(source))
    sign = np.diag([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt)) or 1.0])
    rotation = u @ sign @ vt
    scale = (d * np.diag(sign)).sum() / centred_source.var(0).sum()
    return np.hstack([scale * rotation, (mean_target - scale * rotation @ mean_source)[:, None]]).astype(np.float32)


def middle_square(picture: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """The largest central square of (height, width, ...), and its origin, (left, top)."""
    side = min(picture.shape[:2])
    top, left = ((extent - side) // 2 for extent in picture.shape[:2])
    return picture[top : top + side, left : left + side], (left, top)


def canonical_crop(image: np.ndarray, landmarks: np.ndarray, size: int) -> np.ndarray:
    """Cut the face out of `image` (uint8 RGB) so that its (5, 2) landmarks match the template: (size, size, 3) uint8.

    Outside the picture, its border is repeated; `coverage` gives the share that lies inside.
    """
    return crop_to(image, landmarks, template(size), size)


def crop_to(image: np.ndarray, landmarks: np.ndarray, points: np.ndarray, size: int) -> np.ndarray:
    """Like `canonical_crop`, with the landmarks at `points`, (5, 2) in pixels of the crop. A large face is first
    averaged down to avoid aliasing."""
    points = points.astype(np.float64)
    matrix = similarity(landmarks.astype(np.float64), points)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale < 0.5:
        shrink = max(scale * 1.5, 1e-2)
        image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        matrix = similarity(landmarks.astype(np.float64) * shrink, points)
    return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def coverage(image: np.ndarray, landmarks: np.ndarray) -> float:
    """Share in [0, 1] of the canonical crop that lies inside the picture; about 0.4 for a tightly cropped still.

    It is a condition of the decoder, so that it learns faces from tight corpora, but not their missing surroundings.
    """
    return float(inside(image, landmarks, 32).mean())


def inside(image: np.ndarray, landmarks: np.ndarray, size: int) -> np.ndarray:
    """How much of each pixel of `canonical_crop` lies inside the picture: (size, size) float32 in [0, 1]."""
    matrix = similarity(landmarks.astype(np.float64), template(size).astype(np.float64))
    return cv2.warpAffine(np.ones(image.shape[:2], np.float32), matrix, (size, size), borderValue=0.0)


def sharpness(landmarks: np.ndarray, size: int) -> float:
    """How sharp a canonical crop of `size` pixels can be, for a face with (5, 2) landmarks in its picture:

        log₂(pixels between the eyes in the picture / in the crop), from −3 to 0

    0: at least as many pixels as in the crop, beyond which there is nothing to gain; −1: half as many, so that every
    other one is interpolated. It is a condition of the decoder, so that it learns identities from soft faces and detail
    from sharp ones.
    """
    there, here = (float(np.hypot(*(points[1] - points[0]))) for points in (landmarks, template(size)))
    return float(np.clip(np.log2(max(there, 1e-6) / here), SOFTEST, 0.0))


def box_crop(
    image: np.ndarray,
    box: tuple[int, int, int, int],
    margin_height: float,
    margin_width: float,
    size: int,
) -> np.ndarray:
    """The detector's box with margins, resized to a square: (size, size, 3) uint8 RGB, with the border repeated
    outside.

    image: (height, width, 3) uint8 RGB.
    box: (x, y, width, height) in pixels, see `DetectedFace`.
    margin_height: total margin as a share of the height, half on either side; the original research used 0.4.
    margin_width: likewise for the width; 0.5.
    size: pixels of the square.
    """
    height, width = image.shape[:2]
    x, y, w, h = box
    left, right = round(x - w * margin_width / 2), round(x + w * (1 + margin_width / 2))
    top, bottom = round(y - h * margin_height / 2), round(y + h * (1 + margin_height / 2))
    outside = max(0, -left, -top, right - width, bottom - height)
    padded = cv2.copyMakeBorder(image, outside, outside, outside, outside, cv2.BORDER_REPLICATE)
    cut = padded[top + outside : bottom + outside, left + outside : right + outside]
    return cv2.resize(cut, (size, size), interpolation=cv2.INTER_AREA if len(cut) > size else cv2.INTER_CUBIC)
