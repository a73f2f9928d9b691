"""All-Age-Faces (Cheng et al. 2019): SERIALAAGE.jpg, such as 00123A45.jpg; serials up to 07380 are female. People are
not identified, so every picture is an identity of its own.

Source: https://github.com/middleyuan/All-Age-Faces-Dataset; no licence stated: research only.
"""

from __future__ import annotations

import re

from ds2f.corpora.base import STILL, Corpus, Place, Recognised

_NAME = re.compile(r"(?P<serial>\d{5})A(?P<age>\d{2})", re.ASCII)
_FOLDER = re.compile(r"all[ _-]?age|\bAAF\b|original images|ag?lined faces", re.IGNORECASE)
_LAST_FEMALE = 7380


def recognise(place: Place) -> Recognised | None:
    match = _NAME.fullmatch(place.stem)
    if match is None or not any(_FOLDER.search(folder) for folder in place.folders):
        return None
    gender = "female" if int(match["serial"]) <= _LAST_FEMALE else "male"
    return Recognised(match["serial"], (("age", str(int(match["age"]))), ("gender", gender)))


LAYOUT = Corpus("allagefaces", "research only", "https://github.com/middleyuan/All-Age-Faces-Dataset", STILL, recognise)
