"""Starting the page."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace

from ds2f.config import Audio
from ds2f.errors import UserError
from ds2f.io.extras import first_line, optional

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(
    model: str | None,
    host: str,
    port: int,
    device: str,
    audio: Audio = Audio(),
    size: int | None = None,
    ready: Callable[[str, bool], None] = lambda address, own: None,
) -> None:
    """Serve until stopped.

    model: folder, or id on the Hub; None: what ships with ds2f
    host, port: where to listen; port 0 = any that is free
    device: "auto", "cpu", "cuda" or "mps"
    audio: how voices are heard
    size: pixels of a face
    ready: told the page's address, and whether this machine alone can reach it

    Raises UserError if the model or the port cannot be had.
    """
    uvicorn = optional("uvicorn", "demo", "The page")
    optional("starlette", "demo", "The page")
    from ds2f.page.guard import Limits

    limits = Limits()
    listening = listen_at(host, port)
    from ds2f.page.app import LOCAL, make_app  # brings torch, which takes seconds: not before the port is ours
    from ds2f.speech2face.model import Speech2Face

    audio = replace(audio, max_seconds=min(audio.max_seconds, limits.seconds))
    loaded = Speech2Face.from_pretrained(model, device=device, audio=audio, size=size)
    loaded.voice_encoder.check()
    own = host in LOOPBACK
    app = make_app(loaded, limits, LOCAL if own else ("*",))
    name = "127.0.0.1" if own else host
    address = f"http://{name}:{listening.getsockname()[1]}"

    class Server(uvicorn.Server):  # type: ignore[name-defined]  # imported only where the page is wanted
        """Tells when it answers: from then on it also knows what to do with a ctrl-C."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready(address, own)

    config = uvicorn.Config(app, log_level="warning", access_log=False, limit_concurrency=64, timeout_keep_alive=10)
    Server(config).run(sockets=[listening])


def listen_at(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)  # whoever comes before the server is ready waits a moment
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or first_line(error)
        raise UserError(
            f"The address {host}:{port} cannot be used ({reason}); give another --port, 0 for any, or another --host."
        ) from None
    return listening
