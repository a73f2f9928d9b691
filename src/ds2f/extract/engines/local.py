"""The local engine: worker processes that each load the models once, take files, hand back results."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing.synchronize import Barrier

from ds2f.dataset.plan import Job
from ds2f.errors import UserError
from ds2f.extract.engines.base import DIED_LOADING, IN_FLIGHT, Load, Make, Outcome
from ds2f.extract.worker import ExtractMany, failure, prepare_process, work

_extract: ExtractMany | None = None  # the worker's own, made by _start
_load_error: Exception | None = None  # why there is none
_all_loaded: Barrier  # of all workers of a pool


def local_processes(jobs: Iterable[Job], make: Make, load: Load) -> Iterator[Outcome]:
    """Outcomes of all jobs in order of completion. make: builds the extract function inside each worker.

    A worker that dies (a crash inside a decoder) takes down only its own file: the files in flight are then
    tried one at a time, and the one that kills its process again is a failure of stage `worker`.
    Raises whatever `make` raises, and UserError if a worker dies while it loads: that is no fault of the files.
    """
    batches = _batches(jobs, load.batch)
    while suspects := (yield from _run_pool(batches, make, load, load.workers, IN_FLIGHT * load.workers)):
        alone = ([job] for job in suspects)
        while killers := (yield from _run_pool(alone, make, load, workers=1, in_flight=1)):
            for job in killers:
                yield Outcome(job, failure("worker", "the worker process died on this file"))


def _batches(jobs: Iterable[Job], size: int) -> Iterator[list[Job]]:
    remaining = iter(jobs)
    while batch := list(islice(remaining, size)):
        yield batch


def _run_pool(
    batches: Iterator[list[Job]], make: Make, load: Load, workers: int, in_flight: int
) -> Generator[Outcome, None, list[Job]]:
    """Work through `batches`. Returns the jobs that were in flight when a worker died, [] if none did."""
    running: dict[Future[list[Outcome]], list[Job]] = {}
    drawn = next(batches, [])  # from `batches`, not yet handed to the pool: handing over fails if a worker has died
    if not drawn:
        return []
    context = multiprocessing.get_context("spawn")
    all_loaded = context.Barrier(workers)
    pool = ProcessPoolExecutor(workers, context, initializer=_start, initargs=(make, all_loaded))
    try:
        _wait_until_loaded(pool, all_loaded)
        while True:
            while len(running) < in_flight and (drawn := drawn or next(batches, [])):
                running[pool.submit(_work, drawn, load.item_seconds)] = drawn
                drawn = []
            if not running:
                return []
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                outcomes = future.result()
                del running[future]
                yield from outcomes
    except BrokenProcessPool:
        return [*(job for batch in running.values() for job in batch), *drawn]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _wait_until_loaded(pool: ProcessPoolExecutor, all_loaded: Barrier) -> None:
    """Files are handed out when all workers have loaded their models: one that dies before has none to blame."""
    try:
        with starting_workers():
            loading = [pool.submit(_loaded) for _ in range(all_loaded.parties)]
        for loaded in loading:
            loaded.result()
    except BrokenProcessPool:
        raise UserError(DIED_LOADING) from None
    except BaseException:
        all_loaded.abort()  # nobody waits for one that is no longer wanted
        raise


def _start(make: Make, all_loaded: Barrier) -> None:
    global _extract, _load_error, _all_loaded
    _all_loaded = all_loaded
    try:
        become_worker()
        _extract = make()
    except Exception as error:  # noqa: BLE001 - raised here it would look like a crash; see _loaded
        _load_error = error


@contextmanager
def starting_workers() -> Iterator[None]:
    """Processes started inside ignore ctrl-C from their first moment, as they inherit that; else one that comes while
    they still import would be a traceback of each."""
    if threading.current_thread() is not threading.main_thread():  # where Python lets nobody set a handler
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def become_worker() -> None:
    """What a process that works for another one does first: it leaves ctrl-C to that one, ends with it, and computes
    on one thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    prepare_process()


def _die_with_parent() -> None:
    """A main process that is killed cannot tell its workers; they must not stay behind."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _loaded() -> None:
    """Each worker answers once, as it waits here for the others."""
    _all_loaded.wait()
    if _load_error is not None:
        raise _load_error


def _work(jobs: Sequence[Job], item_seconds: float) -> list[Outcome]:
    assert _extract is not None
    return [Outcome(job, result) for job, result in zip(jobs, work(_extract, jobs, item_seconds), strict=True)]
