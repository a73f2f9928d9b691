"""Patch artifacts: how much of the energy in drawn skin lies at the period of the decoder's patches."""

from __future__ import annotations

import numpy as np

PLACES = ((0.44, 0.285), (0.56, 0.285), (0.31, 0.58), (0.69, 0.58))
"""Centres of squares of skin in a canonical crop, x and y as fractions of its side: forehead and cheeks."""
PERIODS = 2  # per square: every other of its frequencies is a multiple of the pattern's, the rest lie between
HARMONICS = 2  # half of the period is the last that the eye distinguishes from grain
FLOOR = 1e-3  # added to the power; a hundredth of the effect of rounding to integers
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def log_spectra(pictures: np.ndarray, period: int) -> np.ndarray:
    """Log power of the luminance of skin, averaged over some squares: (n, s, s) float64, s = 2 period, by frequencies k
    / s, vertical and horizontal, in the order of `numpy.fft.fft2`.

    pictures: (n, size, size, 3) uint8 RGB, canonical crops; those with an edge in a square are included, since no
        single one has much effect on a mean of logarithms.
    period: of the pattern, in pixels.
    """
    side = PERIODS * period
    grey = pictures @ LUMA
    found = np.zeros((len(grey), side, side))
    for x, y in PLACES:
        left, top = (round(share * grey.shape[1]) - side // 2 for share in (x, y))
        skin = _flat(grey[:, top : top + side, left : left + side])
        found += np.log(np.abs(np.fft.fft2(skin)) ** 2 / side**2 + FLOOR)
    return found / len(PLACES)


def pattern_energy(drawn: np.ndarray, real: np.ndarray) -> float:
    """How much more energy drawn skin has at the period of a pattern and half of it than at neighbouring frequencies,
    relative to real skin; 1 = no pattern.

    Drawn skin is softer than real skin at all frequencies, so it is compared with itself. With the power spectra S,
    geometric means over pictures, and R = S_drawn / S_real,

        mean over (u, v) of  R(u, v) / R̄(u, v),   u, v ∈ {0, ±1/p, ±2/p}, not both 0,   p = period

    where R̄ is the geometric mean of R at the eight surrounding frequencies, 1 / 2p away in either direction or both.

    drawn, real: (n, s, s) and (m, s, s), of `log_spectra`.
    """
    ratio = drawn.mean(0) - real.mean(0)
    around = [np.roll(ratio, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
    excess = np.exp(ratio - np.mean(around, 0))
    at = PERIODS * np.arange(-HARMONICS, HARMONICS + 1)
    on_grid = excess[at[:, None], at].ravel()
    return float(np.delete(on_grid, len(on_grid) // 2).mean())


def _flat(squares: np.ndarray) -> np.ndarray:
    """(n, s, s) minus the best-fitting quadratic surface: shading across the square would leak into all frequencies."""
    side = squares.shape[1]
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j].reshape(2, -1)
    surface = np.linalg.qr(np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], 1))[0]
    rows = squares.reshape(len(squares), -1)
    flat: np.ndarray = (rows - rows @ surface @ surface.T).reshape(squares.shape)
    return flat
