"""How long it takes to summarise a large dataset and to find what it lacks: status, and the plan of an extraction.

python benchmarks/status.py [--files 1000000]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ds2f.config import Config
from ds2f.dataset import Dataset
from ds2f.dataset.plan import waiting
from ds2f.dataset.status import status
from ds2f.extract.settings import ExtractSettings, plan_of

PER_PERSON = 100  # clips, about as in VoxCeleb2


def fill(dataset: Dataset, files: int) -> None:
    """`files` synthetic recordings; half of them extracted, every 50th of these failed. The blobs are empty."""
    sql, plan = dataset.connection, plan_of(ExtractSettings.of(Config()))
    numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
    with dataset.transaction():
        sql.execute("INSERT INTO roots (id, path) VALUES (1, '/videos')")
        recipes = [(plan.speech_key, "{}"), (plan.face_key, "{}")]
        sql.executemany("INSERT INTO recipes (key, settings) VALUES (?, ?)", recipes)
        sql.execute(
            f"{numbers} INSERT INTO identities (id, corpus, name, split) SELECT i, 'voxceleb', 'id' || i,"
            " CASE i % 10 WHEN 8 THEN 'val' WHEN 9 THEN 'test' ELSE 'train' END FROM n",
            (files // PER_PERSON + 1,),
        )
        sql.execute(
            f"{numbers} INSERT INTO videos (id, root_id, path, kind, identity_id, size, mtime_ns, state, speech_recipe,"
            f" face_recipe, duration, width, height, fps) SELECT i, 1, printf('id%06d/%08d.mp4', i / {PER_PERSON}, i),"
            f" 'video', 1 + i / {PER_PERSON}, 1, 1,"
            " CASE WHEN i % 2 THEN 'new' WHEN i % 100 THEN 'done' ELSE 'failed' END,"
            " CASE i % 2 WHEN 0 THEN ? END, CASE i % 2 WHEN 0 THEN ? END, 5.0, 224, 224, 25.0 FROM n",
            (files, plan.speech_key, plan.face_key),
        )
        done = "FROM videos WHERE state = 'done'"
        speech = f"SELECT id, 0.5, 4.0, 1, '1 of 1' {done}"
        sql.execute(f"INSERT INTO speech (video_id, start, seconds, stream, channels) {speech}")
        sql.execute(
            "INSERT INTO faces (video_id, time, x, y, w, h, landmarks, score, quality, coverage, people)"
            f" SELECT id, 1, 1, 1, 90, 90, x'', 1.0, 0.8, 1.0, 1 {done}"
        )
        for seconds, encoder in plan.voices:
            sql.execute(
                f"INSERT INTO clips (video_id, seconds, speech_seconds, repeats) SELECT id, ?, 4.0, 1.5 {done}",
                (seconds,),
            )
            sql.execute(
                "INSERT INTO voice_embeddings (video_id, seconds, encoder, vector)"
                f" SELECT id, ?, ?, zeroblob(16) {done}",
                (seconds, encoder),
            )
        vectors = f"SELECT id, 'dlib', zeroblob(16) {done}"
        sql.execute(f"INSERT INTO face_embeddings (video_id, encoder, vector) {vectors}")
        for model in plan.attributes:
            for name, value in (("age", 33.5), ("gender", "female"), ("ethnicity", "Indian")):
                sql.execute(
                    "INSERT INTO face_attributes (video_id, model, attribute, value, probability, distribution)"
                    f" SELECT id, ?, ?, ?, 1, '{{}}' {done}",
                    (model, name, value),
                )
        failed = "SELECT id, 'face', 'no face found' FROM videos WHERE state = 'failed'"
        sql.execute(f"INSERT INTO failures (video_id, stage, reason) {failed}")


def timed(what: str, call: Callable[[], object]) -> None:
    started = time.perf_counter()
    call()
    print(f"{time.perf_counter() - started:6.2f} s  {what}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1_000_000)
    files = parser.parse_args().files
    plan = plan_of(ExtractSettings.of(Config()))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dataset.db"
        with Dataset(path, create=True) as dataset:
            timed(f"to make {files:,} files", lambda: fill(dataset, files))
        timed("ds2f status", lambda: status(path))
        with Dataset(path) as dataset:
            timed("what waits", lambda: waiting(dataset, plan))
            for name in ("counts", "corpora", "splits", "models", "failure_counts", "fingerprint"):
                timed(f"status: {name}", getattr(dataset, name))


if __name__ == "__main__":
    main()
