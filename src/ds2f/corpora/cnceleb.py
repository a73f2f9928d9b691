"""CN-Celeb 1 and 2 (Fan et al., ICASSP 2020; Li et al. 2022): data/id00000/singing-01-001.flac, and its tests
eval/test/id00800-singing-01-001.wav, eval/enroll/id00800-enroll.wav; identity = the person, all Mandarin.

Numbers of CN-Celeb1 are below id01000, those of CN-Celeb2 start at id10000; both are those of other people in VoxCeleb.
Source: https://www.openslr.org/82/; CC BY-SA 4.0.
"""

from __future__ import annotations

import re

from ds2f.corpora.base import SOUND, Corpus, Place, Recognised

_GENRES = "advertisement|drama|entertainment|interview|live_broadcast|movie|play|recitation|singing|speech|vlog"
_NAME = re.compile(rf"(?:(?P<person>id\d{{5}})-)?(?:(?P<session>(?:{_GENRES})-\d\d)-\d{{3}}|enroll)", re.ASCII)
_PERSON = re.compile(r"id\d{5}", re.ASCII)


def recognise(place: Place) -> Recognised | None:
    person = _person(place)
    return Recognised(person, (("language", "zh"),)) if person else None


def recording(place: Place) -> str | None:
    match = _NAME.fullmatch(place.stem)
    return f"{_person(place)}/{match['session'] or place.stem}" if match else None


def _person(place: Place) -> str | None:
    match = _NAME.fullmatch(place.stem)
    folder = _PERSON.fullmatch(place.folders[-1]) if place.folders else None
    return match and (match["person"] or (folder and folder[0]))


LAYOUT = Corpus("cnceleb", "CC BY-SA 4.0", "https://www.openslr.org/82/", SOUND, recognise, recording)
