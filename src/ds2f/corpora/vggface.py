"""VGGFace (Parkhi et al., BMVC 2015): one folder per person, A.J._Buckley/00000012.jpg; identity = the name.

It is published as lists of URLs, one file per person, and loaders write numbered pictures, so it can be distinguished
from other pictures by name only if a folder is named after the corpus (vgg_face_dataset, VGGFace, vgg1).
Source: https://www.robots.ox.ac.uk/~vgg/data/vgg_face/; lists CC BY-NC 4.0, pictures belong to their owners.
"""

from __future__ import annotations

import re

from ds2f.corpora.base import STILL, Corpus, Place, Recognised

_FOLDER = re.compile(r"vgg[_-]?(?:face(?:s|[_-]?1|[_-]?dataset)?|1)", re.IGNORECASE)
_NUMBER = re.compile(r"\d+")


def recognise(place: Place) -> Recognised | None:
    if _NUMBER.fullmatch(place.stem) and any(_FOLDER.fullmatch(folder) for folder in place.folders[:-1]):
        return Recognised(place.folders[-1])
    return None


LAYOUT = Corpus("vggface", "CC BY-NC 4.0 lists", "https://www.robots.ox.ac.uk/~vgg/data/vgg_face/", STILL, recognise)
