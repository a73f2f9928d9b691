"""Writes the voices of a dataset as manifests for other toolkits: lists of the recordings in place, and of who speaks.

| | files |
| --- | --- |
| lhotse | recordings.jsonl.gz, supervisions.jsonl.gz |
| kaldi | wav.scp, utt2spk, spk2utt, reco2dur, and if known segments, spk2gender, utt2lang |

`corpora.manifests` reads them. Sources: https://lhotse.readthedocs.io/en/latest/corpus.html and
https://kaldi-asr.org/doc/data_prep.html.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import av.error

from ds2f.dataset.formats import MADE_BY, README
from ds2f.dataset.keys import file_in
from ds2f.dataset.queries import Dataset
from ds2f.dataset.schema import LANGUAGE, PERSON
from ds2f.dataset.splits import SPLITS
from ds2f.errors import UserError
from ds2f.io.files import make_folder, replacing, write_json
from ds2f.types import Part, Progress

FILES = {
    "lhotse": ("recordings.jsonl.gz", "supervisions.jsonl.gz"),
    "kaldi": ("wav.scp", "utt2spk", "spk2utt", "reco2dur", "segments", "spk2gender", "utt2lang"),
}

PART = ".part"  # of a file that `replacing` was writing when the process was killed


@dataclass(frozen=True)
class Voice:
    """A recording with usable speech. speaker: "corpus/name" of the person; rate: Hz; samples: per channel; track:
    the audio stream in which the speech was found, numbered as FFmpeg does, None: there is one; channel: that in which
    it was found, counted from 1, None: all."""

    key: str
    path: Path
    part: Part
    speaker: str
    gender: str
    language: str
    rate: int
    samples: int
    channels: int
    track: int | None = None
    channel: int | None = None

    @property
    def seconds(self) -> float:
        return self.samples / self.rate


def prepare(folder: Path) -> None:
    """Create the folder of a manifest if it is missing. Raises UserError if it holds other things, or cannot be
    written."""
    names = {*(name for names in FILES.values() for name in names), README}
    strange = sorted(path.name for path in folder.glob("*") if path.name.removesuffix(PART) not in names)
    if strange:
        raise UserError(f"{folder} holds other things, such as {strange[0]}; give a folder of its own.")
    make_folder(folder)


def write(
    dataset: Dataset, form: str, folder: Path, splits: Sequence[str] = SPLITS, progress: Progress | None = None
) -> tuple[int, int]:
    """Write the manifest of all recordings with usable speech, replacing an earlier one in `folder`.

    Recordings that no longer exist, or that are in a tar, cannot be listed. Returns (recordings listed, left out).

    dataset: whose recordings to list.
    form: "lhotse" or "kaldi".
    folder: for the manifest; created if missing.
    splits: any of train, val and test.
    progress: called with (recordings checked, total).
    Raises UserError if there are none, or `folder` holds other things.
    """
    prepare(folder)
    left_out: list[str] = []
    voices = sorted(_voices(dataset, splits, left_out, progress), key=lambda voice: _utterance(voice))
    if not voices and left_out:
        raise UserError(
            f"None of the {len(left_out):,} recordings can be listed, such as {left_out[0]}: "
            "they lie in a tar, or are no longer there."
        )
    if not voices:
        raise UserError(f"{dataset.path} has no recordings to list; see: ds2f status --database {dataset.path}")
    # First: forgetting a person looks only into folders that say they are ours, and a run may be killed at any point.
    write_json(folder / README, {"made_by": MADE_BY, "format": form, "dataset": dataset.name(), "records": len(voices)})
    for file in FILES["kaldi"] + FILES["lhotse"]:
        (folder / file).unlink(missing_ok=True)
        (folder / f"{file}{PART}").unlink(missing_ok=True)
    (_write_lhotse if form == "lhotse" else _write_kaldi)(folder, voices)
    return len(voices), len(left_out)


def without(folder: Path, speaker: str) -> int:
    """Remove a person from a manifest written by `write`, whose files may be of both formats, and incomplete, if it was
    killed while it replaced one by the other. Returns how many recordings were removed."""
    for file in FILES["kaldi"] + FILES["lhotse"]:
        (folder / f"{file}{PART}").unlink(missing_ok=True)
    return _without_lhotse(folder, speaker) + _without_kaldi(folder, _word(speaker))


def _without_lhotse(folder: Path, speaker: str) -> int:
    recordings, supervisions = (folder / name for name in FILES["lhotse"])
    spoken = [json.loads(line) for line in _read_gz(supervisions)] if supervisions.is_file() else []
    kept = [entry for entry in spoken if entry["speaker"] != speaker]
    if recordings.is_file():
        # Whoever speaks in a recording without a supervision is unknown, so it goes too.
        ids = {entry["recording_id"] for entry in kept}
        listed = [json.loads(line) for line in _read_gz(recordings)]
        known = [entry for entry in listed if entry["id"] in ids]
        if len(known) < len(listed):
            _write_gz(recordings, known)
    if len(kept) < len(spoken):
        _write_gz(supervisions, kept)
    return len(spoken) - len(kept)


def _without_kaldi(folder: Path, speaker: str) -> int:
    # In every file, a line starts with a speaker or an utterance, see `_utterance`.
    theirs = re.compile(rf"{re.escape(speaker)}(-\d{{9,}})?")
    gone: set[str] = set()
    for file in (folder / name for name in FILES["kaldi"]):
        lines = file.read_text("utf-8").splitlines() if file.is_file() else []
        found = {line.split()[0] for line in lines if theirs.fullmatch(line.split()[0])}
        if found:
            _write_text(file, [line for line in lines if line.split()[0] not in found])
        gone |= found
    return len(gone - {speaker})


def _voices(dataset: Dataset, splits: Sequence[str], left_out: list[str], progress: Progress | None) -> Iterator[Voice]:
    gender = "(SELECT value FROM labels l WHERE l.video_id = v.id AND l.attribute = 'gender')"
    rows = dataset.connection.execute(
        f"SELECT v.*, s.stream AS track, s.channels AS heard, r.path AS root,"
        f" p.corpus || '/' || p.name AS person, coalesce({gender}, '') AS gender,"
        f" {LANGUAGE} AS language FROM speech s JOIN videos v ON v.id = s.video_id"
        f" JOIN roots r ON r.id = v.root_id JOIN identities i ON i.id = v.identity_id"
        f" JOIN identities p ON p.id = {PERSON} WHERE i.split IN ({', '.join('?' * len(splits))}) ORDER BY v.id",
        tuple(splits),
    ).fetchall()
    for number, row in enumerate(rows):
        if progress:
            progress(number, len(rows), "")
        part = Part(row["part_start"], row["part_seconds"], row["part_channel"])
        path = Path(row["root"]) / file_in(row)
        header = None if row["tar_offset"] is not None else _header(path, row["track"])
        if header is None or "\n" in str(path):  # a line of a manifest
            left_out.append(str(path))
            continue
        facts = (row["person"], row["gender"], row["language"])
        one = re.fullmatch(r"(\d+) of (?!1\b)\d+", row["heard"] or "")
        channel = part.channel or (int(one[1]) if one else None)
        rate, samples, channels, track = header
        yield Voice(f"{row['id']:09d}", path, part, *facts, rate, samples, channels, track, channel)


def _header(path: Path, track: int | None) -> tuple[int, int, int, int | None] | None:
    """(Hz, samples per channel, channels, the track if it is one of several) as stated by a file; None if it does not
    state them or does not exist. track: the audio stream in use, None: the first."""
    try:
        with av.open(str(path), "r", metadata_errors="replace") as container:
            tracks = container.streams.audio
            stream = next((one for one in tracks if one.index == track), next(iter(tracks), None))
            if stream is None or not stream.rate or not stream.channels:
                return None
            seconds = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
            seconds = seconds or float(container.duration or 0) / av.time_base
            if seconds <= 0:
                return None
            # Before the file is closed: a stream's numbers are its, and mean nothing afterwards.
            one = stream.index if len(tracks) > 1 else None
            return stream.rate, round(seconds * stream.rate), stream.channels, one
    except (av.error.FFmpegError, OSError, ValueError):
        return None


def _word(text: str) -> str:
    """As a name that Kaldi accepts and that its scripts can use as a file name. Names that it could make alike, such as
    a/b-c and a/b/c, end in a hash."""
    word = re.sub(r"[\s/]", "-", text)
    return f"{word}-{hashlib.sha256(text.encode()).hexdigest()[:8]}" if re.search(r"[\s-]", text) else word


def _utterance(voice: Voice) -> str:
    """The speaker comes first, so that sorting by utterance also sorts by speaker, as Kaldi requires."""
    return f"{_word(voice.speaker)}-{voice.key}"


def _write_lhotse(folder: Path, voices: Sequence[Voice]) -> None:
    def source(voice: Voice) -> dict[str, str]:
        if voice.track is None:
            return {"type": "file", "source": str(voice.path)}
        return {"type": "command", "source": f"ffmpeg -v error -i {_of_track(voice)}-vn -f wav -"}

    def recording(voice: Voice) -> dict[str, Any]:
        channels = list(range(voice.channels))
        return {
            "id": voice.key,
            "sources": [{"channels": channels, **source(voice)}],
            "sampling_rate": voice.rate,
            "num_samples": voice.samples,
            "duration": voice.seconds,
            "channel_ids": channels,
        }

    def supervision(voice: Voice) -> dict[str, Any]:
        one = voice.channel - 1 if voice.channel else 0
        entry = {
            "id": _utterance(voice),
            "recording_id": voice.key,
            "start": voice.part.start or 0.0,
            "duration": voice.seconds if voice.part.seconds is None else voice.part.seconds,
            "channel": one if voice.channel or voice.channels == 1 else list(range(voice.channels)),
            "speaker": voice.speaker,
        }
        more = {"gender": voice.gender, "language": voice.language}
        return entry | {name: value for name, value in more.items() if value}

    _write_gz(folder / FILES["lhotse"][0], [recording(voice) for voice in voices])
    _write_gz(folder / FILES["lhotse"][1], [supervision(voice) for voice in voices])


def _write_kaldi(folder: Path, voices: Sequence[Voice]) -> None:
    """wav.scp contains a command for what Kaldi cannot read itself, and for one channel of several."""
    names = [_utterance(voice) for voice in voices]
    speakers: dict[str, list[str]] = {}
    for voice, name in zip(voices, names, strict=True):
        speakers.setdefault(_word(voice.speaker), []).append(name)
    genders = {_word(v.speaker): v.gender[0] for v in voices if v.gender}
    spoken = [f"{name} {v.language}" for v, name in zip(voices, names, strict=True) if v.language]
    parts = any(v.part.start is not None for v in voices)
    whole = ((v.part.start or 0.0, (v.part.start or 0.0) + (v.part.seconds or v.seconds)) for v in voices)
    tables = {
        "wav.scp": [f"{name} {_source(voice)}" for voice, name in zip(voices, names, strict=True)],
        "utt2spk": [f"{name} {_word(voice.speaker)}" for voice, name in zip(voices, names, strict=True)],
        "spk2utt": [f"{speaker} {' '.join(theirs)}" for speaker, theirs in sorted(speakers.items())],
        "reco2dur": [f"{name} {voice.seconds:.3f}" for voice, name in zip(voices, names, strict=True)],
        "segments": [f"{n} {n} {a:.3f} {b:.3f}" for n, (a, b) in zip(names, whole, strict=True)] if parts else [],
        "spk2gender": [f"{speaker} {gender}" for speaker, gender in sorted(genders.items())],
        "utt2lang": spoken,
    }
    for name, lines in tables.items():
        if lines:
            _write_text(folder / name, lines)


def _source(voice: Voice) -> str:
    if voice.path.suffix.lower() == ".wav" and voice.channels == 1:
        return str(voice.path)
    one = f"-af 'pan=mono|c0=c{voice.channel - 1}'" if voice.channel else "-ac 1"
    return f"ffmpeg -v error -i {_of_track(voice)}-vn {one} -ar 16000 -f wav - |"


def _of_track(voice: Voice) -> str:
    """The file as ffmpeg's shell command names it, and its track if it has several."""
    return shlex.quote(str(voice.path)) + (" " if voice.track is None else f" -map 0:{voice.track} ")


def _read_gz(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return file.read().splitlines()


def _write_gz(path: Path, entries: Sequence[dict[str, Any]]) -> None:
    with replacing(path) as aside, gzip.open(aside, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)


def _write_text(path: Path, lines: Sequence[str]) -> None:
    with replacing(path) as aside:
        aside.write_text("".join(f"{line}\n" for line in lines), "utf-8")
