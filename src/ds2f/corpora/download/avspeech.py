"""AVSpeech: segments of YouTube videos from the published list, through yt-dlp (extra `download`) and ffmpeg.

Many of the 290,000 videos no longer exist: each that cannot be fetched is listed with the reason in downloads.jsonl
next to the clips, and is not requested again.
"""

from __future__ import annotations

import csv
import json
import os
import random
import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any

from ds2f.errors import UserError
from ds2f.io.extras import optional
from ds2f.io.files import read_lines
from ds2f.types import Progress

TERMS = """\
The list of AVSpeech is under CC BY 4.0 (Google). The videos are YouTube's and their owners': downloading them is
between you, them and YouTube's terms of service, and allowed to researchers in some countries only. The people in
them never agreed to be in a dataset. https://looking-to-listen.github.io/avspeech/
"""
ADDRESS = "https://www.youtube.com/watch?v={id}"
STATE = "downloads.jsonl"
PARTIAL = ".partial"  # a folder that ingest ignores
NETWORK_FAILURES = 5  # consecutive; then the network is down, not the videos
_TOO_MANY = re.compile(r"HTTP Error 429|not a bot|rate.?limit", re.IGNORECASE)
_DISK = re.compile(r"No space left|Disk quota|Read-only file system|Permission denied", re.IGNORECASE)
_NETWORK = re.compile(
    r"timed out|getaddrinfo|resolve|Connection|unreachable|Temporary failure|HTTP Error 5", re.IGNORECASE
)


@dataclass(frozen=True)
class Segment:
    """A line of the list: seconds start to end of a video."""

    video: str
    start: float
    end: float

    @property
    def name(self) -> str:
        """As the layout `avspeech` expects it."""
        return f"{self.video}_{self.start:010.6f}-{self.end:010.6f}"


@dataclass(frozen=True)
class Counts:
    """there: clips from an earlier run; fetched, failed: in this one; gone: known to be unavailable, not requested;
    unreached: the network failed, the next run tries again."""

    there: int
    fetched: int
    failed: int
    gone: int
    unreached: int = 0


def read_list(path: Path) -> list[Segment]:
    """avspeech_train.csv or _test.csv: `id, start, end, x, y`, no header. Raises UserError for anything else."""
    try:
        rows = list(csv.reader(read_lines(path, "list")))
    except csv.Error as error:
        raise UserError(f"The list {path} cannot be read ({error}).") from None
    segments = []
    for number, row in enumerate(rows, 1):
        if not "".join(row).strip():
            continue
        try:
            segment = Segment(row[0].strip(), float(row[1]), float(row[2]))
        except (IndexError, ValueError):
            raise UserError(f"{path}, line {number}: expected `id, start, end, x, y`, not {','.join(row)!r}.") from None
        if not re.fullmatch(r"[A-Za-z0-9_-]{11}", segment.video) or not 0 <= segment.start < segment.end < inf:
            raise UserError(f"{path}, line {number}: {','.join(row)!r} is not a segment of a YouTube video.")
        segments.append(segment)
    return segments


Take = Callable[[Segment, Path], None]
"""Fetches one segment to a path, possibly leaving other files next to it. Raises an exception whose text gives the
reason."""


