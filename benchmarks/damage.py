"""Damaged files, made from good ones, through ingest and extract: no crash, no hang, a reason for every failure.

python benchmarks/damage.py [--files 1000] [--workers 2] [--samples FOLDER]

Exits with 1 if a file is left over, a failure has no reason, or a worker crashed, hung or met an unforeseen error.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

import ds2f
from ds2f.config import Config
from ds2f.corpora.scan import scan
from ds2f.dataset import Dataset
from ds2f.dataset.queries import SplitRule
from ds2f.extract.engines.base import Load
from ds2f.extract.run import extract_missing
from ds2f.extract.settings import ExtractSettings

SAMPLES = Path(ds2f.__file__).parent / "demo" / "samples"

# Boxes of an MP4 (ISO/IEC 14496-12) by what they say.
TIMES = (b"mvhd", b"mdhd", b"stts", b"ctts", b"elst")
SIZES = (b"tkhd", b"avc1", b"avcC")
PLACES = (b"stsz", b"stsc", b"stco", b"esds", b"stsd", b"moov", b"trak", b"hdlr")

Damage = Callable[[Sequence[Path], Path, random.Random], None]


@dataclass(frozen=True)
class Result:
    """worked: {damage: (files that gave a pair all the same, files)}; longest: seconds between two results."""

    files: int
    left_over: int
    without_reason: int
    reasons: list[tuple[str, str, int]]
    worked: dict[str, tuple[int, int]]
    seconds: float
    longest: float

    @property
    def faults(self) -> int:
        """Files that show a fault of ours rather than of the file."""
        return self.left_over + self.without_reason + sum(n for stage, _, n in self.reasons if stage == "worker")


# ── damages: each writes one file ─────────────────────────────────────────────────────────────────────────────


def _bytes(change: Callable[[bytearray, random.Random], bytes | bytearray]) -> Damage:
    """A damage that changes the bytes of one clip."""

    def damage(clips: Sequence[Path], target: Path, rng: random.Random) -> None:
        target.write_bytes(change(bytearray(rng.choice(clips).read_bytes()), rng))

    return damage


def _flip(data: bytearray, rng: random.Random, end: int | None = None) -> bytearray:
    for _ in range(rng.choice((1, 10, 100, 1000))):
        data[rng.randrange(end or len(data))] ^= 1 << rng.randrange(8)
    return data


def _hole(data: bytearray, rng: random.Random) -> bytearray:
    start = rng.randrange(len(data))
    end = min(len(data), start + rng.randrange(1, len(data) // 2))
    data[start:end] = bytes(end - start)
    return data


def _scramble(boxes: Sequence[bytes]) -> Callable[[bytearray, random.Random], bytearray]:
    """Random, zero or highest values in some boxes of the given kinds, wherever they occur."""

    def change(data: bytearray, rng: random.Random) -> bytearray:
        for box in boxes:
            start = data.find(box)
            while start >= 0 and rng.random() < 0.7:
                at = start + 4 + rng.randrange(20)
                count = min(rng.choice((1, 2, 4)), len(data) - at)
                data[at : at + count] = rng.choice((bytes(count), b"\xff" * count, rng.randbytes(count)))
                start = data.find(box, start + 4)
        return data

    return change


def _text(data: bytearray, rng: random.Random) -> bytes:
    """What lies under a video's name when a download went wrong, and lists that a player would follow elsewhere."""
    letters = (
        "Dear Sir or Madam\n" * 50,
        "<!doctype html><title>403 Forbidden</title>",
        "#EXTM3U\n#EXTINF:5,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile 'person-1.mp4'\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    )
    return rng.choice(letters).encode()


def _swapped_sound(clips: Sequence[Path], target: Path, rng: random.Random) -> None:
    """The picture of one clip with the sound of another, which may be missing, late, or alone."""
    late, parts = rng.choice((0, 0, 30)), rng.choice(("both", "both", "video", "audio"))
    first, second = rng.choice(clips), rng.choice(clips)
    with av.open(str(first)) as one, av.open(str(second)) as other, av.open(str(target), "w") as out:
        wanted: list[tuple[InputContainer, VideoStream | AudioStream]] = []
        if parts != "audio":
            wanted.append((one, one.streams.video[0]))
        if parts != "video":
            wanted.append((other, other.streams.audio[0]))
        copies = [out.add_stream_from_template(stream) for _, stream in wanted]  # all before the first packet
        for (container, stream), copy in zip(wanted, copies, strict=True):
            for packet in container.demux(stream):
                if packet.dts is None or packet.pts is None:
                    continue
                shift = round(late / packet.time_base) if stream.type == "audio" else 0
                packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, copy
                out.mux(packet)


def _huge(clips: Sequence[Path], target: Path, rng: random.Random) -> None:
    """A real picture, some thousand pixels wide and high."""
    height, width = rng.choice(((8000, 9000), (64, 60_000), (4000, 4000)))
    with av.open(str(target), "w", format="avi") as out:
        stream = out.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
        frame = av.VideoFrame(width, height, "yuvj420p")
        for plane in frame.planes:
            plane.update(bytes([128]) * plane.buffer_size)
        frame.pts = 0
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)


