"""VoxCeleb1 and 2 (Nagrani et al. 2017; Chung et al. 2018); identity = the person, by number, or by name where the
corpus uses names.

| | path |
| --- | --- |
| VoxCeleb1, sound | wav/id10001/YTID/00001.wav |
| VoxCeleb2, sound and video | dev/aac/id00012/YTID/00001.m4a, dev/mp4/id00012/YTID/00001.mp4 |
| VoxCeleb1, frames of faces | unzippedFaces/A.J._Buckley/1.6/YTID/0000025.jpg |
| cut again from YouTube | id10280#YTID#001093#001192.mp4 (github.com/AliaksandrSiarohin/video-preprocessing) |
| all in one folder | id10001-YTID-00001.wav, as Kaldi's recipes name utterances; also with _ or # |

Numbers of VoxCeleb1 start at id10001, those of VoxCeleb2 at id00012, so no two people share one. Names and numbers are
joined by `corpora.metadata`. Source: https://www.robots.ox.ac.uk/~vgg/data/voxceleb/; metadata CC BY 4.0, clips for
research use.
"""

from __future__ import annotations

import re

from ds2f.corpora.base import EVERY_KIND, Corpus, Place, Recognised, is_name, is_youtube_id
from ds2f.errors import UserError

_NUMBER = re.compile(r"\d{1,7}", re.ASCII)
_CLIP = re.compile(r"\d{5,7}", re.ASCII)
_SCALE = re.compile(r"\d\.\d")  # how much wider than the face the frames were cropped
_ANEW = re.compile(r"(?P<person>id\d{5})(?P<mark>[#_-])(?P<video>[\w-]{11})((?P=mark)\d+)*", re.ASCII)
_NUMBERED = re.compile(r"id\d{5}", re.ASCII)
_LAST_NUMBER = "id11251"
_SPLITS = frozenset({"train", "trainval", "pretrain", "test", "dev", "val", "main"})


def recognise(place: Place) -> Recognised | None:
    folders, stem = place.folders, place.stem
    if len(folders) >= 2 and is_youtube_id(folders[-1]):
        if len(folders) >= 3 and _SCALE.fullmatch(folders[-2]):
            return Recognised(folders[-3]) if _NUMBER.fullmatch(stem) else None
        if not _CLIP.fullmatch(stem):
            return None
        return _numbered(folders[-2], place) or (Recognised(folders[-2]) if _is_named(folders) else None)
    anew = _ANEW.fullmatch(stem)
    return _numbered(anew["person"], place) if anew and is_youtube_id(anew["video"]) else None


def _numbered(person: str, place: Place) -> Recognised | None:
    if not _NUMBERED.fullmatch(person):
        return None
    if person > _LAST_NUMBER:
        raise UserError(
            f"VoxCeleb has no {person}, but {'/'.join((*place.folders, place.name))} is laid out like it. VoxBlink "
            "numbers other people likewise: if this is VoxBlink, put it in a folder of that name, and ingest that."
        )
    return Recognised(person)


def _is_named(folders: tuple[str, ...]) -> bool:
    """Whether the folder above that of a video is named after a person, not after a collection, a split or a format: by
    several words, or by one in a tree named after the corpus."""
    *above, person, _ = folders
    one = person[:1] != person[:1].lower() and any(re.match("vox", folder, re.IGNORECASE) for folder in above)
    return is_name(person) or (one and person.lower() not in _SPLITS)


def recording(place: Place) -> str | None:
    if place.folders and is_youtube_id(place.folders[-1]) and _NUMBER.fullmatch(place.stem):
        return place.folders[-1]
    anew = _ANEW.fullmatch(place.stem)
    return anew["video"] if anew and is_youtube_id(anew["video"]) else None


def clip(path: str) -> str:
    """The name of a clip in whatever form it is stored: PERSON/YTID/NNNNN. path: with forward slashes."""
    return path.rsplit(".", 1)[0].split("/", max(0, path.count("/") - 2))[-1]


LAYOUT = Corpus(
    "voxceleb",
    "CC BY 4.0 metadata; research use",
    "https://www.robots.ox.ac.uk/~vgg/data/voxceleb/",
    EVERY_KIND,
    recognise,
    recording,
)
