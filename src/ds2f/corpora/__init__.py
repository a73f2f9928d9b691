"""Corpora: one file per layout. `recognise` asks each in turn; the plain folder takes whatever is left."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from ds2f.corpora import (
    allagefaces,
    avspeech,
    casia,
    celeba,
    cnceleb,
    commonvoice,
    ffhq,
    folder,
    hqvoxceleb,
    lfw,
    librispeech,
    lrs3,
    mavceleb,
    scut,
    utkface,
    vggface,
    vggface2,
    voxblink,
    voxceleb,
)
from ds2f.corpora.base import Corpus, Place, Recognised

CORPORA: Sequence[Corpus] = (  # the first that recognises a file claims it
    mavceleb.LAYOUT,
    voxblink.LAYOUT,
    cnceleb.LAYOUT,
    voxceleb.LAYOUT,
    lrs3.LAYOUT,
    librispeech.LAYOUT,
    commonvoice.LAYOUT,
    avspeech.LAYOUT,
    hqvoxceleb.LAYOUT,
    utkface.LAYOUT,
    celeba.LAYOUT,
    vggface2.LAYOUT,
    lfw.LAYOUT,
    ffhq.LAYOUT,
    allagefaces.LAYOUT,
    scut.LAYOUT,
    casia.LAYOUT,
    vggface.LAYOUT,
    *folder.LAYOUTS,
)
BY_NAME = {corpus.name: corpus for corpus in CORPORA}
OF_KIND = {kind: [c for c in CORPORA if kind in c.kinds] for kind in ("video", "sound", "still")}

_FRAGMENT = re.compile(r"#(?=t=|channel=)")  # of a part, see `types.Part`
_YOUTUBE = re.compile(  # an id mixes cases; a name such as clip_000001 does not
    r"^(?=.*[a-z])(?=.*[A-Z])[\w-]{11}(?=$|[_.-])"
)


def recognise(path: str | PurePosixPath | Place, kind: str) -> tuple[str, Recognised]:
    """(corpus name, what it recognised) for a file at `path`, which includes the name of the ingested root."""
    place = path if isinstance(path, Place) else Place.of(str(path))
    for corpus in OF_KIND[kind]:
        found = corpus.recognise(place)
        if found is not None:
            return corpus.name, found
    raise AssertionError("the plain folder layout takes every path")


def video_of(corpus: str, path: str, kind: str = "video") -> str | None:
    """A name for the video or session that a file was cut from, if its layout or its name contains one; the parts of a
    sound belong to one session. path: relative to the ingested root; kind: of the file; a picture of Juan_Carlos is not
    from a video of that name."""
    file = _FRAGMENT.split(path)[0]
    place = Place.of(file)
    layout = BY_NAME.get(corpus)
    found = layout.recording(place) if layout else None
    if found is None and kind != "still" and corpus in ("folder", "avspeech"):
        youtube = _YOUTUBE.match(place.stem)  # a user's own files
        found = youtube[0] if youtube else None
    return found or (f"{corpus}/{file}" if file != path else None)
