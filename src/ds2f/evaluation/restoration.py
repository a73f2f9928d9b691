"""How close is a restored picture to the true one, pixel by pixel and as a person? Pure functions on pairs of
pictures; `guided` makes the pairs."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ds2f.evaluation.bootstrap import Bootstrap
from ds2f.evaluation.results import Kept, Measure
from ds2f.evaluation.retrieval import cosine, rank

MOST_DB = 100.0  # what equal pictures contribute to a mean, since their ratio is infinite
_WINDOW, _SIGMA = 11, 1.5  # pixels of the Gaussian window of the SSIM
_K1, _K2, _RANGE = 0.01, 0.03, 255.0


def psnr(restored: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio in dB, 10 log₁₀ (255² / mean squared error), infinite for equal pictures.

    restored, true: (..., height, width, 3) uint8; the mean is over each picture: (...).
    """
    error = ((restored.astype(np.float64) - true) ** 2).mean((-3, -2, -1))
    with np.errstate(divide="ignore"):
        return np.asarray(10 * np.log10(_RANGE**2 / error))


def ssim(restored: np.ndarray, true: np.ndarray) -> float:
    """Structural similarity of two pictures, (height, width, 3) uint8, both at least 11 px, in [-1, 1]:

    (2 μₓ μᵧ + c₁) (2 σₓᵧ + c₂) / ((μₓ² + μᵧ² + c₁) (σₓ² + σᵧ² + c₂)),  c₁ = (0.01 L)², c₂ = (0.03 L)², L = 255

    with the moments of a Gaussian window of 11 px, σ = 1.5, averaged over channels and all positions at which the
    window lies inside the picture (Wang et al., IEEE TIP 13(4), 2004). Raises ValueError for pictures of different
    size.
    """
    if restored.shape != true.shape or min(true.shape[:2]) < _WINDOW:
        raise ValueError(f"needs two pictures of the same size, at least {_WINDOW} px: {restored.shape}, {true.shape}")
    x, y = restored.astype(np.float64), true.astype(np.float64)
    mean_x, mean_y = _window(x), _window(y)
    var_x, var_y = _window(x * x) - mean_x**2, _window(y * y) - mean_y**2
    covariance = _window(x * y) - mean_x * mean_y
    c1, c2 = (_K1 * _RANGE) ** 2, (_K2 * _RANGE) ** 2
    likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return float((likeness / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean())


def fidelity(restored: np.ndarray, true: np.ndarray, bootstrap: Bootstrap) -> tuple[Measure, Measure]:
    """Mean PSNR and SSIM of n pictures, (n, height, width, 3) uint8. bootstrap: over the people they show."""
    ratios = np.minimum(psnr(restored, true), MOST_DB)
    alike = np.array([ssim(a, b) for a, b in zip(restored, true, strict=True)])
    found = bootstrap.mean(ratios), bootstrap.mean(alike)
    assert found[0] is not None
    assert found[1] is not None
    return found[0], found[1]


def kept(
    vectors: np.ndarray, gallery: np.ndarray, people: Sequence[str], clips: np.ndarray, bootstrap: Bootstrap
) -> Kept:
    """How well identity is preserved.

    vectors: (m, d) of pictures, centred; NaN where no face was found, which counts as a blind guess.
    gallery: (n, d) of true faces, centred.
    people: n names, the person of each true face.
    clips: (m,) int, which of the n each picture shows.
    bootstrap: over the people of the m pictures.
    """
    ranks = rank(vectors, gallery, people, "cosine", clips)
    first, tenth = bootstrap.mean(ranks.hit(1)), bootstrap.mean(ranks.hit(10))
    assert first is not None
    assert tenth is not None
    return Kept(bootstrap.mean(1 - cosine(vectors, gallery[clips])), first, tenth)


def _window(image: np.ndarray) -> np.ndarray:
    """Weighted means over the windows that lie inside."""
    blurred = cv2.GaussianBlur(image, (_WINDOW, _WINDOW), _SIGMA)
    half = _WINDOW // 2
    return np.asarray(blurred[half:-half, half:-half])
