"""The work behind a response: hearing and drawing, and reporting both."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import math
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from threading import Event
from typing import Any

import numpy as np

from ds2f.config import Serve
from ds2f.errors import ItemError, UserError
from ds2f.io.check import check as find_marks
from ds2f.io.images import encode_webp
from ds2f.page.metrics import Metrics
from ds2f.page.refused import FAILED, Refused
from ds2f.page.turns import Turns, ending
from ds2f.page.wanted import Wanted, as_text
from ds2f.speech2face.describe import VoiceDescription
from ds2f.speech2face.face import GeneratedFace
from ds2f.speech2face.model import Speech2Face

PREVIEW = 80  # quality of WebP
Say = Callable[[dict[str, Any]], None]


def silent(line: dict[str, Any]) -> None:
    """A `Say` for clients that do not follow progress."""


def hear(model: Speech2Face, recording: bytes, gone: Event) -> dict[str, Any]:
    """The voice in a recording, and what it says about its speaker. Raises ItemError if it cannot be used."""
    encoded = model.encode_voice(recording)
    described = model.describe(encoded)
    voice = model.voice_inputs([encoded.voices])[0]
    return {"voice": as_text(voice), "description": _description(described)}


def draw(
    model: Speech2Face,
    wanted: Wanted,
    limits: Serve,
    metrics: Metrics,
    say: Say,
    gone: Event,
) -> dict[str, Any]:
    """Faces, and how they were drawn.

    model: draws them.
    wanted: the request.
    limits: only the time limit is used here.
    metrics: counts the faces drawn.
    say: called with a line for each step, containing the faces as they look so far.
    gone: set once nobody waits for them any more.
    Raises ItemError for a recording that cannot be used, Refused if it takes too long.
    """
    until = time.monotonic() + limits.job_seconds

    def stepped(step: int, pictures: np.ndarray) -> None:
        if gone.is_set():
            raise ending()
        if time.monotonic() > until:
            raise Refused(422, f"Drawing took more than {limits.job_seconds:g} s; fewer faces or steps are quicker.")
        if say is not silent:
            shown = [_url(encode_webp(picture, PREVIEW), "webp") for picture in pictures]
            say({"step": step, "of": steps, "faces": shown})

    voices = np.stack([*wanted.voices, *(model.embed_voice(recording) for recording in wanted.recordings)])
    seeds = [wanted.seed + i for i in range(wanted.count)] * len(voices)
    every = np.repeat(voices, wanted.count, 0)
    steps = model.steps(wanted.settings, len(every))
    drawn = model.sample_faces(every, seeds, wanted.settings, wish=wanted.wish, callback=stepped)
    metrics.faces.inc(len(drawn))
    return {"faces": [_face(face) for face in drawn], "settings": dict(drawn[0].details)}


def check(picture: bytes, gone: Event) -> dict[str, Any]:
    """What a picture's marks say about its origin. Raises ItemError if it is not a picture."""
    found = find_marks(picture)
    return {"sentences": list(found.sentences()), **found.as_json()}


async def lines(turns: Turns, client: str, draw: Callable[[Say, Event], dict[str, Any]]) -> AsyncIterator[str]:
    """Lines of JSON: {"waiting"} while others are ahead, {"step", "of", "faces"} while the faces are drawn, and at
    the end {"done", "faces", "settings"} or {"status", "error"}."""
    said: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def say(line: dict[str, Any]) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(said.put_nowait, line)

    def moved(ahead: int) -> None:
        say({"waiting": ahead})

    doing = asyncio.create_task(turns.do(client, lambda gone: draw(say, gone), moved))
    doing.add_done_callback(lambda _: said.put_nowait(None))
    last: dict[str, Any] | None = None
    try:
        while (line := await said.get()) is not None:
            if line != last:
                yield json.dumps(line) + "\n"
            last = line
        yield json.dumps(_ended(doing)) + "\n"
    finally:
        doing.cancel()


def _ended(doing: asyncio.Task[dict[str, Any]]) -> dict[str, Any]:
    try:
        return {"done": True, **doing.result()}
    except Refused as error:
        return {"status": error.status, "error": str(error)}
    except (UserError, ItemError) as error:
        return {"status": 422, "error": sentence(error)}
    except Exception:
        logging.getLogger("uvicorn.error").exception("drawing failed")
        return {"status": 500, "error": FAILED}


def sentence(error: Exception) -> str:
    """The error as a sentence for people."""
    text = error.reason if isinstance(error, ItemError) else str(error)
    return text[:1].upper() + text[1:].rstrip(".") + "."


def png_of(face: dict[str, Any]) -> bytes:
    """The PNG file of a face in a response."""
    return base64.b64decode(face["png"].partition(",")[2])


def _face(face: GeneratedFace) -> dict[str, Any]:
    return {"seed": face.seed, "png": _url(face.png(), "png")}


def _url(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _description(described: VoiceDescription) -> dict[str, Any]:
    flat = asdict(described)
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in flat.items()
    }
