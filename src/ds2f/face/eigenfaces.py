"""What eigenfaces know of a picture: where the face lies in a handful of pixels, and what is beyond the picture's edge.

Eigenfaces (Turk & Pentland 1991, J. Cognitive Neuroscience 3(1)) say how faces look in canonical crops of SIZE pixels.
Moved to where one might lie, they say how likely the picture is if it lies there (as Moghaddam & Pentland 1997, IEEE
TPAMI 19(7), of pictures of one size), and all places together, weighted so, where it does. Where a face was cut out
more tightly than a canonical crop, they say what one may expect around it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from safetensors.numpy import load_file

from ds2f.face.align import middle_square, template

FILE = Path(__file__).with_name("eigenfaces.safetensors")
SIZE = 16  # pixels of the crops that eigenfaces are of
COUNT = 60  # eigenfaces
SHOWN = 8  # pixels across of what is looked at; more tell little
WIDTHS = (2.5, 2.8, 3.1, 3.4, 3.8, 4.2)  # of the picture, in distances of the eyes
STEP, REACH = 0.1, 0.4  # of the middle of the landmarks from that of the picture, in distances of the eyes
NOISE = 1e-3  # variance of a pixel in [0, 1] beside the eigenfaces
WHOLE = 0.99  # of a pixel, inside the picture
GREY = 3  # of 255, by which the channels of a picture differ that has no colours, but was stored with losses
SEAM = 0.025  # of the crop, over which what was seen gives way to what is expected
TOGETHER = 10.0  # pixels whose errors are one, so that likelihoods are not taken for more than they are


@dataclass(frozen=True)
class Places:
    """How a picture looks whose face lies at each of p places: x = mean + axes a + noise, a from N(0, I).

    landmarks: (p, 5, 2) in shares of the picture; mean: (p, 3 SHOWN²); gain: (p, COUNT, 3 SHOWN²), |gain r|² is what
    the axes explain of r; volume: (p,) log of the determinant of the covariance.
    """

    landmarks: np.ndarray
    mean: np.ndarray
    gain: np.ndarray
    volume: np.ndarray

    def surprise(self, picture: np.ndarray) -> np.ndarray:
        """(p,) −2 log p(picture | place) but for a constant, of (3, SHOWN, SHOWN) in [0, 1].

        With C = axes axesᵀ + σ² I and r what differs from the mean, by Woodbury's identity,

            rᵀ C⁻¹ r + log |C| = |r|²/σ² − |L⁻¹ axesᵀ r / σ²|² + log |C|,   L Lᵀ = I + axesᵀ axes / σ²
        """
        rest = picture.ravel() - self.mean
        explained = np.einsum("pkq,pq->pk", self.gain, rest)
        return np.asarray((rest**2).sum(1) / NOISE - (explained**2).sum(1) + self.volume)


def locate(picture: np.ndarray) -> np.ndarray:
    """The (5, 2) float32 landmarks of the face in the middle square of (height, width, 3) uint8 RGB, upright and as
    large as WIDTHS say, in pixels of the picture.

    The expectation over places, each with its likelihood: in 8 px they are off by a quarter of the distance of the eyes
    in the mean; a tenth of it is how faces differ in shape.
    """
    square, corner = middle_square(picture)
    shown = cv2.resize(square, (SHOWN, SHOWN), interpolation=cv2.INTER_AREA).transpose(2, 0, 1) / np.float32(255)
    surprise = places().surprise(shown)
    weight = np.exp(-(surprise - surprise.min()) / (2 * TOGETHER))
    landmarks = np.einsum("p,pij->ij", weight / weight.sum(), places().landmarks)
    return (landmarks * len(square) + corner).astype(np.float32)


def surround(crop: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """A canonical crop, (size, size, 3) uint8 RGB, with what may be expected where the picture did not reach.

    Of x = mean + axes a + noise the pixels k are known, and what they let one expect of all is

        E[x | x_k] = mean + axes (I + axes_kᵀ axes_k / σ²)⁻¹ axes_kᵀ (x_k − mean_k) / σ²,   σ² = NOISE TOGETHER

    It is as soft as SIZE pixels are: a guess of hair and light for the decoder to complete, which would take the
    repeated border for something seen.

    crop: as of `align.canonical_crop`.
    inside: (size, size) in [0, 1], see `align.inside`.
    """
    whole = cv2.resize(inside.astype(np.float32), (SIZE, SIZE), interpolation=cv2.INTER_AREA) > WHOLE
    if whole.all():
        return crop
    size, (mean, axes) = len(crop), _faces()
    mean, axes = mean.ravel(), axes.reshape(len(axes), -1)
    small = cv2.resize(crop, (SIZE, SIZE), interpolation=cv2.INTER_AREA).transpose(2, 0, 1).ravel() / np.float32(255)
    known = np.tile(whole.ravel(), 3)
    seen = axes[:, known]
    noise = NOISE * TOGETHER
    along = np.linalg.solve(np.eye(len(axes)) + seen @ seen.T / noise, seen @ (small - mean)[known] / noise)
    expected = (mean + along @ axes).reshape(3, SIZE, SIZE).transpose(1, 2, 0).clip(0, 1)
    if np.ptp(crop, -1).mean() < GREY:  # a picture without colours gets none
        expected = np.repeat(expected.mean(-1, keepdims=True), 3, -1)
    around = 255 * cv2.resize(expected.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    # The picture gives way to it over a few pixels inside its edge, so that no seam is left.
    reach = max(1, round(SEAM * size))
    kernel, sigma = np.ones((2 * reach + 1,) * 2), reach / 2
    within = cv2.erode((inside > WHOLE).astype(np.float32), kernel, borderType=cv2.BORDER_REPLICATE)
    share = cv2.GaussianBlur(within, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)[..., None]
    return np.rint(share * crop + (1 - share) * around).clip(0, 255).astype(np.uint8)


@cache
def places() -> Places:
    """Where the face may lie in a square picture; made once, in half a second, and 23 MB."""
    points = template(1)
    middle, eyes = points.mean(0), float(np.linalg.norm(points[1] - points[0]))
    aside, found = np.arange(-REACH, REACH + STEP / 2, STEP), []
    for side in eyes * np.array(WIDTHS):  # of the picture, in widths of the crop
        for x, y in itertools.product(aside, aside):
            corner = middle - np.array([x, y]) * eyes - side / 2
            found.append(((points - corner) / side, *_look(corner, side)))
    landmarks, mean, gain, volume = (np.stack(values) for values in zip(*found, strict=True))
    return Places(landmarks, mean, gain, volume)


def _look(corner: np.ndarray, side: float) -> tuple[np.ndarray, np.ndarray, np.floating]:
    """Mean, gain and volume of `Places` for one. corner, (x, y), and side: of the picture, in widths of the crop."""
    mean, axes = _faces()
    columns, rows = (_averaging(start, side) for start in corner)
    seen = np.einsum("ys,kcst,xt->kcyx", rows, np.concatenate([mean[None], axes]), columns, optimize=True)
    seen = seen.reshape(len(seen), -1)
    moved = seen[1:]
    root = np.linalg.cholesky(np.eye(len(axes)) + moved @ moved.T / NOISE)
    gain = np.linalg.solve(root, moved / NOISE)
    volume = 2 * np.log(np.diag(root)).sum() + moved.shape[1] * np.log(NOISE)
    return seen[0].astype(np.float32), gain.astype(np.float32), volume


def _averaging(start: float, side: float) -> np.ndarray:
    """Along one direction: (SHOWN, SIZE), what each pixel of a picture from `start` to `start + side`, in widths of a
    crop, averages of the crop's pixels. Beyond the crop it goes on as at its border."""
    edges = (start + side * np.arange(SHOWN + 1) / SHOWN) * SIZE
    near, far = np.arange(SIZE, dtype=float), np.arange(1, SIZE + 1, dtype=float)
    near[0], far[-1] = -np.inf, np.inf
    covered = np.minimum(edges[1:, None], far) - np.maximum(edges[:-1, None], near)
    return np.maximum(covered, 0) / np.diff(edges)[:, None]


