#!/usr/bin/env bash
# PyAV 18: how loud two equal channels are as one depends on the sample format that is asked for, and nothing else.
#
# AudioResampler(layout="mono") of a stereo frame whose channels are both a sine of 0.5 gives a sine of 0.5 as s16, and of
# 0.707 as flt or fltp: FFmpeg's matrix is 1/sqrt(2) for each side, and is made to sum to one only where whole numbers
# come out. A stereo recording near full scale is at 1.4 then, and is clipped by whoever turns it into 16 bits later; the
# same voice, once mono and once stereo, is 3 dB apart in speaker embeddings. Channels of opposite sign, as a cable wired
# the wrong way records them, are silence either way. librosa, soundfile's users and torchaudio's examples take the mean.
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
sine = (0.5 * np.sin(np.arange(16_000) / 10)).astype(np.float32)


def mono(left, right, form):
    frame = av.AudioFrame.from_ndarray(np.stack([left, right]), format="fltp", layout="stereo")
    frame.sample_rate = 16_000
    resampler = av.AudioResampler(format=form, layout="mono", rate=16_000)
    made = np.concatenate([f.to_ndarray()[0] for f in (*resampler.resample(frame), *resampler.resample(None))])
    return float(np.abs(made).max()) / (32768 if form == "s16" else 1)


found = {form: (mono(sine, sine, form), mono(sine, -sine, form)) for form in ("s16", "flt", "fltp")}
for form, (equal, opposite) in found.items():
    print(f"{form:5} two equal channels of 0.5: {equal:.3f}; opposite ones: {opposite:.3f}")
wanted = {"s16": 0.5, "flt": 0.7071, "fltp": 0.7071}
if any(abs(found[form][0] - level) > 0.001 or found[form][1] > 0.001 for form, level in wanted.items()):
    sys.exit("changed")
PYTHON
