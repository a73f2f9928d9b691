"""The walks in docs/architecture.md are what happens: each function named there is called, and in that order."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType

import ds2f
from ds2f.cli import main
from ds2f.config import Config
from ds2f.dataset.plan import Job
from ds2f.demo import samples
from ds2f.extract.engines.base import Load, Make, Outcome
from ds2f.extract.run import extract_missing
from ds2f.extract.settings import ExtractSettings
from ds2f.extract.worker import work

PACKAGE = Path(ds2f.__file__).parent
PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"

Place = tuple[str, str]
"""File, as a path in the package, and function."""


def walk(title: str) -> list[Place]:
    """What the numbered steps under a heading name as `room/file.py:function`, in order."""
    section = PAGE.read_text().split(f"\n### {title}\n")[1].split("\n#")[0]
    steps = re.findall(r"^\d+\. .*(?:\n(?!\d+\. ).+)*", section, re.MULTILINE)
    return [found for step in steps for found in re.findall(r"`([\w/]+\.py):(\w+)`", step)]


@contextmanager
def called() -> Iterator[list[Place]]:
    """Fills, when it ends, with the functions of ds2f in the order in which they were first called."""
    seen: dict[CodeType, None] = {}

    def watch(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            seen.setdefault(frame.f_code)

    order: list[Place] = []
    sys.setprofile(watch)
    try:
        yield order
    finally:
        sys.setprofile(None)
        own = [code for code in seen if code.co_filename.startswith(str(PACKAGE))]
        order += [(Path(code.co_filename).relative_to(PACKAGE).as_posix(), code.co_name) for code in own]


def follow(steps: list[Place], order: list[Place]) -> None:
    assert len(steps) >= 10
    assert not [step for step in steps if step not in order], "named in the walk, and never called"
    assert sorted(steps, key=order.index) == steps


def in_this_process(jobs: Iterable[Job], make: Make, load: Load) -> Iterator[Outcome]:
    """What a worker does, where it can be watched."""
    extract = make()
    for job in jobs:
        yield Outcome(job, work(extract, [job], load.item_seconds)[0])


def test_from_a_recording_to_a_picture(tmp_path: Path) -> None:
    recording = str(samples() / "person-1.mp4")
    with called() as order:
        assert main(["generate", recording, "--out", str(tmp_path), "--count", "1", "--device", "cpu"]) == 0
    follow(walk("From a recording to a picture"), order)


def test_from_a_file_into_the_dataset(tmp_path: Path) -> None:
    database, folder = tmp_path / "dataset.db", tmp_path / "videos"
    folder.mkdir()
    (folder / "person-1.mp4").write_bytes((samples() / "person-1.mp4").read_bytes())
    with called() as order:
        assert main(["ingest", str(folder), "--database", str(database)]) == 0
        extract_missing(database, ExtractSettings.of(Config()), engine=in_this_process)
    follow(walk("From a file into the dataset"), order)
