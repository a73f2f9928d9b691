"""VoxCeleb1 and 2 (Nagrani et al. 2017; Chung et al. 2018): PERSON/YTID/NNNNN.mp4; identity = the person.

Source https://www.robots.ox.ac.uk/~vgg/data/voxceleb/; metadata CC BY 4.0, research use of the clips.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from ds2f.corpora.base import Corpus, Recognised

_YOUTUBE_ID = re.compile(r"^[\w-]{11}$")
_NUMBER = re.compile(r"^\d{5,7}$")


def recognise(path: PurePosixPath) -> Recognised | None:
    if len(path.parts) < 3:
        return None
    person, video, _ = path.parts[-3:]
    if _NUMBER.match(path.stem) and _YOUTUBE_ID.match(video):
        return Recognised(person)
    return None


LAYOUT = Corpus(
    "voxceleb",
    "CC BY 4.0 metadata; research use",
    "https://www.robots.ox.ac.uk/~vgg/data/voxceleb/",
    recognise,
)
