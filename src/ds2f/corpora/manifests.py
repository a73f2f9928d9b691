"""Reads lists of sounds written by other toolkits, instead of a folder tree.

| | what is read |
| --- | --- |
| Kaldi data folder | wav.scp; if present utt2spk, segments, spk2gender, utt2lang, reco2dur |
| lhotse manifests | *recordings*.jsonl and *supervisions*.jsonl, .gz or not |

A line with a speaker is a sound of that person; several lines for one recording are parts of it. Commands in wav.scp
are never run: those that only decode a file are read as that file, others are left out. Sources:
https://kaldi-asr.org/doc/data_prep.html and https://lhotse.readthedocs.io/en/latest/corpus.html.
"""

from __future__ import annotations

import gzip
import json
import math
import os
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ds2f.corpora import recognise
from ds2f.corpora.base import Place
from ds2f.corpora.metadata import GENDERS
from ds2f.corpora.scan import Scan
from ds2f.errors import UserError
from ds2f.types import CorpusItem, Part

LANGUAGES = {
    **{"arabic": "ar", "bengali": "bn", "chinese": "zh", "czech": "cs", "danish": "da", "dutch": "nl", "english": "en"},
    **{"finnish": "fi", "french": "fr", "german": "de", "greek": "el", "hindi": "hi", "hungarian": "hu"},
    **{"italian": "it", "japanese": "ja", "korean": "ko", "mandarin": "zh", "norwegian": "no", "persian": "fa"},
    **{"polish": "pl", "portuguese": "pt", "romanian": "ro", "russian": "ru", "spanish": "es", "swedish": "sv"},
    **{"turkish": "tr", "ukrainian": "uk", "urdu": "ur", "vietnamese": "vi"},
}
_ONE_CHANNEL = re.compile(r"pan=mono\|c0=c(\d)")  # of ffmpeg's -af
_MAPPED = re.compile(r"0\.\d+\.(\d)")  # of its older -map_channel: file, stream, channel
SLACK = 0.1  # seconds by which a part may exceed its sound: durations are rounded
DECODING: dict[str, tuple[str, str]] = {
    "ffmpeg": ("-hide_banner -nostdin -nostats -vn -y", "-v -loglevel -i -ac -ar -f -acodec -c:a -codec:a -threads"),
    "sph2pipe": ("-p", "-f -c"),
    "sox": ("-G -q -V -V0 -V1", "-t -r -b -c -e"),
    "flac": ("-c -d -s -f -dc -cd -dcs -cds -dsc -csd -scd -sdc --silent --stdout --decode", ""),
    "cat": ("", ""),
    "opusdec": ("--quiet --force-wav", "--rate"),
    "mpg123": ("-q -s -m", "-w -r"),
}
"""{program: (options without a value, options with one)} that decode a file to WAV and change neither who speaks in it
nor when. A command with any other is not taken."""
HARMLESS = {"Resample", "Volume", "LoudnessNormalization"}
"""lhotse's transforms that change neither. A recording with any other is not taken."""


@dataclass(frozen=True)
class Utterance:
    """A line of a manifest. file: location of its sound; person: "" if nobody is named; length: seconds of the whole
    recording, 0 if not stated."""

    name: str
    file: str
    person: str = ""
    part: Part = Part()
    labels: tuple[tuple[str, str], ...] = ()
    length: float = 0.0


@dataclass
class ManifestScan(Scan):
    """The sounds listed by a manifest. root: once `items` has begun, the folder that contains all of them."""

    corpus: str = ""
    outside: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)

    def items(self) -> Iterator[CorpusItem]:
        """Raises UserError for a manifest that cannot be read, or that names no existing sound."""
        scope = self.root if self.root.is_dir() else self.root.parent
        lines = _lhotse(self) if self.corpus == "lhotse" else _kaldi(self)
        found: dict[tuple[str, Part], Utterance] = {}
        for line in lines:
            if self._usable(line) and found.setdefault((line.file, line.part), line).person != line.person:
                self.shared.append(line.name)
        self._say(found.values())
        if not found:
            raise UserError(" ".join((f"{self.root} names no sound that exists.", *self.warnings[:1])))
        self.root = Path(os.path.commonpath([os.path.dirname(file) for file, _ in found]))
        for line in found.values():
            yield self._sound(line, scope)

    def _usable(self, line: Utterance) -> bool:
        if not os.path.isfile(line.file):
            self.missing.append(line.file)
            return False
        start, seconds = line.part.start or 0.0, line.part.seconds
        end = start + (seconds or 0.0)
        if start < 0 or (seconds is not None and seconds <= 0) or 0 < line.length < end - SLACK:
            self.outside.append(f"{line.name} ({start:g} to {end:g} s of {line.length:g} s)")
            return False
        return True

    def _say(self, found: Iterable[Utterance]) -> None:
        for names, what in (
            (self.missing, "sounds that are not there"),
            (self.changed, "sounds that lhotse changes as it reads them"),
            (self.outside, "parts outside of their sound"),
            (self.shared, "people in sounds that are somebody else's already"),
        ):
            if names:
                self.left_out["other"] += len(names)
                self.warnings.append(
                    f"{self.root} names {len(names):,} {what}, such as {', '.join(names[:3])}; they were left out."
                )
        if nameless := sum(not line.person for line in found):
            self.warnings.append(
                f"{self.root} names no speaker of {nameless:,} sounds; each of them counts as a person."
            )

    def _sound(self, line: Utterance, scope: Path) -> CorpusItem:
        path = os.path.relpath(line.file, self.root).replace(os.sep, "/")
        corpus, found = recognise(Place.of(f"{self.root.name}/{path}"), "sound")
        known = corpus != "folder" and found.identity == line.person  # a manifest of a corpus whose layout is known
        labels = dict(found.labels if known else ()) | dict(line.labels)
        status = os.stat(line.file)
        return CorpusItem(
            path + (line.part.fragment if line.part != Part() else ""),
            corpus if known else self.corpus,
            line.person or line.name,
            status.st_size,
            status.st_mtime_ns,
            labels=tuple(labels.items()),
            kind="sound",
            scope="" if known else str(scope),
            part=line.part,
        )


