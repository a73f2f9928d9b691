"""Against sounds whose pitch, formants, loudness and syllables are known because we made them."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ds2f.types import SAMPLE_RATE
from ds2f.voice.acoustics import FEATURES, measure
from helpers import noise, silence, tone

pytest.importorskip("parselmouth", reason="praat-parselmouth is not installed: pip install 'ds2f[acoustics]'")


def vowel(seconds: float, pitch: float | np.ndarray, formants: tuple[float, ...] = (700, 1200, 2500)) -> np.ndarray:
    """Pulses through resonances: (samples,) float32. pitch: Hz, constant or per sample."""
    count = round(seconds * SAMPLE_RATE)
    phase = np.cumsum(np.broadcast_to(pitch, count) / SAMPLE_RATE)
    sound = np.append(np.diff(np.floor(phase)), 0.0)
    for frequency in formants:
        r, angle = np.exp(-np.pi * 80 / SAMPLE_RATE), 2 * np.pi * frequency / SAMPLE_RATE
        a1, a2 = 2 * r * np.cos(angle), -r * r
        out = np.zeros(count + 2)
        for i in range(count):
            out[i + 2] = sound[i] + a1 * out[i + 1] + a2 * out[i]
        sound = out[2:]
    return (0.3 * sound / np.abs(sound).max()).astype(np.float32)


def test_every_feature_is_measured_and_names_its_unit() -> None:
    found = measure(vowel(1.0, 150.0))
    assert list(found) == [feature.name for feature in FEATURES]
    for feature in FEATURES:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", feature.name), "it becomes a column of a table"
        assert feature.name.split("_")[-1] in ("hz", "db", "semitones", "share", "s", "mean", "spread")


@pytest.mark.parametrize("pitch", [110.0, 220.0])
def test_pitch_in_hertz(pitch: float) -> None:
    found = measure(vowel(1.0, pitch))
    assert found["f0_mean_hz"] == pytest.approx(pitch, rel=0.02)
    assert found["f0_median_hz"] == pytest.approx(pitch, rel=0.02)
    assert found["f0_spread_semitones"] < 0.3
    assert found["voiced_share"] > 0.9


def test_spread_in_semitones() -> None:
    octave = np.repeat([120.0, 240.0], SAMPLE_RATE // 2)  # half a second each: 12 semitones apart, 6 about the mean
    found = measure(vowel(1.0, octave))
    assert found["f0_spread_semitones"] == pytest.approx(6.0, abs=0.7)
    assert found["f0_p10_hz"] == pytest.approx(120, rel=0.05)
    assert found["f0_p90_hz"] == pytest.approx(240, rel=0.05)


def test_formants_in_hertz() -> None:
    found = measure(vowel(1.0, 120.0, (500, 1500, 2500, 3500)))
    for k, expected in enumerate((500, 1500, 2500), 1):
        assert found[f"formant{k}_hz"] == pytest.approx(expected, rel=0.12)


def test_loudness_in_decibels_of_full_scale() -> None:
    loud, soft = measure(tone(1.0, 200, 0.5)), measure(tone(1.0, 200, 0.05))
    assert loud["intensity_mean_db"] == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.5)
    assert loud["intensity_mean_db"] - soft["intensity_mean_db"] == pytest.approx(20.0, abs=0.2)


def test_spectrum() -> None:
    assert measure(tone(1.0, 1000))["spectral_centroid_hz"] == pytest.approx(1000, abs=10)
    assert measure(tone(1.0, 300))["spectral_slope_db"] < measure(tone(1.0, 3000))["spectral_slope_db"]


@pytest.mark.parametrize("count", [3, 6])
def test_syllables_per_second(count: int) -> None:
    seconds = 2.0
    beat = np.linspace(0, count, round(seconds * SAMPLE_RATE), endpoint=False) % 1
    envelope = np.clip(np.sin(np.pi * beat), 0.02, None)
    speech = vowel(seconds, 150.0) * envelope.astype(np.float32)
    assert measure(speech)["speaking_rate_per_s"] == pytest.approx(count / seconds, abs=0.01)


def test_noise_and_silence_have_no_pitch() -> None:
    for sound in (noise(1.0), silence(1.0)):
        found = measure(sound)
        assert found["voiced_share"] < 0.2
    assert np.isnan(measure(silence(1.0))["f0_mean_hz"])
    assert np.isnan(measure(silence(1.0))["intensity_mean_db"])
    assert measure(silence(1.0))["speaking_rate_per_s"] == 0.0


def test_a_clean_voice_is_more_harmonic_than_a_hoarse_one() -> None:
    clean = vowel(1.0, 150.0)
    hoarse = clean + noise(1.0, 0.03)
    assert measure(clean)["harmonicity_db"] > measure(hoarse)["harmonicity_db"] + 3
    assert measure(clean)["shimmer_share"] < measure(hoarse)["shimmer_share"]
