"""FFHQ (Karras et al., CVPR 2019): 00000.png, flat or in folders of a thousand; people are not identified, so every
picture is an identity of its own.

Source: https://github.com/NVlabs/ffhq-dataset; CC BY-NC-SA 4.0, the pictures under their photographers' licences.
"""

from __future__ import annotations

import re

from ds2f.corpora.base import STILL, Corpus, Place, Recognised

_NUMBER = re.compile(r"^\d{5}$")
_FOLDER = re.compile(r"ffhq|^(images|thumbnails)\d+x\d+$", re.IGNORECASE)


def recognise(place: Place) -> Recognised | None:
    if _NUMBER.match(place.stem) and any(_FOLDER.search(part) for part in place.folders):
        return Recognised(place.stem)
    return None


LAYOUT = Corpus("ffhq", "CC BY-NC-SA 4.0", "https://github.com/NVlabs/ffhq-dataset", STILL, recognise)
