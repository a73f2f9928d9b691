#!/usr/bin/env bash
# FFmpeg 7: "ffmpeg -i clip.mp4 -ac 1 -ar 16000 clip.wav" moves the sound against the picture where it starts late.
#
# Phones start the microphone after the camera, and cuts without encoding let sound begin at its next packet. Containers say
# so (an edit list in MP4, stamps in Matroska), WAV cannot: the first sample of the track becomes time 0. Of a clip that
# turns white and sets in with a tone at 2.0 s, and whose sound track starts at 0.5 s, the WAV has the tone at 1.56 s: 0.44 s
# early, eleven frames, where lip sync is judged by two. "-async 1" and "-af aresample=async=1", which are said to keep
# both in sync, change nothing (they fill later gaps); "-af aresample=async=1:first_pts=0" puts it at 2.0. decord's
# AudioReader gives the same 1.56 s. The stamps of both streams, in PyAV, say 2.0 s. Nothing is said; only the WAV
# is shorter than the clip. (From Matroska, sound from the very start is 64 ms late as well: the lead of AAC stays in.)
#
# Exits with 1 if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet imageio-ffmpeg==0.6.0 setuptools==79.0.1 decord==0.6.0 av==18.1.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import subprocess
import sys
import wave

import av
import decord
import imageio_ffmpeg
import numpy as np

RATE, FPS, SECONDS, ONSET = 16_000, 25, 3, 2.0
PROGRAM = imageio_ffmpeg.get_ffmpeg_exe()
print("FFmpeg", imageio_ffmpeg.get_ffmpeg_version(), "decord", decord.__version__, "PyAV", av.__version__)


def write(path, late):
    """Black and silent up to ONSET, then white and a tone; the sound track begins at `late`."""
    with av.open(path, "w") as out:
        view = out.add_stream("libx264", rate=FPS, options={"preset": "ultrafast"})
        view.width, view.height, view.pix_fmt = 64, 48, "yuv420p"
        voice = out.add_stream("aac", rate=RATE, layout="mono")
        packets = []
        for number in range(FPS * SECONDS):
            level = 255 if number >= ONSET * FPS else 0
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), level, np.uint8), "rgb24")
            frame.pts = number
            packets += view.encode(frame)
        t = late + np.arange(int((SECONDS - late) * RATE)) / RATE
        sound = np.where(t >= ONSET, 0.5 * np.sin(3000 * t), 0).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = RATE, round(late * RATE)
        packets += [*view.encode(None), *voice.encode(frame), *voice.encode(None)]
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            out.mux(packet)


def onset(samples):
    return float(np.flatnonzero(np.abs(samples) > 0.1)[0] / RATE)


def in_wav(path, *filters):
    command = [PROGRAM, "-y", "-v", "error", "-i", path, "-vn", "-ac", "1", "-ar", str(RATE), *filters, "clip.wav"]
    subprocess.run(command, check=True)
    with wave.open("clip.wav") as file:
        return onset(np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768)


def by_stamps(path):
    with av.open(path) as container:
        for frame in container.decode(audio=0):
            if (np.abs(frame.to_ndarray()[0]) > 0.1).any():
                return frame.time + onset(frame.to_ndarray()[0])


def picture(path):
    with av.open(path) as container:
        return next(f.time for f in container.decode(video=0) if f.to_ndarray(format="gray").mean() > 128)


found = {}
for late in (0.0, 0.5):
    for kind in ("mp4", "mkv"):
        path = f"{late}.{kind}"
        write(path, late)
        found[late, kind] = here = {
            "picture": picture(path),
            "sound by stamps": by_stamps(path),
            "WAV": in_wav(path),
            "-async 1": in_wav(path, "-async", "1"),
            "async=1": in_wav(path, "-af", "aresample=async=1"),
            "first_pts=0": in_wav(path, "-af", "aresample=async=1:first_pts=0"),
            "decord": onset(decord.AudioReader(path, sample_rate=RATE, mono=True)[:].asnumpy()[0]),
        }
        print(f"{kind}, sound from {late} s:", ", ".join(f"{name} {at:.2f}" for name, at in here.items()))
for kind in ("mp4", "mkv"):
    here = found[0.5, kind]
    early = [here[name] for name in ("WAV", "-async 1", "async=1", "decord")]
    right = [here[name] for name in ("picture", "sound by stamps", "first_pts=0")]
    if max(early) > 1.6 or not np.allclose(right, ONSET, atol=0.02) or abs(found[0.0, "mp4"]["WAV"] - ONSET) > 0.02:
        sys.exit("changed")
PYTHON
