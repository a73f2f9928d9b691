"""Speech as stored in a dataset: 16-bit FLAC, which is lossless, or Opus in Ogg, which takes half the space.

What is embedded is always the decoded sound, so an encoder added later receives what one present from the start
received: for FLAC the same bits everywhere, for Opus the same bits from the same build of its decoder (RFC 6716,
section 6, lets decoders differ in the last bits).
"""

from __future__ import annotations

import io
from fractions import Fraction

import numpy as np

from ds2f.types import SAMPLE_RATE

OPUS_RATE = 80_000  # bits per second; docs/experiments/pipeline.md compares the vectors at this and other rates
OPUS_PACKET = 60  # ms; shorter ones take longer to encode and are no better
KINDS = {b"fLaC": "flac", b"OggS": "opus"}
"""{first bytes: extension of such a file}."""


def to_16_bit(audio: np.ndarray) -> np.ndarray:
    """Floats in [-1, 1] to the whole numbers in [-32768, 32767] that are stored, still as floats."""
    return np.clip(np.round(audio * 32768.0), -32768, 32767)


def kind_of(data: bytes) -> str:
    """flac or opus. Raises KeyError for anything else."""
    return KINDS[data[:4]]


def encode(audio: np.ndarray, kind: str) -> bytes:
    """(samples,) float32 at SAMPLE_RATE as `decode` takes them. kind: flac or opus."""
    return encode_opus(audio) if kind == "opus" else encode_flac(audio)


def decode(data: bytes) -> np.ndarray:
    """(samples,) float32 at SAMPLE_RATE, as many as were encoded: for FLAC the input rounded to steps of 1/32768."""
    import soundfile

    audio, _ = soundfile.read(io.BytesIO(data), dtype="float32")  # Opus at its input rate, not at 48 kHz
    return audio


def encode_flac(audio: np.ndarray) -> bytes:
    """(samples,) float32 at SAMPLE_RATE to 16-bit FLAC bytes."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, to_16_bit(audio).astype(np.int16), SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def encode_opus(audio: np.ndarray, rate: int = OPUS_RATE) -> bytes:
    """(samples,) float32 at SAMPLE_RATE to Opus in Ogg; the same sound gives the same bytes. rate: bits per second.

    Uses FFmpeg rather than libsndfile, which gives every stream a random number and takes three times as long.
    """
    import av

    buffer, length = io.BytesIO(), OPUS_PACKET * SAMPLE_RATE // 1000
    with av.open(buffer, "w", format="ogg", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libopus", rate=SAMPLE_RATE, layout="mono", bit_rate=rate)
        stream.options = {"frame_duration": str(OPUS_PACKET), "compression_level": "0"}
        stream.format = "flt"
        for start in range(0, len(audio), length):
            piece = np.ascontiguousarray(audio[None, start : start + length], np.float32)
            frame = av.AudioFrame.from_ndarray(piece, format="flt", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, start, Fraction(1, SAMPLE_RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()
