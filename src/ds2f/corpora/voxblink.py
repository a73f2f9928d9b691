"""VoxBlink (Lin et al., ICASSP 2024), id00001/YTID/00000.wav, and VoxBlink2 (Lin et al., Interspeech 2024),
id000001/YTID/00000.wav; identity = the person.

The numbers of VoxBlink are those of other people in VoxCeleb, so a folder must be named after the corpus; those of
VoxBlink2 have six digits. Sources: https://voxblink.github.io and https://voxblink2.github.io; annotations CC BY-NC-SA
4.0, videos: their owners'.
"""

from __future__ import annotations

import re

from ds2f.corpora.base import SOUND, VIDEO, Corpus, Place, Recognised, is_youtube_id

_CLIP = re.compile(r"\d{5}", re.ASCII)
_PERSON, _PERSON_OF_2 = (re.compile(rf"id\d{{{digits}}}", re.ASCII) for digits in (5, 6))
_FOLDER = re.compile(r"vox[_-]?blink", re.IGNORECASE)


def recognise(place: Place) -> Recognised | None:
    if len(place.folders) < 2 or not recording(place):
        return None
    person = place.folders[-2]
    known = _PERSON.fullmatch(person) and any(_FOLDER.search(folder) for folder in place.folders[:-2])
    return Recognised(person) if known or _PERSON_OF_2.fullmatch(person) else None


def recording(place: Place) -> str | None:
    if place.folders and is_youtube_id(place.folders[-1]) and _CLIP.fullmatch(place.stem):
        return place.folders[-1]
    return None


LAYOUT = Corpus(
    "voxblink", "CC BY-NC-SA 4.0 annotations", "https://voxblink.github.io", VIDEO | SOUND, recognise, recording
)
