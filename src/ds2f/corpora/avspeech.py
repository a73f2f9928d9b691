"""AVSpeech (Ephrat et al., SIGGRAPH 2018): clips named YTID_START_END.ext; identity = the YouTube id.

Source https://looking-to-listen.github.io/avspeech/; the list is CC BY 4.0, the videos are their owners'.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from ds2f.corpora.base import Corpus, Recognised

_NAME = re.compile(r"^(?P<id>[\w-]{11})_(?P<start>\d+(\.\d+)?)[-_](?P<end>\d+(\.\d+)?)$")


def recognise(path: PurePosixPath) -> Recognised | None:
    match = _NAME.match(path.stem)
    return Recognised(match["id"]) if match else None


LAYOUT = Corpus(
    "avspeech",
    "list CC BY 4.0; videos: their owners'",
    "https://looking-to-listen.github.io/avspeech/",
    recognise,
)
