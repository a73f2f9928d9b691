"""Access control: only requests to an allowed host name and from its own pages, and only so many at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ds2f.page.refused import FAILED

HEADERS = {
    # Nothing from elsewhere: only our own scripts, fonts, pictures and addresses.
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
GONE = 499  # nginx's status for clients that disconnect before the response
Seen = Callable[[str, str, int, float], None]


class Guard:
    """Refuses requests under another host name (DNS rebinding), from another page (by its Origin), and more than
    `crowd` at once; answers for a server that failed; adds HEADERS; calls `seen` with (method, route, status, seconds)
    for each request."""

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...], crowd: int, seen: Seen) -> None:
        self.app, self.hosts, self.crowd, self.seen = app, hosts, crowd, seen
        self._inside = 0  # changed only by the event loop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, started = GONE, time.monotonic()

        async def guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *((k.encode(), v.encode()) for k, v in HEADERS.items())]
            await send(message)

        self._inside += 1
        try:
            answering: ASGIApp = self._refusal(Request(scope)) or self.app
            await answering(scope, receive, guarded)
        except Exception:
            if status == GONE:  # nothing was sent yet
                await refusal(500, FAILED)(scope, receive, guarded)
            raise  # for the log
        finally:
            self._inside -= 1
            route = getattr(scope.get("route"), "path", "other")
            self.seen(scope["method"], route, status, time.monotonic() - started)

    def _refusal(self, request: Request) -> JSONResponse | None:
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if "*" not in self.hosts and name not in self.hosts:
            return refusal(403, f"This server does not answer to {host or 'no name'}; see --allow-host of ds2f serve.")
        if origin is not None and _host_of(origin) != host:
            return refusal(403, f"This server does not answer to pages of {origin}.")
        if self._inside > self.crowd:
            return refusal(503, "Too many requests; try again in 5 s.", {"retry-after": "5"})
        return None


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # brackets that are not closed
        return None


def refusal(status: int, sentence: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """The response for every error of the server."""
    return JSONResponse({"status": status, "error": sentence}, status, headers)
