"""The Ray engine: the same work as the local one, done by actors of a cluster. Files must be reachable under the same
path from every node. Results return to this process, which alone writes to the database."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import ray
from ray import ObjectRef
from ray.actor import ActorHandle
from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RayTaskError

from ds2f.dataset.plan import Job
from ds2f.errors import UserError
from ds2f.extract.engines.base import DIED_LOADING, IN_FLIGHT, Load, Make, Outcome
from ds2f.extract.worker import failure, prepare_process, work
from ds2f.types import Extracted

TRIES = 3  # successive deaths of actors with a single file, or while loading: one may be due to a lost node
DEATH = (RayActorError, OutOfMemoryError)


@ray.remote
class _Worker:
    """One worker: loads the models once."""

    def load(self, make: Make) -> None:
        """Load the models; raises whatever prevents that."""
        prepare_process()
        self._extract = make()

    def work(self, jobs: Sequence[Job], item_seconds: float) -> list[Extracted]:
        return work(self._extract, jobs, item_seconds)


def ray_actors(jobs: Iterable[Job], make: Make, load: Load, address: str = "") -> Iterator[Outcome]:
    """See `local.local_processes`. address: of a running cluster ("auto" finds it); if empty, one is started here.

    An actor that dies, with its node or from a crash, is replaced. The files that it was processing are tried again,
    each alone on an actor, and a file that is in flight at three more deaths becomes a failure of stage `worker`.
    Raises whatever `make` raises, and UserError if an actor and its replacements die three times while loading.
    """
    with joined(address):
        crew = _ActorPool(make, load)
        try:
            yield from crew.run(jobs)
        finally:
            crew.dismiss()


@contextmanager
def _own_signals() -> Iterator[None]:
    """Restores the previous handlers of Ctrl-C and SIGTERM afterwards: Ray and Ray Train leave their own behind."""
    if threading.current_thread() is not threading.main_thread():  # Python does not allow setting one elsewhere
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def joined(address: str, processors: int | None = None) -> Iterator[None]:
    """A cluster, unless this process has joined one already. address: of a running cluster ("auto" finds it); if empty,
    one is started here with `processors` processors, None: all there are.

    Raises UserError if it cannot be reached.
    """
    with _own_signals(), _cluster(address, processors):
        yield


@contextmanager
def _cluster(address: str, processors: int | None) -> Iterator[None]:
    if ray.is_initialized():
        yield
        return
    _check_reachable(address)
    try:
        # "local": otherwise Ray looks for a cluster that ran here earlier, and waits minutes for one that was killed.
        quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
        ray.init(address=address or "local", num_cpus=None if address else processors, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(f"The Ray cluster {address or 'of this machine'} cannot be reached ({error}).") from None
    try:
        yield
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Ray itself would retry for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except OSError as error:
            raise UserError(f"The Ray cluster {address} cannot be reached ({error.strerror or error}).") from None


class _ActorPool:
    """The actors and their files in flight. An actor counts once its models are loaded: one that finds no room in the
    cluster, for example after the loss of a node, is waited for and given nothing."""

    def __init__(self, make: Make, load: Load) -> None:
        self.make, self.load = make, load
        self.in_hand: dict[ObjectRef, tuple[ActorHandle, list[Job]]] = {}
        self.loading: dict[ObjectRef, tuple[ActorHandle, int]] = {}
        self.actors: list[ActorHandle] = []
        self.deaths: Counter[int] = Counter()
        self.suspects: deque[Job] = deque()
        for _ in range(load.workers):
            self._start_actor()

    def _start_actor(self, deaths: int = 0) -> None:
        """deaths: of its predecessors while loading."""
        actor = _Worker.options(num_cpus=1).remote()  # type: ignore[attr-defined]
        self.loading[actor.load.remote(self.make)] = (actor, deaths)

    def run(self, jobs: Iterable[Job]) -> Iterator[Outcome]:
        pending = iter(jobs)
        while True:
            self._submit_batches(pending)
            if not self.in_hand and self.actors and not self.suspects:
                return
            (reference,), _ = ray.wait([*self.in_hand, *self.loading], num_returns=1)
            if reference in self.loading:
                self._on_loaded(reference)
                continue
            actor, batch = self.in_hand.pop(reference)
            try:
                results = ray.get(reference)
            except DEATH:
                yield from self._on_death(actor, batch)
            except RayTaskError as error:
                raise error.cause from None  # a model that is missing when first needed
            else:
                yield from (Outcome(job, result) for job, result in zip(batch, results, strict=True))

    def _on_loaded(self, reference: ObjectRef) -> None:
        """Raises whatever kept a model from loading, since that is not the files' fault."""
        actor, deaths = self.loading.pop(reference)
        try:
            ray.get(reference)
        except DEATH:
            if deaths + 1 == TRIES:
                raise UserError(DIED_LOADING) from None
            self._start_actor(deaths + 1)  # its node may have been lost
        except RayTaskError as error:
            raise error.cause from None
        else:
            self.actors.append(actor)

    def _submit_batches(self, pending: Iterator[Job]) -> None:
        """Submit new batches to all actors; while there are suspects, only these, one to each actor that has nothing
        else."""
        busy = Counter(actor for actor, _ in self.in_hand.values())
        for actor in self.actors:
            if self.suspects:
                if not busy[actor]:
                    self._submit(actor, [self.suspects.popleft()])
                continue
            if any(a is actor and self._is_suspect(batch) for a, batch in self.in_hand.values()):
                continue
            for _ in range(IN_FLIGHT - busy[actor]):
                batch = list(islice(pending, self.load.batch))
                if not batch:
                    return
                self._submit(actor, batch)

    def _submit(self, actor: ActorHandle, batch: list[Job]) -> None:
        self.in_hand[actor.work.remote(batch, self.load.item_seconds)] = (actor, batch)

    def _is_suspect(self, batch: list[Job]) -> bool:
        return batch[0].video_id in self.deaths

    def _on_death(self, actor: ActorHandle, batch: list[Job]) -> Iterator[Outcome]:
        """Replace a dead actor and suspect the files that it was processing."""
        if actor in self.actors:  # each batch of an actor reports its death
            self.actors.remove(actor)
            self._start_actor()
        alone = self._is_suspect(batch)
        for job in batch:
            self.deaths[job.video_id] += alone
            if self.deaths[job.video_id] == TRIES:
                yield Outcome(job, failure("worker", f"the worker died on this file {TRIES} times"))
            else:
                self.suspects.append(job)

    def dismiss(self) -> None:
        for actor in [*self.actors, *(actor for actor, _ in self.loading.values())]:
            try:
                ray.kill(actor)
            except RayError:
                continue  # it is gone already, and possibly the cluster with it
