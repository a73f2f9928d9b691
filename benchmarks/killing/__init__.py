"""What `kill.py` kills: each work with what a trial begins with, the command, and what must be there at its end."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import signal
import sqlite3
import time
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import closing
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from PIL import Image

import ds2f
from ds2f.cli import main
from ds2f.dataset import Dataset, outputs
from ds2f.dataset.export import export
from ds2f.dataset.plan import Plan, job, waiting
from ds2f.dataset.shards import OF_A_FILE
from ds2f.dataset.splits import SplitRule
from ds2f.dataset.store import store
from ds2f.io.files import write_json
from ds2f.types import CorpusItem, DetectedFace, Extracted, Face, Facts, StoredSpeech

SAMPLES = Path(ds2f.__file__).parent / "demo" / "samples"
VECTORS = frozenset({"voice_embeddings", "face_embeddings"})
ROUNDING = 1e-5  # a vector's last digits depend on the clips that shared its batch
GONE, STAYS = "Zebulon-Quux", "Anna-Blume"


class Work(ABC):
    """gone_within: seconds that what a run had started has to notice that the run is dead."""

    gone_within = 10.0

    def __init__(self, folder: Path) -> None:
        """folder: for what all trials share."""
        self.folder = folder

    def begin(self, trial: Path, number: int) -> None:  # noqa: B027 - most begin with nothing
        """Lay out what a trial begins with."""

    @abstractmethod
    def run(self, trial: Path) -> int:
        """The command; returns its exit status."""

    @abstractmethod
    def faults(self, undisturbed: Path, trial: Path) -> list[str]:
        """What is there at the end and should not be, or the other way round, in words."""

    def await_moment(self, trial: Path, rng: random.Random, length: float, ended: Callable[[], int | None]) -> None:
        """Wait until the moment to kill. length: seconds that a run takes; ended: whether it has."""
        until = time.perf_counter() + rng.uniform(0, length)
        while time.perf_counter() < until and ended() is None:
            time.sleep(0.0005)

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Give back what was held."""


# ── extraction ────────────────────────────────────────────────────────────────────────────────────────────────


class Extraction(Work):
    """Of a few sample clips, by all models. Moments are counted in files: a quarter while it starts, the others soon
    after some file was stored; or a busy machine would never get to its work."""

    def __init__(self, folder: Path, engine: str, clips: int = 6) -> None:
        super().__init__(folder)
        self.engine = engine
        if engine == "ray":
            self.gone_within = 120.0  # Ray's own agents of a node ask twice a minute whether it is still there
        videos = folder / "videos"
        videos.mkdir()
        for clip in sorted(SAMPLES.glob("*.mp4"))[:clips]:
            (videos / clip.name).symlink_to(clip.resolve())
        _quiet("ingest", videos, "--database", folder / "ingested.db")

    def begin(self, trial: Path, number: int) -> None:
        trial.mkdir()
        shutil.copy(self.folder / "ingested.db", trial / "dataset.db")

    def run(self, trial: Path) -> int:
        os.chdir(trial)
        return main(["extract", "--database", "dataset.db", "--workers", "1", "--engine", self.engine])

    def await_moment(self, trial: Path, rng: random.Random, length: float, ended: Callable[[], int | None]) -> None:
        starting, done = rng.random() < 0.25, _done(trial)
        files = 0 if starting else done + rng.randrange(1, 4)
        while _done(trial) < files and ended() is None:
            time.sleep(0.01)
        super().await_moment(trial, rng, 0.7 * length if starting else 0.4, ended)

    def faults(self, undisturbed: Path, trial: Path) -> list[str]:
        return differences(undisturbed / "dataset.db", trial / "dataset.db")


def _done(trial: Path) -> int:
    with closing(sqlite3.connect(trial / "dataset.db")) as sql:
        return int(sql.execute("SELECT count(*) FROM videos WHERE state != 'new'").fetchone()[0])


# ── download ──────────────────────────────────────────────────────────────────────────────────────────────────


class Download(Work):
    """Of an archive in three parts and a table, from a server of this machine: fetched, checked, joined, unpacked."""

    def __init__(self, folder: Path, clips: int = 150) -> None:
        super().__init__(folder)
        site, packed = folder / "site", io.BytesIO()
        site.mkdir()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as made:
            for k in range(clips):
                made.writestr(f"dev/mp4/id{k:05d}/0a1B2c3D4e5/00001.mp4", random.Random(k).randbytes(20_000))
        data = packed.getvalue()
        third = len(data) // 3 + 1
        for i, letter in enumerate("abc"):
            (site / f"vox2_dev_mp4_parta{letter}").write_bytes(data[i * third : (i + 1) * third])
        (site / "vox2_meta.csv").write_text("VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set \n")
        names = sorted(path.name for path in site.iterdir())
        sums = (f"{hashlib.md5((site / name).read_bytes()).hexdigest()} {name}\n" for name in names)
        (folder / "md5.txt").write_text("".join(sums))
        server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *a: _Site(*a, directory=str(site)))
        self.urls = [f"http://127.0.0.1:{server.server_address[1]}/{name}" for name in names]
        self.server = os.fork()
        if not self.server:  # in a process of its own, as this one is forked while it answers
            server.serve_forever()
        server.server_close()

    def begin(self, trial: Path, number: int) -> None:
        trial.mkdir()

    def run(self, trial: Path) -> int:
        sums = str(self.folder / "md5.txt")
        said = ["download", "voxceleb2", *self.urls, "--out", str(trial / "out"), "--checksums", sums]
        return main([*said, "--accept-terms"])

    def faults(self, undisturbed: Path, trial: Path) -> list[str]:
        return unlike(tree(undisturbed), tree(trial))

    def close(self) -> None:
        os.kill(self.server, signal.SIGKILL)
        os.waitpid(self.server, 0)


