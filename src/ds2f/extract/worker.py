"""What happens inside one worker of any engine: some jobs in, one result for each, whatever goes wrong."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from types import FrameType

from ds2f.dataset.plan import Job
from ds2f.errors import ItemError, UserError
from ds2f.types import Extracted

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
GRACE = 15.0  # seconds after which a worker that cannot be interrupted is killed

ExtractMany = Callable[[Sequence[Job]], list[Extracted]]


class OutOfTime(BaseException):
    """Not an Exception, so that no library mistakes it for one of its own errors and carries on."""


def failure(stage: str, reason: str) -> Extracted:
    """The result of a file that yielded nothing."""
    return Extracted(failures=((stage, reason),))


def unexpected(error: Exception) -> str:
    """The failure reason for an unexpected error."""
    return f"unexpected {type(error).__name__}: {error}"


def work(extract: ExtractMany, jobs: Sequence[Job], item_seconds: float) -> list[Extracted]:
    """One result per job, in order. If a batch fails as a whole, each of its files is tried alone.

    Raises UserError and ImportError: a model that cannot be loaded is not the files' fault, and would be missing for
    all of them.
    """
    try:
        with time_limit(item_seconds * len(jobs)):
            return extract(jobs)
    except ItemError as error:
        reason = failure(error.stage, error.reason)
    except (UserError, ImportError):
        raise
    except OutOfTime:
        reason = failure("worker", f"took longer than {item_seconds:g} s")
    except Exception as error:  # noqa: BLE001 - one bad file must not stop a corpus; the reason is stored
        reason = failure("worker", unexpected(error))
    if len(jobs) == 1:
        return [reason]
    return [work(extract, [job], item_seconds)[0] for job in jobs]


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise OutOfTime here after `seconds`; end the process GRACE later if C code never returns.

    The former needs the main thread of a process (where worker engines run their tasks) and a system with alarm
    signals, which Windows lacks; elsewhere only the latter applies.
    """
    alarm = _alarm if threading.current_thread() is threading.main_thread() else nullcontext
    with open(os.devnull, "w") as nowhere:
        faulthandler.dump_traceback_later(seconds + GRACE, exit=True, file=nowhere)
        try:
            with alarm(seconds):
                yield
        finally:
            faulthandler.cancel_dump_traceback_later()


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    if sys.platform == "win32":
        yield
        return
    previous = signal.signal(signal.SIGALRM, _out_of_time)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def _out_of_time(number: int, frame: FrameType | None) -> None:
    raise OutOfTime


def prepare_process() -> None:
    """Use one thread per worker: parallelism is over files, and on some processors the last bits of a vector depend on
    the number of threads."""
    os.environ |= {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}  # for those loaded later
    keep_freed_memory()
    import torch
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    torch.set_num_threads(1)


def keep_freed_memory() -> None:
    """Make glibc keep freed memory for reuse. By default it returns large blocks to the kernel at once, and having
    their pages cleared again takes a tenth of the time of a network with layers of that size."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):  # other C libraries have none
        for name, size in ((M_TRIM_THRESHOLD, 2**28), (M_MMAP_THRESHOLD, 2**25)):
            libc.mallopt(name, size)
