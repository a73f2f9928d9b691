"""Converts high dynamic range and wide gamuts to what screens and models expect: BT.709 primaries, a gamma of 2.4.

FFmpeg's swscale can do this too, but needs seconds for its lookup table before the first frame.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from av.video.reformatter import ColorPrimaries, ColorTrc

WHITE = 203.0  # cd/m²: reference white of HDR, ITU-R BT.2408, which becomes the white of SDR
PEAK = 1000.0  # cd/m², peak of the reference display for HLG, ITU-R BT.2100
GAMMA = 2.4  # of SDR displays, ITU-R BT.1886
STEPS = 4096  # of light between black and white, spaced by its square root

# To linear BT.709, row by row: from BT.2020 (ITU-R BT.2087) and from Display P3 (SMPTE EG 432-1).
_BT2020 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)
_P3 = np.array([[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]], np.float32)
GAMUTS = {ColorPrimaries.BT2020: _BT2020, ColorPrimaries.SMPTE431: _P3, ColorPrimaries.SMPTE432: _P3}
HDR = frozenset({ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67})  # PQ and HLG
_LUMA = np.array([0.2627, 0.6780, 0.0593], np.float32)  # of BT.2020


def is_wide(transfer: int, primaries: int) -> bool:
    """Whether colours with these tags exceed what BT.709 can represent."""
    return transfer in HDR or primaries in GAMUTS


def to_sdr(rgb: np.ndarray, transfer: int, primaries: int) -> np.ndarray:
    """(h, w, 3) uint16 RGB, coded by `transfer` and `primaries` (ISO/IEC 23091-2), to (h, w, 3) uint8 SDR.

    Reference white and anything brighter becomes white; faces are darker, and keep the brightness that an SDR camera
    would have given them.
    """
    gamut = GAMUTS.get(ColorPrimaries(primaries) if primaries in GAMUTS else ColorPrimaries.BT2020)
    if primaries not in GAMUTS and transfer not in HDR:
        gamut = None
    rows = max(1, 2**20 // rgb.shape[1])  # in blocks, so that an 8K frame is never in memory as floats
    return np.concatenate([_part(rgb[at : at + rows], transfer, gamut) for at in range(0, len(rgb), rows)])


def _part(rgb: np.ndarray, transfer: int, gamut: np.ndarray | None) -> np.ndarray:
    light = _light(transfer)[rgb]  # relative to white
    if transfer == ColorTrc.ARIB_STD_B67:
        light *= np.maximum(light @ _LUMA, 1e-6)[..., None] ** 0.2 * np.float32(PEAK / WHITE)
    if gamut is not None:
        light = light @ gamut.T
    return _coded()[(np.sqrt(np.clip(light, 0, 1)) * (STEPS - 1)).astype(np.int32)]


@cache
def _light(transfer: int) -> np.ndarray:
    """16-bit signal to light: (65536,) float32, 1 = white; for HLG, to scene light, before its system gamma."""
    signal = np.arange(65536) / 65535
    if transfer == ColorTrc.SMPTE2084:
        # L = 10000 (max(N^(1/m2) - c1, 0) / (c2 - c3 N^(1/m2)))^(1/m1) cd/m²   (SMPTE ST 2084)
        root = signal ** (32 / 2523)
        light = (np.maximum(root - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * root)) ** (16384 / 2610) * 10_000 / WHITE
    elif transfer == ColorTrc.ARIB_STD_B67:
        # E = N²/3 up to 1/2, then (exp((N - c)/a) + b)/12; L = 1000 Y^0.2 E cd/m²   (ITU-R BT.2100)
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    else:
        light = signal**GAMMA
    return light.astype(np.float32)


@cache
def _coded() -> np.ndarray:
    """Square root of light, in STEPS, to SDR: (STEPS,) uint8."""
    return np.round(255 * np.linspace(0, 1, STEPS) ** (2 / GAMMA)).astype(np.uint8)
