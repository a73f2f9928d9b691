"""The server under the application: says when it listens, and sends everybody home when it ends."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette

PATIENCE = 20  # seconds that answers on their way are given at the end


class Uvicorn(uvicorn.Server):
    """Tells `ready` once ctrl-C is ours and connections are taken; at the end those who wait are sent away first."""

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
