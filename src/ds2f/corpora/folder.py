"""Any folder tree about which nothing is known except its names.

| | who it is |
| --- | --- |
| sound | one person per folder; in the root itself, one person per file |
| videos, and numbered pictures, in a folder with a person's number, id00017/1.jpg | that person |
| numbered pictures in a folder with a person's name, Some_Person/1.jpg | that person |
| everything else | one person per file |

`ds2f ingest --person folder | file | PATTERN` decides it for all files of no known layout. Identities are local to the
ingested root.
"""

from __future__ import annotations

import re
from functools import cache

from ds2f.corpora.base import SOUND, STILL, VIDEO, Corpus, Place, Recognised, is_name, is_number
from ds2f.errors import UserError

_NUMBERED = re.compile(r"[\d_ .()-]+", re.ASCII)


def by_file(place: Place) -> Recognised:
    """The file is the person."""
    return Recognised("/".join((*place.folders[1:], place.stem)), within=1)


def by_folder(place: Place) -> Recognised:
    """The file's folder is the person; in the root itself, the file."""
    return Recognised("/".join(place.folders[1:]), within=1) if len(place.folders) > 1 else by_file(place)


def chosen(rule: str, place: Place) -> Recognised | None:
    """Who is in a file by the user's choice: "folder", "file", or a regular expression that is searched for in the path
    below the root, and whose groups are the person. None if it does not match.

    Raises UserError as `check_rule` does.
    """
    if rule in ("folder", "file"):
        return by_folder(place) if rule == "folder" else by_file(place)
    match = _pattern(rule).search("/".join((*place.folders[1:], place.name)))
    name = "/".join(filter(None, match.groups())) if match else ""
    return Recognised(name, within=1) if name else None


def check_rule(rule: str) -> None:
    """Raises UserError for a rule that is neither "folder" nor "file" nor a regular expression with a group."""
    if rule not in ("folder", "file"):
        _pattern(rule)


@cache
def _pattern(rule: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(rule)
    except re.error as error:
        raise UserError(f"--person {rule} is no regular expression ({error}); give that, or folder, or file.") from None
    if not pattern.groups:
        raise UserError(
            f"--person {rule} is neither folder nor file, nor a regular expression with the person in ( ), such as "
            "'([^/]+)/' for the topmost folder."
        )
    return pattern


def recognise_video(place: Place) -> Recognised:
    return by_folder(place) if is_number(place.folders[-1]) else by_file(place)


def recognise_still(place: Place) -> Recognised:
    numbered = _NUMBERED.fullmatch(place.stem) and (is_name(place.folders[-1]) or is_number(place.folders[-1]))
    return by_folder(place) if numbered else by_file(place)


LAYOUTS = tuple(
    Corpus("folder", "the user's own", "", kind, recognise)
    for kind, recognise in ((VIDEO, recognise_video), (SOUND, by_folder), (STILL, recognise_still))
)
