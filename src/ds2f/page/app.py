"""The server of the page and of the HTTP API, which docs/api.md describes for people and openapi.py for programs.

    POST /v1/voices   a recording                      what is heard in it, and the voice as numbers
    POST /v1/faces    a recording, or voices           faces: JSON, a PNG, or one line of JSON per step
    POST /v1/check    a picture                        what its marks say about its origin

It stores nothing: recordings and pictures are held in memory while they are processed and never written, the voice is
returned to the client, and no path on this machine can be requested.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, replace
from functools import partial
from importlib.resources import files
from threading import Event, Lock
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ds2f import __version__
from ds2f.config import Generate, Serve
from ds2f.errors import ItemError, UserError
from ds2f.io.extras import has
from ds2f.io.images import NOTICE
from ds2f.page import drawing
from ds2f.page.guard import GONE, Guard, refusal
from ds2f.page.metrics import Metrics
from ds2f.page.openapi import described
from ds2f.page.refused import Refused
from ds2f.page.turns import Turns
from ds2f.page.uploads import Sent, Uploads, client_of, hung_up, sent_in
from ds2f.page.wanted import Wanted, files_of
from ds2f.speech2face.model import Speech2Face
from ds2f.speech2face.settings import fast_way, fits_fast_decoder, settings_of

OWN = {"": ("index.html", "text/html"), "page.css": ("page.css", "text/css")}
OWN |= {f"{name}.js": (f"{name}.js", "text/javascript") for name in ("ask", "check", "page", "voices")}
LOCAL = ("127.0.0.1", "localhost", "[::1]")
JSON, PNG, LINES = "application/json", "image/png", "application/x-ndjson"
CROWD = 64  # concurrent requests in addition to those with places: for files, metrics, and refusals
STUCK = 60.0  # seconds beyond `job_seconds` after which the current job counts as hanging
T = TypeVar("T")


class Answers:
    """The request handlers, and the model behind them."""

    def __init__(self, model: Speech2Face, limits: Serve, chosen: Generate = Generate()) -> None:
        self.model, self.limits = model, limits
        fast = fits_fast_decoder(settings_of(chosen))  # whose steps are few, whatever the limit
        steps = chosen.steps if fast else min(chosen.steps, limits.steps)
        self.chosen = replace(chosen, count=min(chosen.count, limits.count), steps=steps, fast=fast)
        self.settings = settings_of(self.chosen)
        self.signed = model.signer is not None  # a certificate that cannot sign is reported now, not at the first face
        self.metrics = Metrics(
            version=__version__, model=model.fingerprint, size=str(model.size), device=str(model.device)
        )
        self.turns = Turns(limits.places, limits.client_places, self.metrics.did)
        self.metrics.watch(lambda: self.turns.waiting, lambda: self.turns.working_seconds)
        self.uploads, self.reading = Uploads(limits), Lock()
        folder = files("ds2f") / "page"
        self.own = {path: ((folder / name).read_bytes(), kind) for path, (name, kind) in OWN.items()}
        clips = files("ds2f") / "demo" / "samples"
        self.samples = [clip.read_bytes() for clip in sorted(clips.iterdir(), key=str) if clip.name.endswith(".mp4")]

    def routes(self) -> list[Route]:
        get = {
            **dict.fromkeys((f"/{path}" for path in OWN), self.file),
            "/v1/model": self.about,
            "/v1/samples/{number:int}": self.sample,
            "/openapi.json": self.openapi,
            "/healthz": self.health,
            "/healthz/live": self.health,
            "/healthz/ready": self.health,
            "/metrics": self.measured,
        }
        post = {"/v1/voices": self.voices, "/v1/faces": self.faces, "/v1/check": self.check}
        asked = [Route(path, answer) for path, answer in get.items()]
        return asked + [Route(path, answer, methods=["POST"]) for path, answer in post.items()]

    async def file(self, request: Request) -> Response:
        data, kind = self.own[request.url.path.removeprefix("/")]
        return Response(data, media_type=kind)

    async def openapi(self, request: Request) -> Response:
        return JSONResponse(described(self.limits, len(self.samples), self.model.prior.inputs.dim, self.chosen))

    async def measured(self, request: Request) -> Response:
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def health(self, request: Request) -> Response:
        """live: the current job does not hang; ready: live, and a place is free. 503 if the requested state does not
        hold."""
        live = self.turns.working_seconds < self.limits.job_seconds + STUCK
        ready = live and not self.turns.full
        fine = live if request.url.path.endswith("/live") else ready
        state = {"live": live, "ready": ready, "waiting": self.turns.waiting}
        return JSONResponse(state, 200 if fine else 503, None if fine else {"retry-after": "10"})

    async def about(self, request: Request) -> Response:
        """What the page must know about the model and the limits."""
        fast = self.model.fast_decoder
        limits = asdict(self.limits)
        del limits["hosts"]
        return JSONResponse(
            {
                "version": __version__,
                "notice": NOTICE,
                "size": self.model.size,
                "model": self.model.fingerprint,
                "samples": len(self.samples),
                "fast": fast.config.few_steps if fast and fits_fast_decoder(fast_way(self.settings)) else 0,
                "guide": self.model.decoder.config.guide and has("faces"),
                "signed": self.signed,
                "limits": limits,
                "defaults": {**asdict(self.settings), "count": self.chosen.count},
            }
        )

    async def sample(self, request: Request) -> Response:
        """One of the synthetic voices in the package."""
        number = request.path_params["number"]
        if not 1 <= number <= len(self.samples):
            raise Refused(404, f"There is no sample {number}, only 1 to {len(self.samples)}.")
        return Response(self.samples[number - 1], media_type="video/mp4")

    async def voices(self, request: Request) -> Response:
        async with self._received(request) as body:
            sent = sent_in(request, body)
            recordings = files_of(sent, recording=1)["recording"]
            if not recordings:
                raise Refused(422, "A recording is needed: as the body, or as the field recording of a form.")
            work = partial(drawing.hear, self.model, recordings[0])
            return JSONResponse(await self._done(request, work))

    async def faces(self, request: Request) -> Response:
        kind = _preferred(request.headers.get("accept", ""))
        async with AsyncExitStack() as inside:
            body = await inside.enter_async_context(self._received(request))
            sent = sent_in(request, body)
            wanted = await run_in_threadpool(self._wanted, sent, 1 if kind == PNG else self.chosen.count)
            if kind == PNG and wanted.people * wanted.count > 1:
                raise Refused(422, f"A picture holds one face: ask for count=1 and one voice, or accept {JSON}.")
            draw = partial(drawing.draw, self.model, wanted, self.limits, self.metrics)
            if kind == LINES:
                lines = drawing.lines(self.turns, client_of(request), draw)
                return Held(inside.pop_all(), lines, media_type=LINES)
            faces = await self._done(request, partial(draw, drawing.silent))
            if kind == JSON:
                return JSONResponse(faces)
            name = f'inline; filename="imagined-seed-{faces["faces"][0]["seed"]}.png"'
            return Response(drawing.png_of(faces["faces"][0]), media_type=PNG, headers={"content-disposition": name})

    async def check(self, request: Request) -> Response:
        async with self._received(request) as body:
            pictures = files_of(sent_in(request, body, "picture"), picture=1)["picture"]
            if not pictures:
                raise Refused(422, "A picture is needed: as the body, or as the field picture of a form.")
            return JSONResponse(await self._done(request, partial(drawing.check, pictures[0])))

    @asynccontextmanager
    async def _received(self, request: Request) -> AsyncIterator[bytearray]:
        """The body of a request, with a place for its client."""
        async with self.uploads.body(request) as body:
            with self.turns.place(client_of(request)):
                yield body

    async def _done(self, request: Request, work: Callable[[Event], T]) -> T:
        """The result of work once it has had its turn; a client that disconnects leaves the queue."""
        doing = asyncio.create_task(self.turns.do(client_of(request), work))
        leaving = asyncio.create_task(hung_up(request))
        try:
            await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                return doing.result()
            raise ClientDisconnect
        finally:
            doing.cancel()
            leaving.cancel()

    def _wanted(self, sent: Sent, count: int) -> Wanted:
        with self.reading:  # a guide picture takes memory while it is decoded
            return Wanted.read(sent, self.limits, self.model, self.settings, count)


class Held(StreamingResponse):
    """A response that releases what it holds once the last line is sent or the client disconnects."""

    def __init__(self, held: AsyncExitStack, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self.held:
            await super().__call__(scope, receive, send)


def make_app(
    model: Speech2Face, limits: Serve, hosts: tuple[str, ...] = LOCAL, chosen: Generate = Generate()
) -> Starlette:
    """The application; `app.state.answers` holds its Answers.

    model: encodes voices and draws.
    limits: how much may be requested.
    hosts: names the server may be addressed by, "*" for any; others are refused, so that no other page in the browser
        can reach it under a name of its own.
    chosen: how faces are drawn unless the request says otherwise.
    """
    answers = Answers(model, limits, chosen)
    guard = Middleware(Guard, hosts=hosts, crowd=CROWD + 2 * limits.places, seen=answers.metrics.answered)
    handlers: dict[Any, Any] = {Refused: _refused, UserError: _mistake, ItemError: _mistake, HTTPException: _no_such}
    handlers[ClientDisconnect] = _gone
    app = Starlette(routes=answers.routes(), exception_handlers=handlers, middleware=[guard])
    app.state.answers = answers
    return app


async def _refused(request: Request, error: Refused) -> Response:
    return refusal(error.status, str(error), error.headers)


async def _mistake(request: Request, error: Exception) -> Response:
    return refusal(422, drawing.sentence(error))


async def _no_such(request: Request, error: HTTPException) -> Response:
    if error.status_code == 405:
        sentence = f"{request.method} is not allowed here, only {(error.headers or {}).get('Allow', 'another method')}."
    else:
        sentence = "There is nothing here; see /openapi.json for what there is."
    return refusal(error.status_code, sentence, dict(error.headers or {}))


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=GONE)  # which nobody reads


def _preferred(accept: str) -> str:
    """The available media type that an Accept header prefers. Raises Refused if it accepts none."""
    known = {JSON: JSON, PNG: PNG, LINES: LINES, "*/*": JSON, "application/*": JSON, "image/*": PNG, "": JSON}
    liked = []
    for part in accept.lower().split(","):
        kind, *settings = (word.strip() for word in part.split(";"))
        weights = [word.partition("=")[2] for word in settings if word.startswith("q=")]
        try:
            liked.append((-float(weights[0] if weights else 1), kind))
        except ValueError:
            continue
    for weight, kind in sorted(liked, key=lambda pair: pair[0]):
        if weight < 0 and kind in known:
            return known[kind]
    raise Refused(406, f"Faces come as {JSON}, {PNG} or {LINES}; accept one of these.")
