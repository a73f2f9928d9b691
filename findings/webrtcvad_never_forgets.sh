#!/usr/bin/env bash
# webrtcvad (webrtcvad-wheels 2.0.14, and webrtcvad 2.0.10): how much speech is found in a recording depends on the recording before.
#
# A Vad keeps a model of noise and of speech that goes on learning, and has nothing by which to start anew: no reset, and
# set_mode() does not. Who makes one Vad and goes through a corpus with it carries the noise of one file into the next. Quiet
# speech of 16 s (-50 dBFS; RAVDESS lies around -44): a fresh Vad finds speech in 61 % of its frames, one that has
# heard 5 s of noise at -20 dBFS before in 43 %, after 30 s in 3 %; to the end of the recording, it does not recover. Speech
# at -30 dBFS goes from 89 to 85 %. So which files have "too little speech" depends on the order in which they are listed
# and on the number of workers. A new Vad for each recording costs microseconds (Resemblyzer makes one).
#
# Exits with 1 if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet webrtcvad-wheels==2.0.14.post1 praat-parselmouth==0.4.7 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import webrtcvad
from parselmouth.praat import call

RATE, FRAME = 16_000, 480
TEXT = "The boy was there when the sun rose. A rod is used to catch pink salmon. The source of the huge river is the clear spring."


def voice(name):
    """Praat's own synthetic voice, peak at full scale."""
    made = call(call("Create SpeechSynthesizer", "English (America)", name), "To Sound", TEXT, "no")
    sound = (made[0] if isinstance(made, list) else made).resample(RATE).values[0]
    return sound / np.abs(sound).max()


def frames(vad, sound):
    data = (np.clip(sound, -1, 1) * 32767).astype("<i2")
    return np.array([vad.is_speech(data[i : i + FRAME].tobytes(), RATE) for i in range(0, len(data) - FRAME, FRAME)])


speech = np.concatenate([voice("Female1"), voice("Male1")])
rng = np.random.default_rng(0)
print("webrtcvad-wheels", version("webrtcvad-wheels"), f"; {len(speech) / RATE:.0f} s of speech")
found = {}
for decibels in (-30, -50):
    said = speech * 10 ** (decibels / 20) / np.sqrt((speech**2).mean())
    for seconds in (0, 5, 30, 120):
        vad = webrtcvad.Vad(3)
        frames(vad, 0.1 * rng.normal(size=seconds * RATE))
        vad.set_mode(3)
        found[decibels, seconds] = frames(vad, said)
        late = found[decibels, seconds] != found[decibels, 0]
        last = (np.flatnonzero(late)[-1] + 1) * FRAME / RATE if late.any() else 0
        print(f"speech at {decibels} dBFS after {seconds:3} s of noise at -20 dBFS: {found[decibels, seconds].mean():4.0%} of "
              f"the frames; the last that differs at {last:.1f} s")
if not (found[-50, 0].mean() > 0.5 and found[-50, 120].mean() < 0.1):
    sys.exit("changed")
PYTHON
