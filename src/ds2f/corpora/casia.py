"""CASIA-WebFace (Yi et al. 2014): one folder per person, CASIA-WebFace/0000045/001.jpg; identity = the
number. Other collections number people and pictures, too, so a folder must be named after the corpus.

Source: arXiv:1411.7923 (no longer distributed by its authors); research use.
"""

from __future__ import annotations

import re

from ds2f.corpora.base import STILL, Corpus, Place, Recognised

_FOLDER = re.compile(r"casia|web[_-]?face", re.IGNORECASE)
_PERSON = re.compile(r"\d{7}", re.ASCII)
_NUMBER = re.compile(r"\d{3}", re.ASCII)


def recognise(place: Place) -> Recognised | None:
    if not any(_FOLDER.search(folder) for folder in place.folders) or not _NUMBER.fullmatch(place.stem):
        return None
    return Recognised(place.folders[-1]) if _PERSON.fullmatch(place.folders[-1]) else None


LAYOUT = Corpus("casia", "research use", "https://arxiv.org/abs/1411.7923", STILL, recognise)
