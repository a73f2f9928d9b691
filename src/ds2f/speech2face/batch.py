"""Faces for any number of recordings, a few at a time: the implementation of `Speech2Face.batch`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from itertools import islice
from pathlib import Path

from ds2f.bars import shown
from ds2f.errors import ItemError, UserError
from ds2f.speech2face.draw import BATCH
from ds2f.speech2face.face import Faces
from ds2f.voice.encode import Recording

Ask = Callable[[list[Recording]], list[Faces]]
Refused = Callable[[Recording, ItemError], None]


def batched(
    ask: Ask, recordings: Iterable[Recording], count: int, progress: bool = True, refused: Refused | None = None
) -> Iterator[Faces]:
    """Yield the faces of one recording after another, in order.

    ask: maps recordings to the faces of each.
    recordings: any iterable, even an infinite one; as many are taken at a time as are drawn together.
    count: faces per recording.
    progress: whether to show a progress bar.
    refused: called with each recording that cannot be used, and its error; its faces are then an empty list. None: the
        error is raised.
    Raises what `ask` raises.
    """
    if isinstance(recordings, str | bytes | Path):
        raise UserError("A batch is a list, or another iterable, of recordings; give a single one as [recording].")
    total = len(recordings) if isinstance(recordings, Sized) else None
    with shown("faces", total, progress) as advance:
        waiting = iter(recordings)
        while some := list(islice(waiting, max(1, BATCH // max(1, count)))):
            for faces in _asked(ask, some, refused):
                advance()
                yield faces


def _asked(ask: Ask, some: list[Recording], refused: Refused | None) -> Iterator[Faces]:
    try:
        yield from ask(some)
    except ItemError as error:
        if len(some) > 1:  # to find out which one it is, try them one by one
            for one in some:
                yield from _asked(ask, [one], refused)
        elif refused is None:
            raise
        else:
            refused(some[0], error)
            yield Faces()
