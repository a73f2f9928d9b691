"""A page at work in a thread, on a port of its own. Needs the extra demo."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ds2f import Speech2Face
from ds2f.config import Serve
from ds2f.page.app import make_app
from ds2f.page.serve import listen_at
from ds2f.page.server import Uvicorn


@contextmanager
def served(model: Speech2Face, limits: Serve) -> Iterator[str]:
    """Its address."""
    listening = listen_at("127.0.0.1", 0)
    server = Uvicorn(make_app(model, limits))
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
