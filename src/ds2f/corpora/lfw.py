"""Labeled Faces in the Wild (Huang et al. 2007): Person_Name/Person_Name_NNNN.ext; identity = the person.

Others number files by their folder, too (s01/s01_0001.jpg, frame/frame_0001.jpg), so the name must have several words,
or a folder must be named after the corpus.
Source: http://vis-www.cs.umass.edu/lfw/; research use.
"""

from __future__ import annotations

import re

from ds2f.corpora.base import STILL, Corpus, Place, Recognised, is_name

_NUMBERED = re.compile(r"^(?P<person>.+)_\d{4}$")
_FOLDER = re.compile(r"lfw", re.IGNORECASE)


def recognise(place: Place) -> Recognised | None:
    match = _NUMBERED.match(place.stem)
    if match is None or place.folders[-1:] != (match["person"],):
        return None
    known = is_name(match["person"]) or any(_FOLDER.search(folder) for folder in place.folders[:-1])
    return Recognised(match["person"]) if known else None


LAYOUT = Corpus("lfw", "research use", "http://vis-www.cs.umass.edu/lfw/", STILL, recognise)
