#!/usr/bin/env bash
# PyAV 18.1 (FFmpeg's libopus and its own AAC encoder): one kilobit a second decides whether speech keeps what is above
# 4 kHz.
#
# Who degrades 16 kHz speech by codecs, to train or to measure a speaker encoder, takes a lower rate for more coding
# noise. It is first of all another bandwidth, by steps: Opus at 8 kb/s is a telephone (-20 dB from 4.2 to 5.8 kHz,
# -50 dB from 6.2 kHz on), at 9 kb/s it keeps everything to 7.6 kHz within 1 dB. FFmpeg's AAC is narrower than a telephone
# at 16 kb/s (-50 dB from 4.2 kHz on), ends at 6 kHz with 20, and is whole with 24. So "Opus at 8" and "Opus at 9" are
# different experiments, and AAC at 16 kb/s is worse for voices than Opus at 9.
#
# Exits with 1 if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet av==18.1.0 numpy==2.4.6 scipy==1.17.1
cat > "$folder/bands.py" <<'PYTHON'
"""A made-up voice through each codec and rate: dB that three bands have lost."""

import io
import sys

import av
import numpy as np
from scipy.signal import lfilter

RATE, SECONDS = 16_000, 4
BANDS = ((300, 3_400), (4_200, 5_800), (6_200, 7_600))  # Hz
ASKED = {("libopus", "ogg"): (6, 8, 9, 12), ("aac", "mp4"): (8, 16, 20, 24, 32)}  # kb/s


def voice() -> np.ndarray:
    """Pulses of 100 to 140 Hz through six formants, and a hiss after each of them, as a vowel and a fricative."""
    t = np.arange(SECONDS * RATE) / RATE
    sound = np.diff(np.floor(np.cumsum(120 + 20 * np.sin(np.pi * t)) / RATE), prepend=0.0)
    for hertz, width in ((700, 80), (1200, 100), (2500, 150), (3500, 200), (5200, 300), (6800, 400)):
        r = np.exp(-np.pi * width / RATE)
        sound = lfilter([1], [1, -2 * r * np.cos(2 * np.pi * hertz / RATE), r * r], sound)
    hiss = 0.05 * np.random.default_rng(0).normal(size=len(t))
    return np.where(t % 0.5 < 0.4, 0.4 * sound / np.abs(sound).max(), hiss).astype(np.float32)


def through(sound: np.ndarray, encoder: str, container: str, kilobits: int) -> np.ndarray:
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        options = {"application": "voip"} if encoder == "libopus" else {}
        stream = out.add_stream(encoder, rate=RATE, layout="mono", options=options)
        stream.bit_rate = 1000 * kilobits
        frame = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as given:
        resampler = av.AudioResampler("flt", "mono", RATE)
        parts = [part.to_ndarray()[0] for frame in given.decode(audio=0) for part in resampler.resample(frame)]
    return np.concatenate(parts)[: len(sound)]


def levels(sound: np.ndarray) -> np.ndarray:
    power = np.abs(np.fft.rfft(sound)) ** 2
    hertz = np.fft.rfftfreq(len(sound), 1 / RATE)
    return np.array([10 * np.log10(power[(hertz >= low) & (hertz < high)].sum()) for low, high in BANDS])


sound = voice()
lost = {
    f"{encoder} {rate}": levels(through(sound, encoder, container, rate)) - levels(sound)
    for (encoder, container), rates in ASKED.items()
    for rate in rates
}
print("av", av.__version__, " dB at", *(f"{low}-{high} Hz" for low, high in BANDS))
for name, change in lost.items():
    print(f"{name:>10} kb/s", *(f"{value:7.1f}" for value in change))
narrow = [lost[name][1] < -15 and lost[name][2] < -40 for name in ("libopus 6", "libopus 8", "aac 8", "aac 16")]
whole = [lost[name][1:].min() > -4 for name in ("libopus 9", "libopus 12", "aac 24", "aac 32")]
half = lost["aac 20"][1] > -4 and lost["aac 20"][2] < -40
if not (all(narrow) and all(whole) and half):
    print("changed")
    sys.exit(1)
PYTHON
"$folder/venv/bin/python" "$folder/bands.py"
