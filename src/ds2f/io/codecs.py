"""Sound after a telephone or a codec: what a voice goes through on its way to a listener.

| name | what it is |
| --- | --- |
| telephone | 8 kHz, 300 to 3,400 Hz, G.711 µ-law (ITU-T G.712 and G.711): a landline call |
| opusN | Opus for speech at N kb/s, 6 to 256 (RFC 6716): voice messages, internet calls |
| aacN | AAC at N kb/s, 8 to 96 (ISO/IEC 14496-3): the sound of most videos |

Mono, encoded and decoded in memory by PyAV's FFmpeg; no files are involved.
"""

from __future__ import annotations

import io
import re
from typing import Any, NamedTuple

import av
import numpy as np

from ds2f.errors import UserError
from ds2f.io.media import decode
from ds2f.types import SAMPLE_RATE

TELEPHONE = "telephone"
BAND = (300.0, 3400.0)  # Hz, of a telephone
EDGE = 100.0  # Hz, width of the transition bands


class _Kind(NamedTuple):
    """encoder, container: FFmpeg's names; least, most: kb/s; options: of the encoder."""

    encoder: str
    container: str
    least: int
    most: int
    options: dict[str, str]


_KINDS = {
    "opus": _Kind("libopus", "ogg", 6, 256, {"application": "voip"}),
    "aac": _Kind("aac", "mp4", 8, 96, {}),
}
_NAME = re.compile(r"([a-z]+)(\d{1,3})")


def check_codec(name: str) -> str:
    """Returns the name. Raises UserError for one that denotes no codec, or a bit rate that it does not support."""
    if name != TELEPHONE:
        _rated(name)
    return name


def through(audio: np.ndarray, codec: str) -> np.ndarray:
    """A sound after a codec, with its original length and alignment.

    audio: (samples,) float32 in [-1, 1] at SAMPLE_RATE.
    codec: as in the table above.
    Raises UserError as `check_codec` does.
    """
    heard = _telephone if check_codec(codec) == TELEPHONE else lambda sound: _coded(sound, *_rated(codec))
    if not audio.size:
        return audio
    found = heard(audio)[: audio.size]
    return np.pad(found, (0, audio.size - found.size)).astype(np.float32)


def _rated(name: str) -> tuple[_Kind, int]:
    match = _NAME.fullmatch(name)
    kind = _KINDS.get(match[1]) if match else None
    if match is None or kind is None:
        raise UserError(f"There is no codec {name!r}; choose telephone, or opus or aac with its kb/s, such as opus8.")
    if not kind.least <= int(match[2]) <= kind.most:
        raise UserError(f"There is no {match[1]} at {match[2]} kb/s; it takes from {kind.least} to {kind.most}.")
    return kind, int(match[2])


def _telephone(audio: np.ndarray) -> np.ndarray:
    """Band-limit, halve the rate, apply the µ-law, and return to the full rate, all in the frequency domain."""
    length = audio.size + audio.size % 2
    hertz = np.fft.rfftfreq(length, 1 / SAMPLE_RATE)
    low, high = BAND
    passed = np.clip((hertz - low + EDGE) / EDGE, 0, 1) * np.clip((high + EDGE - hertz) / EDGE, 0, 1)
    spectrum = np.fft.rfft(audio, length) * np.sin(np.pi / 2 * passed) ** 2
    half = length // 2  # samples at 8 kHz
    narrow = _mu_law(np.fft.irfft(spectrum[: half // 2 + 1], half) / 2)
    return np.fft.irfft(np.fft.rfft(narrow) * 2, length)


def _mu_law(audio: np.ndarray) -> np.ndarray:
    """Companding and back: sgn(x) ln(1 + µ |x|) / ln(1 + µ), µ = 255, quantised to 8 bits (ITU-T G.711)."""
    mu = 255.0
    pressed = np.sign(audio) * np.log1p(mu * np.abs(np.clip(audio, -1.0, 1.0))) / np.log1p(mu)
    steps = np.round(127.0 * pressed) / 127.0
    return np.sign(steps) * np.expm1(np.abs(steps) * np.log1p(mu)) / mu


def _coded(audio: np.ndarray, kind: _Kind, rate: int) -> np.ndarray:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=kind.container) as container:
        stream: Any = container.add_stream(kind.encoder, rate=SAMPLE_RATE, layout="mono", options=kind.options)
        stream.bit_rate = 1000 * rate
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(audio[None], np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return decode(buffer.getvalue(), frames=0, max_seconds=audio.size / SAMPLE_RATE + 1).audio
