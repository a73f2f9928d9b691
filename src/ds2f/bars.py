"""A progress bar for scripts and notebooks that have not switched it off; the command line has its own bars."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def shown(title: str, total: int | None, wanted: bool = True) -> Iterator[Callable[[], None]]:
    """Show a bar on stderr while the block runs. Yields a function to call each time one more item is done.

    title: what is being counted.
    total: how many there will be; None if unknown.
    wanted: False shows nothing. Nothing is shown in a log file either, where a bar would be noise.
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
