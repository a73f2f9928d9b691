#!/usr/bin/env bash
# PyAV 18: the resampler gives nothing at all for sound that is shorter than its filter, flushed or not, and says nothing.
#
# 21 samples of 8 kHz (2.6 ms), brought to 16 kHz and flushed by resample(None), end as no frame and no error; 22 give
# 34 of 44, 31 all of their 62. At 44.1 and 48 kHz it is 61 and 66 samples. Flushing is what is said to give the rest;
# joining the frames of an empty list is then the crash that users meet. Who resamples short packets or cuts one by one,
# each with a resampler of its own, loses them or their ends; who joins first and resamples then does not.
#
# Exits with 1 if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet av==18.1.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import av
import numpy as np

print("PyAV", av.__version__, "libswresample", ".".join(map(str, av.library_versions["libswresample"])))


def resampled(samples: int, rate: int) -> int:
    """Samples at 16 kHz that come of so many at `rate`, flushed."""
    frame = av.AudioFrame.from_ndarray(np.full((1, samples), 0.5, np.float32), format="flt", layout="mono")
    frame.sample_rate = rate
    resampler = av.AudioResampler(format="flt", layout="mono", rate=16_000)
    return sum(made.samples for made in (*resampler.resample(frame), *resampler.resample(None)))


for rate in (8_000, 44_100, 48_000):
    first = next(n for n in range(1, 1000) if resampled(n, rate))
    print(f"{rate} Hz: up to {first - 1} samples give 0; {first} give {resampled(first, rate)}; "
          f"{first} samples last as long as {first * 16_000 / rate:.1f} at 16 kHz")
lost, cut, whole = [[resampled(n, 8_000) for n in some] for some in ((1, 8, 21), (22,), (31, 32))]
print("of 8 kHz 1, 8, 21 samples give", lost, "| 22 give", cut, "| 31 and 32 give", whole)
if any(lost) or not 0 < cut[0] < 44 or whole != [62, 64]:
    sys.exit("changed: short sound is no longer swallowed")
PYTHON
