"""What a corpus can tell about one of its files from the path alone."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

# Some_Person, A.J._Buckley. No capital can be taken in two ways, or VIDEOSOFTHEINTERVIEWSINSPRING would take minutes.
_NAME = re.compile(r"[^\W\d_a-z][^\W\d_]*(?:\.[^\W\d_a-z][^\W\d_]*)*(?:[_ .-]+[^\W\d_](?:[^\W\d_]|')*)+\.?")
_NO_NAME = re.compile(  # CelebA-HQ-img, Training_Set, Face_Images, My_Videos: collections, not people
    r"(?:^|[_ .-])(?:im(?:g|age|ages)|pics?|pictures?|photos?|faces?|frames?|crops?|cropped|aligned|originals?"
    r"|(?:data)?sets?|data|train(?:ing)?|test(?:ing)?|valid(?:ation)?|(?<!^)val|parts?|hq|males?|females?"
    r"|videos?|clips?|audios?|wavs?|recordings?|youtube)\d*(?:$|[_ .-])",
    re.IGNORECASE,
)
_YOUTUBE_ID = re.compile(  # but not Emma_Watson or session-001, which have eleven characters, too
    r"(?!(?:[A-Z][a-z]+_[A-Z][a-z]+|[A-Za-z][a-z]+[_-]\d+)$)[\w-]{11}", re.ASCII
)
_NUMBER = re.compile(r"(?:id|subject|person|speaker|spk)[_ -]?\d+", re.IGNORECASE)


def is_name(folder: str) -> bool:
    """Whether a folder is called like a person with a first and a last name."""
    folder = unicodedata.normalize("NFC", folder)  # macOS stores letters and their accents separately
    return bool(_NAME.fullmatch(folder)) and not _NO_NAME.search(folder)


def is_youtube_id(text: str) -> bool:
    """Whether a name may be a YouTube id. Others of eleven characters may be, too: participant, subject0001."""
    return bool(_YOUTUBE_ID.fullmatch(text))


def is_number(folder: str) -> bool:
    """Whether a folder is called like a numbered person: id00017, speaker_3."""
    return bool(_NUMBER.fullmatch(folder))


class Place(NamedTuple):
    """The location of a file. folders: names from the ingested root's own down to the file's folder; stem: file name
    without the last suffix; name: with it."""

    folders: tuple[str, ...]
    stem: str
    name: str

    @classmethod
    def of(cls, path: str) -> Place:
        """path: with forward slashes, starting with the root's own name."""
        *folders, name = path.split("/")
        dot = name.rfind(".")
        return cls(tuple(folders), name[:dot] if dot > 0 else name, name)


@dataclass(frozen=True)
class Recognised:
    """What a name states. identity: who it is; labels: (attribute, value) pairs.

    whole: False if names in this corpus state more, and this one could not be parsed completely.
    within: None: `identity` is unique in the whole corpus; n: only within the folder of the first n of `Place.folders`,
    where 1 is the root itself and 0 the folder above it.
    """

    identity: str
    labels: tuple[tuple[str, str], ...] = ()
    whole: bool = True
    within: int | None = None


@dataclass(frozen=True)
class Corpus:
    """A layout.

    kinds: of its files, see `types.CorpusItem`.
    recognise: returns Recognised, or None if the file is not from this corpus; raises UserError if it cannot tell this
    corpus from another.
    recording: returns a name for the video or session that the file was cut from, or None if that is not stated; here,
    places begin below the root.
    """

    name: str
    licence: str
    source: str
    kinds: frozenset[str]
    recognise: Callable[[Place], Recognised | None]
    recording: Callable[[Place], str | None] = lambda place: None


VIDEO, SOUND, STILL = frozenset({"video"}), frozenset({"sound"}), frozenset({"still"})
EVERY_KIND = VIDEO | SOUND | STILL