class _Site(SimpleHTTPRequestHandler):
    """Goes on in the middle of a file, as the authors' server does."""

    def do_GET(self) -> None:
        data = Path(self.translate_path(self.path)).read_bytes()
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{hashlib.md5(data).hexdigest()}"')
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        try:
            self.wfile.write(data[start:])
        except OSError:
            self.close_connection = True  # it was killed

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


# ── export, forgetting, training: of made-up people ───────────────────────────────────────────────────────────


def made_up(path: Path, videos: Path, clips: dict[str, int], crop: int, seed: int = 0) -> None:
    """A dataset of people of whom nothing is real, extracted. clips: {name: recordings}; crop: bytes of each."""
    rng = np.random.default_rng(seed)
    plan = Plan("{}", "{}", ((6.0, "campplus-frames"),))
    items = [CorpusItem(f"{name}/{k}.mp4", "folder", name, 5, 1) for name, count in clips.items() for k in range(count)]
    with Dataset(path, create=True) as dataset:
        dataset.add_items(videos, "video", items, SplitRule())
        for video_id in waiting(dataset, plan):
            asked = job(dataset, video_id, plan)
            assert asked is not None
            found = DetectedFace((20, 20, 60, 80), rng.random((5, 2), np.float32), 1.0)
            face = Face(rng.bytes(crop), None, rng.random(128, np.float32), found, 0.5, 0.8, 1.0, 1)
            speech = StoredSpeech(b"fLaC" + rng.bytes(300), 0.0, 4.0)
            voices = {(6.0, "campplus-frames"): rng.random(512, np.float32)}
            facts = Facts(5.0, 64, 48, 5.0)
            store(dataset, asked, Extracted(facts, speech, face, clips={6.0: (4.0, 1.5)}, voices=voices), plan)


class Export(Work):
    """Into WebDataset shards; in every other trial an earlier export is replaced."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.database = folder / "dataset.db"
        made_up(self.database, folder / "videos", {f"person {k}": 2 for k in range(40)}, 90_000)

    def begin(self, trial: Path, number: int) -> None:
        trial.mkdir()
        if number % 2:
            with Dataset(self.database) as dataset:
                export(dataset, "webdataset", trial / "out", splits=["train"], shard_mb=20)

    def run(self, trial: Path) -> int:
        where = ["--database", str(self.database), "--out", str(trial / "out")]
        return main(["export", "--format", "webdataset", "--shard-mb", "1", *where])

    def faults(self, undisturbed: Path, trial: Path) -> list[str]:
        return unlike(tree(undisturbed), tree(trial))


class Forget(Work):
    """A person with recordings, rows, faces, records in an export and a report."""

    def begin(self, trial: Path, number: int) -> None:
        clips = {GONE: 6, STAYS: 4}
        made_up(trial / "dataset.db", trial / "videos", clips, 20_000)
        names = [f"{name}/{k}" for name, count in clips.items() for k in range(count)]
        for name in names:
            (trial / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
            (trial / "faces" / name).parent.mkdir(parents=True, exist_ok=True)
            (trial / "videos" / f"{name}.mp4").write_bytes(b"video")
            Image.new("RGB", (8, 8)).save(trial / "faces" / f"{name}.png")
        root = str(trial / "videos")
        faces = [{"root": root, "input": f"{name}.mp4", "image": f"{name}.png"} for name in names]
        write_json(trial / "faces" / "generation.json", {"faces": faces})
        (trial / "report").mkdir()
        (trial / "report" / "report.html").write_text(GONE)
        rows = [{"person": f"folder/{GONE}", "path": f"{GONE}/0.mp4", "reference": f"{GONE}/1.mp4"}]
        write_json(trial / "report" / "metrics.json", {"clips": rows})
        with Dataset(trial / "dataset.db") as dataset:
            outputs.remember(dataset, "faces", trial / "faces")
            outputs.remember(dataset, "report", trial / "report")
            export(dataset, "webdataset", trial / "export")

    def run(self, trial: Path) -> int:
        return main(["forget", GONE, "--database", str(trial / "dataset.db"), "--faces", str(trial / "faces"), "--yes"])

    def faults(self, undisturbed: Path, trial: Path) -> list[str]:
        found = [
            f"{path.relative_to(trial)} holds the name"
            for path in trial.rglob("*")
            if GONE in path.name or (path.is_file() and GONE.encode() in path.read_bytes())
        ]
        with closing(sqlite3.connect(trial / "dataset.db")) as sql:
            if sql.execute("PRAGMA freelist_count").fetchone()[0]:
                found.append("old pages are still in the database")
        there, wanted = tree(trial), tree(undisturbed)
        for files in (there, wanted):
            for name in [name for name in files if name.startswith("dataset.db") or name.endswith(".json")]:
                files[name] = b""  # paths and the salt differ
        return [*found, *differences(undisturbed / "dataset.db", trial / "dataset.db"), *unlike(wanted, there)]


class Training(Work):
    """A small prior, with a checkpoint after every step."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        made_up(folder / "dataset.db", folder / "videos", {f"person {k}": 1 for k in range(60)}, 10)
        (folder / "c.toml").write_text(
            '[train]\ndevice = "cpu"\nprior_steps = 12\nprior_batch = 16\nprior_width = 64\nprior_depth = 1\n'
            "save_seconds = 0.0\n"
        )

    def begin(self, trial: Path, number: int) -> None:
        trial.mkdir()

    def run(self, trial: Path) -> int:
        where = ["--database", str(self.folder / "dataset.db"), "--runs", str(trial / "runs")]
        return main(["train", "prior", *where, "--config", str(self.folder / "c.toml")])

    def faults(self, undisturbed: Path, trial: Path) -> list[str]:
        there, wanted = tree(trial), tree(undisturbed)
        for files in (there, wanted):
            files |= {name: b"" for name in files if name.endswith((".json", ".jsonl"))}  # times of day, rates
        logged, once = (
            [json.loads(line)["seen"] for line in (folder / "runs" / "prior" / "log.jsonl").read_text().splitlines()]
            for folder in (trial, undisturbed)
        )
        said = [] if logged == once else [f"log.jsonl has steps at {logged}"]
        return [*unlike(wanted, there), *said]


