"""A small version of benchmarks/serving.py."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from subprocess import PIPE

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
    """Of a small one: from a large one, such as this, a system may take idle pages meanwhile."""
    program = "print('ready', flush=True); held = bytearray(b'1') * int(input()); print('held', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=PIPE, stdout=PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        before = resident(other.pid)
        print(300_000_000, file=other.stdin, flush=True)
        assert other.stdout.readline() == "held\n"
        assert resident(other.pid) - before == pytest.approx(300, abs=50)
        print(file=other.stdin, flush=True)
