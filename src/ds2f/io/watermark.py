"""A watermark that one does not see: whether a picture was drawn by ds2f, still known after JPEG, scaling and cutting.

It says one thing, "drawn by ds2f", and names neither voice nor person nor installation (a zero-bit mark). A fixed field
of noise w between LOW and HIGH cycles per picture is added to all three colours, more of it where a picture has texture
(spread spectrum with a perceptual mask; Cox et al. 1997, doi:10.1109/83.650120). As it is tied to the picture and not
to its pixels, it scales with it. To look for it, a picture is freed of what all pictures have, coarse light and its own
texture, and correlated with w at all sizes and places at which w may lie:

    y = h * g / (rms of h * g nearby + FLOOR)        h: grey values, g: |f|^WHITEN between LOW and HIGH, else 0
    similarity = max over sizes and shifts of  <y, w> / (|y| |w|)

The embedder knows the picture that it marks (Miller et al. 2004, doi:10.1109/TIP.2003.821551): it chooses for each the
least strength with which the similarity, after rounding to 8 bits, is one of TARGETS.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from PIL import Image

LOW, HIGH = 12.0, 28.0  # cycles per side of a marked picture
KEY = 20261129
WHITEN = 2.0  # faces have amplitudes of about 1 / f^2
FLOOR = 1.0  # of 255, before whitening: so that even areas count for little
GRID = 64  # pixels of a marked picture where it is looked for: a little more than twice HIGH
TARGETS = (0.30, 0.40)  # similarity of a marked picture; the second below SMALL pixels, where JPEG takes more of it
SMALL = 96
STRENGTHS = (1.1, 2.4)  # of 255, rms over the picture; the least is chosen that reaches the target
MIN_SIDE = 48  # pixels; what is smaller cannot hold it and stays unmarked
CUT = range(56, 73)  # pixels of the longer side where GRID is the mark: of a picture cut by up to 13 %, or with an edge
STRETCHED = (58, 60, 62, 64)  # sides of a picture that was cut at one side and made square again
WIDEST = 270  # as CUT, of a screenshot: the mark is no narrower than a quarter of it
BETWEEN = (
    0.992,
    0.996,
    1.004,
    1.008,
)  # of the LOOKED_AT_AGAIN likeliest sizes: a size that is off by 1 % blurs the mark
LOOKED_AT_AGAIN = 4
HALVES = (0.0, 0.5)  # pixels of GRID: as is a place that is off by half a pixel
OUTSIDE = 9  # pixels of GRID by which the mark may be cut off at a side
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
        return self.chance <= 1e-4


def mark(picture: np.ndarray) -> np.ndarray:
    """The picture with the watermark in it, (height, width, 3) uint8 RGB as it came. One that has it already, or that
    is smaller than MIN_SIDE, comes back as it is."""
    side = max(picture.shape[:2])
    target = TARGETS[side < SMALL]
    if min(picture.shape[:2]) < MIN_SIDE or similarity_in_place(picture) >= target:
        return picture
    added = _mask(_grey(picture), side) * _middle(_field(side), *picture.shape[:2])
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
    flat, field = _flattened(small), _middle(_field(GRID), *small.shape)
    return float((flat * field).sum() / (GRID * math.sqrt(float((flat * flat).sum()) + 1e-9)))


def find(picture: np.ndarray) -> Trace:
    """Look for the watermark. picture: (height, width, 3) uint8 RGB, of any size; a marked picture may be a part of it,
    cut by up to OUTSIDE / GRID at each side, scaled, mirrored, and no narrower than a quarter of the longer side."""
    larger = max(picture.shape[:2]) // (4 * WIDEST)
    shrunk = np.asarray(Image.fromarray(picture).reduce(larger)) if larger > 1 else picture
    grey, most, chance = _grey(shrunk), 0.0, 1.0
    for tries, outside, sizes in _searches(*grey.shape):
        found = {size: _at(grey, size, outside) for size in sizes}
        if len(found) > 1:
            likeliest = sorted(found, key=lambda size: -found[size])[:LOOKED_AT_AGAIN]
            between = [(height * zoom, width * zoom) for height, width in likeliest for zoom in BETWEEN]
            found |= {size: _at(grey, size, outside, HALVES) for size in (*likeliest, *between)}
        largest = max(found.values())
        most, chance = max(most, largest), min(chance, chance_of(largest, tries))
        if chance <= SURE:
            break
    return Trace(most, chance)


SURE = 1e-9
"""Nobody has measured rarer mistakes: `chance_of` says no less."""
SPREAD = 0.0225
TRIES = (40.0, 2.5e5, 3.4e7)


def chance_of(similarity: float, tries: float) -> float:
    """The probability that a picture without the mark shows as much in one of the searches, all three counted in:

        min(1, 3 n Q(similarity / s))

    Q is the upper tail of the normal distribution; s and n, as many independent places as `tries` says, are fitted to
    the largest similarities in real faces (benchmarks/watermark.py), and n is then 17 times as much in the last
    two, for the sizes and places between that are looked at again: no more than four times four to each that always is.
    """
    tail = 0.5 * math.erfc(similarity / SPREAD / math.sqrt(2))
    return min(1.0, max(SURE, len(TRIES) * tries * tail))


Size = tuple[float, float]


def _at(grey: np.ndarray, size: Size, outside: int, steps: tuple[float, ...] = (0.0,)) -> float:
    """The largest similarity, 0 where the mark has no room."""
    fits = int(min(size)) + 2 * outside >= GRID
    return _most(_flattened(_resized(grey, *size)), outside, steps) if fits else 0.0


def _searches(height: int, width: int) -> Iterator[tuple[float, int, list[Size]]]:
    """(tries, pixels by which the mark may lie outside, sizes to bring a picture to): as it is; cut, with an edge, or
    stretched; in a screenshot. What is likelier is looked for in fewer places, where less is told from chance."""
    yield TRIES[0], 1, [_sides(height, width, GRID)]
    sizes = [_sides(height, width, longer) for longer in CUT]
    if 0.8 < height / width < 1.25:
        sizes += [(float(h), float(w)) for h in STRETCHED for w in STRETCHED if h != w]
    yield TRIES[1], OUTSIDE, sizes
    longer = CUT.stop
    sizes = []
    while longer < WIDEST:
        sizes.append(_sides(height, width, longer))
        longer += max(1, longer // 64)
    yield TRIES[2], OUTSIDE, sizes


def _sides(height: int, width: int, longer: int) -> Size:
    scale = longer / max(height, width)
    return height * scale, width * scale


def _most(flat: np.ndarray, outside: int, steps: tuple[float, ...] = (0.0,)) -> float:
    """The largest similarity over all shifts, and mirrored; flat: (h, w) as `_flattened` gives it; steps: parts of a
    pixel by which it is shifted besides."""
    height, width = flat.shape[0] + 2 * outside, flat.shape[1] + 2 * outside
    padded = np.zeros((_fast(height), _fast(width)), np.float32)
    padded[outside : outside + flat.shape[0], outside : outside + flat.shape[1]] = flat
    rows, columns = height - GRID + 1, width - GRID + 1
    energies = _sums(padded * padded, GRID)[:rows, :columns]
    least = 0.1 * GRID * GRID  # an even area has no texture to compare with
    lengths = GRID * np.sqrt(np.maximum(energies, least))
    spectrum, most = np.fft.rfft2(padded), 0.0
    down, right = np.fft.fftfreq(padded.shape[0])[:, None], np.fft.rfftfreq(padded.shape[1])[None]
    for mirrored, y, x in product((False, True), steps, steps):
        moved = spectrum * np.exp(2j * np.pi * (y * down + x * right)) if y or x else spectrum
        products = np.fft.irfft2(moved * _spectrum(*padded.shape, mirrored), s=padded.shape)
        most = max(most, float((products[:rows, :columns] / lengths).max()))
    return most


@lru_cache(256)
def _spectrum(height: int, width: int, mirrored: bool) -> np.ndarray:
    field = np.zeros((height, width), np.float32)
    field[:GRID, :GRID] = _field(GRID)[:, ::-1] if mirrored else _field(GRID)
    return np.asarray(np.conj(np.fft.rfft2(field)), np.complex64)


@lru_cache(16)
def _field(side: int) -> np.ndarray:
    """w: (side, side) float32, rms 1. The same waves at every size, as far as the pixels carry them: each with one
    amplitude and a phase of its own, taken at the centres of the pixels."""
    most = math.ceil(HIGH)
    phases = np.random.Generator(np.random.PCG64(KEY)).uniform(0, 2 * np.pi, (2 * most + 1, most + 1))
    down, right = np.mgrid[-most : most + 1, 0 : most + 1]
    frequency = np.hypot(down, right)
    kept = (frequency >= LOW) & (frequency <= HIGH) & (2 * abs(down) < side) & (2 * right < side)
    waves = np.exp(1j * (phases + np.pi * (down + right) / side))[kept]
    spectrum = np.zeros((side, side // 2 + 1), np.complex128)
    spectrum[down[kept] % side, right[kept]] = waves
    field = np.fft.irfft2(spectrum, s=(side, side))
    return np.asarray(field / field.std(), np.float32)


def _middle(field: np.ndarray, height: int, width: int) -> np.ndarray:
    """Of a picture that is no square."""
    top, left = (field.shape[0] - height) // 2, (field.shape[1] - width) // 2
    return field[top : top + height, left : left + width]


def _flattened(grey: np.ndarray) -> np.ndarray:
    """y: the band of the mark alone, of like strength everywhere. grey: (h, w), a mark in it GRID wide."""
    band = _band(grey, GRID, WHITEN)
    return np.asarray(band / (_texture(band, GRID) + FLOOR), np.float32)


def _mask(grey: np.ndarray, side: int) -> np.ndarray:
    """Where a picture hides noise and how much of it, rms 1: in hair more than on a cheek."""
    texture = _texture(_band(grey, side, 0.0), side)
    shares = np.clip((texture + 2) / np.sqrt(np.mean((texture + 2) ** 2)), 0.3, 2.5)
    return np.asarray(shares / np.sqrt(np.mean(shares**2)), np.float32)


def _band(grey: np.ndarray, side: int, whiten: float) -> np.ndarray:
    """Frequencies between LOW and HIGH cycles per `side` pixels, times |f|^whiten; mirrored at the borders."""
    height, width = grey.shape
    border = min(math.ceil(side / 8), height - 1, width - 1)
    rows, columns = _fast(height + 2 * border), _fast(width + 2 * border)
    after = (border, rows - height - border), (border, columns - width - border)
    padded = np.pad(grey, after, mode="reflect")
    band = np.fft.irfft2(np.fft.rfft2(padded) * _gain(rows, columns, side, whiten), s=padded.shape)
    return np.asarray(band[border : border + height, border : border + width], np.float32)


@lru_cache(256)
def _gain(rows: int, columns: int, side: int, whiten: float) -> np.ndarray:
    frequency = side * np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None])
    soft = 1 / (1 + np.exp(LOW - frequency)) / (1 + np.exp(frequency - HIGH))
    return np.asarray(soft * (frequency / math.sqrt(LOW * HIGH)) ** whiten, np.float32)


def _texture(band: np.ndarray, side: int) -> np.ndarray:
    """The rms of a band nearby: within a tenth of a picture."""
    near = min(round(side / 12), band.shape[0] // 2 - 1, band.shape[1] // 2 - 1)
    window = 2 * near + 1
    around = np.pad(band * band, 2 * near, mode="reflect")
    means = _sums(_sums(around, window), window) / window**4
    return np.sqrt(np.maximum(means, 0)).astype(np.float32)


def _sums(values: np.ndarray, window: int) -> np.ndarray:
    """Of all squares of window x window: (h, w) to (h - window + 1, w - window + 1)."""
    totals = np.pad(values, ((1, 0), (1, 0))).cumsum(0, np.float64).cumsum(1)
    down = totals[window:] - totals[:-window]
    return np.asarray(down[:, window:] - down[:, :-window])


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
