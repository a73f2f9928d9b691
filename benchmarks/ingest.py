"""Seconds to ingest many small files, and to ingest them again when nothing has changed.

python benchmarks/ingest.py [--files 100000]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from ds2f.cli.ingest import ingest
from ds2f.config import Config


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    files = parser.parse_args().files
    with tempfile.TemporaryDirectory() as folder:
        root, database = Path(folder) / "vox2", Path(folder) / "dataset.db"
        started = time.perf_counter()
        for number in range(files):
            video = f"{root}/id{number // 100:05d}/{number // 10:011d}"
            if number % 10 == 0:
                os.makedirs(video)
            with open(f"{video}/{number % 10:05d}.mp4", "wb") as file:
                file.write(b"x")
        print(f"{files:,} files made in {time.perf_counter() - started:.1f} s", flush=True)
        for what in ("first", "second"):
            started = time.perf_counter()
            ingest(database, [root], "video", Config())
            print(f"{what} ingest: {time.perf_counter() - started:.1f} s", flush=True)


if __name__ == "__main__":
    main()
