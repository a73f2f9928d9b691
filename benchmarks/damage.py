"""Damaged files, made from good ones, through ingest and extract: no crash, no hang, a reason for every failure.

    python benchmarks/damage.py [--files 1000] [--workers 2] [--samples FOLDER] [--seed 0] [--decode-only]

The samples are damaged in 17 ways, both as they are and after conversion to every format of `damaging`.

--decode-only: no models, which is twenty times as fast; a file that yields neither sound nor a frame must give a
reason.

Exits with 1 if a file is left over, a failure has no reason, or a worker crashed, hung or raised an unexpected error.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import ds2f
from damaging import make_files, make_formats
from ds2f.config import Config
from ds2f.corpora.scan import scan
from ds2f.dataset import Dataset
from ds2f.dataset.splits import SplitRule
from ds2f.errors import ItemError
from ds2f.extract.engines.base import Load
from ds2f.extract.run import extract_missing
from ds2f.extract.settings import ExtractSettings
from ds2f.io.media import decode

SAMPLES = Path(ds2f.__file__).parent / "demo" / "samples"

HANG = 120.0  # seconds


@dataclass(frozen=True)
class Result:
    """worked: {damage: (files that still gave a pair, files)}; longest: seconds between two results."""

    files: int
    left_over: int
    without_reason: int
    reasons: list[tuple[str, str, int]]
    worked: dict[str, tuple[int, int]]
    seconds: float
    longest: float

    @property
    def faults(self) -> int:
        """Files that reveal a fault of ours rather than of the file."""
        return self.left_over + self.without_reason + sum(n for stage, _, n in self.reasons if stage == "worker")


def run(folder: Path, database: Path, workers: int) -> Result:
    """Ingest and extract the files in `folder`."""
    with Dataset(database, create=True) as dataset:
        for kind in ("video", "sound"):
            dataset.add_items(folder, kind, scan(folder, kind), SplitRule())
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


def _decoded(path: Path) -> tuple[str, str, float]:
    """(stage and reason, both empty if there is sound or a picture; seconds)."""
    begin = time.perf_counter()
    try:
        media = decode(path)
        given = media.audio.size or media.frames or media.troubles
        why = ("", "") if given else ("open", "neither sound nor picture in it")
    except ItemError as error:
        why = error.stage, error.reason
    except Exception as error:  # noqa: BLE001 - is what is looked for
        why = "worker", f"{type(error).__name__}: {error}"
    return *why, time.perf_counter() - begin


def decode_all(folder: Path, workers: int) -> Result:
    """Decode the files in `folder`, each in its own process; a crash ends the run and names the file."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    begin, longest = time.perf_counter(), 0.0
    reasons: Counter[tuple[str, str]] = Counter()
    worked: dict[str, tuple[int, int]] = {}
    with ProcessPoolExecutor(workers) as pool:
        for path, future in [(path, pool.submit(_decoded, path)) for path in paths]:
            try:
                stage, reason, seconds = future.result(timeout=HANG)
            except (BrokenProcessPool, TimeoutError) as error:
                stage, reason, seconds = "worker", f"{type(error).__name__} at or near {path.name}", HANG
            good, count = worked.get(path.parent.name, (0, 0))
            worked[path.parent.name] = good + (not stage), count + 1
            longest = max(longest, seconds)
            if stage:
                reasons[stage, reason] += 1
    counted = [(stage, reason, count) for (stage, reason), count in reasons.most_common()]
    silent = sum(count for (_, reason), count in reasons.items() if not reason)
    return Result(len(paths), 0, silent, counted, worked, time.perf_counter() - begin, longest)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--decode-only", action="store_true")
    parser.add_argument("--samples", type=Path, default=SAMPLES, help="folder of good .mp4 files")
    options = parser.parse_args()
    clips = sorted(options.samples.rglob("*.mp4"))[:10]
    with tempfile.TemporaryDirectory() as folder:
        formats = make_formats(clips, Path(folder) / "formats")
        make_files(clips, Path(folder) / "damaged", options.files, options.seed, formats)
        if options.decode_only:
            result = decode_all(Path(folder) / "damaged", options.workers)
        else:
            result = run(Path(folder) / "damaged", Path(folder) / "dataset.db", options.workers)
    worked = sum(good for good, _ in result.worked.values())
    print(f"{result.files} files in {result.seconds:.0f} s; longest wait for a result {result.longest:.1f} s")
    failed = result.files - worked - result.left_over
    print(f"{worked} gave all that was asked of them all the same, {failed} failed with a reason,")
    print(f"{result.left_over} left over, {result.without_reason} without a reason, {result.faults} faults in all")
    for name, (good, count) in sorted(result.worked.items()):
        print(f"  {name:<28} {good:4} of {count} worked")
    for stage, reason, count in result.reasons:
        print(f"  {count:5}  {stage:<8} {reason}")
    return 1 if result.faults else 0


if __name__ == "__main__":
    sys.exit(main())
