"""A watermark that one does not see: whether a picture was drawn by ds2f, still known after JPEG, scaling and cutting.

It says one thing, "drawn by ds2f", and names neither voice nor person nor installation (a zero-bit mark). A fixed field
of noise w between LOW and HIGH cycles per picture is added to all three colours, more of it where a picture has texture
(spread spectrum with a perceptual mask; Cox et al. 1997, doi:10.1109/83.650120). As it is tied to the picture and not
to its pixels, it scales with it. To look for it, a picture is freed of what all pictures have, coarse light and its own
texture, and correlated with w at all sizes and places at which w may lie:

    l = 4 h - the four neighbours of h                       h: grey values; faces have amplitudes of about 1 / f^2
    y = l / ((mean of sqrt |l| nearby)^2 + FLOOR), from -1 to 1
    similarity = max over sizes and shifts of  <y, w> / (|y| |w|)

All that makes y reaches no further than a few pixels and bounds what it gives, so that an edge, as that of a picture on
a page, spoils little beside it.

The embedder knows the picture that it marks (Miller et al. 2004, doi:10.1109/TIP.2003.821551): it chooses for each the
least strength with which the similarity, after rounding to 8 bits, is one of TARGETS.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from PIL import Image

LOW, HIGH = 12.0, 28.0  # cycles per side of a marked picture
KEY = 20261129
FLOOR = 1.2  # of 255: so that even areas count for little
NEARBY = 2  # pixels of GRID
GRID = 64  # pixels of a marked picture where it is looked for: a little more than twice HIGH
LEAST = 0.1 * GRID * GRID  # an even area has no texture to compare with
TARGETS = (0.32, 0.42)  # similarity of a marked picture; the second below SMALL pixels, where JPEG takes more of it
SMALL = 96
STRENGTHS = (0.5, 2.4)  # of 255, rms over the picture; the least is chosen that reaches the target
MIN_SIDE = 48  # pixels; what is smaller cannot hold it and stays unmarked
CUT = range(56, 73)  # pixels of the longer side where GRID is the mark: of a picture cut by up to 13 %, or with an edge
STRETCHED = (58, 60, 62, 64)  # sides of a picture that was cut at one side and made square again
WIDEST = 270  # as CUT, of a screenshot: the mark is no narrower than a quarter of it, nor than MIN_SIDE pixels
STEP = 1.02  # from one size of a screenshot to the next
SHOWN = (128, 144, 160, 192, 256, 320, 384, 512)  # pixels: sides of faces on sheets, and on pages of 1, 1.25, 1.5, 2
PAGE = 2048  # pixels: of a larger page or sheet so much is looked at, from its corner on
ALIKE = 1.08  # sizes: the picture is brought to one of them, and w to the others
BETWEEN = (0.99, 0.995, 1.0, 1.005, 1.01)  # times the likeliest sizes: one that is off by 1 % blurs the mark
LOOKED_AT_AGAIN = 4
WORTH_IT = 0.8  # of the similarity that says that there is a mark: who has less is not looked at again
HALVES = (0.0, 0.5)  # pixels of GRID: as is a place that is off by half a pixel
OUTSIDE = 9  # pixels of GRID by which the mark may be cut off at a side
MISTAKEN = 1e-4  # of pictures without the mark that may be said to have it
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Trace:
    """What a picture shows of the watermark.

    similarity: in [0, 1], the best over all sizes and places; at least one of
        TARGETS in a picture as it was drawn, as a rule.
    chance: the probability of as much in a picture without the mark; the search is counted in, see `chance_of`.
    """

    similarity: float
    chance: float

    @property
    def found(self) -> bool:
        """Whether there is a mark, with at most one wrong answer in 10,000 pictures."""
        return self.chance <= MISTAKEN


def mark(picture: np.ndarray) -> np.ndarray:
    """The picture with the watermark in it, (height, width, 3) uint8 RGB as it came. One that has it already, or that
    is smaller than MIN_SIDE, comes back as it is."""
    side = max(picture.shape[:2])
    target = TARGETS[side < SMALL]
    if min(picture.shape[:2]) < MIN_SIDE or similarity_in_place(picture) >= target:
        return picture
    added = _mask(_grey(picture), side) * _middle(_field(side, side), *picture.shape[:2])
    weakest, strongest = STRENGTHS
    for _ in range(6):  # halves: to 0.025 of 255
        strength = (weakest + strongest) / 2
        if similarity_in_place(_add(picture, strength * added)) >= target:
            strongest = strength
        else:
            weakest = strength
    return _add(picture, strongest * added)


def mark_all(pictures: np.ndarray) -> np.ndarray:
    """As `mark`, of (n, height, width, 3) uint8 RGB."""
    return np.stack([mark(picture) for picture in pictures])


def similarity_in_place(picture: np.ndarray) -> float:
    """How much of the mark there is in a picture that is whole, in [-1, 1]. picture: (height, width, 3) uint8 RGB."""
    small = _resized(_grey(picture), *_sides(picture.shape[0], picture.shape[1], GRID))
    flat, field = _flattened(small), _middle(_field(GRID, GRID), *small.shape)
    return float((flat * field).sum() / (GRID * math.sqrt(float((flat * flat).sum()) + 1e-9)))


def find(picture: np.ndarray) -> Trace:
    """Look for the watermark. picture: (height, width, 3) uint8 RGB, of any size; a marked picture may be a part of it,
    cut by up to OUTSIDE / GRID at each side and scaled; mirrored, if it is nearly all; or, in a screenshot, no narrower
    than a quarter of the longer side, or of one of the sides SHOWN."""
    most, chance = 0.0, 1.0
    for null, similarity in searched(picture):
        most, chance = max(most, similarity), min(chance, chance_of(similarity, null))
        if chance <= SURE:
            break
    return Trace(most, chance)


def searched(picture: np.ndarray) -> Iterator[tuple[Null, float]]:
    """(null, the largest similarity) of one search after the other, as `chance_of` takes them. picture: see `find`."""
    for search in _searches(picture):
        grey = search.grey
        found: dict[Size, float] = {}
        for alike in _alike(search.sizes):
            found |= _similarities(grey, alike[len(alike) // 2], alike, search)
        likeliest = sorted(found, key=lambda size: -found[size])[:LOOKED_AT_AGAIN] if len(found) > 1 else ()
        for size in likeliest:
            if found[size] >= WORTH_IT * _needed(search.null):
                between = [(size[0] * zoom, size[1] * zoom) for zoom in BETWEEN]
                found |= _similarities(grey, size, between, search, HALVES)
        yield search.null, max(found.values(), default=0.0)


SURE = 1e-9
"""Nobody has measured rarer mistakes: `chance_of` says no less."""
Null = tuple[float, float]
NULLS: tuple[Null, ...] = ((0.018, 40.0), (0.0195, 4e3), (0.019, 8e4), (0.019, 2e6))
"""Of each search, (s, n) as `chance_of` takes them."""


def chance_of(similarity: float, null: Null) -> float:
    """The probability that a picture without the mark shows as much in one of the searches, all four counted in:

        min(1, 4 n Q(similarity / s))

    Q is the upper tail of the normal distribution. s, the spread, and n, as many independent places, are a little above
    what fits the largest similarities in real faces, and in sheets of them for the fourth (benchmarks/watermark.py).
    """
    spread, places = null
    tail = 0.5 * math.erfc(similarity / spread / math.sqrt(2))
    return min(1.0, max(SURE, len(NULLS) * places * tail))


@lru_cache(8)
def _needed(null: Null) -> float:
    """The least similarity that is no chance, see `Trace.found`."""
    return next(x for x in np.linspace(0, 1, 1001).tolist() if chance_of(x, null) <= MISTAKEN)


def _kept(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """Keeps results for small pictures; those for large ones are large themselves, and seldom the same."""
    kept = lru_cache(128)(function)
    return lambda *sides: (kept if max(sides) <= 1.2 * WIDEST else function)(*sides)


Size = tuple[float, float]


def _alike(sizes: list[Size]) -> list[list[Size]]:
    """Those of which neither height nor width is more than ALIKE times that of the first."""
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
    """For each size to which a picture is brought the largest similarity over all shifts; 0 where the mark has no room.
    at: the one to which it is brought in truth, w being brought to the others; steps: parts of a pixel by which it is
    shifted besides."""
    outside = search.outside
    flat = _flattened(_resized(grey, *at))
    marks = {size: (GRID * at[0] / size[0], GRID * at[1] / size[1]) for size in sizes}
    found = dict.fromkeys(sizes, 0.0)
    most = max(round(side) for mark in marks.values() for side in mark)
    padded = _fast(max(flat.shape[0] + outside, most)), _fast(max(flat.shape[1] + outside, most))
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
    """null: see `chance_of`; grey: where; outside: pixels of GRID by which the mark may lie outside; mirrored: whether
    it may be; sizes: to which `grey` is brought."""

    null: Null
    grey: np.ndarray
    outside: int
    mirrored: bool
    sizes: list[Size]


def _searches(picture: np.ndarray) -> Iterator[Search]:
    """As it is; cut, with an edge, or stretched; in a screenshot; one of many. What is likelier is looked for in fewer
    places, where less is told from chance."""
    larger = max(picture.shape[:2]) // (4 * WIDEST)
    grey = _grey(np.asarray(Image.fromarray(picture).reduce(larger)) if larger > 1 else picture)
    height, width = grey.shape
    yield Search(NULLS[0], grey, 1, True, [_sides(height, width, GRID)])
    sizes = [_sides(height, width, longer) for longer in CUT]
    if 0.8 < height / width < 1.25:
        sizes += [(float(h), float(w)) for h in STRETCHED for w in STRETCHED if h != w]
    yield Search(NULLS[1], grey, OUTSIDE, True, sizes)
    widest = min(WIDEST, max(height, width) * GRID / MIN_SIDE)
    count = max(0, math.ceil(math.log(widest / CUT.stop) / math.log(STEP)))
    sizes = [_sides(height, width, CUT.stop * STEP**n) for n in range(count)]
    yield Search(NULLS[2], grey, OUTSIDE, False, sizes)
    page = _grey(picture[:PAGE, :PAGE])
    height, width = page.shape
    longers = [max(height, width) * GRID / side for side in SHOWN]
    yield Search(NULLS[3], page, 1, False, [_sides(height, width, longer) for longer in longers if longer > WIDEST])


def _sides(height: int, width: int, longer: float) -> Size:
    scale = longer / max(height, width)
    return height * scale, width * scale


@_kept
def _spectrum(height: int, width: int, outside: int, high: float, wide: float) -> np.ndarray:
    """By which a spectrum is multiplied so that its inverse holds, from its corner on, the products with w that begins
    `outside` pixels before the picture, and so on; what begins before it comes round from the far end, which is 0."""
    field, padded = _field(high, wide), np.zeros((height, width), np.float32)
    padded[: field.shape[0], : field.shape[1]] = field
    return np.asarray(np.conj(np.fft.rfft2(np.roll(padded, (-outside, -outside), (0, 1)))), np.complex64)


@_kept
def _shifts(height: int, width: int, y: float, x: float) -> np.ndarray:
    """By which a spectrum is multiplied to move a picture up and to the left by parts of a pixel."""
    down, right = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    return np.exp(2j * np.pi * (y * down + x * right)).astype(np.complex64)


@_kept
def _under(length: int, outside: int) -> np.ndarray:
    """(places, length) float32: 1 for each pixel that lies under GRID pixels of w, at each place."""
    before = np.arange(length)[None] - (np.arange(length + 2 * outside - GRID + 1) - outside)[:, None]
    return ((before >= 0) & (before < GRID)).astype(np.float32)


@_kept
def _middles(places: int, known: int) -> np.ndarray:
    """Of places for a w that is a little smaller or larger than GRID, those for GRID with about the same middle."""
    return np.clip(np.arange(places) - (places - known) // 2, 0, known - 1)


@_kept
def _field(high: float, wide: float) -> np.ndarray:
    """w, `high` times `wide` pixels: float32, rms 1, as many as there are whole ones. The same waves at every size, as
    far as the pixels carry them: each with one amplitude and a phase of its own, taken at the centres of the pixels."""
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
    """Of a picture that is no square."""
    top, left = (field.shape[0] - height) // 2, (field.shape[1] - width) // 2
    return field[top : top + height, left : left + width]


def _flattened(grey: np.ndarray) -> np.ndarray:
    """y: fine texture alone, of like strength everywhere. grey: (h, w), a mark in it about GRID wide."""
    height, width = grey.shape
    around = grey.take(_mirrored(height, 1, height + 2), 0).take(_mirrored(width, 1, width + 2), 1)
    fine = 4 * grey - around[:-2, 1:-1] - around[2:, 1:-1] - around[1:-1, :-2] - around[1:-1, 2:]
    near = max(0, min(NEARBY, height // 2 - 1, width // 2 - 1))
    roots = _nearby(height, near) @ np.sqrt(abs(fine)) @ _nearby(width, near).T
    return np.asarray(np.clip(fine / (roots * roots + FLOOR), -1, 1), np.float32)


def _mask(grey: np.ndarray, side: int) -> np.ndarray:
    """Where a picture hides noise and how much of it, rms 1: in hair more than on a cheek."""
    texture = _texture(_band(grey, side), side)
    shares = np.clip((texture + 2) / np.sqrt(np.mean((texture + 2) ** 2)), 0.3, 2.5)
    return np.asarray(shares / np.sqrt(np.mean(shares**2)), np.float32)


def _band(grey: np.ndarray, side: int) -> np.ndarray:
    """Frequencies between LOW and HIGH cycles per `side` pixels; mirrored at the borders."""
    height, width = grey.shape
    border = min(math.ceil(side / 8), height - 1, width - 1)
    rows, columns = _fast(height + 2 * border), _fast(width + 2 * border)
    padded = grey.take(_mirrored(height, border, rows), 0).take(_mirrored(width, border, columns), 1)
    band = np.fft.irfft2(np.fft.rfft2(padded) * _gain(rows, columns, side), s=padded.shape)
    return np.asarray(band[border : border + height, border : border + width], np.float32)


@_kept
def _mirrored(length: int, before: int, whole: int) -> np.ndarray:
    """Which pixels a row of `length` has when mirrored at both ends: `before` in front, `whole` in all."""
    return np.pad(np.arange(length), (before, whole - length - before), mode="reflect")


@_kept
def _gain(rows: int, columns: int, side: int) -> np.ndarray:
    frequency = side * np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None])
    soft = 1 / (1 + np.exp(LOW - frequency)) / (1 + np.exp(np.minimum(frequency, 2 * HIGH) - HIGH))
    return np.asarray(soft, np.float32)


def _texture(band: np.ndarray, side: int) -> np.ndarray:
    """The rms of a band nearby: within a tenth of a picture, and mirrored at the borders."""
    near = min(round(side / 12), band.shape[0] // 2 - 1, band.shape[1] // 2 - 1)
    means = _nearby(band.shape[0], near) @ (band * band) @ _nearby(band.shape[1], near).T
    return np.asarray(np.sqrt(means), np.float32)


@_kept
def _nearby(length: int, near: int) -> np.ndarray:
    """(length, length) float32: for each pixel the weights of those nearby, two means over 2 near + 1 in sequence."""
    window = np.ones(2 * near + 1) / (2 * near + 1)
    weights = np.convolve(window, window)
    whose = _mirrored(length, 2 * near, length + 4 * near)
    means = np.zeros((length, length))
    for pixel in range(length):
        np.add.at(means[pixel], whose[pixel : pixel + len(weights)], weights)
    return means.astype(np.float32)


def _grey(picture: np.ndarray) -> np.ndarray:
    return np.asarray(picture.astype(np.float32) @ LUMA)


def _add(picture: np.ndarray, grey: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(picture + grey[..., None]), 0, 255).astype(np.uint8)


def _resized(grey: np.ndarray, height: float, width: float) -> np.ndarray:
    """At that scale exactly: what is left of a pixel at the right and below is cut off."""
    rows, columns = max(1, int(height + 1e-6)), max(1, int(width + 1e-6))
    box = (0, 0, min(columns / width, 1) * grey.shape[1], min(rows / height, 1) * grey.shape[0])
    return np.asarray(Image.fromarray(grey).resize((columns, rows), Image.Resampling.BICUBIC, box))


def _fast(length: int) -> int:
    """The next length whose only factors are 2, 3 and 5: such transforms are quick."""
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 1
