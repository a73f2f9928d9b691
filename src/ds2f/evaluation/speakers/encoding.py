"""Recordings to vectors, under one or several conditions, with the quality of each recording.

Results are appended to `heard.jsonl` as they come and are not recomputed, so a stopped run resumes, and a further
encoder or condition computes only its own. A changed recording, model file or [audio] setting is computed anew.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ds2f.config import Audio
from ds2f.errors import ItemError
from ds2f.io.codecs import through
from ds2f.types import SAMPLE_RATE, Progress, Speech
from ds2f.voice.activity import cut
from ds2f.voice.base import SpeakerEncoder
from ds2f.voice.encode import VoiceEncoder
from ds2f.voice.quality import bandwidth, signal_to_noise
from ds2f.voice.recording import Sound, sound_in

FILE = "heard.jsonl"
WHOLE = 3600.0  # seconds of a recording that count as all of it


@dataclass(frozen=True)
class Condition:
    """How recordings are processed.

    codec: applied first, see `io.codecs`; "": none.
    seconds: clip length; None: everything, which requires `whole`.
    crops: clips of that length, evenly spaced over the speech.
    whole: including pauses, as in voxceleb_trainer and WeSpeaker; else speech only, as in ds2f.
    """

    codec: str = ""
    seconds: float | None = 6.0
    crops: int = 1
    whole: bool = False

    @property
    def name(self) -> str:
        length = "whole" if self.seconds is None else f"{self.seconds:g} s"
        return f"{self.codec}, {length}" if self.codec else length


@dataclass(frozen=True)
class EncodedRecording:
    """An encoded recording. vectors: (crops, d) float32, each of length 1; seconds: of speech in the recording; snr,
    bandwidth: of the whole recording, in dB and kHz, see `voice.quality`."""

    vectors: np.ndarray
    seconds: float
    snr: float
    bandwidth: float


@dataclass(frozen=True, eq=False)
class NamedEncoder:
    """An encoder and its origin. spec: as in ds2f.toml; stamp: changes with its file."""

    model: SpeakerEncoder
    spec: str
    stamp: str = ""

    @property
    def name(self) -> str:
        return self.model.name


@dataclass
class Encodings:
    """Encoded recordings. of: {(encoder, condition, path): EncodedRecording}; refused: {the same key: reason}."""

    of: dict[tuple[str, Condition, str], EncodedRecording] = field(default_factory=dict)
    refused: dict[tuple[str, Condition, str], str] = field(default_factory=dict)


def encode_recordings(
    paths: Sequence[str],
    root: Path,
    encoders: Sequence[NamedEncoder],
    conditions: Sequence[Condition],
    audio: Audio,
    out: Path,
    progress: Progress | None = None,
) -> Encodings:
    """Encode every recording by every encoder under every condition.

    paths: relative to the root, each once.
    root: folder.
    encoders: encoders.
    conditions: see `Condition`; the codec is applied before speech detection.
    audio: what counts as speech, and how much of it is kept.
    out: folder of `heard.jsonl`; must exist.
    progress: called with (recordings encoded, total, path).
    """
    kept, found = _Kept(out / FILE), Encodings()
    wanted = [(encoder, condition) for condition in conditions for encoder in encoders]
    listeners = _Listeners(audio)
    for done, path in enumerate(paths):
        if progress:
            progress(done, len(paths), path)
        marks = {pair: _mark(root / path, *pair, listeners.of(pair[1]).audio) for pair in wanted}
        missing = [pair for pair in wanted if marks[pair] not in kept.rows]
        for pair, row in _encode_one(root / path, missing, listeners).items():
            kept.add(marks[pair], row)
        for encoder, condition in wanted:
            row = kept.rows[marks[encoder, condition]]
            key = encoder.name, condition, path
            if "reason" in row:
                found.refused[key] = row["reason"]
            else:
                found.of[key] = _encoded(row)
    if progress:
        progress(len(paths), len(paths), "")
    return found


Pair = tuple[NamedEncoder, Condition]


class _Listeners:
    """Find speech as the settings say, in more of a recording where a condition needs more."""

    def __init__(self, audio: Audio) -> None:
        self._audio, self._of = audio, dict[tuple[float, bool], VoiceEncoder]()

    def of(self, condition: Condition) -> VoiceEncoder:
        audio, whole = self._audio, condition.whole
        longer = max(condition.seconds or 0, *audio.clip_seconds)
        if whole:
            audio = replace(audio, max_seconds=WHOLE)
        elif longer > max(audio.clip_seconds):
            # Speech has pauses: as much of it as is wanted may be spread over three times as much of a recording.
            most, keep = max(audio.max_seconds, 3 * longer), max(audio.keep_seconds, longer)
            audio = replace(audio, clip_seconds=[longer], keep_seconds=keep, max_seconds=most)
        if (longer, whole) not in self._of:
            self._of[longer, whole] = VoiceEncoder(audio)
        return self._of[longer, whole]


def _encode_one(path: Path, wanted: Sequence[Pair], listeners: _Listeners) -> dict[Pair, dict[str, Any]]:
    """{pair: its row}; a recording is decoded once for as much of it as conditions need, and each of its forms searched
    for speech once."""
    found: dict[Pair, dict[str, Any]] = {}
    forms: dict[tuple[VoiceEncoder, str, bool], list[Pair]] = {}
    for encoder, condition in wanted:
        form = (listeners.of(condition), condition.codec, condition.whole)
        forms.setdefault(form, []).append((encoder, condition))
    opened: dict[VoiceEncoder, Sound] = {}
    for (listener, codec, whole), pairs in forms.items():
        try:
            if listener not in opened:
                sound = sound_in(path, listener.audio)
                opened[listener] = replace(sound, part=cache(sound.part))
            speech, quality = _listen(opened[listener], codec, whole, listener)
        except ItemError as error:
            found |= {pair: {"reason": error.reason} for pair in pairs}
            continue
        for encoder, condition in pairs:
            vectors = encoder.model.embed(clips(speech, condition))
            if np.isfinite(vectors).all():
                found[encoder, condition] = {"vectors": _packed(vectors), "crops": len(vectors), **quality}
            else:
                found[encoder, condition] = {"reason": f"no speech found by {encoder.name}"}
    return found


def _listen(sound: Sound, codec: str, whole: bool, voices: VoiceEncoder) -> tuple[Speech, dict[str, float]]:
    coded = cache(lambda start: through(sound.part(start), codec) if codec else sound.part(start))
    heard = coded(0.0)
    if whole:
        if not heard.any():
            raise ItemError("audio", "silence: there is no sound in it" if heard.size else "the sound track is empty")
        speech = Speech(heard, 0.0, heard.size / SAMPLE_RATE)
    else:
        speech = voices.search(replace(sound, part=coded))
    return speech, {"seconds": speech.seconds, "snr": signal_to_noise(heard), "bandwidth": bandwidth(heard)}


def clips(speech: Speech, condition: Condition) -> np.ndarray:
    """(crops, samples) float32, taken as in voxceleb_trainer: evenly spaced from the first sample to the last one at
    which a clip can begin; speech that is too short is looped, and then every clip begins at the start."""
    if condition.seconds is None:
        return speech.audio[None]
    if condition.crops == 1:
        return cut(speech, condition.seconds).audio[None]
    length = round(condition.seconds * SAMPLE_RATE)
    audio = np.resize(speech.audio, max(length, speech.audio.size))
    starts = np.linspace(0, audio.size - length, condition.crops).astype(int)
    return np.stack([audio[start : start + length] for start in starts])


class _Kept:
    """`heard.jsonl`: one line per recording, encoder and condition; a killed run may have truncated the last line."""

    def __init__(self, path: Path) -> None:
        self.path, self.rows = path, dict[str, dict[str, Any]]()
        if path.exists():
            data = path.read_bytes()
            for line in data.splitlines():
                try:
                    row = json.loads(line)
                    self.rows[row.pop("of")] = row
                except (ValueError, KeyError, AttributeError):
                    continue
            if data and not data.endswith(b"\n"):
                with path.open("ab") as file:
                    file.write(b"\n")

    def add(self, mark: str, row: dict[str, Any]) -> None:
        self.rows[mark] = row
        if "reason" in row:
            return  # the next run may succeed
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"of": mark, **row}) + "\n")


def _mark(path: Path, encoder: NamedEncoder, condition: Condition, audio: Audio) -> str:
    """Everything that a vector depends on."""
    try:
        status = path.stat()
        file = f"{status.st_size} {status.st_mtime_ns}"
    except OSError:
        file = ""
    settings = {key: value for key, value in asdict(audio).items() if key in _HEARD_BY}
    return json.dumps([str(path), file, encoder.spec, encoder.stamp, asdict(condition), settings], sort_keys=True)


_HEARD_BY = ("min_speech", "max_seconds", "keep_seconds", "clip_seconds", "stream", "channel")


def _packed(vectors: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(vectors, np.float32).tobytes()).decode()


def _encoded(row: Mapping[str, Any]) -> EncodedRecording:
    vectors = np.frombuffer(base64.b64decode(row["vectors"]), np.float32).reshape(row["crops"], -1)
    return EncodedRecording(vectors, row["seconds"], row["snr"], row["bandwidth"])
