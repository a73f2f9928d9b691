"""Labeled Faces in the Wild (Huang et al. 2007): Person_Name/Person_Name_NNNN.ext; identity = the person.

Source http://vis-www.cs.umass.edu/lfw/; research use.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from ds2f.corpora.base import Corpus, Recognised

_NUMBERED = re.compile(r"^(?P<person>.+)_\d{4}$")


def recognise(path: PurePosixPath) -> Recognised | None:
    match = _NUMBERED.match(path.stem)
    if match and path.parent.name == match["person"]:
        return Recognised(match["person"])
    return None


LAYOUT = Corpus("lfw", "research use", "http://vis-www.cs.umass.edu/lfw/", recognise)
