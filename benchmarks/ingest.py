"""Seconds and memory to ingest synthetic trees of VoxCeleb1, VoxCeleb2 and VGGFace2 with their tables of people, and to
ingest them again unchanged; then `ds2f status`. Files are empty and, except for a few, hard links.

    python benchmarks/ingest.py [--share 1.0] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

LINKS = 30_000  # to one file; file systems allow some ten thousand
VOX1 = (1_251, 22_496, 153_516)  # people, videos, sounds, as published
VOX2 = (6_112, 150_480, 1_128_246)
VGGFACE2 = (9_131, 3_311_286)  # people, pictures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of the people of the corpora")
    parser.add_argument("--folder", type=Path, help="where to make the trees (default: the temporary folder)")
    parser.add_argument("--ingest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ingest:
        measure(*options.ingest)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        started = time.perf_counter()
        files = make(Path(folder), options.share)
        print(f"{files:,} files made in {time.perf_counter() - started:.0f} s", flush=True)
        for what in ("first", "second"):
            for command in (
                ("ingest", "--kind", "voices", f"{folder}/vox1/wav", f"{folder}/vox2/dev/aac"),
                ("ingest", "--kind", "faces", f"{folder}/vggface2"),
                ("status",),
            ):
                arguments = [sys.executable, __file__, "--ingest", what, *command, "--database", f"{folder}/d.db"]
                subprocess.run(arguments, check=True)
        print(f"database: {os.path.getsize(f'{folder}/d.db') / 1e6:,.0f} MB")


def measure(what: str, *command: str) -> None:
    """Run one command in its own process, to measure its peak memory."""
    from ds2f.cli import main as ds2f

    started = time.perf_counter()
    ds2f(command)
    seconds, worked = time.perf_counter() - started, time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    named = " ".join(command[: 1 if command[0] == "status" else 3])
    print(f"{what} time: {named}: {seconds:.1f} s, {worked:.1f} of the processor, {peak:,.0f} MB", flush=True)


def make(folder: Path, share: float) -> int:
    """Create the trees and their tables. Returns the number of files."""
    people = [round(share * n) for n in (VOX1[0], VOX2[0], VGGFACE2[0])]
    files = link(folder, voxceleb("vox1/wav", 10_001, people[0], VOX1, ".wav"))
    files += link(folder, voxceleb("vox2/dev/aac", 12, people[1], VOX2, ".m4a"))
    files += link(folder, vggface2(people[2]))
    lines = "".join(f"id{10_001 + n:05d}\tPerson_{n}\tm\tUK\tdev\n" for n in range(people[0]))
    (folder / "vox1" / "vox1_meta.csv").write_text(f"VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet\n{lines}")
    lines = "".join(f"id{12 + n:05d} ,n{12 + n:06d} ,f ,dev \n" for n in range(people[1]))
    (folder / "vox2" / "vox2_meta.csv").write_text(f"VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set \n{lines}")
    return files


def voxceleb(
    top: str, first: int, people: int, size: tuple[int, int, int], suffix: str
) -> Iterator[tuple[str, list[str]]]:
    """(folder, names) of a corpus."""
    videos, clips = round(size[1] / size[0]), round(size[2] / size[1])
    for n in range(people):
        for video in range(videos):
            names = [f"{clip:05d}{suffix}" for clip in range(1, clips + 1)]
            yield f"{top}/id{first + n:05d}/{n:06d}{video:04d}x", names


def vggface2(people: int) -> Iterator[tuple[str, list[str]]]:
    each = round(VGGFACE2[1] / VGGFACE2[0])
    for n in range(people):
        yield f"vggface2/train/n{n + 1:06d}", [f"{k:04d}_01.jpg" for k in range(1, each + 1)]


def link(folder: Path, tree: Iterator[tuple[str, list[str]]]) -> int:
    count = 0
    for inside, names in tree:
        place = folder / inside
        os.makedirs(place, exist_ok=True)
        for name in names:
            if count % LINKS == 0:
                source = folder / f".source-{inside.split('/')[0]}-{count}"
                source.touch()
            os.link(source, f"{place}/{name}")
            count += 1
    return count


if __name__ == "__main__":
    main()
