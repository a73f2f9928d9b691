"""Starts the server of the page."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from ds2f.config import Generate, Serve
from ds2f.errors import UserError
from ds2f.io.extras import MODULES, first_line, optional

if TYPE_CHECKING:
    from ds2f.speech2face.model import Speech2Face

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(
    load: Callable[[], Speech2Face],
    host: str,
    port: int,
    limits: Serve = Serve(),
    chosen: Generate = Generate(),
    ready: Callable[[str, bool], None] = lambda address, own: None,
) -> None:
    """Serve until stopped.

    load: returns the model that encodes and draws; called once the port is bound.
    host, port: where to listen; port 0 = any free port.
    limits: how much may be requested, and the names the server may be addressed by.
    chosen: how faces are drawn unless the request says otherwise.
    ready: called with the page's address, and whether only this machine can reach it.

    Raises UserError if the model, the port or the certificate cannot be used.
    """
    for module in MODULES["serve"]:
        optional(module, "serve", "The page")
    listening = listen_at(host, port)
    from ds2f.page.app import LOCAL, make_app  # imports torch, which takes seconds: not before the port is bound
    from ds2f.page.server import run

    model = load()
    model.voice_encoder.check()
    own = host in LOOPBACK
    hosts = (*LOCAL, *limits.hosts) if own or limits.hosts else ("*",)
    app = make_app(model, limits, hosts, chosen)
    run(app, listening, lambda: ready(address_of(listening), own))


def address_of(listening: socket.socket) -> str:
    """The address at which a browser finds a listening socket; an IPv6 address is written in brackets (RFC 3986,
    3.2.2)."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listen_at(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)  # clients that connect before the server is ready wait a moment
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or first_line(error)
        raise UserError(
            f"The address {host}:{port} cannot be used ({reason}); give another --port, 0 for any, or another --host."
        ) from None
    return listening
