"""A page at work in a thread, on a port of its own. Needs the extra demo."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from ds2f import Speech2Face
from ds2f.page.app import make_app
from ds2f.page.guard import Limits
from ds2f.page.serve import listen_at


@contextmanager
def served(model: Speech2Face, limits: Limits) -> Iterator[str]:
    """Its address."""
    listening = listen_at("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(make_app(model, limits), log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=30)
