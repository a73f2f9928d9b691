#!/usr/bin/env bash
# libsndfile 1.2 and FFmpeg 8: a CAF file with ALAC that soundfile writes loses its last samples in PyAV.
#
# ALAC comes in packets of 4,096 samples. For 16,000 samples libsndfile writes three whole packets and one of 3,712, and
# says in the packet table that 384 samples of the last one are remainder. FFmpeg's decoder gives 3,712 for the short
# packet, and its demuxer has 384 cut off once more: 15,616 samples, 24 ms of speech less, without a word. soundfile reads
# its own file whole. The same sound as PCM in CAF is whole in both.
#
# Exits with 1 if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet av==18.1.0 numpy==2.4.6 soundfile==0.14.0
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import av
import numpy as np
import soundfile

print("PyAV", av.__version__, "FFmpeg", av.ffmpeg_version_info, "libsndfile", soundfile.__libsndfile_version__)
found = {}
for subtype in ("PCM_16", "ALAC_16"):
    soundfile.write("a.caf", np.sin(np.arange(16_000) / 10) / 2, 16_000, subtype=subtype)
    with av.open("a.caf") as container:
        found[subtype] = sum(frame.samples for frame in container.decode(audio=0))
    print(f"{subtype:7} soundfile reads {len(soundfile.read('a.caf')[0])} samples, PyAV {found[subtype]}")
if found != {"PCM_16": 16_000, "ALAC_16": 15_616}:
    sys.exit("changed")
PYTHON
