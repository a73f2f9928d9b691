"""kill -9 at random moments of an extraction; the next run goes on, and ends where an undisturbed one ends.

python benchmarks/kill.py FOLDER [--clips 24] [--kills 50] [--workers 2]      (Linux: it looks into /proc)

When a database is complete before all kills are spent, it is compared and the next one begins. Exits with 1 if a
database differs, is damaged, or a process of a killed run stays behind.
"""

from __future__ import annotations

import argparse
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ds2f.dataset.shards import OF_A_FILE

GONE_WITHIN = 10.0  # seconds that workers have to notice that their main process is dead
VECTORS = frozenset({"voice_embeddings", "face_embeddings"})
ROUNDING = 1e-5  # a vector's last digits depend on the clips that shared its batch


@dataclass
class Result:
    """differences: between disturbed and undisturbed databases, in words; stored: files done at each kill."""

    kills: int = 0
    databases: int = 0
    orphans: int = 0
    differences: list[str] = field(default_factory=list)
    stored: list[int] = field(default_factory=list)

    @property
    def faults(self) -> int:
        return self.orphans + len(self.differences)


def torture(clips: list[Path], folder: Path, kills: int, workers: int, seed: int = 0) -> Result:
    """Extract `clips` undisturbed once, then again and again with `kills` interruptions in all."""
    rng, result = random.Random(seed), Result()
    videos = folder / "videos"
    videos.mkdir()
    for number, clip in enumerate(clips):  # names are not unique where a folder is a person
        (videos / f"{number:03d}-{clip.name}").symlink_to(clip.resolve())
    undisturbed = _ingested(folder / "undisturbed.db", videos)
    _finish(_start(undisturbed, workers))
    while result.kills < kills:
        database = _ingested(folder / f"disturbed-{result.databases}.db", videos)
        while True:
            run = _start(database, workers)
            if result.kills == kills or not _kill(run, database, rng):
                _finish(run)
                break
            result.kills += 1
            result.orphans += _left_behind(run.pid)
            result.stored.append(_done(database))
        result.databases += 1
        result.differences += differences(undisturbed, database)
        print(f"{result.kills} kills, {result.databases} databases, {result.faults} faults", flush=True)
    return result


def _ds2f(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "ds2f", *arguments]


def _ingested(database: Path, videos: Path) -> Path:
    subprocess.run(_ds2f("ingest", str(videos), "--database", str(database)), check=True, capture_output=True)
    return database


def _start(database: Path, workers: int) -> subprocess.Popen[bytes]:
    """`ds2f extract` in a session of its own, by which its workers can be found when it is gone."""
    command = _ds2f("extract", "--database", str(database), "--workers", str(workers))
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, cwd=database.parent
    )


def _finish(run: subprocess.Popen[bytes]) -> None:
    if run.wait(timeout=600) != 0:
        raise RuntimeError(f"ds2f extract ended with {run.returncode}")


def _kill(run: subprocess.Popen[bytes], database: Path, rng: random.Random) -> bool:
    """Kill the main process at a random moment: one time in four while it starts, else while it works, after it has
    stored some files. Counted in files and not in seconds, or a busy machine would never get to its work.

    False if it had ended before.
    """
    starting = rng.random() < 0.25
    files = 0 if starting else _done(database) + rng.randrange(1, 6)
    while _done(database) < files and run.poll() is None:
        time.sleep(0.02)
    try:
        run.wait(timeout=rng.uniform(0, 5.0 if starting else 0.5))
    except subprocess.TimeoutExpired:
        run.send_signal(signal.SIGKILL)
        run.wait()
        return True
    return False


def _left_behind(session: int) -> int:
    """How many processes of a killed run are still there after GONE_WITHIN seconds."""
    until = time.monotonic() + GONE_WITHIN
    while (alive := _members(session)) and time.monotonic() < until:
        time.sleep(0.1)
    return len(alive)


def _members(session: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue  # it has just ended
        if int(of) == session and state != "Z":
            found.append(int(stat.parent.name))
    return found


def _done(database: Path) -> int:
    with closing(sqlite3.connect(database)) as sql:
        return int(sql.execute("SELECT count(*) FROM videos WHERE state != 'new'").fetchone()[0])


# ── comparison ────────────────────────────────────────────────────────────────────────────────────────────────


def differences(one: Path, other: Path) -> list[str]:
    """What differs between two datasets of the same files, by path: an empty list if nothing does."""
    with closing(sqlite3.connect(one)) as a, closing(sqlite3.connect(other)) as b:
        found = [f"{other.name}: {row[0]}" for row in b.execute("PRAGMA integrity_check") if row[0] != "ok"]
        found += [f"{other.name}: {tuple(row)} hangs in the air" for row in b.execute("PRAGMA foreign_key_check")]
        for table in ("videos", *OF_A_FILE):
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    found = sorted(options.folder.rglob("*.mp4"))
    clips = found[:: max(1, len(found) // options.clips)][: options.clips]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        result = torture(clips, Path(folder), options.kills, options.workers)
    print(f"{result.kills} kills of extractions of {len(clips)} clips in {time.perf_counter() - started:.0f} s;")
    print(f"files stored at each kill: {result.stored}")
    print(
        f"{result.databases} databases, {len(result.differences)} differences, {result.orphans} processes left behind"
    )
    for difference in result.differences:
        print(f"  {difference}")
    return 1 if result.faults else 0


if __name__ == "__main__":
    sys.exit(main())
