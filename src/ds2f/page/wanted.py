"""What the page asks for, read from its JSON and checked before anything is drawn."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from ds2f.config import Generate
from ds2f.page.guard import Limits, Refused
from ds2f.speech2face.model import Speech2Face
from ds2f.speech2face.settings import DEFAULT
from ds2f.speech2face.wishes import make_wish
from ds2f.types import Wish

LARGEST_VALUE = 1e4  # in a voice, whatever encoders and features it is made of


def as_text(voice: np.ndarray) -> str:
    """A voice as the page keeps it."""
    return base64.b64encode(np.asarray(voice, "<f4").tobytes()).decode()


@dataclass(frozen=True)
class Wanted:
    """voices: one or two, (dim,) float32; variety in [0, 1]: the temperature of the prior; fast: see
    `SamplingSettings`."""

    voices: tuple[np.ndarray, ...]
    count: int
    seed: int
    steps: int
    fast: bool
    variety: float
    wish: Wish

    @staticmethod
    def read(body: bytes | bytearray, limits: Limits, model: Speech2Face) -> Wanted:
        """Raises Refused, or UserError for a wish that cannot be."""
        try:
            asked = json.loads(body)
            voices = asked["voices"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise Refused(400, "This is not what the page would ask.") from None
        if not isinstance(voices, list) or not 1 <= len(voices) <= 2:
            raise Refused(400, "One voice is needed, or two.")
        guide = asked.get("guide")
        if guide is not None and not model.decoder.config.guide:
            raise Refused(422, "This model was not taught to follow a guide picture.")
        age, gender = asked.get("age"), asked.get("gender")
        if gender is not None and not isinstance(gender, str):
            raise Refused(400, "The gender must be a name.")
        return Wanted(
            tuple(_voice(text, model.prior.inputs.dim) for text in voices),
            int(_number(asked, "count", Generate.count, 1, limits.count)),
            _seed(asked.get("seed", 0)),
            int(_number(asked, "steps", DEFAULT.steps, 1, limits.steps)),
            asked.get("fast", True) is True,
            _number(asked, "variety", DEFAULT.temperature, 0, 1),
            make_wish(
                None if age is None else _number(asked, "age", 0, 0, 100),
                gender,
                guide=None if guide is None else _bytes(guide),
            ),
        ).with_guide_of(limits.guide_px)

    def with_guide_of(self, side: int) -> Wanted:
        """The same with a guide picture of no more than `side` pixels: it waits in memory for its turn."""
        guide = self.wish.guide
        if guide is None or max(guide.shape[:2]) <= side:
            return self
        height, width = (max(1, round(n * side / max(guide.shape[:2]))) for n in guide.shape[:2])
        small = cv2.resize(guide, (width, height), interpolation=cv2.INTER_AREA)
        return replace(self, wish=replace(self.wish, guide=small))


def _number(asked: dict[str, Any], name: str, default: float, low: float, high: float) -> float:
    value = asked.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise Refused(422, f"The {name} must be a number from {low:g} to {high:g}.")
    return value


def _seed(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused(422, "The seed must be a whole number.")
    return value


def _voice(text: Any, dim: int) -> np.ndarray:
    data = _bytes(text)
    voice = np.frombuffer(data, "<f4") if len(data) == 4 * dim else np.zeros(0, np.float32)
    if not voice.size or not np.isfinite(voice).all() or not 0 < float(np.abs(voice).max()) < LARGEST_VALUE:
        raise Refused(400, "This is no voice; let the page listen to a recording first.")
    return voice


def _bytes(text: Any) -> bytes:
    try:
        return base64.b64decode(str(text).rpartition(",")[2], validate=True)
    except (binascii.Error, ValueError):
        raise Refused(400, "This is not what the page would send.") from None
