"""Who is served next."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from threading import Event

import pytest

from ds2f.page.refused import Refused
from ds2f.page.turns import Turns


def in_order(
    turns: Turns, clients: str, gone: Callable[[int], bool] = lambda number: False
) -> tuple[str, list[list[int]]]:
    """Who was served in which order if all ask while one is at work, and what each was told of those before it."""
    served: list[str] = []
    told: list[list[int]] = [[] for _ in clients]
    begun, go_on = Event(), Event()

    def long(gone: Event) -> None:
        begun.set()
        assert go_on.wait(30)

    async def all_ask() -> None:
        first = asyncio.create_task(turns.do("?", long))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        asking = []
        for number, client in enumerate(clients):
            work = lambda gone, client=client: served.append(client)  # noqa: E731
            asking.append(asyncio.create_task(turns.do(client, work, told[number].append)))
            await asyncio.sleep(0)  # it is in its line
        assert turns.waiting == len(clients)
        for number, one in enumerate(asking):
            if gone(number):
                one.cancel()
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(first, *asking, return_exceptions=True)

    asyncio.run(all_ask())
    return "".join(served), told


def test_clients_take_turns_and_a_client_keeps_its_order() -> None:
    served, told = in_order(Turns(99, 99), "aaaaabcb")
    assert served == "abcabaaa"
    assert told[5][0] == 2, "b, who came sixth, is told of one at work and one before it"
    assert all(numbers == sorted(numbers, reverse=True) or number < 5 for number, numbers in enumerate(told))
    assert all(numbers[-1] == 1 or not numbers for numbers in told[1:]), "the next is told that one is at work"


def test_a_job_is_counted_before_its_answer_is_given() -> None:
    counted: list[float] = []

    def timed(waited: float, worked: float) -> None:
        time.sleep(0.1)
        counted.append(worked)

    turns = Turns(9, 9, timed)
    assert asyncio.run(turns.do("a", lambda gone: 7)) == 7
    assert len(counted) == 1
    assert turns.working_seconds == 0, "nobody who asks now has to wait"


def test_twenty_requests_of_one_delay_another_by_one() -> None:
    served, _ = in_order(Turns(99, 99), "a" * 20 + "b" + "c" * 20)
    assert served[:5] == "abcac"


def test_who_has_gone_is_left_out() -> None:
    turns = Turns(99, 99)
    served, _ = in_order(turns, "aabbc", gone=lambda number: number in (0, 3))
    assert served == "abc"
    assert turns.waiting == 0


def test_places_of_all_and_of_one() -> None:
    turns = Turns(places=3, client_places=2)
    with turns.place("a"), turns.place("a"):
        with pytest.raises(Refused, match="2 of your requests") as refused, turns.place("a"):
            pass
        assert refused.value.status == 429
        with turns.place("b"):
            assert turns.full
            with pytest.raises(Refused, match="Too many are waiting; try again in 1 s") as refused, turns.place("c"):
                pass
            assert (refused.value.status, refused.value.headers) == (503, {"retry-after": "1"})
        with turns.place("b"):
            pass
    assert not turns.full
    assert not turns._inside, "who left is forgotten"


def test_errors_reach_who_asked_and_the_next_is_served() -> None:
    seen: list[tuple[float, float]] = []
    turns = Turns(9, 9, lambda waited, worked: seen.append((waited, worked)))

    def fail(gone: Event) -> None:
        raise ValueError("mine")

    async def ask() -> None:
        with pytest.raises(ValueError, match="mine"):
            await turns.do("a", fail)
        names = {await turns.do("a", lambda gone: threading.current_thread().name) for _ in range(3)}
        assert names == {"ds2f-turns"}, "one thread does all work"

    asyncio.run(ask())
    assert len(seen) == 4
    assert min(min(pair) for pair in seen) >= 0


def test_at_the_end_all_are_told() -> None:
    turns = Turns(9, 9)
    begun = Event()

    def until_gone(gone: Event) -> bool:
        begun.set()
        return gone.wait(30)

    async def ask() -> None:
        working = asyncio.create_task(turns.do("a", until_gone))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        waiting = asyncio.create_task(turns.do("b", until_gone))
        await asyncio.sleep(0)
        turns.close()
        assert await working, "the one at work is told that nobody waits"
        for late in (waiting, turns.do("c", until_gone)):
            with pytest.raises(Refused, match="is shutting down"):
                await late

    asyncio.run(ask())
    with pytest.raises(Refused, match="is shutting down"), turns.place("d"):
        pass
