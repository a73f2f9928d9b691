"""CelebA (Liu et al., ICCV 2015): img_align_celeba/000001.jpg; identities and attributes are in two side files.

Source: https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html; non-commercial research use. Without identity_CelebA.txt
every picture is an identity of its own; see `corpora.metadata`.
"""

from __future__ import annotations

import re

from ds2f.corpora.base import STILL, Corpus, Place, Recognised

_FOLDER = re.compile(r"celeba(?![_-]?spoof)", re.IGNORECASE)  # CelebA-Spoof has numbers of its own
_NUMBER = re.compile(r"^\d{6}$")


def recognise(place: Place) -> Recognised | None:
    if _NUMBER.match(place.stem) and any(_FOLDER.search(part) for part in place.folders):
        return Recognised(place.stem)
    return None


LAYOUT = Corpus(
    "celeba", "non-commercial research use", "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html", STILL, recognise
)
