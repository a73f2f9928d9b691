"""VGGFace2 (Cao et al., FG 2018): n000001/0001_01.jpg; identity = the person.

Source https://www.robots.ox.ac.uk/~vgg/data/vgg_face2/ (no longer served there); non-commercial research use.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from ds2f.corpora.base import Corpus, Recognised

_PERSON = re.compile(r"^n\d{6}$")
_NAME = re.compile(r"^\d{4}_\d{2}$")


def recognise(path: PurePosixPath) -> Recognised | None:
    if _NAME.match(path.stem) and _PERSON.match(path.parent.name):
        return Recognised(path.parent.name)
    return None


LAYOUT = Corpus(
    "vggface2", "non-commercial research use", "https://www.robots.ox.ac.uk/~vgg/data/vgg_face2/", recognise
)
