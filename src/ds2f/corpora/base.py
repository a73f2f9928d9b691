"""What a corpus says about one of its files, from the path alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True)
class Recognised:
    """identity: who it is, unique within the corpus; labels: (attribute, value) pairs that the name states."""

    identity: str
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Corpus:
    """A layout. recognise: path (with the root's own name in front) to Recognised, or None if it is not ours."""

    name: str
    licence: str
    source: str
    recognise: Callable[[PurePosixPath], Recognised | None]
