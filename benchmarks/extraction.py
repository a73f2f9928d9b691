"""Clips per second and peak memory of extraction, with 1 and 2 workers.

python benchmarks/extraction.py path/to/videos [--limit 200]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from pathlib import Path

from ds2f.config import Config
from ds2f.corpora.scan import Skipped, scan
from ds2f.dataset import Dataset
from ds2f.dataset.queries import SplitRule
from ds2f.extract.engine import Load
from ds2f.extract.run import extract_missing
from ds2f.extract.settings import Settings


def resident(pid: int) -> dict[str, int]:
    """Resident MiB of a process's children that do the work (spawned interpreters), and of itself."""
    sizes = {"main": _rss(pid), "worker": 0}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        sizes["worker"] = max(sizes["worker"], _rss(int(child)))
    return sizes


def _rss(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it ended between the listing and the look
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20


def measure(root: Path, workers: int, limit: int) -> tuple[float, float, dict[str, int]]:
    """(seconds until the first clip is done, clips per second after it, peak MiB)."""
    config, peak = Config(), {"main": 0, "worker": 0}
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.2):
            for name, size in resident(os.getpid()).items():
                peak[name] = max(peak[name], size)

    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "dataset.db"
        with Dataset(database, create=True) as dataset:
            items = list(scan(root, "video", Skipped()))
            step = max(1, len(items) // limit)
            dataset.add_items(root, "video", items[::step][:limit], SplitRule())
        times: list[float] = []
        started = time.perf_counter()
        watcher = threading.Thread(target=watch)
        watcher.start()
        load = Load(workers, batch=1)  # one at a time: the times are those of single files
        tick = lambda *_: times.append(time.perf_counter())  # noqa: E731
        extract_missing(database, Settings.of(config), load, progress=tick)
        stop.set()
        watcher.join()
    first, last = times[1], times[-1]
    return first - started, (len(times) - 2) / (last - first), peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", type=Path)
    parser.add_argument("--limit", type=int, default=200)
    options = parser.parse_args()
    for workers in (1, 2):
        start, rate, peak = measure(options.videos.resolve(), workers, options.limit)
        print(
            f"{workers} worker(s): first clip after {start:.1f} s, then {rate:.2f} clips/s; "
            f"peak {peak['worker']} MiB per worker, {peak['main']} MiB in the writer",
            flush=True,
        )


if __name__ == "__main__":
    main()
