"""The server behind the page: three files of its own, the sample voices, and two questions.

    POST /listen   a recording in the body                  what is heard in it, and the voice as numbers
    POST /faces    JSON: voices, seed, count, wishes, ...    a line of JSON for each step, the last one with the faces

It keeps nothing: recordings and pictures are held in memory while they are worked on and never written, the voice
travels back to the page that sent it, and no path of this machine can be asked for.
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, replace
from importlib.resources import files
from threading import Event, Thread
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ds2f.errors import ItemError, UserError
from ds2f.io.images import NOTICE
from ds2f.io.media import encode_webp
from ds2f.page.guard import Busy, Gate, Guard, Limits, Refused, Uploads
from ds2f.page.wanted import Wanted, as_text
from ds2f.speech2face.describe import VoiceDescription
from ds2f.speech2face.face import GeneratedFace
from ds2f.speech2face.model import Speech2Face
from ds2f.speech2face.settings import DEFAULT

OWN = {"": ("index.html", "text/html"), "page.css": ("page.css", "text/css"), "page.js": ("page.js", "text/javascript")}
LOCAL = ("127.0.0.1", "localhost", "[::1]")
Say = Callable[[dict[str, Any]], None]


class Stopped(Exception):
    """Nobody waits for this drawing any more, or it took too long."""


class Page:
    """The answers, and the model that gives them."""

    def __init__(self, model: Speech2Face, limits: Limits) -> None:
        self.model, self.limits = model, limits
        self.gate, self.uploads = Gate(limits.places), Uploads(limits)
        folder = files("ds2f") / "page"
        self.own = {path: ((folder / name).read_bytes(), kind) for path, (name, kind) in OWN.items()}
        clips = files("ds2f") / "demo" / "samples"
        self.samples = [clip.read_bytes() for clip in sorted(clips.iterdir(), key=str) if clip.name.endswith(".mp4")]

    async def file(self, request: Request) -> Response:
        data, kind = self.own[request.url.path.removeprefix("/")]
        return Response(data, media_type=kind)

    async def about(self, request: Request) -> Response:
        """What the page must know of model and limits."""
        known = {
            "notice": NOTICE,
            "size": self.model.size,
            "model": self.model.fingerprint,
            "samples": len(self.samples),
        }
        fast = self.model.fast_decoder
        known |= {
            "fast": 0 if fast is None else fast.config.few_steps,
            "guide": self.model.decoder.config.guide,
            "limits": asdict(self.limits),
            "defaults": asdict(DEFAULT),
        }
        return JSONResponse(known)

    async def sample(self, request: Request) -> Response:
        """One of the synthetic voices of the package."""
        number = request.path_params["number"]
        if not 1 <= number <= len(self.samples):
            raise Refused(404, "There is no such sample.")
        return Response(self.samples[number - 1], media_type="video/mp4")

    async def listen(self, request: Request) -> Response:
        async with self.uploads.body(request) as data:
            self.gate.enter()
            try:
                return await run_in_threadpool(self._heard, data)
            finally:
                self.gate.leave()

    def _heard(self, data: bytearray) -> Response:
        with self.gate.turn:
            encoded = self.model.encode_voice(data)
            described = self.model.describe(encoded)
        voice = self.model.voice_inputs([encoded.voices])[0]
        return JSONResponse({"voice": as_text(voice), "description": _description(described)})

    async def faces(self, request: Request) -> Response:
        async with self.uploads.body(request) as data:
            self.gate.enter()
            try:
                wanted = await run_in_threadpool(self._wanted, data)
            except BaseException:
                self.gate.leave()
                raise
        said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        gone = Event()
        loop = asyncio.get_running_loop()

        def say(line: dict[str, Any]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(said.put_nowait, line)

        Thread(target=self._work, args=(wanted, say, gone), daemon=True).start()
        return StreamingResponse(_lines(said, gone), media_type="application/x-ndjson")

    def _wanted(self, data: bytearray) -> Wanted:
        with self.gate.reading:
            return Wanted.read(data, self.limits, self.model)

    def _work(self, wanted: Wanted, say: Say, gone: Event) -> None:
        try:
            with self.gate.turn:
                self._draw(wanted, say, gone)
        except (Stopped, UserError, ItemError) as error:
            say({"error": str(error)})
        except BaseException:
            say({"error": "The drawing failed; the terminal of ds2f serve says why."})
            raise
        finally:
            self.gate.leave()

    def _draw(self, wanted: Wanted, say: Say, gone: Event) -> None:
        shown: list[str] = []
        deadline = self.limits.deadline()

        def preview(pictures: np.ndarray) -> None:
            if gone.is_set() or deadline.passed():
                raise Stopped(
                    f"Drawing took more than {self.limits.job_seconds:g} s; fewer faces or steps are quicker."
                )
            shown[:] = [_url(encode_webp(picture, 80), "webp") for picture in pictures]

        def progress(done: int, total: int, note: str = "", /) -> None:
            say({"step": done, "of": total, "faces": list(shown)})

        voices = np.repeat(np.stack(wanted.voices), wanted.count, 0)
        seeds = [wanted.seed + i for i in range(wanted.count)] * len(wanted.voices)
        settings = replace(DEFAULT, steps=wanted.steps, fast=wanted.fast, temperature=wanted.variety)
        drawn = self.model.sample_faces(voices, seeds, settings, progress, wanted.wish, preview)
        say({"done": True, "faces": [_face(face) for face in drawn], "settings": drawn[0].details})


async def _lines(said: asyncio.Queue[dict[str, Any]], gone: Event) -> AsyncIterator[str]:
    """Lines of JSON: {"step", "of", "faces"} while it is drawn, then {"done", ...} or {"error"}. gone: set when nobody
    reads on."""
    try:
        while True:
            line = await said.get()
            yield json.dumps(line) + "\n"
            if "step" not in line:
                return
    finally:
        gone.set()


def make_app(model: Speech2Face, limits: Limits, hosts: tuple[str, ...] = LOCAL) -> Starlette:
    """hosts: names by which the page may be called, "*" for any; others are refused, so that no other page in the
    browser can reach it under a name of its own."""
    page = Page(model, limits)
    routes = [Route(f"/{path}", page.file) for path in OWN]
    routes += [Route("/about", page.about), Route("/samples/{number:int}", page.sample)]
    routes += [Route("/listen", page.listen, methods=["POST"]), Route("/faces", page.faces, methods=["POST"])]
    answers = {Refused: _refused, Busy: _refused, UserError: _mistake, ItemError: _mistake}
    return Starlette(routes=routes, exception_handlers=answers, middleware=[Middleware(Guard, hosts=hosts)])


async def _refused(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, getattr(error, "status", 500))


async def _mistake(request: Request, error: Exception) -> Response:
    text = error.reason if isinstance(error, ItemError) else str(error)
    return JSONResponse({"error": text[:1].upper() + text[1:].rstrip(".") + "."}, 422)


def _face(face: GeneratedFace) -> dict[str, Any]:
    return {"seed": face.seed, "png": _url(face.png(), "png")}


def _url(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _description(described: VoiceDescription) -> dict[str, Any]:
    flat = asdict(described)
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in flat.items()
    }
