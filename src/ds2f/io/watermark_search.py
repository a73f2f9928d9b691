"""Whether a picture, or a part of it, has the watermark: its y, see `watermark`, is correlated with w at all sizes and
places where w may be, and for the largest similarity the probability of reaching it by chance is computed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from PIL import Image

from ds2f.io.watermark import GRID, MIN_SIDE, Size, fast, field_of, flattened, grey_of, remembered, resized, sides_of

LEAST = 0.1 * GRID * GRID  # a flat area has no texture to compare
CUT = range(56, 73)  # pixels of the longer side if GRID is the mark: pictures cropped by up to 13 %, or with an edge
STRETCHED = (58, 60, 62, 64)  # sides of a picture that was cropped on one side and resized to a square
UNEQUAL = ((0.984, 1.0), (1.0, 0.984), (1.0, 1.016), (1.016, 1.0))  # as BETWEEN, for those: one pixel more or less
WIDEST = 270  # as CUT, for a screenshot: the mark is at least a quarter as wide, and MIN_SIDE pixels
STEP = 1.02  # ratio of successive sizes of a screenshot
SHOWN = (128, 144, 160, 192, 256, 320, 384, 512)  # pixels: sides of faces on sheets, and on pages of 1, 1.25, 1.5, 2
PAGE = 2048  # pixels: of a larger page or sheet, only this much from its corner is searched
ALIKE = 1.08  # ratio of sizes: the picture is resized to one of them, and w to the others
BETWEEN = (0.99, 0.995, 1.0, 1.005, 1.01)  # factors for the likeliest sizes: an error of 1 % blurs the mark
LOOKED_AT_AGAIN = 4
WORTH_IT = 0.8  # share of the similarity that counts as a mark, below which refining is skipped
HALVES = (0.0, 0.5)  # pixels of GRID: shifts, so that a place is off by at most half a pixel
OUTSIDE = 9  # pixels of GRID by which the mark may be cropped on each side
MISTAKEN = 1e-4  # share of pictures without the mark that may be reported as marked


@dataclass(frozen=True)
class Trace:
    """What a picture shows of the watermark.

    similarity: in [0, 1], the best over all sizes and places; normally at least one of TARGETS in a picture as it was
    drawn.
    chance: the probability of as much in a picture without the mark, taking the search into account; see `chance_of`.
    """

    similarity: float
    chance: float

    @property
    def found(self) -> bool:
        """Whether there is a mark, with at most one false positive in 10,000 pictures."""
        return self.chance <= MISTAKEN


def find(picture: np.ndarray) -> Trace:
    """Look for the watermark. picture: (height, width, 3) uint8 RGB, of any size; a marked picture may be a part of it,
    cropped by up to OUTSIDE / GRID on each side and scaled; mirrored, if it fills nearly all of it; or, in a
    screenshot, no narrower than a quarter of the longer side, or one of the sides SHOWN."""
    most, chance = 0.0, 1.0
    for null, similarity in searched(picture):
        most, chance = max(most, similarity), min(chance, chance_of(similarity, null))
        if chance <= SURE:
            break
    return Trace(most, chance)


def searched(picture: np.ndarray) -> Iterator[tuple[Null, float]]:
    """(null, the largest similarity) for one search after the other, as `chance_of` takes them. picture: see `find`."""
    for search in _searches(picture):
        grey = search.grey
        found: dict[Size, float] = {}
        for alike in _alike(search.sizes):
            found |= _similarities(grey, alike[len(alike) // 2], alike, search)
        likeliest = sorted(found, key=lambda size: -found[size])[:LOOKED_AT_AGAIN] if len(found) > 1 else ()
        for size in likeliest:
            if found[size] >= WORTH_IT * needed(search.null):
                between = [(size[0] * zoom, size[1] * zoom) for zoom in BETWEEN]
                between += [(size[0] * high, size[1] * wide) for high, wide in search.stretched]
                found |= _similarities(grey, size, between, search, HALVES)
        yield search.null, max(found.values(), default=0.0)


SURE = 1e-9
"""Lower error rates have not been measured, so `chance_of` returns nothing smaller."""
Null = tuple[float, float]
NULLS: tuple[Null, ...] = ((0.019, 40.0), (0.0215, 4e3), (0.019, 8e4), (0.019, 2e6))
"""(s, n) for each search, as `chance_of` takes them."""


def chance_of(similarity: float, null: Null) -> float:
    """The probability that a picture without the mark shows as much in one of the searches, taking all four into
    account:

        min(1, 4 n Q(similarity / s))

    Q is the upper tail of the normal distribution. s, the spread, and n, the number of independent places, are slightly
    above what fits the largest similarities in real faces, and for the fourth in sheets of them
    (benchmarks/watermark.py).
    """
    spread, places = null
    tail = 0.5 * math.erfc(similarity / spread / math.sqrt(2))
    return min(1.0, max(SURE, len(NULLS) * places * tail))


@lru_cache(8)
def needed(null: Null) -> float:
    """The smallest similarity that counts as a mark; see `Trace.found`."""
    return next(x for x in np.linspace(0, 1, 1001).tolist() if chance_of(x, null) <= MISTAKEN)


def _alike(sizes: list[Size]) -> list[list[Size]]:
    """Those whose height and width are both at most ALIKE times those of the first."""
    groups: list[list[Size]] = []
    for size in sizes:
        for group in groups:
            if all(1 / ALIKE <= one / other <= ALIKE for one, other in zip(size, group[0], strict=True)):
                group.append(size)
                break
        else:
            groups.append([size])
    return groups


def _similarities(
    grey: np.ndarray, at: Size, sizes: list[Size], search: Search, steps: tuple[float, ...] = (0.0,)
) -> dict[Size, float]:
    """The largest similarity over all shifts, for each size to which a picture is resized; 0 if the mark does not fit.
    at: the size to which it is actually resized, w being resized to match the others; steps: additional shifts by
    fractions of a pixel."""
    outside = search.outside
    flat = flattened(resized(grey, *at))
    marks = {size: (GRID * at[0] / size[0], GRID * at[1] / size[1]) for size in sizes}
    found = dict.fromkeys(sizes, 0.0)
    most = max(round(side) for mark in marks.values() for side in mark)
    padded = fast(max(flat.shape[0] + outside, most)), fast(max(flat.shape[1] + outside, most))
    images = (flat, flat[:, ::-1]) if search.mirrored else (flat,)
    spectra = [np.fft.rfft2(image, s=padded) for image in images]
    if min(flat.shape) + 2 * outside < GRID:
        return found
    around = _under(flat.shape[0], outside) @ (flat * flat) @ _under(flat.shape[1], outside).T
    scales = 1 / np.sqrt(np.maximum(around, LEAST))
    for size, (high, wide) in marks.items():
        rows, columns = (
            side + 2 * outside - round(mark) + 1 for side, mark in zip(flat.shape, (high, wide), strict=True)
        )
        if min(rows, columns) < 1:
            continue
        lengths = (
            GRID
            / (round(high) * round(wide))
            * scales.take(_middles(rows, len(scales)), 0).take(_middles(columns, scales.shape[1]), 1)
        )
        field = _spectrum(*padded, outside, high, wide)
        for spectrum, of_it in zip(spectra, (lengths, lengths[:, ::-1]), strict=False):
            products = _products(spectrum * field, padded, steps)[..., :rows, :columns]
            found[size] = max(found[size], float((products * of_it).max()))
    return found


def _products(spectrum: np.ndarray, padded: tuple[int, int], steps: tuple[float, ...]) -> np.ndarray:
    """(shifts by steps, *padded)"""
    if len(steps) == 1:
        return np.fft.irfft2(spectrum, s=padded)[None]
    moved = [spectrum * _shifts(*padded, y, x) for y, x in product(steps, steps)]
    return np.fft.irfft2(np.stack(moved), s=padded)


@dataclass(frozen=True)
class Search:
    """null: see `chance_of`; grey: what is searched; outside: pixels of GRID by which the mark may extend beyond it;
    mirrored: whether it may be; sizes: to which `grey` is resized; stretched: factors for the likeliest of them, as
    BETWEEN."""

    null: Null
    grey: np.ndarray
    outside: int
    mirrored: bool
    sizes: list[Size]
    stretched: tuple[tuple[float, float], ...] = ()


def _searches(picture: np.ndarray) -> Iterator[Search]:
    """As it is; cropped, with an edge, or stretched; in a screenshot; one of many. Likelier cases are searched in fewer
    places, where chance produces less."""
    larger = max(picture.shape[:2]) // (4 * WIDEST)
    grey = grey_of(np.asarray(Image.fromarray(picture).reduce(larger)) if larger > 1 else picture)
    height, width = grey.shape
    yield Search(NULLS[0], grey, 1, True, [sides_of(height, width, GRID)])
    sizes = [sides_of(height, width, longer) for longer in CUT]
    if 0.8 < height / width < 1.25:
        sizes += [(float(h), float(w)) for h in STRETCHED for w in STRETCHED if h != w]
    yield Search(NULLS[1], grey, OUTSIDE, True, sizes, UNEQUAL)
    widest = min(WIDEST, max(height, width) * GRID / MIN_SIDE)
    count = max(0, math.ceil(math.log(widest / CUT.stop) / math.log(STEP)))
    sizes = [sides_of(height, width, CUT.stop * STEP**n) for n in range(count)]
    yield Search(NULLS[2], grey, OUTSIDE, False, sizes)
    page = grey_of(picture[:PAGE, :PAGE])
    height, width = page.shape
    longers = [max(height, width) * GRID / side for side in SHOWN]
    yield Search(NULLS[3], page, 1, False, [sides_of(height, width, longer) for longer in longers if longer > WIDEST])


@remembered
def _spectrum(height: int, width: int, outside: int, high: float, wide: float) -> np.ndarray:
    """The factor for a spectrum so that its inverse holds, from its corner on, the products with w that start `outside`
    pixels before the picture, and so on; those that start before it wrap around from the far end, which is 0."""
    field, padded = field_of(high, wide), np.zeros((height, width), np.float32)
    padded[: field.shape[0], : field.shape[1]] = field
    return np.asarray(np.conj(np.fft.rfft2(np.roll(padded, (-outside, -outside), (0, 1)))), np.complex64)


@remembered
def _shifts(height: int, width: int, y: float, x: float) -> np.ndarray:
    """The factor for a spectrum that shifts a picture up and left by fractions of a pixel."""
    down, right = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    return np.exp(2j * np.pi * (y * down + x * right)).astype(np.complex64)


@remembered
def _under(length: int, outside: int) -> np.ndarray:
    """(places, length) float32: 1 for each pixel covered by GRID pixels of w, at each place."""
    before = np.arange(length)[None] - (np.arange(length + 2 * outside - GRID + 1) - outside)[:, None]
    return ((before >= 0) & (before < GRID)).astype(np.float32)


@remembered
def _middles(places: int, known: int) -> np.ndarray:
    """For places of a w slightly smaller or larger than GRID, those of GRID with about the same centre."""
    return np.clip(np.arange(places) - (places - known) // 2, 0, known - 1)
