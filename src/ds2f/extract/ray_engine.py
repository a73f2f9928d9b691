"""The Ray engine: the same work as the local one, by actors of a cluster. Files must be reachable from every node under
the same path. Results come back to this process, which alone writes the database."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import ray
from ray.exceptions import RayActorError, RayError

from ds2f.dataset.plan import Job
from ds2f.errors import UserError
from ds2f.extract.engine import IN_FLIGHT, Load, Make, Outcome
from ds2f.extract.worker import failure, prepare_process, work
from ds2f.types import Extracted

TRIES = 3  # deaths of actors that had nothing but this file in hand: one may be a node lost without the file's fault


@ray.remote
class _Worker:
    """One worker: loads the models once."""

    def __init__(self, make: Make) -> None:
        prepare_process()
        self._extract = make()

    def ready(self) -> None:
        """Returns once the models are loaded, raises what kept them from loading."""

    def work(self, jobs: Sequence[Job], item_seconds: float) -> list[Extracted]:
        return work(self._extract, jobs, item_seconds)


def ray_actors(jobs: Iterable[Job], make: Make, load: Load, address: str = "") -> Iterator[Outcome]:
    """See `engine.local_processes`. address: of a running cluster ("auto" finds it); empty starts one here.

    An actor that dies, with its node or by a crash, is replaced; the files it had in hand are tried again, each alone
    on an actor, and one that is there at three more deaths is a failure of stage `worker`.
    """
    started = not ray.is_initialized()
    if started:
        try:
            ray.init(address=address or None, logging_level=logging.ERROR, log_to_driver=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise UserError(f"The Ray cluster {address or 'of this machine'} cannot be reached ({error}).") from None
    crew = _Crew(make, load)
    try:
        yield from crew.run(jobs)
    finally:
        crew.dismiss()
        if started:
            ray.shutdown()


class _Crew:
    """The actors, and what each has in hand."""

    def __init__(self, make: Make, load: Load) -> None:
        self.make, self.load = make, load
        self.in_hand: dict[ray.ObjectRef, tuple[ray.actor.ActorHandle, list[Job]]] = {}
        self.deaths: Counter[int] = Counter()
        self.suspects: deque[Job] = deque()
        self.actors = [self._hire() for _ in range(load.workers)]
        self._check_models()

    def _hire(self) -> ray.actor.ActorHandle:
        return _Worker.options(num_cpus=1).remote(self.make)

    def _check_models(self) -> None:
        """A model that cannot be loaded is no fault of the files: raise it as it was raised."""
        finished, _ = ray.wait([actor.ready.remote() for actor in self.actors], num_returns=1)
        try:
            ray.get(finished)
        except RayActorError as error:
            cause = getattr(error, "cause", None) or error.__cause__ or error
            raise UserError(f"The models cannot be loaded on the Ray cluster: {cause}") from error

    def run(self, jobs: Iterable[Job]) -> Iterator[Outcome]:
        pending = iter(jobs)
        while True:
            self._hand_out(pending)
            if not self.in_hand:
                return
            finished, _ = ray.wait(list(self.in_hand), num_returns=1)
            for reference in finished:
                actor, batch = self.in_hand.pop(reference)
                try:
                    results = ray.get(reference)
                except RayActorError:
                    yield from self._mourn(actor, batch)
                else:
                    yield from (Outcome(job, result) for job, result in zip(batch, results, strict=True))

    def _hand_out(self, pending: Iterator[Job]) -> None:
        """New batches to all actors; while there are suspects only these, one to an actor that has nothing else."""
        busy = Counter(actor for actor, _ in self.in_hand.values())
        for actor in self.actors:
            if self.suspects:
                if not busy[actor]:
                    self._give(actor, [self.suspects.popleft()])
                continue
            if any(a is actor and self._is_suspect(batch) for a, batch in self.in_hand.values()):
                continue
            for _ in range(IN_FLIGHT - busy[actor]):
                batch = list(islice(pending, self.load.batch))
                if not batch:
                    return
                self._give(actor, batch)

    def _give(self, actor: ray.actor.ActorHandle, batch: list[Job]) -> None:
        self.in_hand[actor.work.remote(batch, self.load.item_seconds)] = (actor, batch)

    def _is_suspect(self, batch: list[Job]) -> bool:
        return batch[0].video_id in self.deaths

    def _mourn(self, actor: ray.actor.ActorHandle, batch: list[Job]) -> Iterator[Outcome]:
        """Replace a dead actor and suspect what it had in hand."""
        if actor in self.actors:
            self.actors[self.actors.index(actor)] = self._hire()
        alone = self._is_suspect(batch)
        for job in batch:
            self.deaths[job.video_id] += alone
            if self.deaths[job.video_id] == TRIES:
                yield Outcome(job, failure("worker", f"the worker died on this file {TRIES} times"))
            else:
                self.suspects.append(job)

    def dismiss(self) -> None:
        for actor in self.actors:
            try:
                ray.kill(actor)
            except RayError:
                continue  # it is gone already, and the cluster perhaps with it
