#!/usr/bin/env bash
# OpenCV 5, decord 0.6, PyAV 18: a video that is to be shown mirrored is turned by half a turn instead: faces upside down.
#
# The matrix by which MP4 and MOV say how to show a track can mirror as well as turn; apps write it so for front cameras
# (transform of AVAssetWriterInput), and ffmpeg by -display_hflip. ffmpeg itself obeys. OpenCV and decord take a matrix for an
# angle, and that of a mirror is 180 degrees; PyAV's frame.rotation is the same number. Nothing is said, and detectors
# look for faces that are upright. Corners red, green over blue, white:
#
# | to be shown | ffmpeg 7 | OpenCV, decord, PyAV turned by frame.rotation | |
# | --- | --- | --- | --- |
# | turned by 90 or 180 | right | right | |
# | mirrored left to right | GR WB | WB GR | upside down |
# | mirrored top to bottom | BW RG | RG BW | upside down |
# | turned by 90 and mirrored | WG BR | GW RB | upright, not mirrored |
#
# (rows from the top). imageio turns nothing with its plugin pyav, and is right with its plugin FFMPEG. With PyAV, the whole
# matrix is in frame.side_data.
#
# Exits with 1 if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet av==18.1.0 opencv-python-headless==5.0.0.93 decord==0.6.0 imageio==2.38.1 \
    imageio-ffmpeg==0.6.0 numpy==2.4.6 # the last but one: FFmpeg 7.0.2
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import subprocess
import sys

import av
import cv2
import decord
import imageio
import imageio_ffmpeg
import numpy as np

print("OpenCV", cv2.__version__, "decord", decord.__version__, "PyAV", av.__version__, "imageio", imageio.__version__)
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
COLOURS = {"R": (250, 20, 20), "G": (20, 250, 20), "B": (20, 20, 250), "W": (250, 250, 250)}
WAYS = {
    "as it is": (),
    "turned by 90": ("-display_rotation", "90"),
    "turned by 180": ("-display_rotation", "180"),
    "left to right": ("-display_hflip",),
    "top to bottom": ("-display_vflip",),
    "by 90, mirrored": ("-display_rotation", "90", "-display_hflip"),
}
picture = np.zeros((64, 96, 3), np.uint8)
for at, colour in enumerate(COLOURS.values()):
    picture[32 * (at // 2) :, 48 * (at % 2) :] = colour
with av.open("plain.mp4", "w") as out:
    stream = out.add_stream("libx264", rate=25, width=96, height=64)
    stream.pix_fmt = "yuv420p"
    for _ in range(5):
        out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
    out.mux(stream.encode())


def corners(image):
    """The colours at a quarter from each corner, row by row."""
    height, width = image.shape[:2]
    seen = [image[y, x].astype(int) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    names = [min(COLOURS, key=lambda name: np.abs(pixel - COLOURS[name]).sum()) for pixel in seen]
    return "".join(names[:2]) + " " + "".join(names[2:])


def shown():
    command = [FFMPEG, "-v", "error", "-i", "clip.mp4", "-frames:v", "1", "-f", "image2pipe", "-c:v", "png", "-"]
    png = subprocess.run(command, capture_output=True, check=True).stdout
    by_ffmpeg = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    with av.open("clip.mp4") as container:
        frame = next(container.decode(video=0))
    return {
        "ffmpeg": corners(by_ffmpeg),
        "OpenCV": corners(cv2.VideoCapture("clip.mp4").read()[1][:, :, ::-1]),
        "decord": corners(decord.VideoReader("clip.mp4")[0].asnumpy()),
        "PyAV": corners(np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90)),
        "imageio": corners(imageio.v3.imread("clip.mp4", index=0, plugin="pyav")),
    }


found = {}
for way, options in WAYS.items():
    subprocess.run([FFMPEG, "-v", "error", "-y", *options, "-i", "plain.mp4", "-c", "copy", "clip.mp4"], check=True)
    found[way] = shown()
    print(f"{way:15}", ", ".join(f"{reader} {seen}" for reader, seen in found[way].items()))
wrong = {way: {reader for reader, seen in by.items() if seen != by["ffmpeg"]} for way, by in found.items()}
three = {"OpenCV", "decord", "PyAV"}
as_before = (
    wrong["as it is"] == set()
    and wrong["turned by 90"] == wrong["turned by 180"] == {"imageio"}
    and all(wrong[way] == three | {"imageio"} for way in ("left to right", "top to bottom", "by 90, mirrored"))
    and {found["left to right"][reader] for reader in three} == {"WB GR"}
)
if not as_before:
    sys.exit("changed")
PYTHON
