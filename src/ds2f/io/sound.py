"""Converts sound to 16 kHz mono: channels, rates, timestamps, full scale.

Files and arrays take the same path: channels are mixed at their own rate, the mix is resampled once, and scaled down if
it exceeds full scale.
"""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from dataclasses import dataclass, field

import av
import numpy as np

from ds2f.errors import ItemError
from ds2f.types import SAMPLE_RATE

MAX_CHANNELS = 16  # accepted, third-order ambisonics; an array with more is probably transposed
RATES = (1_000, 768_000)  # Hz; anything else is damage
GAP = 0.02  # seconds missing between two frames above which silence is inserted
PLANES = 7  # PyAV converts planar frames with at most this many channels to arrays, and none of 64-bit integers
BLOCK = 60.0  # seconds mixed and resampled at a time, which bounds memory
CANCELLED = 0.3  # share of the strongest channel's power; with less than this left, the mix is not the sound
LOUDEST = 2.0**31  # 32-bit integers stored as floats; anything louder is damage
SILENT = 1e-4  # of full scale

# How much of each loudspeaker goes into the mix: FFmpeg's weights (ITU-R BS.775: 1/sqrt(2) for the front sides, half
# for the back, no bass), but as shares of one, so that equal channels are as loud as a single one.
_SHARES = {"FC": 1.0, "FL": 2**-0.5, "FR": 2**-0.5, "FLC": 2**-0.5, "FRC": 2**-0.5, "LFE": 0.0, "LFE2": 0.0}
_SHARES |= dict.fromkeys(("BL", "BR", "BC", "SL", "SR", "TFL", "TFR", "TFC", "TBL", "TBR", "TBC", "WL", "WR"), 0.5)


def resample(samples: np.ndarray, rate: int, channel: int = 0) -> np.ndarray:
    """Sound of any rate in Hz to (samples,) float32 mono at SAMPLE_RATE, in [-1, 1].

    samples: (n,) or (n, channels), floats, or integers using the full range of their type; floats beyond ±1 are scaled,
    not clipped.
    channel: the only one to use, counted from 1; 0: all, see `mix`.
    Raises ItemError(stage="audio") for anything else.
    """
    if isinstance(rate, bool) or not isinstance(rate, numbers.Real):
        raise ItemError("audio", "a tuple is (samples, rate in Hz); give several recordings as a list")
    samples = np.asarray(samples)
    columns = samples[:, None] if samples.ndim == 1 else samples
    if columns.ndim != 2 or not 0 < columns.shape[1] <= MAX_CHANNELS or samples.dtype.kind not in "fiu":
        raise ItemError(
            "audio", f"sound must be numbers, (samples,) or (samples, channels), not {samples.dtype} {samples.shape}"
        )
    if not RATES[0] <= rate <= RATES[1]:
        raise ItemError("audio", f"a sampling rate of {rate} Hz cannot be right; {RATES[0]} to {RATES[1]} Hz can")
    if samples.dtype.kind in "iu" and samples.dtype.itemsize > 4:  # such as a list becomes: its full scale is unknown
        raise ItemError("audio", f"sound in {samples.dtype} has no known full scale; give int16, int32 or floats")
    mono, _ = mix(to_float(columns.T), (), channel)
    return scaled(to_sample_rate(mono, rate))


def to_float(samples: np.ndarray) -> np.ndarray:
    """Numbers of any type to float32, integers scaled by the range of their type; NaN and absurd values become
    silence."""
    if samples.dtype.kind in "iu":
        middle = (np.iinfo(samples.dtype).max + 1.0) / (2 if samples.dtype.kind == "u" else 1)
        samples = samples / middle - (samples.dtype.kind == "u")
    samples = samples.astype(np.float32)
    return np.where(np.abs(samples) <= LOUDEST, samples, np.float32(0))  # also false for NaN


def mix(channels: np.ndarray, names: Sequence[str] = (), channel: int = 0) -> tuple[np.ndarray, str]:
    """(channels, n) float32 to (n,) float32, and how: "mean of 2", "1 of 2".

    names: of the loudspeakers, FFmpeg's, where known. channel: the only one to use, counted from 1; 0: their mean or,
    if the channels cancel each other (from wrong wiring) or most are empty, the strongest. Raises
    ItemError(stage="audio") if there is no such channel.
    """
    count = len(channels)
    if channel > count:
        raise ItemError("audio", f"channel {channel} was asked for, but there are {count} in it")
    if channel or count == 1:
        return channels[max(0, channel - 1)], f"{max(1, channel)} of {count}"
    weights = np.array([_SHARES.get(name, 1.0) for name in names] if len(names) == count else [1.0] * count)
    power = channels.var(1, dtype=np.float64)
    if not weights @ power:  # all there is lies where the format has its bass: findings/array_loses_a_microphone.sh
        weights = np.ones(count)
    weights = weights / weights.sum()
    mean = weights.astype(np.float32) @ channels
    strongest = int((power * (weights > 0)).argmax())
    if mean.var(dtype=np.float64) < CANCELLED * power[strongest]:
        return channels[strongest], f"{strongest + 1} of {count}"
    return mean, f"mean of {count}"


