"""Worker processes: each loads the models once, takes files, hands back results. None writes the database."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

from ds2f.dataset.queries import Job
from ds2f.errors import ItemError
from ds2f.types import Extracted

QUEUE_PER_WORKER = 4  # files in flight per worker: enough to keep it busy, few enough to bound memory


@dataclass(frozen=True)
class Outcome:
    """What became of one file: a result, or the stage and reason of its failure."""

    job: Job
    result: Extracted | None
    stage: str = ""
    reason: str = ""


Extract = Callable[[Job], Extracted]
_extract: Extract | None = None  # the worker's own, made by _start
_load_error: Exception | None = None  # why there is none


def local_processes(jobs: Sequence[Job], make: Callable[[], Extract], workers: int) -> Iterator[Outcome]:
    """Outcomes of all jobs in order of completion. make: builds the extract function inside each worker.

    A worker that dies (a crash inside a decoder) takes down only its own file: the files in flight are then
    tried one at a time, and the one that kills its process again is a failure of stage `worker`.
    Raises whatever `make` raises: a model that cannot be loaded is no fault of the files.
    """
    pending = deque(jobs)
    suspects: deque[Job] = deque()
    while pending or suspects:
        alone = bool(suspects)
        queue = suspects if alone else pending
        limit = 1 if alone else workers * QUEUE_PER_WORKER
        in_flight: dict[Future[Outcome], Job] = {}
        pool = ProcessPoolExecutor(
            1 if alone else workers,
            multiprocessing.get_context("spawn"),
            initializer=_start,
            initargs=(make,),
        )
        try:
            while queue or in_flight:
                while queue and len(in_flight) < limit:
                    in_flight[pool.submit(_work, queue[0])] = queue[0]  # may raise: the job must still be queued
                    queue.popleft()
                finished, _ = wait(in_flight, return_when=FIRST_COMPLETED)
                for future in finished:
                    outcome = future.result()
                    del in_flight[future]
                    yield outcome
        except BrokenProcessPool:
            if alone:
                for job in in_flight.values():
                    yield Outcome(job, None, "worker", "the worker process died on this file")
            else:
                suspects.extend(in_flight.values())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _start(make: Callable[[], Extract]) -> None:
    global _extract, _load_error
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-C is the main process's business
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        import torch

        torch.set_num_threads(1)
        _extract = make()
    except Exception as error:  # noqa: BLE001 - raised here it would look like a crash; see _work
        _load_error = error


def _die_with_parent() -> None:
    """A main process that is killed cannot tell its workers; they must not stay behind."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(job: Job) -> Outcome:
    if _load_error is not None:
        raise _load_error
    assert _extract is not None
    return attempt(_extract, job)


def attempt(extract: Extract, job: Job) -> Outcome:
    """Run one file; whatever goes wrong with it becomes its stored reason."""
    try:
        return Outcome(job, extract(job))
    except ItemError as error:
        return Outcome(job, None, error.stage, error.reason)
    except Exception as error:  # noqa: BLE001 - one bad file must not stop a corpus; the reason is stored
        return Outcome(job, None, "worker", f"unexpected {type(error).__name__}: {error}")
