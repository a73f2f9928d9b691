"""UTKFace (Zhang et al., CVPR 2017): AGE_GENDER_RACE_STAMP.ext states age, gender and ethnicity; people are not
identified, so every picture is an identity of its own. Source: https://susanqq.github.io/UTKFace/; non-commercial
research use.

A few names in the published archives lack a field, its number, or the dot before jpg, or end in a space
(github.com/aicip/UTKFace, issues 1 and 2). If a field is missing, the others cannot be told apart, so only the age is
certain.
"""

from __future__ import annotations

import re

from ds2f.corpora.base import STILL, Corpus, Place, Recognised
from ds2f.types import ETHNICITIES, GENDERS

_NAME = re.compile(r"(?P<age>\d{1,3})_(?P<gender>[01])_(?P<race>[0-4])_(?P<stamp>\d{14,})", re.ASCII)
_LACKING = re.compile(r"(?P<age>\d{1,3})(_[0-4]?){1,2}_(?P<stamp>\d{14,})", re.ASCII)
_OLDEST = 116  # in the corpus


def recognise(place: Place) -> Recognised | None:
    name = place.name.split(".")[0].strip().removesuffix("jpg")
    whole = _NAME.fullmatch(name)
    match = whole or _LACKING.fullmatch(name)
    if match is None or int(match["age"]) > _OLDEST:
        return None
    labels = [("age", match["age"])]
    if whole:
        labels += [("gender", GENDERS[int(whole["gender"])]), ("ethnicity", ETHNICITIES[int(whole["race"])])]
    return Recognised(name, tuple(labels), whole is not None)


LAYOUT = Corpus("utkface", "non-commercial research use", "https://susanqq.github.io/UTKFace/", STILL, recognise)
