"""Starting the server of the page."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace

from ds2f.config import Audio, Serve
from ds2f.errors import UserError
from ds2f.io.credentials import Signing
from ds2f.io.extras import MODULES, first_line, optional

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(
    model: str | None,
    host: str,
    port: int,
    device: str,
    audio: Audio = Audio(),
    size: int | None = None,
    ready: Callable[[str, bool], None] = lambda address, own: None,
    limits: Serve = Serve(),
    signing: Signing = Signing(),
) -> None:
    """Serve until stopped.

    model: folder, or id on the Hub; None: what ships with ds2f
    host, port: where to listen; port 0 = any that is free
    device: "auto", "cpu", "cuda" or "mps"
    audio: how voices are heard
    size: pixels of a face
    ready: told the page's address, and whether this machine alone can reach it
    limits: how much may be asked, and by what names the server may be called
    signing: who signs the pictures

    Raises UserError if the model, the port or the certificate cannot be had.
    """
    for module in MODULES["serve"]:
        optional(module, "serve", "The page")
    listening = listen_at(host, port)
    from ds2f.page.app import LOCAL, make_app  # brings torch, which takes seconds: not before the port is ours
    from ds2f.page.server import run
    from ds2f.speech2face.model import Speech2Face

    audio = replace(audio, max_seconds=min(audio.max_seconds, limits.max_seconds))
    loaded = Speech2Face.from_pretrained(model, device=device, audio=audio, size=size, signing=signing)
    loaded.voice_encoder.check()
    own = host in LOOPBACK
    hosts = (*LOCAL, *limits.hosts) if own or limits.hosts else ("*",)
    app = make_app(loaded, limits, hosts)
    name = "127.0.0.1" if own else host
    address = f"http://{name}:{listening.getsockname()[1]}"
    run(app, listening, lambda: ready(address, own))


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
