"""Seconds and memory of shell commands, in this version and another one, in turns.

    python benchmarks/shell.py RECORDING PICTURE TRIALS [--before path/to/other/src] [--repeats 5]

RECORDING: sound or video; PICTURE: of a face; TRIALS: a list for `ds2f verify`. --before: the folder `src` of a
checkout of another version.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parents[1] / "src"


def run(source: Path, command: list[str]) -> tuple[float, float, float]:
    """(wall seconds, processor seconds, peak MB) of one command. Raises RuntimeError if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        child = subprocess.Popen(
            [sys.executable, "-m", "ds2f", *(folder if word == "OUT" else word for word in command)],
            env={**os.environ, "PYTHONPATH": str(source)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(child.pid, 0)
        wall = time.perf_counter() - started
    if os.waitstatus_to_exitcode(status) != 0:
        raise RuntimeError(f"ds2f {' '.join(command)} failed with {source}")
    return wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording")
    parser.add_argument("picture")
    parser.add_argument("trials")
    parser.add_argument("--before", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", action="append", help="of the commands; may be given again")
    options = parser.parse_args()
    commands = {
        "generate": ["generate", options.recording, "--out", "OUT", "--count", "1"],
        "describe": ["describe", options.recording],
        "verify": ["verify", options.trials, "--out", "OUT"],
        "match": ["match", options.recording, options.picture],
    }
    sources = {"now": HERE} | ({"before": options.before.resolve()} if options.before else {})
    for name, command in commands.items():
        if options.only and name not in options.only:
            continue
        taken: dict[str, list[tuple[float, float, float]]] = {version: [] for version in sources}
        for repeat in range(options.repeats + 1):
            for version, source in sources.items():
                used = run(source, command)
                if repeat:  # the first one fills the disk cache
                    taken[version].append(used)
        middle = {version: [median(column) for column in zip(*each, strict=True)] for version, each in taken.items()}
        for version, (wall, processor, memory) in middle.items():
            print(f"{name:9} {version:7} {wall:6.2f} s  {processor:6.2f} s of processors  {memory:6.0f} MB", flush=True)
        if options.before:
            ratios = (now / before for now, before in zip(middle["now"], middle["before"], strict=True))
            print(f"{name:9} ratio   {next(ratios):6.2f}    {next(ratios):6.2f}                  {next(ratios):6.2f}")


if __name__ == "__main__":
    main()
