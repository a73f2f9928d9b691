"""A progress bar for a script or a notebook that did not switch it off; the command line has bars of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def shown(title: str, total: int | None, wanted: bool = True) -> Iterator[Callable[[], None]]:
    """A bar on the error stream while the block runs. Gives what is to be called when one more is done.

    title: what is counted.
    total: how many there will be, None if nobody knows.
    wanted: False, and nothing is shown; nor is it in a log file, where a bar would be noise.
    """
    notebook = "ipykernel" in sys.modules
    if not wanted or not (notebook or sys.stderr.isatty()):
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(28), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=not notebook)
    with Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task(title, total=total)
        yield lambda: bar.advance(task)
