#!/usr/bin/env bash
# imageio 2.38: frame 50 of a phone's clip is number 34 or number 25, by the plugin that happens to be installed.
#
# Phones lower the frame rate in poor light, and calls drop frames: each frame has a time of its own. imread(clip, index=n)
# turns n into a time by one rate for the clip, goes there, and calls what it finds frame n. Of 260 frames, 2 s at 30
# a second, 4 s at 20, 4 s at 30, the frames that come for a number (counted from 0, as all of these libraries do) are
#
# | asked for | 50 | 100 | 150 | 200 | 259 |
# | --- | --- | --- | --- | --- | --- |
# | plugin pyav (it takes the rate to be 60) | 34 | 52 | 82 | 100 | 127 |
# | plugin FFMPEG (frames doubled to an even rate) | 25 | 97 | 136 | 191 | 259 |
# | OpenCV, CAP_PROP_POS_FRAMES | 54 | 102 | 142 | 187 | 256 |
# | decord; pyav with constant_framerate=False; counted while reading all | 50 | 100 | 150 | 200 | 259 |
#
# pyav takes a rate for constant unless FFmpeg marks the format as variable, which it does for neither MP4 nor Matroska. So
# tracks of faces, labels of who speaks and pairs of lips and sound that were numbered by one library are looked up seconds
# away by another, without a word; after a cut, it is another person. With no plugin named, FFMPEG is taken where
# imageio-ffmpeg is installed. Times survive all of these; numbers do not.
#
# Exits with 1 if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet imageio==2.38.1 imageio-ffmpeg==0.6.0 av==18.1.0 opencv-python-headless==5.0.0.93 \
    decord==0.6.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from fractions import Fraction

import av
import cv2
import decord
import imageio
import imageio.v3
import numpy as np

CLIP, ASKED, BITS = "clip.mp4", (50, 100, 150, 200, 259), 9
TIMES = [n / 30 for n in range(60)] + [2 + n / 20 for n in range(80)] + [6 + n / 30 for n in range(120)]


def picture(number):
    """The number in binary, as bars."""
    bars = [255 * (number >> bit & 1) for bit in range(BITS)]
    return np.broadcast_to(np.repeat(bars, 16).astype(np.uint8)[None, :, None], (96, 16 * BITS, 3)).copy()


def number(image):
    return sum(1 << bit for bit in range(BITS) if image[:, 16 * bit + 4 : 16 * bit + 12].mean() > 128)


with av.open(CLIP, "w") as out:
    stream = out.add_stream("libx264", rate=30, width=16 * BITS, height=96, options={"g": "30"})
    stream.pix_fmt, stream.codec_context.time_base = "yuv420p", Fraction(1, 600)
    for at, time in enumerate(TIMES):
        frame = av.VideoFrame.from_ndarray(picture(at), format="rgb24")
        frame.pts, frame.time_base = round(600 * time), Fraction(1, 600)
        out.mux(stream.encode(frame))
    out.mux(stream.encode())

capture, reader = cv2.VideoCapture(CLIP), decord.VideoReader(CLIP)
whole = list(imageio.v3.imiter(CLIP, plugin="pyav"))


def by_opencv(index):
    capture.set(cv2.CAP_PROP_POS_FRAMES, index)
    return capture.read()[1]


ways = {
    "imageio, pyav": lambda index: imageio.v3.imread(CLIP, index=index, plugin="pyav"),
    "imageio, FFMPEG": lambda index: imageio.v3.imread(CLIP, index=index, plugin="FFMPEG"),
    "imageio, none named": lambda index: imageio.v3.imread(CLIP, index=index),
    "OpenCV": by_opencv,
    "decord": lambda index: reader[index].asnumpy(),
    "pyav, constant_framerate=False": lambda index: imageio.v3.imread(CLIP, index=index, plugin="pyav", constant_framerate=False),
    "counted": lambda index: whole[index],
}
print("imageio", imageio.__version__, "OpenCV", cv2.__version__, "decord", decord.__version__, "PyAV", av.__version__)
found = {way: [number(read(index)) for index in ASKED] for way, read in ways.items()}
for way, numbers in found.items():
    print(f"{way:31} {numbers}")
right = {way for way, numbers in found.items() if numbers == list(ASKED)}
off = max(abs(seen - asked) for seen, asked in zip(found["imageio, pyav"], ASKED))
if right != {"decord", "pyav, constant_framerate=False", "counted"} or off < 50:
    sys.exit("changed")
if found["imageio, none named"] != found["imageio, FFMPEG"]:
    sys.exit("changed")
PYTHON
