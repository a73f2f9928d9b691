"""VGGFace (Parkhi et al., BMVC 2015): a folder a person, A.J._Buckley/00000012.jpg; identity = the name.

It is published as lists of addresses, one file a person, and loaders write numbered pictures: so only a folder called
for the corpus (vgg_face_dataset, VGGFace, vgg1) tells it from other pictures by name.
Source https://www.robots.ox.ac.uk/~vgg/data/vgg_face/; CC BY-NC 4.0 lists, pictures their owners'.
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
