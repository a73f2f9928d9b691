"""Labeled Faces in the Wild (Huang et al. 2007): Person_Name/Person_Name_NNNN.ext; identity = the person.

Source: http://vis-www.cs.umass.edu/lfw/; research use.
"""

from __future__ import annotations

import re

from ds2f.corpora.base import STILL, Corpus, Place, Recognised

_NUMBERED = re.compile(r"^(?P<person>.+)_\d{4}$")


def recognise(place: Place) -> Recognised | None:
    match = _NUMBERED.match(place.stem)
    if match and place.folders and place.folders[-1] == match["person"]:
        return Recognised(match["person"])
    return None


LAYOUT = Corpus("lfw", "research use", "http://vis-www.cs.umass.edu/lfw/", STILL, recognise)
