"""What tests make: tiny recordings, pictures, records; and functions that worker processes can import."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np

from ds2f.dataset import Dataset
from ds2f.dataset.plan import Job, Needs, Plan, job, waiting
from ds2f.extract.worker import ExtractMany
from ds2f.io.images import encode_webp
from ds2f.io.speech import encode_flac
from ds2f.types import (
    SAMPLE_RATE,
    CorpusItem,
    DetectedFace,
    Extracted,
    Face,
    Facts,
    Source,
    StoredSpeech,
)

if TYPE_CHECKING:
    from ds2f.models.decoder import Decoder

# What goes into which container; every one of them must be readable.
VIDEO_CODECS = {
    ".mp4": ("libx264", "aac"),
    ".mkv": ("libx264", "libopus"),
    ".webm": ("libvpx-vp9", "libopus"),
    ".avi": ("mpeg4", "libmp3lame"),
    ".mov": ("libx264", "aac"),
}
AUDIO_CODECS = {
    ".wav": "pcm_s16le",
    ".flac": "flac",
    ".mp3": "libmp3lame",
    ".m4a": "aac",
    ".ogg": "libopus",
    ".opus": "libopus",
}


def tone(seconds: float, hertz: float = 220.0, loudness: float = 0.3) -> np.ndarray:
    """A sine, (samples,) float32 at 16 kHz."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (loudness * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


def noise(seconds: float, loudness: float = 0.1, seed: int = 0) -> np.ndarray:
    """White noise, (samples,) float32 at 16 kHz."""
    samples = np.random.default_rng(seed).standard_normal(round(seconds * SAMPLE_RATE))
    return (loudness * samples).astype(np.float32)


def grey_ramp(count: int, size: tuple[int, int] = (48, 64)) -> list[np.ndarray]:
    """`count` flat frames from dark to bright, (height, width, 3) uint8: the brightness says which it is."""
    return [np.full((*size, 3), round(20 + 200 * k / max(1, count - 1)), np.uint8) for k in range(count)]


def write_video(
    path: Path,
    frames: Sequence[np.ndarray],
    audio: np.ndarray | None = None,
    fps: int = 5,
    rotation: int = 0,
) -> Path:
    """Encode frames, (height, width, 3) uint8 RGB of even size, and 16 kHz mono sound, as the suffix says.

    rotation: degrees counter-clockwise that a player is told to turn the picture.
    """
    video_codec, audio_codec = VIDEO_CODECS[path.suffix]
    with av.open(str(path), "w") as container:
        video = container.add_stream(video_codec, rate=fps)
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = "yuv420p"
        if rotation:
            video.set_display_rotation(rotation)
        sound = None if audio is None else container.add_stream(audio_codec, rate=_rate(audio_codec), layout="mono")
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound is not None and audio is not None:
            _encode_audio(container, sound, audio)
    return path


def write_audio(path: Path, audio: np.ndarray) -> Path:
    """Encode (samples,) float32 16 kHz mono sound by the suffix of `path`."""
    codec = AUDIO_CODECS[path.suffix]
    with av.open(str(path), "w") as container:
        _encode_audio(container, container.add_stream(codec, rate=_rate(codec), layout="mono"), audio)
    return path


def write_audio_with_cover(path: Path, audio: np.ndarray) -> Path:
    """An .m4a whose only picture is its cover."""
    with av.open(str(path), "w", format="mp4") as container:
        sound = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        image = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 128, np.uint8), format="rgb24").reformat(
            format="yuvj420p"
        )
        image.pts, image.time_base = 0, Fraction(1, 1)
        container.mux(cover.encode(image))
        container.mux(cover.encode(None))
        _encode_audio(container, sound, audio)
    return path


def _rate(codec: str) -> int:
    return 48_000 if codec == "libopus" else SAMPLE_RATE


def _encode_audio(container: av.container.OutputContainer, stream: av.AudioStream, audio: np.ndarray) -> None:
    samples = (np.clip(audio, -1, 1) * 32767).astype(np.int16)[None]
    frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, 0, Fraction(1, SAMPLE_RATE)
    for piece in _in_codec_frames(frame, stream):
        container.mux(stream.encode(piece))
    container.mux(stream.encode(None))


def _in_codec_frames(frame: av.AudioFrame, stream: av.AudioStream) -> list[av.AudioFrame]:
    """The sound in the format, rate and frame length that the codec asks for."""
    context = stream.codec_context
    context.open(strict=False)
    resampler = av.AudioResampler(context.format, context.layout, context.sample_rate, context.frame_size or 1024)
    return [*resampler.resample(frame), *resampler.resample(None)]


def picture(path: Path, seed: int = 0, size: int = 32) -> bytes:
    """Write a small random picture and return its bytes. It holds no face."""
    image = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    ok, data = cv2.imencode(path.suffix, image)
    assert ok
    path.write_bytes(bytes(data))
    return bytes(data)