def open_scan(root: Path, kind: str | None, person: str | None) -> Scan:
    """The reader for a folder, tar or manifest. kind, person: as in `Scan`; a manifest always lists sounds, and names
    their people itself."""
    sounds = kind in (None, "sound")
    if sounds and root.is_dir() and (root / "wav.scp").is_file():
        return ManifestScan(root, "sound", corpus="kaldi")
    if sounds and (_recordings(root) if root.is_dir() else "recordings" in root.name and _is_lines(root)):
        return ManifestScan(root, "sound", corpus="lhotse")
    return Scan(root, kind, person)


# ── Kaldi ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _kaldi(scan: ManifestScan) -> Iterator[Utterance]:
    folder = scan.root
    files: dict[str, tuple[str, int | None]] = {}
    for name, source in _once(folder / "wav.scp").items():
        found = _file_of(source, folder)
        if found is None:
            scan.left_out["other"] += 1
            scan.examples.append(source)
        else:
            files[name] = found
    if scan.examples:
        scan.warnings.append(
            f"{folder / 'wav.scp'} has {scan.left_out['other']:,} entries that are no file and no command that only "
            f"decodes one, such as {scan.examples[0]!r}; they were left out."
        )
    speaker, lengths = (_once(folder / name) for name in ("utt2spk", "reco2dur"))
    gender, spoken = (_once(folder / name) for name in ("spk2gender", "utt2lang"))
    if unread := [f"{said!r} of {who!r}" for who, said in gender.items() if said.lower() not in GENDERS]:
        scan.warnings.append(
            f"{folder / 'spk2gender'} has {len(unread):,} values that are neither m nor f, such as {unread[0]}; their "
            "speakers have no gender."
        )
    parts = [(name, *cells.split()) for name, cells in _once(folder / "segments").items()] or [
        (name, name) for name in files
    ]
    for name, recording, *times in parts:
        if recording not in files:
            scan.missing.append(f"{name} (of the recording {recording})")
            continue
        file, channel = files[recording]
        try:
            length = _number(lengths.get(recording, 0.0))
            start, end = (_number(times[0]), _number(times[1])) if times else (None, None)
        except (ValueError, IndexError):
            raise UserError(f"{folder} has an utterance {name!r} whose times are not numbers.") from None
        if end is not None and end < 0:  # to the end
            end = length or None
        if start and end is None:
            scan.outside.append(f"{name} ({start:g} s to the end, which reco2dur does not tell)")
            continue
        part = Part(start, end - (start or 0.0) if end is not None else None, channel)
        person = speaker.get(name, "")
        yield Utterance(name, file, person, part, _labels(gender.get(person, ""), spoken.get(name, "")), length)


def _pairs(path: Path) -> Iterator[tuple[str, str]]:
    """(first word, rest) of each line; nothing if there is no such file."""
    if not path.is_file():
        return
    for line in _lines(path):
        name, _, rest = line.partition(" ") if "\t" not in line.split(" ", 1)[0] else line.partition("\t")
        yield name, rest.strip()


def _once(path: Path) -> dict[str, str]:
    """`_pairs` as a dictionary. Raises UserError for a name with two different values, since either could be meant."""
    found: dict[str, str] = {}
    for name, told in _pairs(path):
        if found.setdefault(name, told) != told:
            raise UserError(
                f"{path} has {name!r} twice, as {found[name]!r} and as {told!r}; correct it and ingest again."
            )
    return found


