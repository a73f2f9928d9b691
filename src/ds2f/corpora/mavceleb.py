"""MAV-Celeb (Nawaz et al. 2021), from the FAME challenges: voices and faces of people who speak two languages.

| | path |
| --- | --- |
| training | v1/voices/id0001/English/YTID/00000.wav, v1/faces/id0001/English/YTID/0010125.jpg |
| test | v1/voices/English/00000.wav, v1/faces/English/00000.jpg: people are not identified |

Version v1 is English and Urdu, v2 English and Hindi, v3 English and German. Each numbers its people from id0001, so a
person is v1/id0001; if no folder names the version, people are local to the folder that holds voices and faces.
Source: https://mavceleb.github.io/dataset/ and github.com/mavceleb/mavceleb_baseline; research use.
"""

from __future__ import annotations

import re

from ds2f.corpora.base import SOUND, STILL, Corpus, Place, Recognised, is_youtube_id

LANGUAGES = {"English": "en", "Urdu": "ur", "Hindi": "hi", "German": "de"}
_PERSON = re.compile(r"id\d{4}", re.ASCII)
_NUMBER = re.compile(r"\d{4,9}", re.ASCII)
_VERSION = re.compile(r"(?:^|[_-])(v[123])(?=$|[_-])", re.IGNORECASE)


def recognise(place: Place) -> Recognised | None:
    folders = place.folders
    if not _NUMBER.fullmatch(place.stem):
        return None
    if len(folders) >= 4 and folders[-4] in ("voices", "faces") and _PERSON.fullmatch(folders[-3]):
        person, language, top = folders[-3], folders[-2], len(folders) - 4
    elif len(folders) >= 2 and folders[-2] in ("voices", "faces") and folders[-1] in LANGUAGES:
        person, language, top = "/".join(("test", *folders[-2:], place.stem)), folders[-1], len(folders) - 2
    else:
        return None
    labels = (("language", LANGUAGES[language]),) if language in LANGUAGES else ()
    version = next((m[1] for folder in reversed(folders[:top]) if (m := _VERSION.search(folder))), None)
    return Recognised(f"{version.lower()}/{person}", labels) if version else Recognised(person, labels, within=top)


def recording(place: Place) -> str | None:
    if place.folders and is_youtube_id(place.folders[-1]) and _NUMBER.fullmatch(place.stem):
        return place.folders[-1]
    return None


LAYOUT = Corpus("mavceleb", "research use", "https://mavceleb.github.io/dataset/", SOUND | STILL, recognise, recording)
