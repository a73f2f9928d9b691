"""Any folder tree: nothing is known of the people in it, so every file is an identity of its own."""

from __future__ import annotations

from pathlib import PurePosixPath

from ds2f.corpora.base import Corpus, Recognised


def recognise(path: PurePosixPath) -> Recognised | None:
    return Recognised(str(path.with_suffix("")))


LAYOUT = Corpus("folder", "the user's own", "", recognise)