def _file_of(source: str, folder: Path) -> tuple[str, int | None] | None:
    """(file, channel) behind an entry of wav.scp; None if it is not a file, or if its command does more than decode."""
    if not source.endswith("|"):
        return _absolute(source, folder), None
    try:
        words = shlex.split(source[:-1])
    except ValueError:
        return None
    program = os.path.basename(words[0]).removesuffix(".exe") if words else ""
    if program not in DECODING:
        return None
    plain, valued = (set(options.split()) for options in DECODING[program])
    files: list[str] = []
    channel: int | None = None
    rest = iter(words[1:])
    for word in rest:
        value = next(rest, "") if word in valued or word in ("-af", "-map_channel") else None
        if word == "-i":
            files.append(value or "")
        elif program == "sph2pipe" and word == "-c" and (value or "").isdecimal():
            channel = int(value or "")
        elif program == "ffmpeg" and word in ("-af", "-map_channel"):
            one = (_ONE_CHANNEL if word == "-af" else _MAPPED).fullmatch(value or "")
            if one is None:
                return None
            channel = int(one[1]) + 1
        elif word not in valued and word not in plain and word not in ("-", "pipe:", "pipe:1", "/dev/stdout"):
            files.append(word)
    if len(files) != 1 or not os.path.isfile(_absolute(files[0], folder)):
        return None
    return _absolute(files[0], folder), channel


# ── lhotse ────────────────────────────────────────────────────────────────────────────────────────────────────


def _lhotse(scan: ManifestScan) -> Iterator[Utterance]:
    root = scan.root
    for manifest in _recordings(root) if root.is_dir() else [root]:
        recordings: dict[str, dict[str, Any]] = {}
        for entry in _entries(manifest, ("id", "sources", "duration")):
            if recordings.setdefault(str(entry["id"]), entry) != entry:
                raise UserError(f"{manifest} has two recordings {entry['id']!r}; correct it and ingest again.")
        beside = manifest.with_name(manifest.name.replace("recordings", "supervisions"))
        if not beside.is_file():
            raise UserError(f"Beside {manifest} there is no {beside.name}, which says who speaks.")
        for entry in _entries(beside, ("id", "recording_id", "start", "duration")):
            recording = recordings.get(str(entry["recording_id"]))
            sources = [s for s in recording["sources"] if s.get("type") == "file"] if recording else []
            channel = entry.get("channel", 0)
            chosen = channel[0] if isinstance(channel, list) and len(channel) == 1 else channel
            files = [s for s in sources if not isinstance(chosen, int) or chosen in s.get("channels", [0])]
            if recording is None or len(files) != 1:
                scan.missing.append(f"{entry['id']} (of the recording {entry['recording_id']})")
                continue
            transforms = [str(transform["name"]) for transform in recording.get("transforms") or ()]
            if not HARMLESS.issuperset(transforms):
                scan.changed.append(f"{entry['id']} ({', '.join(transforms)})")
                continue
            yield _supervision(entry, recording, files[0], chosen, manifest)


def _supervision(
    entry: dict[str, Any], recording: dict[str, Any], source: dict[str, Any], channel: object, manifest: Path
) -> Utterance:
    try:
        start, seconds, length = (_number(told) for told in (entry["start"], entry["duration"], recording["duration"]))
    except (TypeError, ValueError):
        raise UserError(f"{manifest} has a supervision {entry['id']!r} whose times are not numbers.") from None
    whole = start == 0 and seconds >= length - SLACK and seconds <= length + SLACK
    channels = source.get("channels", [0])
    one = channels.index(channel) + 1 if isinstance(channel, int) and len(channels) > 1 else None
    part = Part(channel=one) if whole else Part(start, seconds, one)
    labels = _labels(str(entry.get("gender") or ""), str(entry.get("language") or ""))
    person = str(entry.get("speaker") or "")
    return Utterance(str(entry["id"]), _absolute(source["source"], manifest.parent), person, part, labels, length)


def _recordings(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*recordings*") if _is_lines(path))


def _is_lines(path: Path) -> bool:
    return path.name.endswith((".jsonl", ".jsonl.gz")) and path.is_file()


def _entries(path: Path, keys: Iterable[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(_lines(path), 1):
        try:
            entry = json.loads(line)
        except ValueError:
            raise UserError(
                f"Line {number} of {path} is not JSON; lhotse's manifests have one object a line."
            ) from None
        if not isinstance(entry, dict) or any(key not in entry for key in keys):
            raise UserError(f"Line {number} of {path} lacks one of {', '.join(keys)}.")
        yield entry


# ── both ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _lines(path: Path) -> Iterator[str]:
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig") as file:
            for line in file:
                if line.strip():
                    yield line.strip()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise UserError(f"The manifest {path} cannot be read ({error}).") from None


def _number(told: Any) -> float:
    """Raises TypeError or ValueError for anything that is not a finite number."""
    if not math.isfinite(number := float(told)):
        raise ValueError(told)
    return number


def _absolute(path: str, folder: Path) -> str:
    """Relative paths are relative to wherever the toolkit was run: to the manifest's folder if the file exists there,
    otherwise to the current folder."""
    beside = os.path.join(folder, path)
    return os.path.abspath(beside if os.path.exists(beside) else path)


def _labels(gender: str, language: str) -> tuple[tuple[str, str], ...]:
    labels = [("gender", GENDERS[gender.lower()])] if gender.lower() in GENDERS else []
    if language:
        labels.append(("language", LANGUAGES.get(language.lower(), language.lower())))
    return tuple(labels)
