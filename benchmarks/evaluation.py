"""How long an evaluation takes after generation: folders of pictures on exactly 300 clips, including the report.

    python benchmarks/evaluation.py DATABASE IMAGES [IMAGES ...] [--clips 300] [--workers 2]

The dataset is copied, and people are moved to the test split of the copy until it has that many clips.
"""

from __future__ import annotations

import argparse
import resource
import sqlite3
import tempfile
import time
from collections import Counter
from pathlib import Path

from ds2f.config import Evaluate
from ds2f.dataset import Dataset
from ds2f.evaluation.run import evaluate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", type=Path)
    parser.add_argument("images", type=Path, nargs="+", help="a folder of each method")
    parser.add_argument("--clips", type=int, default=300)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "dataset.db"
        _copy(options.database, copy)
        _fill_test(copy, options.clips)
        seen = 0.0

        def progress(done: int, total: int, note: str = "", /) -> None:
            nonlocal seen
            seen = time.perf_counter() - start

        start = time.perf_counter()
        settings = Evaluate(allow_leak=True)  # copies of one video may be in different splits; the time is the same
        images = {f"images-{k}": folder for k, folder in enumerate(options.images, 1)}
        more = {"workers": options.workers} if options.workers > 1 else {}  # earlier versions lack this option
        found = evaluate(copy, images, "test", Path(folder), settings, progress=progress, **more)
        passed = time.perf_counter() - start
    pictures = sum(method.pictures for method in found.methods)
    print(f"{len(found.clips)} clips, {len(found.methods)} rows: {passed:.1f} s, {passed - seen:.1f} of them after the")
    print(
        f"{pictures} pictures were looked at; peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB"
    )


def _copy(database: Path, copy: Path) -> None:
    source, target = sqlite3.connect(f"file:{database}?mode=ro", uri=True), sqlite3.connect(copy)
    source.backup(target)
    source.close()
    target.close()


def _fill_test(database: Path, clips: int) -> None:
    """Moves everybody else in test to train."""
    with Dataset(database) as data:
        counts: Counter[str] = Counter(p.person for split in ("train", "val", "test") for p in data.pairs(split))
        chosen, left = [], clips
        for person, count in counts.items():
            if count <= left:
                chosen.append(person)
                left -= count
        if left:
            raise SystemExit(f"{database} has too few clips for a split of {clips}.")
        sql = data.connection
        sql.execute("UPDATE identities SET split = 'train'")
        sql.executemany("UPDATE identities SET split = 'test' WHERE corpus || '/' || name = ?", [(p,) for p in chosen])


if __name__ == "__main__":
    main()
