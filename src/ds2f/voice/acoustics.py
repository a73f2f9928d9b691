"""Acoustic features of speech by Praat (Boersma & Weenink), the reference software of phonetics, through
praat-parselmouth.

The extra `acoustics` is GPL-3, so it is optional and only imported if features are requested. librosa, which
Resemblyzer depends on, computes pitch (pYIN, 20 times slower) and spectra, but neither formants nor voice quality.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ds2f.io.extras import optional
from ds2f.types import SAMPLE_RATE

FLOOR, CEILING = 60.0, 500.0  # Hz: pitch search range for adults and children
FORMANT_CEILING = 5500.0  # Hz, Praat's value for women; a compromise if the sex is unknown
SHORTEST = 0.2  # seconds: Praat's longest window, that of intensity, and a little more
SYLLABLE_DIP = 2.0  # dB by which the intensity must fall between two syllables (de Jong & Wempe 2009)
SYLLABLE_FLOOR = 25.0  # dB below the loudest moment, under which there is no syllable
MFCCS = 12


@dataclass(frozen=True)
class Feature:
    """One column of the table `acoustics`. name ends with the unit."""

    name: str
    meaning: str


FEATURES: tuple[Feature, ...] = (
    Feature("f0_mean_hz", "mean pitch of voiced frames"),
    Feature("f0_median_hz", "median pitch"),
    Feature("f0_p10_hz", "pitch under which a tenth of the voiced frames lie"),
    Feature("f0_p90_hz", "pitch over which a tenth of them lie"),
    Feature("f0_spread_semitones", "standard deviation of the pitch, in semitones"),
    Feature("voiced_share", "share of frames with a pitch"),
    *(Feature(f"formant{k}_hz", f"median of the formant F{k} over voiced frames") for k in (1, 2, 3, 4)),
    Feature("intensity_mean_db", "mean intensity, dB relative to full scale"),
    Feature("intensity_spread_db", "standard deviation of the intensity"),
    Feature("spectral_centroid_hz", "centre of gravity of the spectrum"),
    Feature("spectral_spread_hz", "standard deviation of the spectrum round it"),
    Feature("spectral_slope_db", "energy over 1 kHz less that under 1 kHz"),
    Feature("harmonicity_db", "harmonics to noise ratio of voiced frames"),
    Feature("jitter_share", "local jitter: change of the period from cycle to cycle"),
    Feature("shimmer_share", "local shimmer: change of the amplitude from cycle to cycle"),
    Feature("speaking_rate_per_s", "syllable nuclei per second"),
    *(Feature(f"mfcc{k}_mean", f"mean of mel cepstral coefficient {k}") for k in range(1, MFCCS + 1)),
    *(Feature(f"mfcc{k}_spread", f"its standard deviation, coefficient {k}") for k in range(1, MFCCS + 1)),
)


def praat() -> Any:
    """The package `parselmouth`. Raises UserError if it is not installed."""
    return optional("parselmouth", "acoustics", "[audio] acoustics")


def measure(audio: np.ndarray) -> dict[str, float]:
    """(samples,) float32 16 kHz speech to {feature name: value} for all FEATURES, NaN where not measurable.

    Raises UserError if praat-parselmouth is not installed.
    """
    parselmouth = praat()
    if audio.size < SHORTEST * SAMPLE_RATE:
        return {feature.name: np.nan for feature in FEATURES}
    sound = parselmouth.Sound(np.asarray(audio, np.float64), SAMPLE_RATE)
    pitch = sound.to_pitch_ac(time_step=0.01, pitch_floor=FLOOR, pitch_ceiling=CEILING)
    f0 = pitch.selected_array["frequency"]
    values = {
        **_pitch(f0),
        **_formants(sound, pitch, f0),
        **_loudness(sound),
        **_spectrum(sound),
        **_voice_quality(parselmouth, sound, pitch),
        "speaking_rate_per_s": len(syllables(sound, pitch)) / sound.duration,
        **_mfcc(sound),
    }
    return {feature.name: float(values[feature.name]) for feature in FEATURES}


def _pitch(f0: np.ndarray) -> dict[str, float]:
    voiced = f0[f0 > 0]
    if not voiced.size:
        names = ("f0_mean_hz", "f0_median_hz", "f0_p10_hz", "f0_p90_hz", "f0_spread_semitones")
        return {**dict.fromkeys(names, np.nan), "voiced_share": 0.0}
    low, median, high = np.percentile(voiced, (10, 50, 90))
    return {
        "f0_mean_hz": voiced.mean(),
        "f0_median_hz": median,
        "f0_p10_hz": low,
        "f0_p90_hz": high,
        "f0_spread_semitones": (12 * np.log2(voiced)).std(),
        "voiced_share": voiced.size / f0.size,
    }


def _formants(sound: Any, pitch: Any, f0: np.ndarray) -> dict[str, float]:
    formants = sound.to_formant_burg(time_step=0.01, max_number_of_formants=5, maximum_formant=FORMANT_CEILING)
    times = pitch.xs()[f0 > 0]
    found = {}
    for k in (1, 2, 3, 4):
        values = np.array([formants.get_value_at_time(k, t) for t in times])
        values = values[np.isfinite(values)]
        found[f"formant{k}_hz"] = np.median(values) if values.size else np.nan
    return found


def _loudness(sound: Any) -> dict[str, float]:
    # Praat's decibels are relative to 2e-5 Pa with samples taken as pascals; full scale is 1.
    decibels = sound.to_intensity(minimum_pitch=FLOOR).values[0] + 20 * np.log10(2e-5)
    heard = decibels[decibels > -200]
    if not heard.size:
        return {"intensity_mean_db": np.nan, "intensity_spread_db": np.nan}
    return {"intensity_mean_db": heard.mean(), "intensity_spread_db": heard.std()}


def _spectrum(sound: Any) -> dict[str, float]:
    spectrum = sound.to_spectrum()
    low, high = spectrum.get_band_energy(0, 1000), spectrum.get_band_energy(1000, 5000)
    slope = 10 * np.log10(high / low) if low > 0 and high > 0 else np.nan
    return {
        "spectral_centroid_hz": spectrum.get_centre_of_gravity(power=2),
        "spectral_spread_hz": spectrum.get_standard_deviation(power=2),
        "spectral_slope_db": slope,
    }


def _voice_quality(parselmouth: Any, sound: Any, pitch: Any) -> dict[str, float]:
    harmonicity = sound.to_harmonicity_cc(time_step=0.01, minimum_pitch=FLOOR).values
    voiced = harmonicity[harmonicity > -200]  # Praat's value for a frame without pitch
    pulses = parselmouth.praat.call([sound, pitch], "To PointProcess (cc)")
    periods = (0, 0, 0.0001, 0.02, 1.3)  # all of it; periods of 0.1 to 20 ms, at most 1.3 times their neighbours
    return {
        "harmonicity_db": voiced.mean() if voiced.size else np.nan,
        "jitter_share": parselmouth.praat.call(pulses, "Get jitter (local)", *periods),
        "shimmer_share": parselmouth.praat.call([sound, pulses], "Get shimmer (local)", *periods, 1.6),
    }


def syllables(sound: Any, pitch: Any) -> list[float]:
    """Times in seconds of syllable nuclei: voiced intensity peaks preceded by a dip.

    After de Jong & Wempe, "Praat script to detect syllable nuclei and measure speech rate automatically", Behavior
    Research Methods 41(2), 2009.
    """
    intensity = sound.to_intensity(minimum_pitch=50.0)
    times, decibels = intensity.xs(), intensity.values[0]
    floor = np.percentile(decibels, 99) - SYLLABLE_FLOOR
    inner = decibels[1:-1]
    peaks = np.flatnonzero((inner > decibels[:-2]) & (inner >= decibels[2:]) & (inner > floor)) + 1
    nuclei: list[int] = []
    for peak in peaks:
        if nuclei and decibels[nuclei[-1] : peak + 1].min() > decibels[peak] - SYLLABLE_DIP:
            if decibels[peak] > decibels[nuclei[-1]]:
                nuclei[-1] = int(peak)  # no dip between them: one syllable, whose louder moment this is
        else:
            nuclei.append(int(peak))
    return [float(times[i]) for i in nuclei if pitch.get_value_at_time(times[i]) > 0]


def _mfcc(sound: Any) -> dict[str, float]:
    coefficients = sound.to_mfcc(number_of_coefficients=MFCCS).to_array()[1:]  # the first coefficient is loudness
    means = {f"mfcc{k}_mean": row.mean() for k, row in enumerate(coefficients, 1)}
    return means | {f"mfcc{k}_spread": row.std() for k, row in enumerate(coefficients, 1)}
