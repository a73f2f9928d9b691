"""Common Voice (Ardila et al., LREC 2020): clips/common_voice_en_123.mp3; identities are in the tables beside the
folder of clips, see `corpora.metadata`. Without them every file is an identity of its own.

Source: https://commonvoice.mozilla.org; CC0.
"""

from __future__ import annotations

import re

from ds2f.corpora.base import SOUND, Corpus, Place, Recognised

_NAME = re.compile(r"common_voice_(?P<language>[a-z]{2,3})(?:-[A-Za-z-]+)?_\d+", re.ASCII)


def recognise(place: Place) -> Recognised | None:
    match = _NAME.fullmatch(place.stem)
    return Recognised(place.stem, (("language", match["language"]),)) if match else None


LAYOUT = Corpus("commonvoice", "CC0", "https://commonvoice.mozilla.org", SOUND, recognise)
