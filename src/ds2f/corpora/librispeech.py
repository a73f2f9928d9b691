"""LibriSpeech (Panayotov et al., ICASSP 2015): train-clean-100/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NNNN.flac, all English;
and LibriTTS (Zen et al., Interspeech 2019), with the same speakers: .../SPEAKER_CHAPTER_NNNNNN_NNNNNN.wav.

MLS (Pratap et al., Interspeech 2020) numbers the readers of LibriVox likewise: SPEAKER/BOOK/SPEAKER_BOOK_NNNNNN.flac,
in eight languages that its file names do not state.

Sources: https://www.openslr.org/12/, /60/ and /94/; CC BY 4.0. The speakers' gender is in SPEAKERS.TXT, see
`corpora.metadata`.
"""

from __future__ import annotations

import re

from ds2f.corpora.base import SOUND, Corpus, Place, Recognised

_NAME = re.compile(r"(?P<speaker>\d+)([-_])(?P<chapter>\d+)\2\d{4,6}(?P<part>_\d{6})?", re.ASCII)


def recognise(place: Place) -> Recognised | None:
    match = _NAME.fullmatch(place.stem)
    if match and place.folders[-2:] == (match["speaker"], match["chapter"]):
        return Recognised(match["speaker"], (("language", "en"),) if match[2] == "-" or match["part"] else ())
    return None


def recording(place: Place) -> str | None:
    match = _NAME.fullmatch(place.stem)
    return f"{match['speaker']}-{match['chapter']}" if match else None


LAYOUT = Corpus("librispeech", "CC BY 4.0", "https://www.openslr.org/12/", SOUND, recognise, recording)