@cache
def _faces() -> tuple[np.ndarray, np.ndarray]:
    """(3, SIZE, SIZE) mean and (COUNT, 3, SIZE, SIZE) eigenfaces, each times the spread of faces along it."""
    stored = load_file(FILE)
    axes = stored["axes"].astype(np.float32) * stored["axes.scale"]
    return stored["mean"].astype(np.float32), axes


def fit(crops: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """What FILE holds, of canonical crops, (n, size, size, 3) uint8 RGB, and their mirror images: the mean and the
    first COUNT principal axes, in whole numbers of 8 bits with a scale for each."""
    small = np.stack([cv2.resize(crop, (SIZE, SIZE), interpolation=cv2.INTER_AREA) for crop in crops])
    both = np.concatenate([small, small[:, :, ::-1]]).transpose(0, 3, 1, 2).reshape(2 * len(small), -1) / np.float32(
        255
    )
    mean = both.mean(0)
    variance, axes = np.linalg.eigh(np.cov(both, rowvar=False))
    axes = (axes[:, ::-1] * np.sqrt(np.maximum(variance[::-1], 0))).T[:COUNT].reshape(COUNT, 3, SIZE, SIZE)
    scale = np.abs(axes).max((1, 2, 3), keepdims=True) / 127
    return {
        "mean": mean.reshape(3, SIZE, SIZE).astype(np.float16),
        "axes": np.ascontiguousarray(np.round(axes / scale).astype(np.int8)),  # safetensors writes memory as it lies
        "axes.scale": scale.astype(np.float32),
    }
