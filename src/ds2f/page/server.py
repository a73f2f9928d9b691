"""The server under the application: reports when it listens, and refuses waiting requests when it shuts down."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette

PATIENCE = 20  # seconds that responses in progress get at shutdown


class Uvicorn(uvicorn.Server):
    """Calls `ready` once Ctrl-C is handled and connections are accepted; on shutdown, waiting requests are refused
    first."""

    def __init__(self, app: Starlette, ready: Callable[[], None] = lambda: None) -> None:
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, timeout_keep_alive=10, timeout_graceful_shutdown=PATIENCE
        )
        super().__init__(config)
        self.turns, self.ready = app.state.answers.turns, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.turns.close()
        await super().shutdown(sockets)


def run(app: Starlette, listening: socket.socket, ready: Callable[[], None]) -> None:
    Uvicorn(app, ready).run(sockets=[listening])
