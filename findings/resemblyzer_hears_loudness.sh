#!/usr/bin/env bash
# Resemblyzer 0.1.4: the louder a recording is, the more it is somebody else's.
#
# preprocess_wav normalises the volume to -30 dBFS, but only where that makes it louder (increase_only=True). The features of
# the encoder are mel energies without a logarithm, so what is louder than -30 dBFS goes in as it is and moves the vector.
# Three sentences of a synthetic voice at -14 dBFS, a usual level of edited speech, are like the very same samples at
# -30 dBFS by 0.89 (a woman's) and 0.86 (a man's); woman and man are like each other by 0.70. So nearly half of the way
# to a stranger is gain, and what tells two sessions, corpora or microphones apart is in part how loud they are. Below
# -30 dBFS the level is of no account. normalize_volume(wav, -30) beforehand, which goes both ways if not told otherwise,
# makes it so throughout: 1.00.
#
# Exits with 1 if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "setuptools==80.9.0" wheel
"$folder/venv/bin/pip" install --quiet torch==2.13.0 librosa==0.11.0 webrtcvad-wheels==2.0.14.post1 scipy==1.17.1 praat-parselmouth==0.4.7 \
    numpy==2.4.6
"$folder/venv/bin/pip" install --quiet --no-deps resemblyzer==0.1.4
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")

import numpy as np
from parselmouth.praat import call
from resemblyzer import VoiceEncoder, normalize_volume, preprocess_wav

RATE = 16_000
LEVELS = (-40, -30, -24, -20, -17, -14)  # dBFS
TEXT = "The boy was there when the sun rose. A rod is used to catch pink salmon. The source of the huge river is the clear spring."


def voice(name):
    """Praat's own synthetic voice."""
    made = call(call("Create SpeechSynthesizer", "English (America)", name), "To Sound", TEXT, "no")
    return (made[0] if isinstance(made, list) else made).resample(RATE).values[0].astype(np.float32)


def at(sound, decibels):
    scaled = sound * 10 ** (decibels / 20) / np.sqrt((sound**2).mean())
    return scaled.clip(-1, 1).astype(np.float32)


encoder = VoiceEncoder("cpu", verbose=False)
woman, man = voice("Female1"), voice("Male1")
vectors = {
    (name, level): encoder.embed_utterance(preprocess_wav(at(sound, level)))
    for name, sound in (("woman", woman), ("man", man)) for level in LEVELS
}
print("Resemblyzer", version("resemblyzer"))
same = {}
for level in LEVELS:
    same[level] = [float(vectors[name, level] @ vectors[name, -30]) for name in ("woman", "man")]
    other = float(vectors["woman", level] @ vectors["man", level])
    print(f"{level} dBFS: the same samples at -30: {same[level][0]:.3f}, {same[level][1]:.3f}; the two voices: {other:.3f}")
loud, quiet = (encoder.embed_utterance(preprocess_wav(normalize_volume(at(woman, level), -30))) for level in (-14, -30))
print(f"brought to -30 both ways first: {float(loud @ quiet):.3f}")
if min(same[-40]) < 0.999 or max(same[-14]) > 0.95 or float(loud @ quiet) < 0.99:
    sys.exit("changed")
PYTHON