def item(path: str, identity: str = "somebody", size: int = 1, mtime_ns: int = 1, corpus: str = "folder") -> CorpusItem:
    return CorpusItem(path, corpus, identity, size, mtime_ns)


def item_of(file: Path, identity: str = "somebody") -> CorpusItem:
    """A file as ingest finds it in its folder."""
    there = file.exists()
    return item(file.name, identity, *((file.stat().st_size, file.stat().st_mtime_ns) if there else ()))


def landmarks(scale: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """Five points of a face looking straight ahead, 40 px between the eyes, (5, 2) float32."""
    points = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], np.float32)
    return points * np.float32(scale) + np.array(shift, np.float32)


def detected(points: np.ndarray | None = None, score: float = 1.0) -> DetectedFace:
    return DetectedFace((20, 20, 60, 80), landmarks() if points is None else points, score)


PLAN = Plan(speech="{}", face="{}", voices=((6.0, "campplus-frames"),))


def extracted(seed: int = 0, voice: bool = True) -> Extracted:
    """What extraction might have given, made up: 128-d identity, 512-d voice, 6 s clip."""
    rng = np.random.default_rng(seed)
    crop = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    identity = rng.standard_normal(128).astype(np.float32)
    face = Face(encode_webp(crop), None, identity, detected(), 0.5, 0.8, 1.0, 1)
    if not voice:
        return Extracted(Facts(0.0, 32, 32, 0.0), face=face)
    speech = StoredSpeech(encode_flac(noise(4.0, seed=seed)), 0.25, 4.0, 1, "mean of 2")
    vector = rng.standard_normal(512).astype(np.float32)
    voices = {(6.0, "campplus-frames"): vector}
    return Extracted(Facts(5.0, 64, 48, 5.0, 0), speech, face, clips={6.0: (4.0, 1.5)}, voices=voices)


def wanting(dataset: Dataset, plan: Plan = PLAN) -> list[Job]:
    """Jobs for everything that waits."""
    return [found for video_id in waiting(dataset, plan) if (found := job(dataset, video_id, plan)) is not None]


def jobs(count: int) -> list[Job]:
    needs = Needs(speech=True, face=True, voices=PLAN.voices)
    return [Job(n, Source(Path(f"{n}.mp4")), "video", f"folder/{n}.mp4", needs) for n in range(count)]


# ── functions that worker processes run: module level, so that they can be imported there ──────


def make_fake_extract(
    deadly: frozenset[int] = frozenset(),
    refused: frozenset[int] = frozenset(),
    broken: frozenset[int] = frozenset(),
    slow: frozenset[int] = frozenset(),
    seconds: float = 0.0,
) -> ExtractMany:
    """seconds: that every file takes; slow: files that never end."""

    def extract(jobs: Sequence[Job]) -> list[Extracted]:
        time.sleep(seconds * len(jobs))
        return [_fake_extract(job.video_id, deadly, refused, broken, slow) for job in jobs]

    return extract


def _fake_extract(
    number: int, deadly: frozenset[int], refused: frozenset[int], broken: frozenset[int], slow: frozenset[int]
) -> Extracted:
    if number in deadly:
        os._exit(1)  # as a crash inside a decoder does: no exception, no goodbye
    if number in refused:
        return Extracted(failures=(("speech", "no speech found"),))
    if number in broken:
        raise ZeroDivisionError("division by zero")
    while number in slow:
        time.sleep(0.05)
    return extracted(number)


def make_as_on_windows(**special: frozenset[int]) -> ExtractMany:
    """As `make_fake_extract`, in a worker that has no alarms and waits half a second for C code."""
    from types import SimpleNamespace

    from ds2f.extract import worker

    vars(worker).update(sys=SimpleNamespace(platform="win32"), GRACE=0.5)
    return make_fake_extract(**special)


def make_that_fails() -> ExtractMany:
    from ds2f.errors import UserError

    raise UserError("The package face_recognition_models is missing")


def make_that_dies() -> ExtractMany:
    os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does where memory runs out
    raise AssertionError


def tiny_decoder(seed: int = 0, every_condition: bool = False) -> Decoder:
    """A 16 px decoder with random weights, none of them zero, so that every condition matters."""
    import torch  # here, and not above: worker processes import this file

    from ds2f.models.decoder import ALL_CONDITIONS, Decoder, DecoderConfig

    generator = torch.Generator().manual_seed(seed)
    more = {"conditions": ALL_CONDITIONS, "guide": True} if every_condition else {}
    decoder = Decoder(DecoderConfig(size=16, patch=4, width=64, depth=2, heads=1, refine=4, **more))
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return decoder.eval().requires_grad_(False)