# ── comparison ────────────────────────────────────────────────────────────────────────────────────────────────


def tree(folder: Path) -> dict[str, bytes]:
    """{path of every file: its bytes}, those of hidden and half-written ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def unlike(wanted: dict[str, bytes], there: dict[str, bytes]) -> list[str]:
    return [
        *(f"{name} is missing" for name in sorted(wanted.keys() - there.keys())),
        *(f"{name} is left over" for name in sorted(there.keys() - wanted.keys())),
        *(f"{name} differs" for name in sorted(there.keys() & wanted.keys()) if there[name] != wanted[name]),
    ]


def differences(one: Path, other: Path) -> list[str]:
    """What differs between two datasets of the same files, by path: an empty list if nothing does."""
    with closing(sqlite3.connect(one)) as a, closing(sqlite3.connect(other)) as b:
        found = [f"{other.name}: {row[0]}" for row in b.execute("PRAGMA integrity_check") if row[0] != "ok"]
        found += [f"{other.name}: {tuple(row)} hangs in the air" for row in b.execute("PRAGMA foreign_key_check")]
        for table in ("videos", "labels", *OF_A_FILE):
            rows, others = _rows(a, table), _rows(b, table)
            for key in sorted(rows.keys() | others.keys(), key=repr):
                if key not in rows or key not in others or not _same(table, rows[key], others[key]):
                    found.append(f"{other.name}: {table} of {key}")
    return found


def _rows(sql: sqlite3.Connection, table: str) -> dict[tuple[object, ...], tuple[object, ...]]:
    """{(path, primary key without the video's id): the other columns}."""
    facts = sql.execute(f"PRAGMA table_info({table})").fetchall()
    leave = {"video_id", "id", "root_id", "identity_id"}
    keys = [name for _, name, _, _, _, key in facts if key and name not in leave]
    values = [name for _, name, _, _, _, key in facts if not key and name not in leave]
    ours = "t.id" if table == "videos" else "t.video_id"
    columns = ", ".join(f"t.{name}" for name in [*keys, *values])
    rows = sql.execute(f"SELECT v.path, {columns} FROM {table} t JOIN videos v ON v.id = {ours}")
    return {row[: 1 + len(keys)]: row[1 + len(keys) :] for row in rows}


def _same(table: str, row: tuple[object, ...], other: tuple[object, ...]) -> bool:
    if row != other and table in VECTORS:
        one, two = (np.frombuffer(r[0], np.float32) for r in (row, other))  # type: ignore[call-overload]
        return one.shape == two.shape and bool(np.abs(one - two).max() < ROUNDING)
    return row == other


def _quiet(*arguments: object) -> None:
    """A command that says nothing. Raises RuntimeError if it fails."""
    from contextlib import redirect_stderr, redirect_stdout

    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = main([str(argument) for argument in arguments])
    if code:
        raise RuntimeError(said.getvalue())
