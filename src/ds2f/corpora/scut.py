"""SCUT-FBP5500 (Liang et al., ICPR 2018): AF12.jpg, AM12.jpg, CF12.jpg, CM12.jpg: Asian or Caucasian, female or male.
People are not identified, so every picture is an identity of its own.

Source: https://github.com/HCIILAB/SCUT-FBP5500-Database-Release; non-commercial research use.
"""

from __future__ import annotations

import re

from ds2f.corpora.base import STILL, Corpus, Place, Recognised

_NAME = re.compile(r"(?P<ethnicity>[AC])(?P<gender>[FM])\d{1,4}", re.ASCII)
_FOLDER = re.compile(r"scut|fbp5500", re.IGNORECASE)


def recognise(place: Place) -> Recognised | None:
    match = _NAME.fullmatch(place.stem)
    if match is None or not any(_FOLDER.search(folder) for folder in place.folders):
        return None
    labels = (
        ("gender", "female" if match["gender"] == "F" else "male"),
        ("ethnicity", "Asian" if match["ethnicity"] == "A" else "White"),
    )
    return Recognised(place.stem, labels)


LAYOUT = Corpus(
    "scut",
    "non-commercial research use",
    "https://github.com/HCIILAB/SCUT-FBP5500-Database-Release",
    STILL,
    recognise,
)
