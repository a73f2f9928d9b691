"""Extraction compared with the sum of its parts timed separately, with 1 and 2 workers: clips per second and peak
memory.

    python benchmarks/extraction.py path/to/videos [--limit 120]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

from ds2f.config import Config
from ds2f.corpora.scan import scan
from ds2f.dataset import Dataset
from ds2f.dataset.splits import SplitRule
from ds2f.errors import ItemError
from ds2f.extract.engines.base import Load
from ds2f.extract.run import extract_missing
from ds2f.extract.settings import ExtractSettings
from ds2f.extract.worker import prepare_process
from ds2f.face.dlib_resnet import DlibResNet
from ds2f.face.mtcnn import MTCNN
from ds2f.io.media import decode
from ds2f.types import CorpusItem, Frame
from ds2f.voice.activity import VoiceActivity, cut, find_speech
from ds2f.voice.campplus import CAMPlusPlus


def bare(paths: list[Path]) -> dict[str, float]:
    """Seconds per clip of each part separately, one after the other in this process, on one core."""
    prepare_process()
    cv2.setNumThreads(1)
    detector, identity, activity, voice = MTCNN(), DlibResNet(), VoiceActivity(), CAMPlusPlus(frames=True)
    seconds: defaultdict[str, float] = defaultdict(float)

    def timed(part: str, call, *arguments):  # type: ignore[no-untyped-def]
        started = time.perf_counter()
        try:
            return call(*arguments)
        finally:
            seconds[part] += time.perf_counter() - started

    for path in paths:
        try:
            media = timed("decode", decode, path)
            probability = timed("find speech", activity.probabilities, media.audio)
            clip = cut(find_speech(media.audio, probability), 6.0)
            timed("embed voice", voice.embed, clip.audio[None])
        except ItemError:
            continue
        for frame in _different(media.frames):
            found = timed("detect", detector.detect, frame.image)
        if found:
            timed("embed face", identity.embed, [frame.image], found[:1])
    return {part: total / len(paths) for part, total in seconds.items()}


def _different(frames: tuple[Frame, ...]) -> list[Frame]:
    """Frames that differ from the previous one: extraction ignores the others."""
    kept = list(frames[:1])
    for frame in frames[1:]:
        if np.abs(frame.image.astype(int) - kept[-1].image).mean() > 2:
            kept.append(frame)
    return kept


def measure(root: Path, items: list[CorpusItem], workers: int) -> tuple[float, float, dict[str, int]]:
    """(seconds until the first clip is done, seconds per clip after it, peak MiB)."""
    peak = {"main": 0, "worker": 0}
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.2):
            for name, size in resident(os.getpid()).items():
                peak[name] = max(peak[name], size)

    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "dataset.db"
        with Dataset(database, create=True) as dataset:
            dataset.add_items(root, "video", items, SplitRule())
        times: list[float] = []
        started = time.perf_counter()
        watcher = threading.Thread(target=watch)
        watcher.start()
        load = Load(workers, batch=1)  # one at a time, so that times are for single files
        settings = ExtractSettings.of(Config())
        extract_missing(database, settings, load, progress=lambda *_: times.append(time.perf_counter()))
        stop.set()
        watcher.join()
    first, last = times[1], times[-1]
    return first - started, (last - first) / (len(times) - 2), peak


def resident(pid: int) -> dict[str, int]:
    """Resident MiB of a process's working children (spawned interpreters), and of itself."""
    sizes = {"main": _rss(pid), "worker": 0}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        sizes["worker"] = max(sizes["worker"], _rss(int(child)))
    return sizes


def _rss(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it ended between listing and reading
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", type=Path)
    parser.add_argument("--limit", type=int, default=120)
    options = parser.parse_args()
    root = options.videos.resolve()
    items = list(scan(root, "video"))
    items = items[:: max(1, len(items) // options.limit)][: options.limit]

    one, two = (measure(root, items, workers) for workers in (1, 2))
    for workers, (start, seconds, peak) in ((1, one), (2, two)):
        print(
            f"{workers} worker(s): first clip after {start:.1f} s, then {1 / seconds:.2f} clips/s; "
            f"peak {peak['worker']} MiB per worker, {peak['main']} MiB in the writer"
        )
    print(f"2 workers are {one[1] / two[1]:.2f} times as fast as 1")
    parts = bare([root / item.path for item in items])
    total = sum(parts.values())
    print("bare, ms per clip: " + ", ".join(f"{part} {1000 * s:.0f}" for part, s in parts.items()))
    ratio = f"{one[1] / total:.2f} times the {1000 * total:.0f} ms of its parts"
    print(f"1 worker takes {1000 * one[1]:.0f} ms per clip, {ratio}")
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        both = pool.map(bare, [[root / item.path for item in items]] * 2)
    ceiling = 2 * total / max(sum(parts.values()) for parts in both)
    print(f"two processes with the bare parts, on nothing in common, are {ceiling:.2f} times as fast as one")


if __name__ == "__main__":
    main()
