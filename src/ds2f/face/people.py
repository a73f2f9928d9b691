"""Who is in the picture: from the faces seen in several frames to the one person to keep, or a reason why there is
none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ds2f.errors import ItemError
from ds2f.face.dlib_resnet import SAME_PERSON_DISTANCE
from ds2f.types import DetectedFace, Frame

COMPARABLE_AREA = 0.4  # of the largest face; smaller ones are passers-by
LOOKS_ALIKE = 0.5  # correlation of two crops above which they are one person, without comparing embeddings
CLEAR_ENOUGH = 0.2  # quality below which a face is no evidence of who it is
RIVAL = 0.5  # share of the leader's time; anyone present that long may be the speaker


@dataclass(frozen=True)
class Sighting:
    """One face in one frame. crop: canonical, uint8 RGB; quality: see `face.quality`; weight: number of sampled frames
    that looked like this one."""

    frame: Frame
    detected: DetectedFace
    crop: np.ndarray
    quality: float
    weight: int


Embed = Callable[[Sequence[Sighting]], np.ndarray]


def choose(sightings: Sequence[Sighting], embed: Embed) -> tuple[Sighting, np.ndarray, int]:
    """The best sighting of the person who is present most of the time, their identity vector, (d,), and how many people
    were seen.

    embed: sightings to (n, d) identity vectors, called only if appearance does not settle who it is.
    Raises ItemError(stage="face") if nobody is present, or if a second person is present for half as long.
    """
    if not sightings:
        raise ItemError("face", "no face found")
    largest = max(s.detected.area for s in sightings)
    seen = [s for s in sightings if s.detected.area >= COMPARABLE_AREA * largest]
    best = max(seen, key=lambda s: s.quality)
    frames = [s.frame.time for s in seen]
    one_at_a_time = len(set(frames)) == len(frames)
    clear = [s for s in seen if s.quality >= CLEAR_ENOUGH or s is best]
    if one_at_a_time and all(s is best or correlation(s.crop, best.crop) > LOOKS_ALIKE for s in clear):
        return best, embed([best])[0], 1

    vectors = embed(clear)
    groups = cluster(vectors)
    members = [[i for i, g in enumerate(groups) if g == k] for k in range(max(groups) + 1)]
    presence = [sum({clear[i].frame.time: clear[i].weight for i in group}.values()) for group in members]
    order = sorted(range(len(members)), key=lambda k: (-presence[k], -max(clear[i].quality for i in members[k])))
    leader = members[order[0]]
    if len(order) > 1 and presence[order[1]] >= RIVAL * presence[order[0]]:
        together = {clear[i].frame.time for i in leader} & {clear[i].frame.time for i in members[order[1]]}
        raise ItemError("face", "two people in the picture" if together else "two people, one after the other")
    kept = max(leader, key=lambda i: clear[i].quality)
    return clear[kept], vectors[kept], len(members)


def cluster(vectors: np.ndarray, distance: float = SAME_PERSON_DISTANCE) -> list[int]:
    """Cluster (n, d) identity vectors by single linkage: two are one person if a chain of steps shorter than `distance`
    connects them. Returns a group number for each row, from 0 upwards in order of appearance."""
    joined = np.linalg.norm(vectors[:, None] - vectors[None], axis=2) < distance
    for middle in range(len(joined)):  # transitive closure (Warshall, JACM 9(1), 1962)
        joined |= joined[:, middle, None] & joined[middle]
    _, groups = np.unique(joined.argmax(1), return_inverse=True)  # a group is identified by its first member
    return [int(group) for group in groups]


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson correlation of two crops as 32 px grey pictures; 0 if one of them is flat."""
    small = [cv2.resize(cv2.cvtColor(c, cv2.COLOR_RGB2GRAY), (32, 32)).astype(np.float32).ravel() for c in (a, b)]
    if min(s.std() for s in small) < 1e-3:
        return 0.0
    return float(np.corrcoef(small[0], small[1])[0, 1])
