"""Terminal output: tables; progress bars on a terminal, and an occasional line in a log file."""

from __future__ import annotations

import time
from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table

if TYPE_CHECKING:
    from ds2f.evaluation.results import Measure
    from ds2f.types import Progress as Told

# File names may contain what looks like markup, [/b], or like an emoji, :heart:.
out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)

LINE_SECONDS = 10.0  # between two lines where there is no terminal


class Bar:
    """Progress of one stage. Call `update(done, total, note)` as often as you like."""

    def __init__(self, stage: str, progress: Progress | None) -> None:
        self.progress = progress
        self.tasks: dict[str, TaskID] = {}
        self._begin(stage)

    def stage(self, name: str) -> Told:
        """The progress of another stage, with a line and a speed of its own, shown once it is first updated."""

        def update(done: int, total: int, note: str = "", /) -> None:
            if name != self.name:
                self._begin(name)
            self.update(done, total, note)

        return update

    def _begin(self, name: str) -> None:
        self.name = name
        if self.progress is not None and name in self.tasks:
            self.progress.reset(self.tasks[name], total=None, note="")
        elif self.progress is not None:
            self.tasks[name] = self.progress.add_task(name, total=None, note="")
        self.started = time.monotonic()
        self.shown = 0.0
        self.ended: tuple[int, str] | None = None  # what the last line said: the end is often reported twice
        self.before: int | None = None  # done by an earlier run: does not count towards this one's speed

    def update(self, done: int, total: int, note: str = "") -> None:
        if self.before is None:
            self.before = done
        if self.progress is not None:
            self.progress.update(self.tasks[self.name], completed=done, total=total, note=note)
            return
        now = time.monotonic()
        if self.ended == (done, note) or (done < total and now - self.shown < LINE_SECONDS):
            return
        self.shown, self.ended = now, (done, note) if done >= total else None
        passed = now - self.started
        fresh = done - self.before
        left = f", {_clock(passed / fresh * (total - done))} left" if fresh > 0 and done < total else ""
        text = f"{self.name}: {done:,} of {total:,}, {_clock(passed)} elapsed{left}{'  ' + note if note else ''}"
        err.print(text)


@contextmanager
def bar(stage: str) -> Iterator[Bar]:
    """A progress bar named `stage`, on stderr so that results can be piped."""
    if not err.is_terminal:
        yield Bar(stage, None)
        return
    columns = (
        TextColumn("{task.description:<10}", markup=False),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        # Takes what room the others leave: a long file name would push them off the screen.
        TextColumn(
            "{task.fields[note]}", markup=False, table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")
        ),
    )
    with Progress(*columns, console=err, expand=True) as progress:
        yield Bar(stage, progress)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def columns(first: str, *titles: str, left: Container[str] = (), min_width: int | None = None) -> Table:
    """An empty table. `first` is a column of names, at least `min_width` wide; other columns are right-aligned,
    except those in `left`."""
    table = Table(box=None, padding=(0, 3, 0, 0))
    table.add_column(first, min_width=min_width, overflow="fold")
    for title in titles:
        table.add_column(title, justify="left" if title in left else "right", overflow="fold")
    return table


PLURALS = {"person": "people"}  # that no rule gives


def counted(number: int, noun: str) -> str:
    """A number with its noun: 1 face, 1,000 faces, 0 entries, 2 people."""
    regular = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else PLURALS.get(noun, regular)}"


def interval(measure: Measure | None, scale: float, unit: str, digits: str = ".0f") -> str:
    """A measure and its interval, as "31 % [25-37]"; empty for None."""
    if measure is None:
        return ""
    text = f"{measure.value * scale:{digits}}{unit}"
    if measure.low is None or measure.high is None:
        return text
    dash = "-" if digits == ".0f" else " to "
    return f"{text} [{measure.low * scale:{digits}}{dash}{measure.high * scale:{digits}}]"
