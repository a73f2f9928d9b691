"""The interface of engines: what they take and what they return."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ds2f.dataset.plan import Job
from ds2f.extract.worker import ExtractMany
from ds2f.types import Extracted

IN_FLIGHT = 3  # batches per worker: enough to keep it busy, few enough to bound memory
DIED_LOADING = (
    "A worker died while it loaded its models (out of memory, or a library made for another processor); no file is to "
    "blame. Give fewer --workers, or smaller models in ds2f.toml."
)


@dataclass(frozen=True)
class Outcome:
    """The outcome for one file."""

    job: Job
    result: Extracted

    @property
    def failed(self) -> bool:
        """Whether something that was requested is missing."""
        return bool(self.result.failures)


@dataclass(frozen=True)
class Load:
    """The number of workers, how many files each takes at once, and the limit per file in seconds."""

    workers: int = 1
    batch: int = 1
    item_seconds: float = 120.0


Make = Callable[[], ExtractMany]
"""Builds the extract function inside a worker, with all its models. Raises UserError for a model that cannot be
loaded."""

Engine = Callable[[Iterable[Job], Make, Load], Iterator[Outcome]]
"""Outcomes of all jobs in order of completion."""
