"""kill -9 at random moments of long-running commands; the next run must resume and end as an undisturbed one does.

    python benchmarks/kill.py [WORK ...] [--kills 200] [--seed 0] [--seconds N]            (Linux: it reads /proc)

WORK: local (extraction by processes of this machine), ray (by Ray), download (with joining and unpacking), export,
forget, train. Each is done once undisturbed, then repeatedly: killed at a moment drawn from its whole length, and run
again until all kills are used; whenever a run finishes, its results are compared. Exits with 1 if anything is lost,
duplicated, half written or left over, including processes.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from math import inf
from pathlib import Path

from killing import Download, Export, Extraction, Forget, Training, Work

LONGEST = 600.0  # seconds after which an unfinished run counts as a fault

WORKS: dict[str, Callable[[Path], Work]] = {
    "local": lambda folder: Extraction(folder, "local"),
    "ray": lambda folder: Extraction(folder, "ray"),
    "download": Download,
    "export": Export,
    "forget": Forget,
    "train": Training,
}


@dataclass
class Result:
    """kills: of unfinished runs; trials: finished and compared; moments: seconds after which each kill came; faults:
    differences from an undisturbed run, in words."""

    kills: int = 0
    trials: int = 0
    moments: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def torture(work: Work, folder: Path, kills: int, seed: int = 0, seconds: float = inf) -> Result:
    """Do a work undisturbed, then repeatedly with `kills` interruptions in all, or as many as fit into `seconds`."""
    until = time.monotonic() + seconds
    rng, result = random.Random(seed), Result()
    killed: list[int] = []
    undisturbed = folder / "undisturbed"
    for _ in range(2):  # the second shows how long it takes
        shutil.rmtree(undisturbed, ignore_errors=True)
        work.begin(undisturbed, 0)
        started = time.perf_counter()
        _finish(work, undisturbed)
        length = time.perf_counter() - started
        for module in (folder / "modules.txt").read_text().split():  # import them here, not in each run
            with suppress(Exception):
                import_module(module)
    while result.kills < kills and time.monotonic() < until:
        trial = folder / f"trial-{result.trials}"
        work.begin(trial, result.trials)
        while result.kills < kills and time.monotonic() < until:
            run, started = _start(work, trial), time.perf_counter()
            work.await_moment(trial, rng, length, partial(_ended, run))
            if not _kill(run):
                break
            result.kills += 1
            result.moments.append(time.perf_counter() - started)
            killed.append(run)
        _finish(work, trial)
        result.trials += 1
        result.faults += [f"{trial.name}: {fault}" for fault in work.faults(undisturbed, trial)]
        if not result.faults:
            shutil.rmtree(trial)
    if left := _left_behind(killed, work.gone_within):
        result.faults.append(f"{left} processes left behind by killed runs")
    return result


def _start(work: Work, trial: Path) -> int:
    """A run in its own process and session, by which the processes it starts can be found after its death."""
    if pid := os.fork():
        return pid
    try:
        os.setsid()
        said = os.open(trial.parent / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(said, stream)
        try:
            code = work.run(trial)
        except BaseException:  # noqa: BLE001 - this process must not return into its parent's code
            traceback.print_exc()
            code = 70
        sys.stdout.flush()
        sys.stderr.flush()
        (trial.parent / "modules.txt").write_text("\n".join(sorted(sys.modules)))
        os._exit(code)
    finally:
        os._exit(71)


def _finish(work: Work, trial: Path) -> None:
    """Run to the end. Raises RuntimeError if that fails or takes too long."""
    run, until = _start(work, trial), time.monotonic() + LONGEST
    while (status := _ended(run)) is None:
        if time.monotonic() > until:
            os.kill(run, signal.SIGKILL)
            raise RuntimeError(f"a run on {trial} does not end")
        time.sleep(0.002)
    if status:
        raise RuntimeError(f"a run on {trial} ended with {status}: {(trial.parent / 'said.txt').read_text()}")


_statuses: dict[int, int] = {}


def _ended(run: int) -> int | None:
    """Its exit status, None while it runs."""
    if run not in _statuses:
        pid, status = os.waitpid(run, os.WNOHANG)
        if pid == 0:
            return None
        _statuses[run] = status
    return _statuses[run]


def _kill(run: int) -> bool:
    """False if it had ended before."""
    if _ended(run) is not None:
        return False
    os.kill(run, signal.SIGKILL)
    _, _statuses[run] = os.waitpid(run, 0)
    return os.WIFSIGNALED(_statuses[run])


def _left_behind(sessions: Collection[int], seconds: float) -> int:
    """How many processes of killed runs still exist `seconds` after the last kill."""
    until = time.monotonic() + seconds
    while (alive := _members(sessions)) and time.monotonic() < until:
        time.sleep(0.1)
    return len(alive)


def _members(sessions: Collection[int]) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue  # it has just ended
        if int(of) in sessions and state != "Z":
            found.append(int(stat.parent.name))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"of {', '.join(WORKS)}; default: all")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=inf, help="for each work; then there may be fewer kills")
    options = parser.parse_args()
    if unknown := set(options.works) - set(WORKS):
        parser.error(f"there is no work {min(unknown)!r}")
    faults = 0
    for name in options.works or WORKS:
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            work = WORKS[name](Path(folder))
            try:
                result = torture(work, Path(folder), options.kills, options.seed, options.seconds)
            finally:
                work.close()
        faults += len(result.faults)
        first, last = min(result.moments, default=0), max(result.moments, default=0)
        print(
            f"{name}: {result.kills} kills, {first:.2f} to {last:.2f} s after the start, in {result.trials} trials,"
            f" {len(result.faults)} faults; {time.perf_counter() - started:.0f} s",
            flush=True,
        )
        for fault in result.faults:
            print(f"  {fault}", flush=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
