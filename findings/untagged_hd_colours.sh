#!/usr/bin/env bash
# PyAV 18 and OpenCV 5: HD video that does not say its colour matrix is read as BT.601; every player takes BT.709.
#
# A flat 1280 x 720 H.264 of RGB (201, 62, 41), coded by BT.709 without tags as most cameras and encoders leave it, comes
# back as about (187, 47, 42), from frame.to_ndarray(format="rgb24") and from cv2.VideoCapture alike: swscale's default for
# "unspecified" is BT.601, whatever the size. mpv and VLC guess by the size (BT.709 over 576 lines). Skin gets darker than
# in the still taken of the same scene; models that see both learn the difference. Told with src_colorspace="itu709",
# PyAV gives the right colour. Tagged video is right without being told.
#
# Exits with 1 if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet av==18.1.0 numpy==2.4.6 opencv-python-headless==5.0.0.93
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import av
import cv2
import numpy as np

print("PyAV", av.__version__, "OpenCV", cv2.__version__)
R, G, B = 201, 62, 41
y = 0.2126 * R + 0.7152 * G + 0.0722 * B
coded = round(16 + 219 * y / 255), round(128 + 224 * (B - y) / 1.8556 / 255), round(128 + 224 * (R - y) / 1.5748 / 255)


def write(path, tags):
    with av.open(path, "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"preset": "ultrafast", "x264-params": "qp=1" + tags})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for number in range(3):
            frame = av.VideoFrame(1280, 720, "yuv420p")
            for plane, level in zip(frame.planes, coded):
                plane.update(bytes([level]) * plane.buffer_size)
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def seen(path):
    with av.open(path) as container:
        frame = next(container.decode(video=0))
        plain = frame.to_ndarray(format="rgb24")[360, 640]
        told = frame.reformat(format="rgb24", src_colorspace="itu709").to_ndarray()[360, 640]
    opencv = cv2.VideoCapture(path).read()[1][360, 640, ::-1]
    return {"PyAV": plain, "PyAV, told BT.709": told, "OpenCV": opencv}


write("untagged.mp4", "")
write("tagged.mp4", ":colormatrix=bt709")
changed = False
for path, wrong in (("untagged.mp4", {"PyAV", "OpenCV"}), ("tagged.mp4", set())):
    for reader, colour in seen(path).items():
        off = int(np.abs(colour.astype(int) - (R, G, B)).max())
        print(f"{path:13} {reader:18} {tuple(int(c) for c in colour)}, off by {off}")
        changed |= (off > 8) != (reader in wrong)
sys.exit("changed" if changed else 0)
PYTHON
