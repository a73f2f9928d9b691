"""Frozen records shared by the packages. Units and ranges are stated beside every field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ds2f._renamed import old_names

SAMPLE_RATE = 16_000
"""Hz. All audio in ds2f is mono float32 in [-1, 1] at this rate."""
VOICE = "campplus-frames"
"""The default speaker encoder, see `voice.encoders`."""
ACOUSTICS = "acoustics"
"""Takes the place of a speaker encoder's name for `voice.acoustics.FEATURES`."""
DLIB = "dlib"
"""The face embedder that distinguishes people: every stored face has its vector."""


class Progress(Protocol):
    """Reports progress: done out of total, and optionally a note to show beside it."""

    def __call__(self, done: int, total: int, note: str = "", /) -> None: ...


@dataclass(frozen=True)
class Source:
    """Where the bytes of one video or picture are stored: a file, or a member of an uncompressed tar."""

    path: Path
    offset: int | None = None  # bytes from the start of the tar; None for a plain file
    size: int = 0  # bytes


@dataclass(frozen=True)
class Part:
    """A part of a recording that belongs to one person. start, seconds: where it begins and how long it is, None: the
    whole recording; channel: counted from 1, None: all channels."""

    start: float | None = None
    seconds: float | None = None
    channel: int | None = None

    @property
    def fragment(self) -> str:
        """The suffix of such a part's path: a W3C Media Fragment for the time, and the channel in the same style."""
        ends = () if self.start is None or self.seconds is None else (self.start, self.start + self.seconds)
        time = ["t=" + ",".join(f"{end:.6f}".rstrip("0").rstrip(".") for end in ends)] if ends else []
        return "#" + "&".join([*time, *([f"channel={self.channel}"] if self.channel else [])])


@dataclass(frozen=True)
class CorpusItem:
    """One file as a corpus layout describes it, before anything is decoded."""

    path: str  # relative to the ingested root, with forward slashes; for a part, ends in `Part.fragment`
    corpus: str  # name of the layout that recognised it, see `corpora`
    identity: str  # unique within the corpus and `scope`
    size: int  # bytes
    mtime_ns: int  # of the file, or of the tar that contains it
    offset: int | None = None  # bytes, only inside a tar
    labels: tuple[tuple[str, str], ...] = ()  # (attribute, value) pairs stated by the layout itself
    kind: str = ""  # video, sound or still; empty: the kind of the whole ingest
    scope: str = ""  # absolute path of the folder or tar within which `identity` is unique; empty: the corpus
    part: Part | None = None  # None: the whole file


@dataclass(frozen=True)
class Frame:
    """One decoded picture. image: (height, width, 3) uint8 RGB; time: seconds from the start."""

    image: np.ndarray
    time: float


@dataclass(frozen=True)
class Media:
    """The result of one decoding pass. audio: (samples,) float32 at SAMPLE_RATE, empty if there is no sound; its first
    sample is at the requested time.

    audio_stream, video_stream: the streams used, numbered as FFmpeg does; None: there is none.
    channels: "1 of 2", "mean of 2"; empty: no sound was decoded.
    troubles: {stage: why that part is missing}.
    """

    audio: np.ndarray
    frames: tuple[Frame, ...]
    duration: float  # seconds of the whole file
    width: int  # pixels, 0 for audio only
    height: int
    fps: float
    has_audio: bool
    has_video: bool
    audio_stream: int | None = None
    video_stream: int | None = None
    channels: str = ""
    troubles: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Excerpt:
    """The part of a long recording in which speech was found; the rest was not heard. start, end, length: seconds."""

    start: float
    end: float
    length: float

    def __str__(self) -> str:
        return f"from {self.start:.0f} to {self.end:.0f} s of {self.length:.0f} s"


@dataclass(frozen=True)
class Speech:
    """What one person says in a recording, with the pauses cut out.

    audio: (samples,) float32.
    start: seconds into the file at which the first speech begins.
    seconds: speech found in the whole file, or in `part` of it, of which `audio` may be only the beginning.
    part: None if the whole file was heard.
    """

    audio: np.ndarray
    start: float
    seconds: float
    part: Excerpt | None = None


@dataclass(frozen=True)
class VoiceClip:
    """Speech cut or looped to a fixed length.

    audio: (samples,) float32.
    speech_seconds: actual speech in it.
    repeats: how many times it was repeated to fill the length; 1 if there was enough.
    """

    audio: np.ndarray
    speech_seconds: float
    repeats: float


@dataclass(frozen=True)
class Language:
    """A spoken language. code: ISO 639-1; probability in [0, 1]."""

    code: str
    probability: float


@dataclass(frozen=True)
class DetectedFace:
    """A detected face. box: (x, y, width, height) in pixels; landmarks: (5, 2) float32 pixels: left eye, right eye,
    nose and mouth corners, as the viewer sees them; score: detector probability in [0, 1]."""

    box: tuple[int, int, int, int]
    landmarks: np.ndarray
    score: float

    @property
    def area(self) -> int:
        return self.box[2] * self.box[3]


