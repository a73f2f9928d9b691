"""Extraction of all that is missing: jobs out of the dataset, through the engine, results back in by one writer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ds2f.dataset import Dataset
from ds2f.dataset.queries import Job
from ds2f.extract.engine import Outcome, local_processes
from ds2f.extract.item import Extractor, Settings, encoder_names
from ds2f.types import Extracted


@dataclass(frozen=True)
class ExtractSummary:
    """done, failed: files of this run."""

    done: int
    failed: int


def make_extract(settings: Settings) -> Callable[[Job], Extracted]:
    """Builds one worker's extract function (module level, so that it can travel to another process)."""
    return Extractor(settings).extract


def extract_missing(
    database: Path,
    settings: Settings,
    workers: int,
    retry_failed: bool = False,
    progress: Callable[[int, int, Outcome | None], None] | None = None,
) -> ExtractSummary:
    """Extract every file that waits. Interrupted, the next call goes on with what is left.

    progress: called as (files finished, files in all, last outcome), first with (0, total, None).
    """
    names = encoder_names(settings)
    done = failed = 0
    with Dataset(database) as dataset:
        jobs = dataset.jobs(retry_failed)
        if progress:
            progress(0, len(jobs), None)
        if not jobs:
            return ExtractSummary(0, 0)
        for outcome in local_processes(jobs, partial(make_extract, settings), max(1, min(workers, len(jobs)))):
            if outcome.result is not None:
                dataset.store(outcome.job.video_id, outcome.result, names)
                done += 1
            else:
                dataset.store_failure(outcome.job.video_id, outcome.stage, outcome.reason)
                failed += 1
            if progress:
                progress(done + failed, len(jobs), outcome)
    return ExtractSummary(done, failed)
