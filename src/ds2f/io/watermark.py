"""An invisible watermark that says whether a picture was drawn by ds2f; it survives JPEG, scaling and cropping.

It says only "drawn by ds2f", and identifies no voice, person or installation (a zero-bit mark). A fixed noise field w
between LOW and HIGH cycles per picture is added to all three colours, more strongly where a picture has texture (spread
spectrum with a perceptual mask; Cox et al. 1997, doi:10.1109/83.650120). It is tied to the picture rather than to its
pixels, so it scales with it. To measure how much of it a picture contains, what all pictures have in common, coarse
light and texture of their own, is removed first:

    l = 4 h - the four neighbours of h                       h: grey values; faces have amplitudes of about 1 / f^2
    y = l / ((mean of sqrt |l| nearby)^2 + FLOOR), from -1 to 1
    similarity = <y, w> / (|y| |w|)

Everything in y depends on only a few neighbouring pixels and is bounded, so that an edge, such as that of a picture on
a page, spoils little next to it. `watermark_search` looks for the mark at all sizes and places.

The embedder knows the picture that it marks (Miller et al. 2004, doi:10.1109/TIP.2003.821551): for each picture it
chooses the smallest strength at which the similarity, after rounding to 8 bits, is one of TARGETS.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image

LOW, HIGH = 12.0, 28.0  # cycles per side of a marked picture
KEY = 20261129
FLOOR = 1.2  # of 255: so that flat areas count for little
NEARBY = 2  # pixels of GRID
GRID = 64  # pixels of a marked picture at detection: slightly more than twice HIGH
TARGETS = (0.36, 0.42)  # similarity of a marked picture; the second below SMALL pixels, where JPEG removes more
SMALL = 96
STRENGTHS = (0.5, 2.4)  # of 255, rms over the picture; the smallest that reaches the target is used
FACE = (0.54, 0.36, 0.30)  # centre from the top, half height and half width of a drawn face's oval
INNER = 0.2  # of the strength around it: a quarter of the cost, by unseen judges, and found as often
MIN_SIDE = 48  # pixels; smaller pictures cannot hold it and stay unmarked
LARGE = 324  # pixels: longer arrays are not cached
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def mark(picture: np.ndarray) -> np.ndarray:
    """The picture with the watermark, (height, width, 3) uint8 RGB, as given. One that already has it, or that is
    smaller than MIN_SIDE, is returned unchanged."""
    side = max(picture.shape[:2])
    target = TARGETS[side < SMALL]
    if min(picture.shape[:2]) < MIN_SIDE or similarity_in_place(picture) >= target:
        return picture
    added = _mask(grey_of(picture), side) * _middle(field_of(side, side), *picture.shape[:2])
    weakest, strongest = STRENGTHS
    for _ in range(6):  # bisection, to 0.025 of 255
        strength = (weakest + strongest) / 2
        if similarity_in_place(_add(picture, strength * added)) >= target:
            strongest = strength
        else:
            weakest = strength
    return _add(picture, strongest * added)


def mark_all(pictures: np.ndarray) -> np.ndarray:
    """As `mark`, for (n, height, width, 3) uint8 RGB."""
    return np.stack([mark(picture) for picture in pictures])


def similarity_in_place(picture: np.ndarray) -> float:
    """How much of the mark an uncropped picture contains, in [-1, 1]. picture: (height, width, 3) uint8 RGB."""
    small = resized(grey_of(picture), *sides_of(picture.shape[0], picture.shape[1], GRID))
    flat, field = flattened(small), _middle(field_of(GRID, GRID), *small.shape)
    return float((flat * field).sum() / (GRID * math.sqrt(float((flat * flat).sum()) + 1e-9)))


def remembered(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """Caches results for small pictures; those for large ones are large themselves, and rarely repeat."""
    kept = lru_cache(128)(function)
    return lambda *sides: (kept if max(sides) <= LARGE else function)(*sides)


Size = tuple[float, float]


def sides_of(height: int, width: int, longer: float) -> Size:
    """Height and width of a picture when its longer side is `longer`."""
    scale = longer / max(height, width)
    return height * scale, width * scale


@remembered
def field_of(high: float, wide: float) -> np.ndarray:
    """w for a picture of `high` by `wide` pixels, rounded to whole ones: float32, rms 1. The waves are the same at
    every size that can carry them: each has an amplitude and a phase of its own, and is sampled at pixel centres."""
    most = math.ceil(HIGH)
    phases = np.random.Generator(np.random.PCG64(KEY)).uniform(0, 2 * np.pi, (2 * most + 1, most + 1))
    down, right = np.mgrid[-most : most + 1, 0 : most + 1]
    frequency = np.hypot(down, right)
    kept = (frequency >= LOW) & (frequency <= HIGH) & (2 * abs(down) < high) & (2 * right < wide)
    waves = np.exp(1j * phases) * kept * np.where(right, 2, 1)
    y, x = ((np.arange(round(side)) + 0.5) / side for side in (high, wide))
    field = (np.exp(2j * np.pi * np.outer(y, down[:, 0])) @ waves @ np.exp(2j * np.pi * np.outer(right[0], x))).real
    return np.asarray(field / field.std(), np.float32)


def _middle(field: np.ndarray, height: int, width: int) -> np.ndarray:
    """The part for a picture that is not square."""
    top, left = (field.shape[0] - height) // 2, (field.shape[1] - width) // 2
    return field[top : top + height, left : left + width]


def flattened(grey: np.ndarray) -> np.ndarray:
    """y: fine texture alone, of similar strength everywhere. grey: (h, w), with a mark about GRID wide."""
    height, width = grey.shape
    around = grey.take(_mirrored(height, 1, height + 2), 0).take(_mirrored(width, 1, width + 2), 1)
    fine = 4 * grey - around[:-2, 1:-1] - around[2:, 1:-1] - around[1:-1, :-2] - around[1:-1, 2:]
    near = max(0, min(NEARBY, height // 2 - 1, width // 2 - 1))
    roots = _nearby(height, near) @ np.sqrt(abs(fine)) @ _nearby(width, near).T
    return np.asarray(np.clip(fine / (roots * roots + FLOOR), -1, 1), np.float32)


def _mask(grey: np.ndarray, side: int) -> np.ndarray:
    """Where a picture hides noise and how much, rms 1: more in hair than on a cheek, and little at the eyes, nose and
    mouth, by which people and recognisers identify a face."""
    texture = _texture(_band(grey, side), side)
    shares = np.clip((texture + 2) / np.sqrt(np.mean((texture + 2) ** 2)), 0.3, 2.5) * _beside_the_face(*grey.shape)
    return np.asarray(shares / np.sqrt(np.mean(shares**2)), np.float32)


@remembered
def _beside_the_face(height: int, width: int) -> np.ndarray:
    """(height, width): 1 around the face, INNER on it, with a soft edge; drawn faces are all in the same place
    (`face.align`)."""
    down, right = ((np.arange(length) + 0.5) / length for length in (height, width))
    distance = np.hypot((down[:, None] - FACE[0]) / FACE[1], (right - 0.5) / FACE[2])
    return INNER + (1 - INNER) / (1 + np.exp(8 * (1 - distance)))


def _band(grey: np.ndarray, side: int) -> np.ndarray:
    """Frequencies between LOW and HIGH cycles per `side` pixels; mirrored at the borders."""
    height, width = grey.shape
    border = min(math.ceil(side / 8), height - 1, width - 1)
    rows, columns = fast(height + 2 * border), fast(width + 2 * border)
    padded = grey.take(_mirrored(height, border, rows), 0).take(_mirrored(width, border, columns), 1)
    band = np.fft.irfft2(np.fft.rfft2(padded) * _gain(rows, columns, side), s=padded.shape)
    return np.asarray(band[border : border + height, border : border + width], np.float32)


@remembered
def _mirrored(length: int, before: int, whole: int) -> np.ndarray:
    """Which pixels a row of `length` has when mirrored at both ends: `before` in front, `whole` in all."""
    return np.pad(np.arange(length), (before, whole - length - before), mode="reflect")


@remembered
def _gain(rows: int, columns: int, side: int) -> np.ndarray:
    frequency = side * np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None])
    soft = 1 / (1 + np.exp(LOW - frequency)) / (1 + np.exp(np.minimum(frequency, 2 * HIGH) - HIGH))
    return np.asarray(soft, np.float32)


def _texture(band: np.ndarray, side: int) -> np.ndarray:
    """The local rms of a band: within a tenth of a picture, mirrored at the borders."""
    near = min(round(side / 12), band.shape[0] // 2 - 1, band.shape[1] // 2 - 1)
    means = _nearby(band.shape[0], near) @ (band * band) @ _nearby(band.shape[1], near).T
    return np.asarray(np.sqrt(means), np.float32)


@remembered
def _nearby(length: int, near: int) -> np.ndarray:
    """(length, length) float32: for each pixel the weights of its neighbours, two successive means over 2 near + 1
    pixels."""
    window = np.ones(2 * near + 1) / (2 * near + 1)
    weights = np.convolve(window, window)
    whose = _mirrored(length, 2 * near, length + 4 * near)
    means = np.zeros((length, length))
    for pixel in range(length):
        np.add.at(means[pixel], whose[pixel : pixel + len(weights)], weights)
    return means.astype(np.float32)


def grey_of(picture: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8 RGB to (h, w) float32, 0 to 255."""
    return np.asarray(picture.astype(np.float32) @ LUMA)


def _add(picture: np.ndarray, grey: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(picture + grey[..., None]), 0, 255).astype(np.uint8)


def resized(grey: np.ndarray, height: float, width: float) -> np.ndarray:
    """(h, w) float32 at exactly that scale: partial pixels at the right and bottom are cut off."""
    rows, columns = max(1, int(height + 1e-6)), max(1, int(width + 1e-6))
    box = (0, 0, min(columns / width, 1) * grey.shape[1], min(rows / height, 1) * grey.shape[0])
    return np.asarray(Image.fromarray(grey).resize((columns, rows), Image.Resampling.BICUBIC, box))


def fast(length: int) -> int:
    """The next length with only the factors 2, 3 and 5, for which transforms are fast."""
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 1
