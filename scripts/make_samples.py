"""Makes the sample clips of `ds2f demo`: synthetic people, eight short talking heads of nobody.

Faces come from ds2f's own decoder, voices from espeak-ng (`apt install espeak-ng`); nobody was recorded.

    python scripts/make_samples.py --candidates candidates.png
    python scripts/make_samples.py --order 20,18,25,17,24,29,1,5 --check

The first command draws 32 faces to choose from; --order assigns some of them to the voices below (the first four are
low, the last four high), so that face and voice match.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from ds2f.io.images import write_grid
from ds2f.io.media import decode
from ds2f.speech2face.model import Speech2Face
from ds2f.types import SAMPLE_RATE

SAMPLES = Path(__file__).resolve().parents[1] / "src" / "ds2f" / "demo" / "samples"
FRAME, FACE, FPS = 320, 256, 10  # pixels, pixels, frames per second
LEAD = 0.3  # seconds of silence before and after the speech
NOTICE = "Synthetic person: the face is drawn by ds2f, the voice is spoken by espeak-ng. Nobody was recorded."


@dataclass(frozen=True)
class Voice:
    """An espeak-ng voice. pitch: 0..99; speed: words per minute."""

    name: str
    pitch: int
    speed: int
    text: str


# Chosen by measurement among 60 variants: Silero finds over 5 s of speech in each, and no two of their Resemblyzer
# embeddings have a cosine above 0.8 (`--check` measures it again).
VOICES = (
    Voice(
        "en-us+klatt",
        15,
        155,
        "Hello, and welcome. I looked forward to this talk all week, because there is so much to say.",
    ),
    Voice(
        "en-us+m2",
        45,
        150,
        "The morning train was late again, so I walked along the river and counted the boats on the water.",
    ),
    Voice(
        "en-us+norbert",
        45,
        150,
        "My grandmother taught me to bake bread when I was seven. I still use her wooden spoon every day.",
    ),
    Voice(
        "en-us+Denis",
        45,
        150,
        "If you turn left at the library, you will find a small garden where old trees give plenty of shade.",
    ),
    Voice(
        "en-us+f2",
        75,
        150,
        "We planted tomatoes in the spring, and by the end of August the whole street ate them with us.",
    ),
    Voice(
        "en-us+steph",
        45,
        155,
        "Every evening the lighthouse keeper writes down the weather, the tide, and the ships that pass.",
    ),
    Voice(
        "en-us+grandma",
        75,
        155,
        "I learned to play the piano late in life, and I can say that patience is the better half of music.",
    ),
    Voice(
        "en-us+Annie",
        45,
        155,
        "The mountain path is narrow and steep, but from the top you see three valleys and the sea beyond.",
    ),
)


def main() -> None:
    options = _options()
    if options.candidates:
        faces = draw_faces(32, options.seed)
        write_grid(options.candidates, [faces[row : row + 8] for row in range(0, 32, 8)], scale=1)
        print(f"{options.candidates}: faces 0 to 31, row by row; choose eight for --order")
        return
    faces = draw_faces(max(options.order) + 1, options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    for number, (index, voice) in enumerate(zip(options.order, VOICES, strict=True), 1):
        path = options.out / f"person-{number}.mp4"
        audio = speak(voice)
        write_clip(path, sway(faces[index], audio, seed=number), audio)
        print(
            f"{path.name}: face {index}, {voice.name}, {audio.size / SAMPLE_RATE:.1f} s, {path.stat().st_size:,} bytes"
        )
    if options.check:
        _report(sorted(options.out.glob("person-*.mp4")))


def draw_faces(count: int, seed: int) -> np.ndarray:
    """Faces of nobody, (count, size, size, 3) uint8 RGB, from the model that ships with ds2f."""
    return np.stack(
        [np.asarray(face.image) for face in Speech2Face.from_pretrained().sample_unconditional(count=count, seed=seed)]
    )


def speak(voice: Voice) -> np.ndarray:
    """Speech of a synthetic voice, (samples,) float32 at 16 kHz, with a little silence around it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        command = [
            "espeak-ng",
            "-v",
            voice.name,
            "-p",
            str(voice.pitch),
            "-s",
            str(voice.speed),
            "-w",
            str(path),
        ]
        try:
            subprocess.run([*command, voice.text], check=True, capture_output=True, text=True)
        except FileNotFoundError:
            sys.exit("The voices need the program espeak-ng; install it (Debian, Ubuntu: apt install espeak-ng).")
        except subprocess.CalledProcessError as error:
            sys.exit(f"espeak-ng could not speak as {voice.name}: {error.stderr.strip()}")
        speech = decode(path, frames=0).audio
    pause = np.zeros(round(LEAD * SAMPLE_RATE), np.float32)
    return np.concatenate([pause, speech * (0.7 / np.abs(speech).max()), pause])