def download(
    segments: Sequence[Segment],
    out: Path,
    take: Take,
    pause: float = 3.0,
    retry_failed: bool = False,
    progress: Progress | None = None,
) -> Counts:
    """Fetch the segments that are missing, one after the other.

    segments: to fetch, see `read_list`.
    out: folder for the clips, for STATE, which lists what is unavailable, and for PARTIAL; created if missing.
    take: fetches one segment, for example `youtube()`.
    pause: seconds between two, drawn each time from [pause, 2 pause].
    retry_failed: retry what STATE lists as unavailable.
    progress: called with (segments done, total, the next video).
    Raises UserError when the site refuses further requests, the network is down or the disk is full; the next call
    resumes.
    """
    out.mkdir(parents=True, exist_ok=True)
    partial = out / PARTIAL
    gone = set() if retry_failed else _gone(out / STATE)
    there = fetched = failed = known = unreached = in_a_row = 0
    for done, segment in enumerate(segments):
        if progress:
            progress(done, len(segments), segment.video)
        target = out / f"{segment.name}.mp4"
        if target.exists():
            there += 1
            continue
        if segment.name in gone:
            known += 1
            continue
        if fetched + failed:
            time.sleep(pause * (1 + random.random()))
        shutil.rmtree(partial, ignore_errors=True)  # left by a killed run or the previous segment
        partial.mkdir()
        try:
            take(segment, partial / target.name)
            (partial / target.name).replace(target)
            fetched, in_a_row = fetched + 1, 0
        except Exception as error:  # noqa: BLE001 - yt-dlp raises what its hundred extractors raise
            reason = _reason(error)
            if over := _over(reason, out, fetched):
                raise UserError(over) from None
            if _NETWORK.search(reason):
                in_a_row += 1
                if in_a_row >= NETWORK_FAILURES:
                    raise UserError(f"The network seems to be down ({reason}); run the command again later.") from None
                unreached += 1
                continue  # not the video's fault: the next run tries again
            failed, in_a_row = failed + 1, 0
            _note(out / STATE, segment, reason)
    shutil.rmtree(partial, ignore_errors=True)
    if progress:
        progress(len(segments), len(segments), "")
    return Counts(there, fetched, failed, known, unreached)


def _over(reason: str, out: Path, fetched: int) -> str | None:
    """Why the next segment will fail too, and what to do; None if it may succeed. fetched: clips of this run."""
    if _DISK.search(reason):
        return f"{out} takes no more ({reason}); make room, and run the command again."
    if _TOO_MANY.search(reason):
        return (
            f"The site asks for a pause ({reason}). {fetched:,} clips were fetched; run the command again in some "
            "hours, with a larger --pause."
        )
    return None


def youtube(address: str = ADDRESS, height: int = 720) -> Take:
    """A `Take` through yt-dlp that fetches only the segment, with at most `height` lines.

    Raises UserError if yt-dlp, or ffmpeg, which does the cutting, is missing.
    """
    library = optional("yt_dlp", "download", "Downloading AVSpeech")
    if shutil.which("ffmpeg") is None:
        raise UserError("Cutting segments needs the program ffmpeg; on Debian or Ubuntu: apt install ffmpeg")

    def take(segment: Segment, target: Path) -> None:
        with library.YoutubeDL(options(library, segment, target, height)) as session:
            session.download([address.format(id=segment.video)])
        if not target.exists():
            raise RuntimeError("the segment gave no file")

    return take


def options(library: Any, segment: Segment, target: Path, height: int) -> dict[str, Any]:
    """Options for yt-dlp; see its README, "Embedding yt-dlp"."""
    return {
        "format": f"bv*[height<={height}][ext=mp4]+ba[ext=m4a]/b[height<={height}]/bv*+ba/b",
        "download_ranges": library.utils.download_range_func(None, [(segment.start, segment.end)]),
        "force_keyframes_at_cuts": True,  # cut at the exact second, not at the nearest keyframe
        "merge_output_format": "mp4",
        "outtmpl": {"default": str(target).replace("%", "%%")},
        "overwrites": True,
        "quiet": True,
        "no_warnings": True,
        "noprogress": True,
        "retries": 3,
        "socket_timeout": 30,
    }


def _gone(state: Path) -> set[str]:
    if not state.exists():
        return set()
    lines = state.read_text("utf-8", errors="replace").splitlines()
    found = set()
    for line in lines:
        try:
            found.add(json.loads(line)["clip"])
        except (ValueError, KeyError):
            continue  # the last line of a run that was killed while writing it
    return found


def _note(state: Path, segment: Segment, reason: str) -> None:
    line = {"clip": segment.name, "reason": reason, "when": datetime.now(UTC).isoformat(timespec="seconds")}
    with state.open("ab+") as file:  # always appends, wherever it reads
        if file.tell():
            file.seek(-1, os.SEEK_END)
            file.write(b"" if file.read() == b"\n" else b"\n")  # a run was killed while writing a line
        file.write(json.dumps(line).encode() + b"\n")


def _reason(error: Exception) -> str:
    """yt-dlp's message without its colours, prefix and advice."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()
    text = re.sub(r"^ERROR:\s*(\[[\w:]+\]\s*)?([\w-]{11}:\s*)?", "", text) or type(error).__name__
    return text.splitlines()[0].split("; please report")[0].split(". Use --")[0][:200]
