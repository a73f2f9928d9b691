"""LRS3-TED (Afouras et al., 2018): pretrain|trainval|test/YTID/00001.mp4; identity = the talk, because speakers are not
named.

Source: https://www.robots.ox.ac.uk/~vgg/data/lip_reading/lrs3.html; CC BY-NC-ND 4.0, like TED's talks.
"""

from __future__ import annotations

import re

from ds2f.corpora.base import SOUND, VIDEO, Corpus, Place, Recognised, is_youtube_id

_SPLITS = frozenset({"pretrain", "trainval", "test"})
_WORD = re.compile(r"[A-Za-z][a-z]+([A-Z][a-z]+|\d+)?", re.ASCII)  # participant, subject0001, GeorgeLucas: no talk
_CLIP = re.compile(r"\d{5}", re.ASCII)


def recognise(place: Place) -> Recognised | None:
    talk = recording(place)
    return Recognised(talk, (("language", "en"),)) if talk else None


def recording(place: Place) -> str | None:
    folders = place.folders
    if len(folders) < 2 or folders[-2] not in _SPLITS or not _CLIP.fullmatch(place.stem):
        return None
    return folders[-1] if is_youtube_id(folders[-1]) and not _WORD.fullmatch(folders[-1]) else None


LAYOUT = Corpus(
    "lrs3",
    "CC BY-NC-ND 4.0",
    "https://www.robots.ox.ac.uk/~vgg/data/lip_reading/lrs3.html",
    VIDEO | SOUND,
    recognise,
    recording,
)
