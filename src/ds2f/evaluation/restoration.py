"""Guided mode: a face completed from a spoilt picture. How near is it to the true one, pixel by pixel and as a person?

Pure functions on pairs of pictures; a degradation (blur, pixelation, size) is measured by itself, see `by_degradation`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ds2f.evaluation.bootstrap import Bootstrap
from ds2f.evaluation.results import Measure
from ds2f.evaluation.retrieval import cosine

_WINDOW, _SIGMA = 11, 1.5  # pixels of the Gaussian window of the SSIM
_K1, _K2, _RANGE = 0.01, 0.03, 255.0


@dataclass(frozen=True)
class Restoration:
    """One degradation. psnr: dB; ssim in [-1, 1]; identity: cosine similarity of the identity vectors, in [-1, 1];
    same: share of faces nearer to the true person than the face encoder's threshold, None without one."""

    degradation: str
    pictures: int
    psnr: Measure
    ssim: Measure
    identity: Measure | None
    same: Measure | None


def psnr(restored: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio in dB, 10 log₁₀ (255² / mean squared error), infinite for equal pictures.

    restored, true: (..., height, width, 3) uint8; the mean is over a picture: (...).
    """
    error = ((restored.astype(np.float64) - true) ** 2).mean((-3, -2, -1))
    with np.errstate(divide="ignore"):
        return np.asarray(10 * np.log10(_RANGE**2 / error))


def ssim(restored: np.ndarray, true: np.ndarray) -> float:
    """Structural similarity of two pictures, (height, width, 3) uint8, both at least 11 px, in [-1, 1]:

    (2 μₓ μᵧ + c₁) (2 σₓᵧ + c₂) / ((μₓ² + μᵧ² + c₁) (σₓ² + σᵧ² + c₂)),  c₁ = (0.01 L)², c₂ = (0.03 L)², L = 255

    with the moments of a Gaussian window of 11 px, σ = 1.5, averaged over channels and all places where the window lies
    inside (Wang et al., IEEE TIP 13(4), 2004). Raises ValueError for pictures of different size.
    """
    if restored.shape != true.shape or min(true.shape[:2]) < _WINDOW:
        raise ValueError(f"two pictures of one size, {_WINDOW} px or more, are needed: {restored.shape}, {true.shape}")
    x, y = restored.astype(np.float64), true.astype(np.float64)
    mean_x, mean_y = _window(x), _window(y)
    var_x, var_y = _window(x * x) - mean_x**2, _window(y * y) - mean_y**2
    covariance = _window(x * y) - mean_x * mean_y
    c1, c2 = (_K1 * _RANGE) ** 2, (_K2 * _RANGE) ** 2
    likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return float((likeness / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean())


def measure(
    degradation: str,
    restored: Sequence[np.ndarray],
    true: Sequence[np.ndarray],
    bootstrap: Bootstrap,
    vectors: tuple[np.ndarray, np.ndarray] | None = None,
    threshold: float | None = None,
) -> Restoration:
    """restored, true: n pictures each, pairwise of one size; bootstrap: over the people of these pictures; vectors:
    the (n, d) identity vectors of both, NaN where no face was found; threshold: L2 distance under which two faces
    are one person, 0.6 for dlib; a picture without a face is nobody."""
    ratios = np.minimum([float(psnr(a, b)) for a, b in zip(restored, true, strict=True)], 100.0)  # equal ones: 100 dB
    alike = np.array([ssim(a, b) for a, b in zip(restored, true, strict=True)])
    found_psnr, found_ssim = bootstrap.mean(ratios), bootstrap.mean(alike)
    assert found_psnr is not None
    assert found_ssim is not None
    identity = same = None
    if vectors is not None:
        identity = bootstrap.mean(1 - cosine(*vectors))
        if threshold is not None:
            near = np.linalg.norm(vectors[0] - vectors[1], axis=1) < threshold  # NaN is not near
            same = bootstrap.mean(near.astype(np.float64))
    return Restoration(degradation, len(restored), found_psnr, found_ssim, identity, same)


def by_degradation(
    pictures: Mapping[str, tuple[Sequence[np.ndarray], Sequence[np.ndarray]]], people: Sequence[str], draws: int = 1000
) -> list[Restoration]:
    """{degradation: (restored, true)}, each with one picture per name in `people`, such as "blur 4 px"."""
    bootstrap = Bootstrap(people, draws)
    return [measure(name, restored, true, bootstrap) for name, (restored, true) in pictures.items()]


def _window(image: np.ndarray) -> np.ndarray:
    """Weighted means in the windows that lie inside."""
    blurred = cv2.GaussianBlur(image, (_WINDOW, _WINDOW), _SIGMA)
    half = _WINDOW // 2
    return np.asarray(blurred[half:-half, half:-half])
