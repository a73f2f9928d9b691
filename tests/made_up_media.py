"""Media files with the traits of real ones, made on the spot: what a muxer is told, and headers written by hand."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition

from ds2f.types import SAMPLE_RATE


@dataclass
class Sound:
    """audio: (samples,) or (channels, samples) float32 at `rate`; late: seconds added to its stamps."""

    audio: np.ndarray
    codec: str = "pcm_s16le"
    rate: int = SAMPLE_RATE
    layout: str = ""
    late: float = 0.0
    flags: Disposition | None = None
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass
class Film:
    """frames: (height, width, 3) uint8 RGB, or video frames as they are; setup: what else the encoder is told."""

    frames: Sequence[np.ndarray | av.VideoFrame]
    codec: str = "libx264"
    fps: int = 25
    pixels: str = "yuv420p"
    late: float = 0.0
    flags: Disposition | None = None
    options: dict[str, str] = field(default_factory=dict)
    setup: Callable[[av.VideoStream], None] = lambda _: None


def write(path: Path, *streams: Sound | Film, format: str | None = None, options: dict[str, str] | None = None) -> Path:
    """Mux streams in their order; packets are sorted by time, as a recorder writes them."""
    with av.open(str(path), "w", format=format, options=options or {}) as out:
        added = [_add(out, stream) for stream in streams]
        packets = []
        for stream, spec in zip(added, streams, strict=True):
            for packet in _encode(stream, spec):
                shift = round(spec.late / packet.time_base)
                packet.pts = None if packet.pts is None else packet.pts + shift
                packet.dts = None if packet.dts is None else packet.dts + shift
                packets.append((float((packet.dts or 0) * packet.time_base), packet))
        for _, packet in sorted(packets, key=lambda p: p[0]):
            out.mux(packet)
    return path


def _add(out: av.container.OutputContainer, spec: Sound | Film) -> av.stream.Stream:
    if isinstance(spec, Sound):
        count = 1 if spec.audio.ndim == 1 else len(spec.audio)
        layout = spec.layout or {1: "mono", 2: "stereo"}[count]
        stream = out.add_stream(spec.codec, rate=spec.rate, layout=layout)
        stream.metadata.update(spec.metadata)
        stream.codec_context.open(strict=False)  # only then it says how long its frames are
    else:
        fast = {"libx264": {"preset": "ultrafast"}, "libvpx": {"deadline": "realtime", "cpu-used": "8"}}
        stream = out.add_stream(spec.codec, rate=spec.fps, options=fast.get(spec.codec, {}) | spec.options)
        first = spec.frames[0]
        shape = (first.height, first.width) if isinstance(first, av.VideoFrame) else first.shape[:2]
        stream.height, stream.width = shape
        stream.pix_fmt = spec.pixels
        spec.setup(stream)
    if spec.flags is not None:
        stream.disposition = spec.flags
    return stream


def _encode(stream: av.stream.Stream, spec: Sound | Film) -> list[av.Packet]:
    packets = []
    if isinstance(spec, Film):
        for number, image in enumerate(spec.frames):
            frame = image
            if isinstance(image, np.ndarray):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, spec.fps)
            packets += stream.encode(frame)
    else:
        context = stream.codec_context
        audio = np.atleast_2d(spec.audio).astype(np.float32)
        if not audio.size:
            return []  # a track without a packet
        packed = np.ascontiguousarray(audio.T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=context.layout)
        frame.sample_rate, frame.pts, frame.time_base = spec.rate, 0, Fraction(1, spec.rate)
        resampler = av.AudioResampler(context.format, context.layout, context.sample_rate, context.frame_size or 1024)
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            packets += stream.encode(piece)
    return packets + stream.encode(None)


def yuv(value: tuple[int, int, int], size: tuple[int, int] = (48, 64)) -> av.VideoFrame:
    """A flat frame of (Y, U, V), 8 bit 4:2:0."""
    frame = av.VideoFrame(size[1], size[0], "yuv420p")
    for plane, level in zip(frame.planes, value, strict=True):
        plane.update(bytes([level]) * plane.buffer_size)
    return frame


def sphere(samples: np.ndarray, rate: int = SAMPLE_RATE, coding: str = "pcm") -> bytes:
    """(samples,) int16 as NIST SPHERE, as TIMIT is published."""
    fields = (
        f"sample_count -i {samples.size}",
        f"sample_rate -i {rate}",
        "channel_count -i 1",
        "sample_n_bytes -i 2",
        "sample_byte_format -s2 01",
        "sample_sig_bits -i 16",
        f"sample_coding -s{len(coding)} {coding}",
        "end_head",
    )
    header = ("NIST_1A\n   1024\n" + "\n".join(fields) + "\n").encode()
    return header.ljust(1024) + samples.astype("<i2").tobytes()


def wav(samples: np.ndarray, rate: int = SAMPLE_RATE, size: int | None = None) -> bytes:
    """(samples, channels) int16 or float32 as RIFF WAVE. size: bytes that the header states, None: the truth."""
    samples = samples if samples.ndim == 2 else samples[:, None]
    data = samples.tobytes()
    kind, width, channels = (3 if samples.dtype.kind == "f" else 1), samples.dtype.itemsize, samples.shape[1]
    form = struct.pack("<HHIIHH", kind, channels, rate, rate * channels * width, channels * width, 8 * width)
    stated = len(data) if size is None else size
    riff = min(0xFFFFFFFF, 36 + stated)
    return (
        struct.pack("<4sI4s4sI", b"RIFF", riff, b"WAVE", b"fmt ", 16)
        + form
        + struct.pack("<4sI", b"data", stated)
        + data
    )
