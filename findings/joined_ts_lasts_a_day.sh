#!/usr/bin/env bash
# FFmpeg 8 in PyAV 18: two MPEG-TS recordings of 4 s laid end to end are said to last more than a day.
#
# Receivers and cameras start their clock anew with every file, and joining TS with cat is what the format is for. Where the
# second starts at an earlier stamp than the first, FFmpeg takes that for the wrap of the 33-bit clock and adds 2^33 ticks:
# the duration is 94,800 s, frame stamps jump by 26.4 hours in the middle, frames spread evenly over the duration, or sought,
# all come from the first or the last second. Stamps jump, but the packets are all there: who adds up what lies between
# them, and takes a jump back or of more than 10 s for none (as the program ffmpeg does by -dts_delta_threshold), is right.
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
from pathlib import Path

import av
import numpy as np

print("PyAV", av.__version__, "FFmpeg", av.ffmpeg_version_info)


def write(path, late):
    with av.open(path, "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        rng = np.random.default_rng(0)
        frames = [av.VideoFrame.from_ndarray(rng.integers(0, 256, (48, 64, 3), np.uint8), "rgb24") for _ in range(100)]
        for number, frame in enumerate([*frames, None]):
            if frame is not None:
                frame.pts = number
            for packet in stream.encode(frame):
                shift = round(late / packet.time_base)
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                out.mux(packet)
    return Path(path).read_bytes()


early, late = write("early.ts", 0), write("late.ts", 600)
found = {}
for name, data in (("early, late", early + late), ("late, early", late + early)):
    Path("joined.ts").write_bytes(data)
    with av.open("joined.ts") as container:
        stated = container.duration / av.time_base
        stamps = [float(p.pts * p.time_base) for p in container.demux(video=0) if p.pts is not None]
    steps = np.diff(sorted(stamps))
    found[name] = stated
    print(f"{name}: 8 s of video in {len(stamps)} packets; stated {stated:,.1f} s, longest step {steps.max():,.1f} s")
if not (600 < found["early, late"] < 610 and found["late, early"] > 90_000):
    sys.exit("changed")
PYTHON
