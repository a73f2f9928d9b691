"""Any folder tree about which nothing is known except its names.

| | who it is |
| --- | --- |
| sound | one person per folder; in the root itself, one person per file |
| numbered pictures in a folder with a person's name, Some_Person/1.jpg, or a number, id00017/1.jpg | that person |
| everything else | one person per file |

`ds2f ingest --person folder | file` decides it for all files of no known layout. Identities are local to the ingested
root.
"""

from __future__ import annotations

import re

from ds2f.corpora.base import SOUND, STILL, VIDEO, Corpus, Place, Recognised

_NUMBERED = re.compile(r"[\d_ .()-]+", re.ASCII)
_PERSON_NAME = re.compile(r"(?:[^\W\d_a-z][^\W\d_]*\.?)+(?:[_ .-]+[^\W\d_]+[.']?)+")  # Some_Person, A.J._Buckley
_NO_NAME = re.compile(  # CelebA-HQ-img, Training_Set, Face_Images: collections, not people
    r"(?:^|[_ .-])(?:im(?:g|age|ages)|pics?|pictures?|photos?|faces?|frames?|crops?|cropped|aligned|originals?"
    r"|(?:data)?sets?|data|train(?:ing)?|test(?:ing)?|val(?:id|idation)?|parts?|hq|males?|females?)\d*(?:$|[_ .-])",
    re.IGNORECASE,
)
_PERSON_NUMBER = re.compile(r"(?:id|subject|person|speaker|spk)[_ -]?\d+", re.IGNORECASE)


def by_file(place: Place) -> Recognised:
    """The file is the person."""
    return Recognised("/".join((*place.folders[1:], place.stem)), within=1)


def by_folder(place: Place) -> Recognised:
    """The file's folder is the person; in the root itself, the file."""
    return Recognised("/".join(place.folders[1:]), within=1) if len(place.folders) > 1 else by_file(place)


def recognise_still(place: Place) -> Recognised:
    return by_folder(place) if _is_numbered_person(place) else by_file(place)


def _is_numbered_person(place: Place) -> bool:
    if len(place.folders) < 2 or not _NUMBERED.fullmatch(place.stem):
        return False
    name = bool(_PERSON_NAME.fullmatch(place.folders[-1])) and not _NO_NAME.search(place.folders[-1])
    return bool(name or _PERSON_NUMBER.fullmatch(place.folders[-1]))


LAYOUTS = tuple(
    Corpus("folder", "the user's own", "", kind, recognise)
    for kind, recognise in ((VIDEO, by_file), (SOUND, by_folder), (STILL, recognise_still))
)
