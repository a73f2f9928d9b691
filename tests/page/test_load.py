"""A small version of benchmarks/serving.py."""

from __future__ import annotations

import gc
import os
import sys
import time

import pytest

from ds2f import Speech2Face
from ds2f.config import Serve
from serving import load, resident

pytest.importorskip("starlette", reason="the extra serve is not installed")
if sys.platform != "linux":
    pytest.skip("clients have addresses of 127.0.0.0/8, at which Linux alone answers", allow_module_level=True)

from ds2f.page.turns import Job
from ds2f.page.wanted import Wanted
from page_server import served


def test_many_at_once_get_their_own_faces_and_nothing_of_them_is_kept(model: Speech2Face) -> None:
    with served(model, Serve(places=4, client_places=1)) as url:
        done = load(url, clients=4, number=8, samples=2)
        assert (done.lost, done.wrong, len(done.seconds)) == (0, 0, 8)
        assert done.different == 0, "bit for bit what was drawn alone"
        deadline = time.monotonic() + 60
        while kept := _requests():
            assert time.monotonic() < deadline, kept
            time.sleep(0.05)


def _requests() -> list[object]:
    """What is in memory of requests that were answered."""
    gc.collect()
    return [one for one in gc.get_objects() if type(one) in (Job, Wanted)]


def test_memory_is_that_of_the_process() -> None:
    before = resident(os.getpid())
    held = bytearray(b"1") * 300_000_000
    assert 250 < resident(os.getpid()) - before < 350, len(held)  # what other threads take and leave meanwhile is less
