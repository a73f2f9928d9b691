"""VGGFace2 (Cao et al., FG 2018): n000001/0001_01.jpg; identity = the person.

Source: https://www.robots.ox.ac.uk/~vgg/data/vgg_face2/ (no longer distributed there); non-commercial research use.
Names and genders are in identity_meta.csv, see `corpora.metadata`.
"""

from __future__ import annotations

import re

from ds2f.corpora.base import STILL, Corpus, Place, Recognised

_PERSON = re.compile(r"n\d{6}", re.ASCII)
_NAME = re.compile(r"\d{4}_\d{2}", re.ASCII)


def recognise(place: Place) -> Recognised | None:
    if place.folders and _NAME.fullmatch(place.stem) and _PERSON.fullmatch(place.folders[-1]):
        return Recognised(place.folders[-1])
    return None


LAYOUT = Corpus(
    "vggface2",
    "non-commercial research use",
    "https://www.robots.ox.ac.uk/~vgg/data/vgg_face2/",
    STILL,
    recognise,
)
