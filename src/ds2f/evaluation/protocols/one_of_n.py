"""1:N matching: which of N faces belongs to a voice, which of N voices to a face?

Source. "Seeing voices and hearing faces" (Nagrani, Albanie & Zisserman, CVPR 2018, arXiv:1804.00326), N = 2 and more;
lists of N = 2 over VoxCeleb1 are public in the repository of CMPC (Zhu et al., IJCAI 2022; github.com/Cocoxili/CMPC,
data/matching), `matching_{v2f,f2v}_{U,G,N,GN}.csv`.

Definition. A line is `probe candidate candidate ...`, separated by spaces, and the first candidate is the right one:
`id10002/YTID/00005.wav NAME/1.6/YTID/0003650.jpg NAME/1.6/YTID/0004350.jpg`. N follows from the line. Accuracy is the
share of probes whose right candidate scores highest. A dataset needs no list: for every voice (face), the probability
of being picked among N is averaged over all draws of N - 1 others at once, exactly (`matching.choice`), N = 2 to 10.

What differs here, and why:
- As the right candidate always comes first, a program that takes the first of equal scores would be right by doing
  nothing. Here ties are shared: with t candidates tied at the top, 1 / t of a hit if the right one is among them.
- A file without speech, or without a face, scores as an even guess and stays in the list.
- Intervals are over people (of the probe).
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import numpy as np

from ds2f.errors import UserError
from ds2f.evaluation.protocols.lists import FACE, VOICE, Choice, TrialList, numbered_lines
from ds2f.io.formats import AUDIO_SUFFIXES
from ds2f.io.images import IMAGE_SUFFIXES

_NAME = re.compile(r"_(U|GN|GNA|G|N|A)$")


def read(path: Path) -> TrialList:
    """Read a list. Raises UserError for a line that is not a choice, or lines of different directions or numbers of
    candidates."""
    choices, probes, ways = [], "", 0
    for number, line in numbered_lines(path):
        probe, *candidates = line.split()
        kinds = [_kind(file) for file in (probe, *candidates)]
        if len(candidates) < 2 or kinds[0] == "" or set(kinds[1:]) != {FACE if kinds[0] == VOICE else VOICE}:
            raise UserError(f"{path}, line {number}: a choice is a voice and two faces or more, or a face and voices.")
        if len(set(candidates)) < len(candidates):
            raise UserError(f"{path}, line {number}: a candidate is named twice.")
        if (probes, ways) not in (("", 0), (kinds[0], len(candidates))):
            raise UserError(f"{path}, line {number}: {len(candidates)} candidates of a {kinds[0]}, unlike line 1.")
        probes, ways = kinds[0], len(candidates)
        choices.append(Choice(probe, tuple(candidates), PurePosixPath(probe).parts[0]))
    told = _NAME.search(path.stem)
    return TrialList(path.stem, choices=tuple(choices), criterion=told[1] if told else "", probes=probes)


def _kind(path: str) -> str:
    suffix = PurePosixPath(path).suffix.lower()
    return VOICE if suffix in AUDIO_SUFFIXES else FACE if suffix in IMAGE_SUFFIXES else ""


def hits(scores: np.ndarray) -> np.ndarray:
    """(n, N) scores, the right candidate's first, to (n,) probabilities of picking it: 1 / t if t are tied at the
    top."""
    best = scores.max(1, keepdims=True)
    level = scores == best
    return np.asarray(level[:, 0] / level.sum(1))
