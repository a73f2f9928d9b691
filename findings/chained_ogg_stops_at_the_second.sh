#!/usr/bin/env bash
# FFmpeg 8 in PyAV 18: Ogg Opus files laid end to end are read to the end or break off, by their numbers of channels.
#
# `cat a.opus b.opus` is a valid Ogg stream (RFC 3533, section 4; RFC 7845, section 7), and is how voice messages are joined.
# Where all have as many channels, PyAV reads on, but container.duration is that of the last one alone. Where a stereo one
# follows a mono one, decoding raises PatchWelcomeError ("Not yet implemented in FFmpeg") half way, after the sound of
# the first has been given: who collects frames in a list comprehension loses that, too. Each link by itself is read.
#
# Exits with 1 if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet av==18.1.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import io
import sys

import av
import numpy as np

print("PyAV", av.__version__, "FFmpeg", av.ffmpeg_version_info)


def opus(seconds, channels):
    memory = io.BytesIO()
    with av.open(memory, "w", format="ogg") as out:
        layout = {1: "mono", 2: "stereo"}[channels]
        stream = out.add_stream("libopus", rate=48_000, layout=layout)
        sound = np.tile(np.sin(np.arange(seconds * 48_000) / 10)[:, None] / 2, (1, channels)).astype(np.float32)
        for at in range(0, len(sound), 960):
            frame = av.AudioFrame.from_ndarray(sound[at : at + 960].reshape(1, -1), format="flt", layout=layout)
            frame.sample_rate, frame.pts = 48_000, at
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return memory.getvalue()


def read(data):
    heard, error = 0, ""
    with av.open(io.BytesIO(data)) as container:
        stated = (container.duration or 0) / av.time_base
        try:
            for frame in container.decode(audio=0):
                heard += frame.samples / frame.sample_rate
        except av.error.FFmpegError as problem:
            error = type(problem).__name__
    return round(stated, 1), round(heard, 1), error


same, other = read(opus(2, 1) + opus(3, 1)), read(opus(2, 1) + opus(3, 2))
print("mono 2 s + mono 3 s:   stated %.1f s, read %.1f s %s" % same)
print("mono 2 s + stereo 3 s: stated %.1f s, read %.1f s %s" % other)
if not (same[0] < 4 and same[1] > 4.8 and not same[2] and other[1] < 2.1 and other[2] == "PatchWelcomeError"):
    sys.exit("changed")
PYTHON
