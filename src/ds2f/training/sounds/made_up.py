"""Synthetic noise, music and rooms, for users without recordings of them: (samples,), from a generator."""

from __future__ import annotations

import numpy as np

from ds2f.types import SAMPLE_RATE

FADE = np.log(1000.0)  # of the amplitude: 60 dB


def noise(samples: int, rng: np.random.Generator) -> np.ndarray:
    """Coloured noise, from white to brown, with varying loudness; sometimes with mains hum."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    colour = rng.uniform(0, 1)
    sound = np.fft.irfft(spectrum * (1 + np.arange(spectrum.size)) ** -colour, samples)
    slow = np.interp(np.linspace(0, 1, samples), np.linspace(0, 1, 8), rng.uniform(0.3, 1, 8))
    sound = sound * slow / (np.abs(sound).std() + 1e-9)
    if rng.random() < 0.25:
        sound = sound + hum(samples, rng) * rng.uniform(0.5, 3)
    return sound


def hum(samples: int, rng: np.random.Generator) -> np.ndarray:
    """50 or 60 Hz and its harmonics."""
    time, base = np.arange(samples) / SAMPLE_RATE, rng.choice([50.0, 60.0])
    strength = rng.uniform(0, 1, 8) / np.arange(1, 9)
    return np.sum([a * np.sin(2 * np.pi * base * k * time + 6 * a) for k, a in enumerate(strength, 1)], axis=0)


def music(samples: int, rng: np.random.Generator) -> np.ndarray:
    """Chords of plucked strings, several a second, in one scale."""
    sound = np.zeros(samples)
    scale = 55 * 2 ** (rng.integers(0, 12) / 12 + np.array([0, 2, 4, 5, 7, 9, 11]) / 12)
    start = 0
    while start < samples:
        time = np.arange(samples - start) / SAMPLE_RATE
        for pitch in rng.choice(scale, 3) * 2.0 ** rng.integers(0, 4, 3):
            tone = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 6) if pitch * k < SAMPLE_RATE / 2)
            sound[start:] += tone * np.exp(-time * rng.uniform(2, 8))
        start += int(SAMPLE_RATE * rng.uniform(0.15, 0.6))
    return sound


def room(rng: np.random.Generator) -> np.ndarray:
    """A room impulse response: the direct sound, followed by decaying noise (Polack 1988; RT60 of 0.1 to 0.9 s):

    h(t) = δ(t) + g n(t) e^{−t ln 1000 / RT60},   n ~ N(0, 1),   g from the ratio of direct to reverberant sound
    """
    fade = rng.uniform(0.1, 0.9)
    time = np.arange(1, round(SAMPLE_RATE * min(fade, 0.5))) / SAMPLE_RATE
    tail = rng.standard_normal(time.size) * np.exp(-time * FADE / fade)
    tail[: int(SAMPLE_RATE * rng.uniform(0.001, 0.01))] = 0  # the nearest wall
    ratio = 10 ** (rng.uniform(-3, 12) / 20)
    return np.concatenate([[1.0], tail / (np.linalg.norm(tail) * ratio + 1e-9)])
