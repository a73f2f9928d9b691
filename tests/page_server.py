"""A page at work in a thread, on a port of its own, and what tests ask it. Needs the extra demo."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from ds2f import Speech2Face
from ds2f.config import Generate, Serve
from ds2f.demo import samples
from ds2f.page.app import make_app
from ds2f.page.serve import listen_at
from ds2f.page.server import Uvicorn

CLIP = samples() / "person-5.mp4"


@contextmanager
def served(model: Speech2Face, limits: Serve, chosen: Generate = Generate()) -> Iterator[str]:
    """Its address."""
    listening = listen_at("127.0.0.1", 0)
    server = Uvicorn(make_app(model, limits, chosen=chosen))
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


def lines(address: str, **asked: Any) -> list[dict[str, Any]]:
    """What comes, line by line, of faces that are asked for."""
    headers = {"Accept": "application/x-ndjson"}
    answer = requests.post(f"{address}/v1/faces", data=json.dumps(asked), headers=headers, timeout=300)
    return [json.loads(line) for line in answer.text.splitlines()]


def error(answer: requests.Response, status: int) -> str:
    """The sentence of an answer that must have this status."""
    assert answer.status_code == status, answer.text
    return str(answer.json()["error"])
