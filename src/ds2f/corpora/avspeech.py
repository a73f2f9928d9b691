"""AVSpeech (Ephrat et al., SIGGRAPH 2018): clips named YTID_START_END.ext; identity = the YouTube id.

Clips that others have cut from YouTube, named YTID_12.ext or similar, or YTID/12.ext, are treated as AVSpeech clips
too: if they had a layout of their own, a video could be in train under one name and in test under the other. In the
folder of a numbered person (id00001/YTID_12.ext), that person is known instead.

Source: https://looking-to-listen.github.io/avspeech/; the list is CC BY 4.0, the videos belong to their owners.
"""

from __future__ import annotations

import re

from ds2f.corpora.base import SOUND, VIDEO, Corpus, Place, Recognised, is_number

_NAME = re.compile(r"^(?P<id>[\w-]{11})_(?P<start>\d+(\.\d+)?)[-_](?P<end>\d+(\.\d+)?)$")
_NUMBERED = re.compile(r"^(?P<id>[\w-]{11})[_.-]\d+([_.-]\d+)*[_.-]?$", re.ASCII)

# An id is 64 bits in 11 characters of 6 bits, so only 16 characters can be the last. Whatever might be a name is not
# taken for an id: an id must mix cases, and must not be a chain of words, numbers and initials. Four of five ids are
# unambiguous; if the split divides one of the others, the leak check of `dataset.clips` refuses it.
_LAST = frozenset("AEIMQUYcgkosw048")
_BOTH_CASES = re.compile(r"(?=.*[a-z])(?=.*[A-Z])")
_PART = r"(?:(?:[A-Z][a-z]+|[a-z]{2,}|[A-Z]{2,}|\d+)+|[A-Za-z]?\d*)"
_LIKE_A_NAME = re.compile(rf"{_PART}(?:[_-]{_PART})*")


def recognise(place: Place) -> Recognised | None:
    above = place.folders[-1] if place.folders else ""
    if is_number(above):
        return None
    match = _NAME.match(place.stem)
    named = any("avspeech" in folder.lower() for folder in place.folders)
    if match and (named or "." in place.stem or _is_no_name(match["id"])):
        return Recognised(match["id"])
    match = _NUMBERED.match(place.stem)
    found = above if place.stem.isdecimal() else match and match["id"]
    return Recognised(found) if found and len(found) == 11 and _is_youtube_id(found) else None


def recording(place: Place) -> str | None:
    found = recognise(place)
    return found.identity if found else None


def _is_youtube_id(text: str) -> bool:
    """Whether 11 characters can only be a YouTube id."""
    return text[-1] in _LAST and _is_no_name(text)


def _is_no_name(text: str) -> bool:
    return bool(_BOTH_CASES.match(text)) and not _LIKE_A_NAME.fullmatch(text)


LAYOUT = Corpus(
    "avspeech",
    "list CC BY 4.0; videos: their owners'",
    "https://looking-to-listen.github.io/avspeech/",
    VIDEO | SOUND,
    recognise,
    recording,
)