def sway(face: np.ndarray, audio: np.ndarray, seed: int) -> list[np.ndarray]:
    """A face that moves gently for as long as the sound lasts: frames of (FRAME, FRAME, 3) uint8 RGB.

    The face is placed on a soft background in its own colours and fades into it; it sways and approaches by a few
    pixels, and the light changes slightly, so that no two frames are alike, as in a recording.
    """
    large = cv2.resize(face, (FACE, FACE), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    margin = (FRAME - FACE) // 2
    bordered = cv2.copyMakeBorder(large, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
    background = cv2.GaussianBlur(bordered, (0, 0), 24)
    mask = np.zeros((FRAME, FRAME), np.float32)
    mask[margin + 8 : -margin - 8, margin + 8 : -margin - 8] = 1.0
    share = cv2.GaussianBlur(mask, (0, 0), 5)[..., None]
    portrait = bordered * share + background * (1 - share)

    phase = np.random.default_rng(seed).uniform(0, 2 * np.pi, 4)
    frames = []
    for number in range(round(audio.size / SAMPLE_RATE * FPS)):
        time = number / FPS
        x, y, zoom, light = np.sin(2 * np.pi * time * np.array([0.23, 0.31, 0.11, 0.17]) + phase)
        matrix = cv2.getRotationMatrix2D((FRAME / 2, FRAME / 2), 1.2 * x, 1.03 + 0.02 * zoom)
        matrix[:, 2] += 4.0 * x, 2.5 * y
        moved = cv2.warpAffine(portrait, matrix, (FRAME, FRAME), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        frames.append(np.clip(moved * (1 + 0.04 * light), 0, 255).astype(np.uint8))
    return frames


def write_clip(path: Path, frames: list[np.ndarray], audio: np.ndarray) -> None:
    """H.264 and AAC in an MP4 that states that its person is synthetic."""
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        container.metadata.update({"title": "A synthetic person", "comment": NOTICE})
        video = container.add_stream("libx264", rate=FPS, options={"crf": "30", "preset": "veryslow"})
        video.width = video.height = FRAME
        video.pix_fmt = "yuv420p"
        sound = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono", bit_rate=48_000)
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        spoken = av.AudioFrame.from_ndarray(audio[None], format="fltp", layout="mono")
        spoken.sample_rate, spoken.pts, spoken.time_base = SAMPLE_RATE, 0, Fraction(1, SAMPLE_RATE)
        resampler = av.AudioResampler("fltp", "mono", SAMPLE_RATE, frame_size=1024)  # an AAC frame
        for piece in [*resampler.resample(spoken), *resampler.resample(None)]:
            container.mux(sound.encode(piece))
        container.mux(sound.encode(None))


def _report(paths: list[Path]) -> None:
    """Run ds2f's own extraction on the clips, and print what it finds and how similar they are."""
    from ds2f.config import Config
    from ds2f.dataset.plan import Job, Needs
    from ds2f.extract.item import Extractor
    from ds2f.extract.settings import ExtractSettings
    from ds2f.types import Source

    extractor = Extractor(ExtractSettings.of(Config()))
    needs = Needs(speech=True, face=True, voices=((6.0, "resemblyzer"),))
    voices, identities = [], []
    for path in paths:
        (found,) = extractor.extract([Job(0, Source(path), "video", path.name, needs)])
        for stage, reason in found.failures:
            print(f"{path.name}: refused at {stage}: {reason}")
        if found.speech is None or found.face is None:
            continue
        print(f"{path.name}: {found.speech.seconds:.1f} s of speech, face of quality {found.face.quality:.2f}")
        voices.append(found.voices[6.0, "resemblyzer"])
        identities.append(found.face.identity)
    if len(voices) > 1:
        alike = np.array(voices) @ np.array(voices).T
        apart = np.linalg.norm(np.array(identities)[:, None] - np.array(identities)[None], axis=-1)
        print(f"most alike voices: cosine {(alike - 2 * np.eye(len(alike))).max():.2f} (1 = the same)")
        print(f"most alike faces: {(apart + 9 * np.eye(len(apart))).min():.2f} apart (one person: under 0.6)")
    print(f"{len(voices)} of {len(paths)} clips pass; {sum(p.stat().st_size for p in paths):,} bytes in all")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make the sample clips of `ds2f demo`: synthetic people.")
    parser.add_argument("--out", type=Path, default=SAMPLES, metavar="FOLDER")
    parser.add_argument("--seed", type=int, default=0, help="of the faces")
    parser.add_argument("--order", type=_order, default=_order("0,1,2,3,4,5,6,7"), help="face for each voice")
    parser.add_argument("--candidates", type=Path, metavar="PNG", help="only draw faces to choose from")
    parser.add_argument("--check", action="store_true", help="put the clips through extraction and report")
    return parser.parse_args()


def _order(text: str) -> list[int]:
    order = [int(part) for part in text.split(",")]
    if len(order) != len(VOICES) or min(order) < 0:
        raise argparse.ArgumentTypeError(f"name {len(VOICES)} faces by their numbers, from 0")
    return order


if __name__ == "__main__":
    main()
