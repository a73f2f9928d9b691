"""What a corpus says about one of its files, from the path alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple


class Place(NamedTuple):
    """Where a file lies. folders: names from the ingested root's own down to its folder; stem: its name without the
    last suffix; name: with it."""

    folders: tuple[str, ...]
    stem: str
    name: str

    @classmethod
    def of(cls, path: str) -> Place:
        """path: with forward slashes, the root's own name in front."""
        *folders, name = path.split("/")
        dot = name.rfind(".")
        return cls(tuple(folders), name[:dot] if dot > 0 else name, name)


@dataclass(frozen=True)
class Recognised:
    """What a name says. identity: who it is; labels: (attribute, value) pairs.

    whole: False where the corpus's names say more and this one could not be understood to its end.
    within: None: `identity` is unique in the whole corpus; n: only within the folder of the first n of `Place.folders`,
    1 being the root itself and 0 what lies above it.
    """

    identity: str
    labels: tuple[tuple[str, str], ...] = ()
    whole: bool = True
    within: int | None = None


@dataclass(frozen=True)
class Corpus:
    """A layout.

    kinds: of its files, see `types.CorpusItem`.
    recognise: to Recognised, or None if the file is not ours.
    recording: to a name for the video or session that the file was cut from, or None if it does not say; places here
    begin below the root.
    """

    name: str
    licence: str
    source: str
    kinds: frozenset[str]
    recognise: Callable[[Place], Recognised | None]
    recording: Callable[[Place], str | None] = lambda place: None


VIDEO, SOUND, STILL = frozenset({"video"}), frozenset({"sound"}), frozenset({"still"})
EVERY_KIND = VIDEO | SOUND | STILL
