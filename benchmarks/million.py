"""What a large dataset costs, step by step: processor seconds, and the peak memory of a process, in total and without
file pages, which the system drops when memory is short. Recordings are many names of one small file; their rows are
real, with synthetic vectors of full length; crops and sound are a few bytes. Storing is measured on the last 5,000, and
extrapolated.

    python benchmarks/million.py [--clips 10000 --clips 100000 --clips 1000000] [--out FOLDER]
        [--json FILE] [--plot FILE]

--plot alone draws the contents of --json.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PER_VIDEO, PER_PERSON = 7, 182  # clips, as in VoxCeleb2: 1.09 M of 5,994 people in 145,569 videos
STORED, BLOCK = 5_000, 2_000  # files for which storing is measured; rows created at a time
VOICE, FACE = object(), object()
LINKS = 30_000  # names of one file; file systems allow some ten thousand
MB = 2**20


def ingest(database: Path, tree: Path) -> None:
    from ds2f.cli.ingest import ingest
    from ds2f.config import Config

    ingest(database, [tree], "video", Config())


def plan(database: Path, tree: Path) -> None:
    from ds2f.dataset import Dataset
    from ds2f.dataset.plan import waiting

    with Dataset(database) as dataset:
        waiting(dataset, _plan())


def fill(database: Path, tree: Path) -> None:
    """All rows except those of the last STORED files, by few statements: not measured."""
    import numpy as np

    from ds2f.dataset import Dataset

    with Dataset(database) as dataset:
        sql, wanted = dataset.connection, _plan()
        numbers = [row[0] for row in sql.execute("SELECT id FROM videos ORDER BY id")][:-STORED]
        sql.execute("PRAGMA foreign_keys = OFF")
        sql.executemany(
            "INSERT OR IGNORE INTO recipes VALUES (?, ?)", [(wanted.speech_key, "{}"), (wanted.face_key, "{}")]
        )
        for start in range(0, len(numbers), BLOCK):
            part = numbers[start : start + BLOCK]
            rng = np.random.default_rng(start)
            voices, faces = (_vectors(rng, part, length) for length in (512, 128))
            with dataset.transaction():
                for table, columns in _rows_of(wanted).items():
                    marks = ", ".join("?" * (1 + len(columns)))
                    sql.executemany(
                        f"INSERT INTO {table} VALUES ({marks})",
                        [
                            (n, *(_blob(c, voice, face) for c in columns))
                            for n, voice, face in zip(part, voices, faces, strict=True)
                        ],
                    )
                for model in wanted.attributes:
                    for row in _looks():
                        rows = [(n, model, *row) for n in part]
                        sql.executemany("INSERT INTO face_attributes VALUES (?, ?, ?, ?, ?, ?)", rows)
        sql.execute(
            "UPDATE videos SET state = 'done', speech_recipe = ?, face_recipe = ?, duration = 5, width = 224,"
            " height = 224, fps = 25 WHERE id IN (SELECT video_id FROM faces)",
            (wanted.speech_key, wanted.face_key),
        )


def _vectors(rng: Any, numbers: list[int], length: int) -> Any:
    """Similar for one person: (n, length) float32."""
    import numpy as np

    people = np.stack([np.random.default_rng(n // PER_PERSON).standard_normal(length, np.float32) for n in numbers])
    found = people + rng.standard_normal((len(numbers), length), np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def _rows_of(wanted: Any) -> dict[str, tuple[object, ...]]:
    """{table: the values after a file's number}; VOICE and FACE stand for its vectors."""
    import numpy as np

    from ds2f.io.images import encode_webp
    from ds2f.io.speech import encode_flac

    ((seconds, encoder),) = wanted.voices
    webp, flac = encode_webp(np.zeros((16, 16, 3), np.uint8)), encode_flac(np.zeros(160, np.float32))
    return {
        "speech": (0.25, 4.0, 1, "1 of 1"),
        "speech_audio": (flac,),
        "clips": (seconds, 4.0, 1.5),
        "voice_embeddings": (seconds, encoder, VOICE),
        "faces": (1.0, 20, 20, 60, 80, b"", 1.0, 0.5, 1.0, 1),
        "crops": ("canonical", webp),
        "face_embeddings": ("dlib", FACE),
    }


def _blob(value: object, voice: Any, face: Any) -> object:
    return voice.tobytes() if value is VOICE else face.tobytes() if value is FACE else value


def _looks() -> list[tuple[float | str, float | None, str]]:
    from ds2f.dataset.store import attribute_rows

    return [(name, value, p, text) for name, value, p, text in attribute_rows(_attributes())]  # type: ignore[misc]


def _attributes() -> Any:
    from ds2f.types import AGE_BINS, ETHNICITIES, Attributes

    even = dict.fromkeys(ETHNICITIES, 1 / len(ETHNICITIES))
    return Attributes(33.5, dict.fromkeys(AGE_BINS, 1 / len(AGE_BINS)), {"male": 0.6, "female": 0.4}, even)


def store(database: Path, tree: Path) -> None:
    """The writer's share of an extraction, for STORED files: jobs out, results in, one transaction per file."""
    import numpy as np

    from ds2f.dataset import Dataset
    from ds2f.dataset.plan import job, waiting
    from ds2f.dataset.store import store
    from ds2f.types import DetectedFace, Extracted, Face, Facts, StoredSpeech

    wanted = _plan()
    rows = _rows_of(wanted)
    found = DetectedFace((20, 20, 60, 80), np.zeros((5, 2), np.float32), 1.0)
    with Dataset(database) as dataset:
        numbers = waiting(dataset, wanted)
        vectors = [_vectors(np.random.default_rng(1), numbers, length) for length in (512, 128)]
        for number, voice, face in zip(numbers, *vectors, strict=True):
            if (asked := job(dataset, number, wanted)) is None:
                continue
            result = Extracted(
                Facts(5.0, 224, 224, 25.0, 0),
                StoredSpeech(rows["speech_audio"][0], 0.25, 4.0, 1, "1 of 1"),  # type: ignore[arg-type]
                Face(rows["crops"][1], None, face, found, 0.5, 0.8, 1.0, 1),  # type: ignore[arg-type]
                clips={seconds: (4.0, 1.5) for seconds, _ in wanted.voices},
                voices=dict.fromkeys(wanted.voices, voice),
                attributes=dict.fromkeys(wanted.attributes, _attributes()),
            )
            store(dataset, asked, result, wanted)


def status(database: Path, tree: Path) -> None:
    from ds2f.dataset.status import status

    status(database)


def splits(database: Path, tree: Path) -> None:
    """Who is in which split, with which voices and faces; and what the splits share."""
    from ds2f.dataset import Dataset
    from ds2f.dataset.clips import leaks
    from ds2f.dataset.people import read_people

    with Dataset(database) as dataset:
        for split in ("train", "val", "test"):
            read_people(dataset, split).both()
        leaks(dataset, "test")


def pairs(database: Path, tree: Path) -> None:
    """Voices and faces of the train split, as the prior's training data."""
    from ds2f.dataset import Dataset
    from ds2f.training.pairs import load_pairs

    with Dataset(database) as dataset:
        load_pairs(dataset, "train")


def export_webdataset(database: Path, tree: Path) -> None:
    _export(database, "webdataset")


def export_parquet(database: Path, tree: Path) -> None:
    _export(database, "parquet")


def _export(database: Path, form: str) -> None:
    from ds2f.dataset import Dataset
    from ds2f.dataset.export import export

    with Dataset(database) as dataset:
        export(dataset, form, database.with_name(form))
    shutil.rmtree(database.with_name(form))


def prior(database: Path, tree: Path, memory_gb: float = 1e3) -> None:
    """One epoch, with batches of 4,096: the ridge map and its shrinkage, the whitening, the flow."""
    from ds2f.config import Train
    from ds2f.dataset import Dataset
    from ds2f.training.jobs import train

    with Dataset(database) as dataset:
        steps = math.ceil(dataset.splits()["train"][1] / 4096)
    settings = Train(prior_batch=4096, prior_steps=steps, device="cpu", memory_gb=memory_gb)
    train("prior", database, database.parent / f"runs-{memory_gb:g}", settings)


def prior_from_files(database: Path, tree: Path) -> None:
    """The same, with all pairs in files."""
    prior(database, tree, memory_gb=0)


STEPS: tuple[Callable[[Path, Path], None], ...] = (
    ingest,
    plan,
    fill,
    store,
    status,
    splits,
    pairs,
    prior,
    prior_from_files,
    export_webdataset,
    export_parquet,
)


def _plan() -> Any:
    from ds2f.config import Config
    from ds2f.extract.settings import ExtractSettings, plan_of

    return plan_of(ExtractSettings.of(Config()))


def make(tree: Path, clips: int) -> None:
    """A folder tree like VoxCeleb2's."""
    for n in range(clips):
        person, video, clip = n // PER_PERSON, n // PER_VIDEO, n % PER_VIDEO
        folder = tree / f"id{12 + person:05d}" / f"video{video:06d}"
        if clip == 0 or n % PER_PERSON == 0:
            folder.mkdir(parents=True, exist_ok=True)
        if n % LINKS == 0:
            source = tree.with_name(f"source-{n}")
            source.write_bytes(b"a recording")
        os.link(source, folder / f"{clip + 1:05d}.mp4")


def measure(step: str, database: Path, tree: Path) -> dict[str, float]:
    """One step in its own process, to measure its peak memory."""
    command = [sys.executable, __file__, "--step", step, str(database), str(tree)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def one_step(step: str, database: Path, tree: Path) -> None:
    started, before = time.perf_counter(), time.process_time()
    done, most = threading.Event(), [0.0]
    watching = threading.Thread(target=_watch, args=(done, most))
    watching.start()
    try:
        next(call for call in STEPS if call.__name__ == step)(database, tree)
    finally:
        done.set()
        watching.join()
    figures = {
        "seconds": time.perf_counter() - started,
        "processor": time.process_time() - before,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "anonymous": most[0],
    }
    print(json.dumps(figures))


def _watch(done: threading.Event, most: list[float]) -> None:
    """Keep in most[0] the maximum MB that were held and not mapped from a file."""
    status = Path("/proc/self/status")
    while not done.wait(0.02) and status.exists():
        held = next(line for line in status.read_text().splitlines() if line.startswith("RssAnon"))
        most[0] = max(most[0], int(held.split()[1]) / 1024)


def plot(found: dict[str, dict[str, dict[str, float]]], path: Path) -> None:
    """Seconds and memory over clips, both axes logarithmic; next to each line its slope: 1 means proportional to the
    clips."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(14, 4.6), layout="constrained")
    sizes = sorted(map(int, found))
    steps = [call.__name__ for call in STEPS if call.__name__ in found[str(sizes[0])]]
    for axis, what, unit in zip(axes, ("processor", "megabytes"), ("seconds of one core", "MB, most"), strict=True):
        for step in steps:
            there = [n for n in sizes if step in found[str(n)]]
            values = [found[str(n)][step][what] for n in there]
            slope = math.log(values[-1] / values[-2]) / math.log(there[-1] / there[-2]) if len(there) > 1 else math.nan
            label = f"{step.replace('_', ' ')} ({slope:.2f})"
            axis.loglog(there, values, marker="o", markersize=4, label=label)
        axis.set(xlabel="clips", ylabel=unit)
        axis.grid(True, alpha=0.3)
        axis.legend(
            fontsize=8, title="step (slope at the end)", title_fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5)
        )
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, action="append")
    parser.add_argument("--out", type=Path, help="where to make trees and databases (default: the temporary folder)")
    parser.add_argument("--json", type=Path, help="for the figures; those of other sizes that it holds stay")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--step", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        one_step(options.step[0], Path(options.step[1]), Path(options.step[2]))
        return
    kept = options.json if options.json and options.json.exists() else None
    found: dict[str, dict[str, dict[str, float]]] = json.loads(kept.read_text()) if kept else {}
    for clips in options.clips or ([] if options.plot else [10_000, 100_000, 1_000_000]):
        with tempfile.TemporaryDirectory(dir=options.out) as place:
            database, tree = Path(place) / "dataset.db", Path(place) / "vox2" / "dev" / "mp4"
            tree.mkdir(parents=True)
            make(tree, clips)
            for step in (call.__name__ for call in STEPS):
                figures = measure(step, database, tree)
                if step == "fill":
                    continue
                if step == "store":
                    figures |= {what: figures[what] * clips / STORED for what in ("seconds", "processor")}
                found.setdefault(str(clips), {})[step] = figures
                print(
                    f"{clips:>9,} clips  {step:18} {figures['seconds']:8.1f} s, {figures['processor']:8.1f} of the "
                    f"processor, {figures['megabytes']:7,.0f} MB, {figures['anonymous']:7,.0f} of no file",
                    flush=True,
                )
                if options.json:
                    options.json.write_text(json.dumps(found, indent=1))
            print(f"{clips:>9,} clips  database: {database.stat().st_size / MB:,.0f} MB", flush=True)
    if options.plot:
        plot(found, options.plot)


if __name__ == "__main__":
    main()
