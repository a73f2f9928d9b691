"""UTKFace (Zhang et al., CVPR 2017): AGE_GENDER_RACE_STAMP.ext states age, gender and ethnicity; people are unknown,
so every picture is an identity of its own. Source https://susanqq.github.io/UTKFace/; non-commercial research use.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from ds2f.corpora.base import Corpus, Recognised
from ds2f.types import ETHNICITIES, GENDERS

_NAME = re.compile(r"^(?P<age>\d{1,3})_(?P<gender>[01])_(?P<race>[0-4])_(?P<stamp>\d+)$")


def recognise(path: PurePosixPath) -> Recognised | None:
    match = _NAME.match(path.name.split(".")[0])
    if match is None:
        return None
    labels = (
        ("age", match["age"]),
        ("gender", GENDERS[int(match["gender"])]),
        ("ethnicity", ETHNICITIES[int(match["race"])]),
    )
    return Recognised(match[0], labels)


LAYOUT = Corpus("utkface", "non-commercial research use", "https://susanqq.github.io/UTKFace/", recognise)
