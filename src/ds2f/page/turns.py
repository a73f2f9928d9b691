"""Who is served next: one piece of work at a time, since one drawing uses all cores, and clients in turn.

Fair queueing as Nagle has it for packets (RFC 970): a line for each client, and one job from each line in a circle.
Twenty requests of one client delay another's by one request. All work is done by one thread, which keeps PyTorch's own
threads and memory in one place.
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
RECENT = 0.2  # share of the last job in the running mean of how long one takes
LONGEST_WAIT = 300  # seconds that anybody is asked to wait


@dataclass(eq=False)
class Job:
    """work: told by an event whether nobody waits for it any more; moved: told how many are before it."""

    client: str
    work: Callable[[Event], Any]
    moved: Callable[[int], None]
    entered: float
    gone: Event = field(default_factory=Event)
    future: Future[Any] = field(default_factory=Future)


class Turns:
    """The places inside, and the lines of those who wait. Any thread may ask; the methods never block for long."""

    def __init__(
        self, places: int, client_places: int, timed: Callable[[float, float], None] = lambda waited, worked: None
    ) -> None:
        """places, client_places: how many requests may be inside, of all clients and of one; timed: told of every job
        how many seconds it waited and how many it took."""
        self.places, self.client_places, self._timed = places, client_places, timed
        self._inside: Counter[str] = Counter()
        self._lines: dict[str, deque[Job]] = {}  # the first client is the next
        self._at_work: tuple[Job, float] | None = None  # and since when
        self._seconds = 1.0  # that a job takes, a running mean
        self._closed = False
        self._thread: Thread | None = None
        self._changed = Condition()

    @contextmanager
    def place(self, client: str) -> Iterator[None]:
        """A place for as long as it is needed. Raises Refused: 429 if the client has all of its own, 503 if there is
        none left or the server ends."""
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
                self._inside += Counter()  # forgets clients that are gone

    async def do(self, client: str, work: Callable[[Event], T], moved: Callable[[int], None] = lambda ahead: None) -> T:
        """What `work` returns or raises, once it is its turn.

        work: called in the one thread with an event that is set when nobody waits for the result any more.
        moved: told how many jobs are before this one, whenever that changes.
        Cancelling this call leaves the line at once.
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
        """Jobs in the lines, without the one at work."""
        with self._changed:
            return sum(map(len, self._lines.values()))

    @property
    def full(self) -> bool:
        with self._changed:
            return self._closed or self._inside.total() >= self.places

    @property
    def working_seconds(self) -> float:
        """How long the job at work has been; 0 if there is none."""
        at_work = self._at_work
        return 0.0 if at_work is None else time.monotonic() - at_work[1]

    def close(self) -> None:
        """Send everybody away: those in the lines at once, the one at work at its next step."""
        with self._changed:
            self._closed = True
            jobs = [job for line in self._lines.values() for job in line]
            self._lines.clear()
            if self._at_work is not None:
                self._at_work[0].gone.set()
            self._changed.notify()
        for job in jobs:
            if job.future.set_running_or_notify_cancel():
                job.future.set_exception(ending())

    def _run(self) -> None:
        while (job := self._next()) is not None:
            if job.future.set_running_or_notify_cancel():
                started = time.monotonic()
                try:
                    job.future.set_result(job.work(job.gone))
                except BaseException as error:  # noqa: BLE001 - whoever waits for the future raises it
                    job.future.set_exception(error)
                worked = time.monotonic() - started
                self._seconds += RECENT * (worked - self._seconds)
                self._timed(started - job.entered, worked)
            del job  # what it holds is not needed while nothing is to do

    def _next(self) -> Job | None:
        """The next job; waits until there is one. None: closed."""
        with self._changed:
            self._at_work = None
            while not self._lines and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            client, line = next(iter(self._lines.items()))
            job = line.popleft()
            del self._lines[client]
            if line:
                self._lines[client] = line  # at the end of the circle
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
        """Everybody who waits, how many are before them: of every other line those that come first in the circle."""
        lines = list(self._lines.values())
        for i, line in enumerate(lines):
            for k, job in enumerate(line):
                others = (min(len(other), k + (j < i)) for j, other in enumerate(lines) if j != i)
                job.moved(k + sum(others) + (self._at_work is not None))

    def _wait(self) -> int:
        """Seconds after which trying again is worth it: a place is free when one job is done, several when half are."""
        jobs = 1 + sum(map(len, self._lines.values())) / 2
        return max(1, min(LONGEST_WAIT, math.ceil(self._seconds * jobs)))


def ending() -> Refused:
    return Refused(503, "The server is ending; ask again when it is back.", {"retry-after": "10"})
