"""Extracts everything that is missing: jobs from the dataset go through an engine, and a single writer stores the
results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ds2f.dataset import Dataset
from ds2f.dataset.plan import Job, Plan, job, retry, waiting
from ds2f.dataset.store import store
from ds2f.dataset.weights import settle
from ds2f.extract.engines.base import Engine, Load
from ds2f.extract.engines.local import local_processes
from ds2f.extract.settings import ExtractSettings, plan_of
from ds2f.extract.worker import ExtractMany
from ds2f.types import Progress

ONE_WORKER = Load()


@dataclass(frozen=True)
class ExtractSummary:
    """done, failed: files of this run."""

    done: int
    failed: int


def make_extract(settings: ExtractSettings) -> ExtractMany:
    """Build one worker's extract function (at module level, so that it can be sent to another process), with all models
    loaded: whatever fails later is the fault of a file. Raises UserError for a model that cannot be loaded."""
    from ds2f.extract.item import Extractor

    extractor = Extractor(settings)
    extractor.load()
    return extractor.extract


def extract_missing(
    database: Path,
    settings: ExtractSettings,
    load: Load = ONE_WORKER,
    engine: Engine = local_processes,
    retry_failed: bool = False,
    progress: Progress | None = None,
) -> ExtractSummary:
    """Extract whatever files lack. After an interruption, the next call continues with what is left.

    database: an existing dataset.
    settings: what every file must have.
    load: workers, files per batch, and seconds allowed per file.
    engine: `local_processes`, or the result of `engines.pick`.
    retry_failed: retry failed files, if what failed is still planned.
    progress: called with (files finished, total, how many failed), first before any is finished.
    Raises UserError if a model cannot be loaded or a worker dies while loading; the files then wait as before.
    """
    plan = plan_of(settings)
    done = failed = 0
    with Dataset(database) as dataset:
        settle(dataset, plan)
        if retry_failed:
            retry(dataset, plan)
        ids = waiting(dataset, plan)
        if progress:
            progress(0, len(ids))
        if not ids:
            return ExtractSummary(0, 0)
        for outcome in engine(_jobs(dataset, ids, plan), partial(make_extract, settings), _share(load, len(ids))):
            stored = store(dataset, outcome.job, outcome.result, plan)
            if stored is None:
                continue  # its entry no longer exists
            done, failed = done + (not stored.failures), failed + bool(stored.failures)
            if progress:
                progress(done + failed, len(ids), f"{failed:,} failed" if failed else "")
    return ExtractSummary(done, failed)


def _jobs(dataset: Dataset, ids: Sequence[int], plan: Plan) -> Iterator[Job]:
    """Jobs, each read from the dataset only when a worker is free for it, which bounds memory."""
    for video_id in ids:
        if (found := job(dataset, video_id, plan)) is not None:
            yield found


def _share(load: Load, files: int) -> Load:
    """No more workers than files, and no batches so large that workers wait idle for the last one."""
    workers = max(1, min(load.workers, files))
    return Load(workers, max(1, min(load.batch, files // (4 * workers))), load.item_seconds)