DAMAGES: dict[str, tuple[str, Damage]] = {  # name: (suffix, what is done)
    "cut": (".mp4", _bytes(lambda data, rng: data[: rng.randrange(1, len(data))])),
    "truncated header": (".mp4", _bytes(lambda data, rng: data[: rng.randrange(1, 200)])),
    "beginning lost": (".mp4", _bytes(lambda data, rng: data[rng.randrange(1, len(data)) :])),
    "flipped bits": (".mp4", _bytes(_flip)),
    "flipped bits at the start": (".mp4", _bytes(lambda data, rng: _flip(data, rng, 8000))),
    "hole of zeros": (".mp4", _bytes(_hole)),
    "broken timestamps": (".mp4", _bytes(_scramble(TIMES))),
    "false dimensions": (".mp4", _bytes(_scramble(SIZES))),
    "broken tables": (".mp4", _bytes(_scramble(PLACES))),
    "huge dimensions": (".avi", _huge),
    "wrong suffix": (".mpg", _bytes(lambda data, rng: data)),
    "swapped sound": (".mp4", _swapped_sound),
    "two in one": (".mp4", _bytes(lambda data, rng: data + data)),
    "zero bytes": (".mkv", _bytes(lambda data, rng: b"")),
    "only zeros": (".mp4", _bytes(lambda data, rng: bytes(len(data)))),
    "garbage": (".webm", _bytes(lambda data, rng: rng.randbytes(len(data)))),
    "text": (".mp4", _bytes(_text)),
}


def make_files(clips: Sequence[Path], folder: Path, count: int, seed: int = 0) -> None:
    """`count` damaged files, the damages by turns, each in a folder of its name."""
    names = list(DAMAGES)
    for number in range(count):
        name = names[number % len(names)]
        suffix, damage = DAMAGES[name]
        target = folder / name / f"{number:05d}{suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        damage(clips, target, random.Random(f"{seed}:{number}"))


def run(folder: Path, database: Path, workers: int) -> Result:
    """Ingest and extract what lies in `folder`."""
    with Dataset(database, create=True) as dataset:
        dataset.add_items(folder, "video", scan(folder, "video"), SplitRule())
    times = [time.perf_counter()]
    tick = lambda *_: times.append(time.perf_counter())  # noqa: E731
    settings = ExtractSettings.of(Config())
    extract_missing(database, settings, Load(workers, 8, settings.item_seconds), progress=tick)
    with Dataset(database) as dataset:
        rows = dataset.connection.execute("SELECT id, path, state FROM videos").fetchall()
        reasons = {row["id"]: dataset.failures(row["id"]) for row in rows}
        counted = list(dataset.failure_counts())
    states: dict[str, list[str]] = {}
    for row in rows:
        states.setdefault(row["path"].split("/")[0], []).append(row["state"])
    failed = [row["id"] for row in rows if row["state"] == "failed"]
    return Result(
        files=len(rows),
        left_over=sum(row["state"] == "new" for row in rows),
        without_reason=sum(not reasons[number] or not all(reasons[number].values()) for number in failed),
        reasons=counted,
        worked={name: (found.count("done"), len(found)) for name, found in states.items()},
        seconds=times[-1] - times[0],
        longest=max(b - a for a, b in pairwise(times[1:])),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--samples", type=Path, default=SAMPLES, help="folder of good .mp4 files")
    options = parser.parse_args()
    clips = sorted(options.samples.rglob("*.mp4"))[:10]
    with tempfile.TemporaryDirectory() as folder:
        make_files(clips, Path(folder) / "damaged", options.files)
        result = run(Path(folder) / "damaged", Path(folder) / "dataset.db", options.workers)
    worked = sum(good for good, _ in result.worked.values())
    print(f"{result.files} files in {result.seconds:.0f} s; longest wait for a result {result.longest:.1f} s")
    print(
        f"{worked} gave voice and face all the same, {result.files - worked - result.left_over} failed with a reason,"
    )
    print(f"{result.left_over} left over, {result.without_reason} without a reason, {result.faults} faults in all")
    for name, (good, count) in sorted(result.worked.items()):
        print(f"  {name:<28} {good:4} of {count} worked")
    for stage, reason, count in result.reasons:
        print(f"  {count:5}  {stage:<8} {reason}")
    return 1 if result.faults else 0


if __name__ == "__main__":
    sys.exit(main())