@dataclass(frozen=True)
class Attributes:
    """A model's estimates for a face: distributions, not verdicts. Each dictionary sums to 1.

    age: expected age in years.
    age_bins: probability by decade, with the keys AGE_BINS.
    gender: with the keys GENDERS.
    ethnicity: with the model's keys, which are ETHNICITIES for the offline default; empty if the model gives none.
    """

    age: float
    age_bins: dict[str, float]
    gender: dict[str, float]
    ethnicity: dict[str, float]


AGE_BINS = ("0-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70-79", "80+")
GENDERS = ("male", "female")
ETHNICITIES = ("White", "Black", "Asian", "Indian", "Others")


def years_of(text: str) -> float:
    """An age as a corpus states it, in years; NaN for words such as "adult" and for impossible ages."""
    try:
        years = float(text)
    except ValueError:
        return float("nan")
    return years if 0 <= years <= 130 else float("nan")


def decade_of(age: np.ndarray) -> np.ndarray:
    """(n,) ages in years to (n,) indices into AGE_BINS, -1 for NaN."""
    return np.clip(np.nan_to_num(age, nan=-10.0) // 10, -1, len(AGE_BINS) - 1).astype(int)


@dataclass(frozen=True)
class FaceLabels:
    """What corpora state about n faces. age: (n,) float years, NaN where not stated; gender, ethnicity: (n,) int
    indices into GENDERS and ETHNICITIES, -1 where not stated."""

    age: np.ndarray
    gender: np.ndarray
    ethnicity: np.ndarray

    def of(self, rows: np.ndarray) -> FaceLabels:
        """The labels of some of the faces. rows: (m,) int."""
        return FaceLabels(self.age[rows], self.gender[rows], self.ethnicity[rows])


@dataclass(frozen=True)
class Facts:
    """What a file states about itself. duration: seconds; width, height: pixels; 0 where not stated. stream: the video
    stream used, numbered as FFmpeg does."""

    duration: float = 0.0
    width: int = 0
    height: int = 0
    fps: float = 0.0
    stream: int | None = None


@dataclass(frozen=True)
class StoredSpeech:
    """A `Speech` as passed from worker to database. sound: 16 kHz mono, see `io.speech`; start, seconds: as in Speech;
    stream, channels: what was decoded, as in Media."""

    sound: bytes
    start: float
    seconds: float
    stream: int | None = None
    channels: str = ""


@dataclass(frozen=True)
class Face:
    """The face kept for one file.

    webp, box_webp: the canonical crop, and the detector's box with margins (None if not wanted); both are square and
        encoded as WebP.
    identity: (128,) float32, by dlib.
    detected: in pixels of the file's picture.
    time: seconds from the start.
    quality: in [0, 1], see `face.quality`.
    coverage: in [0, 1], see `face.align.coverage`.
    people: how many were seen in the file.
    """

    webp: bytes
    box_webp: bytes | None
    identity: np.ndarray
    detected: DetectedFace
    time: float
    quality: float
    coverage: float
    people: int


@dataclass
class Extracted:
    """Everything extracted from one file, filled in while it is processed. What was requested but could not be
    extracted is in `failures`, as (stage, reason).

    clips: {clip seconds: (seconds of actual speech in it, repeats)}.
    voices: {(clip seconds, encoder): (d,) float32}.
    identities: {encoder: (d,) float32}, besides dlib's, which is part of the face.
    attributes, languages: {model: estimate}.
    acoustics: {feature: value}.
    """

    facts: Facts | None = None
    speech: StoredSpeech | None = None
    face: Face | None = None
    clips: dict[float, tuple[float, float]] = field(default_factory=dict)
    voices: dict[tuple[float, str], np.ndarray] = field(default_factory=dict)
    identities: dict[str, np.ndarray] = field(default_factory=dict)
    attributes: dict[str, Attributes] = field(default_factory=dict)
    languages: dict[str, Language] = field(default_factory=dict)
    acoustics: dict[str, float] | None = None
    failures: tuple[tuple[str, str], ...] = ()

    def fail(self, stage: str, reason: str) -> None:
        """Record that what was requested of `stage` is missing, and why."""
        self.failures += ((stage, reason),)


@dataclass(frozen=True)
class Wish:
    """What is asked of a face besides fitting its voice; None = not specified.

    age: years.
    gender: one of GENDERS.
    ethnicity: one of ETHNICITIES, only ever an explicit choice.
    guide: (height, width, 3) uint8 RGB, a blurred, pixelated or small picture, aligned by the face detected in it, or
        else taken to be a canonical crop.
    language: ISO 639-1 code of the language spoken.
    """

    age: float | None = None
    gender: str | None = None
    ethnicity: str | None = None
    guide: np.ndarray | None = None
    language: str | None = None

    @property
    def looks(self) -> bool:
        """Whether it specifies anything about the person's appearance."""
        return (self.age, self.gender, self.ethnicity) != (None, None, None)

    @property
    def anything(self) -> bool:
        """Whether it specifies anything at all. (A guide is an array, which cannot be compared with `==` like the
        rest.)"""
        return self.looks or self.guide is not None or self.language is not None


NO_WISH = Wish()


if not TYPE_CHECKING:
    __getattr__ = old_names(__name__)
