"""What keeps the page small and safe: limits of size, time and number, and who may ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from threading import BoundedSemaphore, Lock
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    # Nothing from anywhere else: no script, font, picture or address but our own.
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@dataclass(frozen=True)
class Limits:
    """upload_mb: size of a recording or request; memory_mb: of all that are in memory together; upload_seconds: time
    that one may take to arrive; seconds: of a recording that are listened to; job_seconds: time that a drawing may
    take; places: jobs at work or waiting, one of them at work; count: faces of a voice; steps: of the sampler;
    guide_px: a guide picture wider or higher than this is shrunk to it."""

    upload_mb: float = 32.0
    memory_mb: float = 128.0
    upload_seconds: float = 60.0
    seconds: float = 60.0
    job_seconds: float = 120.0
    places: int = 8
    count: int = 8
    steps: int = 50
    guide_px: int = 2048

    def deadline(self) -> Deadline:
        return Deadline(time.monotonic() + self.job_seconds)


@dataclass(frozen=True)
class Deadline:
    at: float

    def passed(self) -> bool:
        return time.monotonic() > self.at


class Refused(Exception):
    """A question that is not answered. status: of HTTP; the message is a sentence for a person."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Busy(Refused):
    def __init__(self) -> None:
        super().__init__(503, "Too many are waiting; try again in a minute.")


class Gate:
    """places: how many may be inside; turn: held by the one who works, as one drawing uses all cores; reading: by the
    one who decodes a guide picture, which takes memory."""

    def __init__(self, places: int) -> None:
        self._places = BoundedSemaphore(places)
        self.turn, self.reading = Lock(), Lock()

    def enter(self) -> None:
        """Take a place. Raises Busy if there is none left."""
        if not self._places.acquire(blocking=False):
            raise Busy

    def leave(self) -> None:
        self._places.release()


class Uploads:
    """Bodies of requests, in memory: each, and all of them together, within their limits."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.held = 0  # bytes; changed by the event loop alone

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytearray]:
        """The body, for as long as it is needed. Raises Refused if it is too large or too slow, Busy if there is no
        memory for it beside the others."""
        limits, data = self.limits, bytearray()
        too_large = Refused(413, f"This is larger than {limits.upload_mb:g} MB; a minute of speech is enough.")
        if int(request.headers.get("content-length") or 0) > limits.upload_mb * 1e6:
            raise too_large
        try:
            async with asyncio.timeout(limits.upload_seconds):
                async for chunk in request.stream():
                    if self.held + len(chunk) > limits.memory_mb * 1e6:
                        raise Busy
                    data += chunk
                    self.held += len(chunk)
                    if len(data) > limits.upload_mb * 1e6:
                        raise too_large
            yield data
        except TimeoutError:
            sentence = f"It took longer than {limits.upload_seconds:g} s to arrive; try a shorter recording."
            raise Refused(408, sentence) from None
        finally:
            self.held -= len(data)


class Guard:
    """Refuses requests under another name (DNS rebinding) or from another page (its Origin), and adds HEADERS."""

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...]) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *((k.encode(), v.encode()) for k, v in HEADERS.items())]
            await send(message)

        strange = "*" not in self.hosts and name not in self.hosts
        if strange or (origin is not None and urlsplit(origin).netloc != host):
            answer = JSONResponse({"error": f"This page does not answer to {origin or host}."}, 403)
            await answer(scope, receive, guarded)
            return
        await self.app(scope, receive, guarded)
