#!/usr/bin/env bash
# FFmpeg 7: the option with which Kaldi folders split a call into its two sides is gone, and the sides come out empty.
#
# wav.scp often names one side of a stereo call as "ffmpeg -i call.wav -map_channel 0.0.1 -f wav - |". FFmpeg 4 writes
# that channel. FFmpeg 7.0 removed the option: the command writes nothing and ends with an error, which a pipe in wav.scp
# shows as a recording without samples. "-af pan=mono|c0=c1" gives the same channel in both; ds2f writes it in what it
# exports, and reads either without running it.
#
# Exits with 1 if that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
for version in 0.4.9 0.6.0; do # with FFmpeg 4.2.2 and 7.0.2
    python3 -m venv "venv-$version"
    "venv-$version/bin/pip" install --quiet "imageio-ffmpeg==$version" setuptools==80.9.0
done
python3 - <<'PYTHON'
import array
import subprocess
import sys
import wave

with wave.open("call.wav", "wb") as file:
    file.setparams((2, 2, 16_000, 0, "NONE", ""))
    file.writeframes(array.array("h", [1000, -2000] * 1600).tobytes())

found = {}
for version in ("0.4.9", "0.6.0"):
    name = [f"venv-{version}/bin/python", "-c", "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())"]
    program = subprocess.run(name, capture_output=True, text=True, check=True).stdout.strip()
    number = subprocess.run([program, "-version"], capture_output=True, text=True, check=True).stdout.split()[2]
    for option in (("-map_channel", "0.0.1"), ("-af", "pan=mono|c0=c1")):
        command = [program, "-v", "error", "-i", "call.wav", *option, "-f", "s16le", "-"]
        done = subprocess.run(command, capture_output=True, check=False)
        samples = array.array("h", done.stdout)
        found[number.split("-")[0], option[0]] = (len(samples), set(samples))
        print(f"FFmpeg {number:14} {option[0]:13} {len(samples)} samples {set(samples) or ''} exit status {done.returncode}")
heard = (1600, {-2000})
if found != {
    ("4.2.2", "-map_channel"): heard,
    ("4.2.2", "-af"): heard,
    ("7.0.2", "-map_channel"): (0, set()),
    ("7.0.2", "-af"): heard,
}:
    sys.exit("changed")
PYTHON
