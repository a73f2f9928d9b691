#!/usr/bin/env bash
# soundfile 0.14 and PyAV 18 (FFmpeg 8): a microphone array made mono lacks one microphone; which one, the container decides.
#
# Six or eight microphones in a file are a cinema to FFmpeg: its mono is 0.71 of the first two, all of the third, half of
# the back, and nothing of the bass. In WAV, whose header then names no loudspeakers, it guesses so by their number, and the
# frame's layout does not tell ("8 channels"). FLAC and Vorbis fix what each channel is by their number; libsndfile's
# WAVEX writes 5.1 and 7.1(wide) where nobody said so. Of the same eight channels, written by soundfile,
#
# | | is left out | is the loudest |
# | --- | --- | --- |
# | WAV, WAVEX, FLAC | the fourth | the third |
# | Ogg Vorbis | the eighth | the second |
# | WAV of three | the third: 2.1 | the first two |
# | FLAC of three | none: 3.0 | the third |
#
# Where a table's fourth, or an interview's third, microphone is the speaker's, the voice is what the others pick up. librosa
# takes the mean of all. Telling channels apart needs frames as they are, or "pan" with all weights.
#
# Exits with 1 if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet av==18.1.0 soundfile==0.14.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import av
import numpy as np
import soundfile

RATE, TURN = 16_000, 3_200
print("PyAV", av.__version__, "FFmpeg", av.ffmpeg_version_info, "libsndfile", soundfile.__libsndfile_version__)


def weights(count, form):
    """The layout that FFmpeg says, and how loud each microphone, alone in its turn, is in the mono."""
    sound = np.zeros((count * TURN, count))
    for number in range(count):
        sound[number * TURN : (number + 1) * TURN, number] = 0.25 * np.sin(np.arange(TURN) / 5)
    soundfile.write("array", sound, RATE, format=form, subtype="VORBIS" if form == "OGG" else "PCM_16")
    with av.open("array") as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        frames = list(container.decode(audio=0))
        mono = np.concatenate([f.to_ndarray()[0] for frame in (*frames, None) for f in resampler.resample(frame)])
    middles = [mono[number * TURN + 500 : (number + 1) * TURN - 500] for number in range(count)]
    return frames[0].layout.name, [round(float(np.abs(turn).max() / 0.25), 1) for turn in middles]


lacking = {}
for count in (3, 6, 8):
    for form in ("WAV", "WAVEX", "FLAC", "OGG"):
        layout, found = weights(count, form)
        lacking[count, form] = [number for number, weight in enumerate(found, 1) if weight < 0.1]
        print(f"{count} in {form:5} as {layout:10}", *found, "| lacks", *lacking[count, form] or ["none"])
wanted = {(count, form): [4] for count in (6, 8) for form in ("WAV", "WAVEX", "FLAC")}
wanted |= {(6, "OGG"): [6], (8, "OGG"): [8], (3, "WAV"): [3], (3, "WAVEX"): [3], (3, "FLAC"): [], (3, "OGG"): []}
if lacking != wanted:
    sys.exit("changed")
PYTHON
