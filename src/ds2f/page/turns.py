"""Scheduling: one job at a time, since one drawing uses all cores, and clients in turn.

Fair queueing, as Nagle describes it for packets (RFC 970): a queue for each client, served round-robin. Twenty requests
of one client delay another's by one request. All jobs run in one thread, which keeps PyTorch's own threads and memory
in one place.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition, Event, Thread
from typing import Any, TypeVar

from ds2f.page.refused import Refused

T = TypeVar("T")
RECENT = 0.2  # weight of the last job in the running mean of job durations
LONGEST_WAIT = 300  # seconds; the most that a client is asked to wait


@dataclass(eq=False)
class Job:
    """work: called with an event that is set once nobody waits for the result any more; moved: called with how many
    jobs are ahead."""

    client: str
    work: Callable[[Event], Any]
    moved: Callable[[int], None]
    entered: float
    gone: Event = field(default_factory=Event)
    future: Future[Any] = field(default_factory=Future)


class Turns:
    """The places, and the queues of waiting jobs. Thread-safe; the methods never block for long."""

    def __init__(
        self, places: int, client_places: int, timed: Callable[[float, float], None] = lambda waited, worked: None
    ) -> None:
        """places, client_places: how many requests may be in progress, of all clients and of one; timed: called for
        every job with the seconds it waited and the seconds it took."""
        self.places, self.client_places, self._timed = places, client_places, timed
        self._inside: Counter[str] = Counter()
        self._lines: dict[str, deque[Job]] = {}  # the first client is next
        self._at_work: tuple[Job, float] | None = None  # and its start time
        self._seconds = 1.0  # running mean of job durations
        self._closed = False
        self._thread: Thread | None = None
        self._changed = Condition()

    @contextmanager
    def place(self, client: str) -> Iterator[None]:
        """Hold a place for as long as it is needed. Raises Refused: 429 if the client has used up its own places,
        503 if there is none left or the server is shutting down."""
        with self._changed:
            if self._closed:
                raise ending()
            after = {"retry-after": str(self._wait())}
            if self._inside[client] >= self.client_places:
                mine = f"{self.client_places} of your requests are waiting already; send the next when one is answered."
                raise Refused(429, mine, after)
            if self._inside.total() >= self.places:
                raise Refused(503, f"Too many are waiting; try again in {after['retry-after']} s.", after)
            self._inside[client] += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside[client] -= 1
                self._inside += Counter()  # drops clients without places

    async def do(self, client: str, work: Callable[[Event], T], moved: Callable[[int], None] = lambda ahead: None) -> T:
        """What `work` returns or raises, once it has had its turn.

        work: called in the worker thread with an event that is set once nobody waits for the result any more.
        moved: called with how many jobs are ahead of this one, whenever that changes.
        Cancelling this call leaves the queue at once.
        """
        job = Job(client, work, moved, time.monotonic())
        with self._changed:
            if self._closed:
                raise ending()
            self._lines.setdefault(client, deque()).append(job)
            if self._thread is None:
                self._thread = Thread(target=self._run, name="ds2f-turns", daemon=True)
                self._thread.start()
            self._tell()
            self._changed.notify()
        try:
            result: T = await asyncio.wrap_future(job.future)
            return result
        except asyncio.CancelledError:
            job.gone.set()
            self._leave(job)
            raise

    @property
    def waiting(self) -> int:
        """Jobs in the queues, without the running one."""
        with self._changed:
            return sum(map(len, self._lines.values()))

    @property
    def full(self) -> bool:
        with self._changed:
            return self._closed or self._inside.total() >= self.places

    @property
    def working_seconds(self) -> float:
        """How long the current job has been running; 0 if there is none."""
        at_work = self._at_work
        return 0.0 if at_work is None else time.monotonic() - at_work[1]

    def close(self) -> None:
        """Refuse all jobs: queued ones at once, the running one at its next step."""
        with self._changed:
            self._closed = True
            jobs = [job for line in self._lines.values() for job in line]
            self._lines.clear()
            at_work = self._at_work  # once: a job that ends takes no lock
            if at_work is not None:
                at_work[0].gone.set()
            self._changed.notify()
        for job in jobs:
            if job.future.set_running_or_notify_cancel():
                job.future.set_exception(ending())

    def _run(self) -> None:
        while (job := self._next()) is not None:
            if job.future.set_running_or_notify_cancel():
                self._do(job)
            del job  # frees what the job holds while there is nothing to do

    def _do(self, job: Job) -> None:
        """Run a job. It is counted, and off the queue, before its answer is given: who has it may ask again at once."""
        started = time.monotonic()
        give: Callable[[Any], None] = job.future.set_result
        try:
            answer = job.work(job.gone)
        except BaseException as error:  # noqa: BLE001 - raised by whoever waits for the future
            answer, give = error, job.future.set_exception
        worked = time.monotonic() - started
        self._seconds += RECENT * (worked - self._seconds)
        self._timed(started - job.entered, worked)
        self._at_work = None
        give(answer)
        del answer  # an error holds this frame by its traceback

    def _next(self) -> Job | None:
        """The next job; waits until there is one. None: closed."""
        with self._changed:
            self._at_work = None  # also of a job that was cancelled
            while not self._lines and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            client, line = next(iter(self._lines.items()))
            job = line.popleft()
            del self._lines[client]
            if line:
                self._lines[client] = line  # at the end of the round
            self._at_work = (job, time.monotonic())
            self._tell()
            return job

    def _leave(self, job: Job) -> None:
        with self._changed:
            line = self._lines.get(job.client, deque())
            if job in line:
                line.remove(job)
                if not line:
                    del self._lines[job.client]
                self._tell()

    def _tell(self) -> None:
        """Tell all waiting jobs how many are ahead of them, counting those of other queues that come first in the
        round-robin."""
        lines = list(self._lines.values())
        for i, line in enumerate(lines):
            for k, job in enumerate(line):
                others = (min(len(other), k + (j < i)) for j, other in enumerate(lines) if j != i)
                job.moved(k + sum(others) + (self._at_work is not None))

    def _wait(self) -> int:
        """Seconds after which retrying is worthwhile: one place is free when one job is done, several when half of
        them are."""
        jobs = 1 + sum(map(len, self._lines.values())) / 2
        return max(1, min(LONGEST_WAIT, math.ceil(self._seconds * jobs)))


def ending() -> Refused:
    return Refused(503, "The server is shutting down; try again when it is back.", {"retry-after": "10"})
