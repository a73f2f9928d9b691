"""What a client asks for, read from what was sent and checked before anything is drawn."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from ds2f.config import Generate, Serve
from ds2f.io.extras import has
from ds2f.page.refused import Refused
from ds2f.page.uploads import Sent
from ds2f.speech2face.model import Speech2Face
from ds2f.speech2face.settings import DEFAULT, SamplingSettings, fast_way
from ds2f.speech2face.wishes import make_wish
from ds2f.types import Wish

LARGEST_VALUE = 1e4  # in a voice, whichever encoders and features it consists of
FILES = ("recording",)  # a guide may be a file or text
FIELDS = ("voices", "count", "seed", "steps", "fast", "variety", "age", "gender", "guide")
NO_VOICE = "A recording is needed, or one or two voices as /v1/voices gives them."


def as_text(voice: np.ndarray) -> str:
    """A voice as text: its numbers, little-endian float32, in base64."""
    return base64.b64encode(np.asarray(voice, "<f4").tobytes()).decode()


@dataclass(frozen=True)
class Wanted:
    """A request for faces. recordings: one or two files, or none, then voices: one or two, (dim,) float32; settings:
    how faces are drawn; steps, fast and the temperature (called variety here) can be set by the client."""

    recordings: tuple[bytes, ...]
    voices: tuple[np.ndarray, ...]
    count: int
    seed: int
    settings: SamplingSettings
    wish: Wish

    @property
    def people(self) -> int:
        return len(self.recordings) or len(self.voices)

    @staticmethod
    def read(
        sent: Sent,
        limits: Serve,
        model: Speech2Face,
        settings: SamplingSettings = DEFAULT,
        count: int = Generate.count,
    ) -> Wanted:
        """Read what was sent, and check it.

        sent: fields and files.
        limits: how much may be requested.
        model: will draw.
        settings, count: defaults.
        Raises Refused, or UserError for a wish that cannot be fulfilled.
        """
        asked, files = sent.fields, files_of(sent, recording=2, guide=1)
        if unknown := [name for name in asked if name not in FIELDS]:
            if unknown[0] in FILES:
                raise Refused(422, f"The {unknown[0]} must be a file; with curl: -F {unknown[0]}=@FILE")
            raise Refused(422, f"There is no field {unknown[0]!r}; there are {', '.join((*FILES, *FIELDS))}.")
        recordings = files["recording"]
        guide: bytes | None = next(iter(files["guide"]), None)
        if guide is None and asked.get("guide") is not None:
            guide = _bytes(asked["guide"], "The guide")
        if guide is not None and not model.decoder.config.guide:
            raise Refused(422, "This model was not trained to follow a guide picture.")
        if guide is not None and not has("faces"):
            raise Refused(422, "A guide picture needs an extra on the server: pip install 'ds2f[faces]'.")
        gender = asked.get("gender")
        if gender is not None and not isinstance(gender, str):
            raise Refused(422, "The gender must be a name.")
        return Wanted(
            recordings,
            _voices(asked.get("voices"), model.prior.inputs.dim, not recordings),
            _whole(asked, "count", count, 1, limits.count),
            _seed(asked.get("seed", 0)),
            _settings(asked, settings, limits),
            make_wish(
                None if asked.get("age") is None else _number(asked, "age", 0, 0, 100),
                gender,
                guide=guide,
            ),
        ).with_guide_of(limits.guide_px)

    def with_guide_of(self, side: int) -> Wanted:
        """The same with a guide picture of at most `side` pixels, because it waits in memory for its turn."""
        guide = self.wish.guide
        if guide is None or max(guide.shape[:2]) <= side:
            return self
        height, width = (max(1, round(n * side / max(guide.shape[:2]))) for n in guide.shape[:2])
        small = np.array(Image.fromarray(guide).resize((width, height), Image.Resampling.BOX))
        return replace(self, wish=replace(self.wish, guide=small))


def _settings(asked: Mapping[str, Any], settings: SamplingSettings, limits: Serve) -> SamplingSettings:
    """The server's settings with what was asked for. The fast decoder has its own steps unless some are asked for."""
    fast = _switch(asked, "fast", settings.fast)
    default = fast_way(settings).steps if fast else min(settings.steps, limits.steps)
    steps = _whole(asked, "steps", default, 1, limits.steps) if "steps" in asked else default
    return replace(settings, fast=fast, steps=steps, temperature=_number(asked, "variety", settings.temperature, 0, 1))


def files_of(sent: Sent, **most: int) -> dict[str, tuple[bytes, ...]]:
    """The files that were sent, by field. most: how many each field may have. Raises Refused for more, or for other
    fields."""
    if unknown := [name for name in sent.files if name not in most]:
        raise Refused(422, f"There is no field {unknown[0]!r} for a file, only {', '.join(most)}.")
    for name, files in sent.files.items():
        if len(files) > most[name]:
            raise Refused(422, f"Of {name}, at most {most[name]} may be sent.")
    return {name: sent.files.get(name, ()) for name in most}


def _voices(given: Any, dim: int, needed: bool) -> tuple[np.ndarray, ...]:
    texts = [given] if isinstance(given, str) else given
    if texts is None and not needed:
        return ()
    if not needed:
        raise Refused(422, "Send recordings or voices, not both.")
    if not isinstance(texts, list) or not 1 <= len(texts) <= 2:
        raise Refused(422, NO_VOICE)
    return tuple(_voice(text, dim) for text in texts)


def _number(asked: Mapping[str, Any], name: str, default: float, low: float, high: float) -> float:
    value = asked.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise Refused(422, f"The {name} must be a number from {low:g} to {high:g}.")
    return value


def _whole(asked: Mapping[str, Any], name: str, default: int, low: int, high: int) -> int:
    value = _number(asked, name, default, low, high)
    if value != int(value):
        raise Refused(422, f"The {name} must be a whole number from {low} to {high}.")
    return int(value)


def _seed(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused(422, "The seed must be a whole number.")
    return value


def _switch(asked: Mapping[str, Any], name: str, default: bool) -> bool:
    value = asked.get(name, default)
    if not isinstance(value, bool):
        raise Refused(422, f"{name} must be true or false.")
    return value


def _voice(text: Any, dim: int) -> np.ndarray:
    data = _bytes(text, "A voice")
    voice = np.frombuffer(data, "<f4") if len(data) == 4 * dim else np.zeros(0, np.float32)
    if not voice.size or not np.isfinite(voice).all() or not 0 < float(np.abs(voice).max()) < LARGEST_VALUE:
        raise Refused(422, "This is not a voice of this model; send the recording to /v1/voices first.")
    return voice


def _bytes(text: Any, what: str) -> bytes:
    try:
        return base64.b64decode(str(text).rpartition(",")[2], validate=True)
    except (binascii.Error, ValueError):
        raise Refused(422, f"{what} must be text in base64.") from None