def to_sample_rate(mono: np.ndarray, rate: int) -> np.ndarray:
    """(n,) float32 at `rate` Hz to SAMPLE_RATE."""
    if rate == SAMPLE_RATE or not mono.size:
        return mono
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(mono[None]), format="flt", layout="mono")
    frame.sample_rate = int(rate)
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    pieces = [f.to_ndarray()[0] for f in (*resampler.resample(frame), *resampler.resample(None))]
    return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)  # anything shorter than the filter is lost


def scaled(audio: np.ndarray) -> np.ndarray:
    """Sound beyond full scale, as in float files and decoded loud music, scaled down as a whole."""
    peak = float(np.abs(audio).max(initial=0.0))
    return audio / np.float32(peak) if peak > 1.0 else audio


def is_silent(audio: np.ndarray) -> bool:
    return float(np.abs(audio).max(initial=0.0)) < SILENT


@dataclass
class _Run:
    """Consecutive frames without a gap, all of one kind. start: seconds; kind: (rate, channels, type)."""

    start: float
    kind: tuple[int, tuple[str, ...], str]
    pieces: list[np.ndarray] = field(default_factory=list)
    samples: int = 0

    @property
    def seconds(self) -> float:
        return self.samples / self.kind[0]


class Track:
    """Collects decoded sound frames by their timestamps; gaps become silence, so that sound and picture stay in sync. A
    stream may change its rate, channels or format on the way."""

    def __init__(self, start: float, seconds: float, channel: int = 0) -> None:
        """Only `seconds` from `start` on are kept. channel: see `mix`."""
        self.start, self.end, self.channel = start, start + seconds, channel
        self.stamped = True  # whether the timestamps of single frames are meaningful
        self.now = 0.0  # seconds: where the last frame ended
        self.how = ""
        self._run: _Run | None = None
        self._done: list[tuple[float, np.ndarray]] = []  # (start, 16 kHz mono)

    @property
    def full(self) -> bool:
        return self.now >= self.end

    def add(self, frame: av.AudioFrame, time: float | None) -> None:
        """time: seconds of its first sample, None if the file does not state it."""
        rate = frame.sample_rate
        if not RATES[0] <= rate <= RATES[1]:
            raise ItemError("audio", f"the file says that its sound has {rate} samples a second, so it is damaged")
        first = self._run is None and not self._done
        if time is None or (not first and (time - self.now < GAP or not self.stamped)):
            time = self.now  # a timestamp that is slightly off, or goes back, is ignored
        self.now = time + frame.samples / rate
        if self.now <= self.start or time >= self.end:
            return
        kind = (rate, tuple(c.name for c in frame.layout.channels), frame.format.name)
        run = self._run
        if run is None or run.kind != kind or time > run.start + run.seconds + GAP / 2 or run.seconds >= BLOCK:
            self._close()
            run = self._run = _Run(time, kind)
        run.pieces.append(_samples(frame))
        run.samples += frame.samples

    def finish(self) -> np.ndarray:
        """(samples,) float32 at SAMPLE_RATE, from `start` on."""
        self._close()
        limit = round((self.end - self.start) * SAMPLE_RATE)
        placed = [(round((start - self.start) * SAMPLE_RATE), audio) for start, audio in self._done]
        end = max((at + audio.size for at, audio in placed), default=0)
        whole = np.zeros(max(0, min(limit, end)), np.float32)
        for at, audio in placed:
            audio = audio[max(0, -at) :][: max(0, whole.size - max(0, at))]
            whole[max(0, at) : max(0, at) + audio.size] = audio
        return scaled(whole)

    def _close(self) -> None:
        if self._run is not None:
            rate, names, _ = self._run.kind
            mono, how = mix(to_float(np.concatenate(self._run.pieces, axis=1)), names, self.channel)
            self._done.append((self._run.start, to_sample_rate(mono, rate)))
            self.how = self.how or how
            self._run = None


def _samples(frame: av.AudioFrame) -> np.ndarray:
    """(channels, n), in the frame's own data type."""
    kind = frame.format
    if kind.name.startswith("s64") or (kind.is_planar and frame.layout.nb_channels > PLANES):
        packed = "dbl" if kind.name.startswith("s64") else kind.packed.name
        same = av.AudioResampler(format=packed, layout=frame.layout, rate=frame.sample_rate)
        samples = np.concatenate([f.to_ndarray() for f in (*same.resample(frame), *same.resample(None))], axis=1)
        return samples.reshape(samples.size // frame.layout.nb_channels, -1).T[:MAX_CHANNELS]
    samples = frame.to_ndarray()
    return samples if kind.is_planar else samples.reshape(frame.samples, -1).T[:MAX_CHANNELS]
