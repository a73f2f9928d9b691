"""Corpora: one file per layout. `recognise` asks each in turn; the plain folder takes whatever is left."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from ds2f.corpora import avspeech, celeba, ffhq, folder, lfw, utkface, vggface2, voxceleb
from ds2f.corpora.base import Corpus, Recognised

VIDEO_CORPORA: Sequence[Corpus] = (avspeech.LAYOUT, voxceleb.LAYOUT, folder.LAYOUT)
FACE_CORPORA: Sequence[Corpus] = (
    utkface.LAYOUT,
    celeba.LAYOUT,
    vggface2.LAYOUT,
    lfw.LAYOUT,
    ffhq.LAYOUT,
    folder.LAYOUT,
)


def recognise(path: PurePosixPath, kind: str) -> tuple[str, Recognised]:
    """(corpus name, what it says) for a file at `path`, which includes the name of the ingested root."""
    for corpus in VIDEO_CORPORA if kind == "video" else FACE_CORPORA:
        found = corpus.recognise(path)
        if found is not None:
            return corpus.name, found
    raise AssertionError("the plain folder layout takes every path")
