"""CASIA-WebFace (Yi et al. 2014): one folder per person, 0000045/001.jpg; identity = the number.

Source: arXiv:1411.7923 (no longer distributed by its authors); research use.
"""

from __future__ import annotations

import re

from ds2f.corpora.base import STILL, Corpus, Place, Recognised

_PERSON = re.compile(r"\d{7}", re.ASCII)
_NUMBER = re.compile(r"\d{3}", re.ASCII)


def recognise(place: Place) -> Recognised | None:
    if place.folders and _NUMBER.fullmatch(place.stem) and _PERSON.fullmatch(place.folders[-1]):
        return Recognised(place.folders[-1])
    return None


LAYOUT = Corpus("casia", "research use", "https://arxiv.org/abs/1411.7923", STILL, recognise)
