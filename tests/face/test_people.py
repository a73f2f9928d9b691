from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from ds2f.errors import ItemError
from ds2f.face.people import Sighting, choose, cluster
from ds2f.types import DetectedFace, Frame
from helpers import landmarks

ADA, BOB, CARL = 0, 1, 2


def _seen(person: int, time: float, quality: float = 0.8, side: int = 100, weight: int = 1) -> Sighting:
    """A sighting whose crop, and through it the made-up identity, says who it is."""
    crop = np.random.default_rng(round(1000 * time) + person).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    crop[0, 0] = person
    face = DetectedFace((0, 0, side, side), landmarks(), 1.0)
    return Sighting(Frame(crop, time), face, crop, quality, weight)


def _embed(sightings: Sequence[Sighting]) -> np.ndarray:
    """People are 1 apart, pictures of one person up to 0.3."""
    return np.array([[s.crop[0, 0, 0], 0.15 * np.sin(7 * s.frame.time)] for s in sightings], np.float32)


def test_one_person_at_their_best() -> None:
    sighting, identity, people = choose(
        [_seen(ADA, t, quality=q) for t, q in ((0.0, 0.3), (1.0, 0.9), (2.0, 0.5))], _embed
    )
    assert (sighting.frame.time, people) == (1.0, 1)
    assert round(float(identity[0])) == ADA


def test_faces_that_look_alike_need_no_second_embedding() -> None:
    asked: list[int] = []

    def embed(sightings: Sequence[Sighting]) -> np.ndarray:
        asked.append(len(sightings))
        return _embed(sightings)

    same = _seen(ADA, 0.0)
    again = Sighting(Frame(same.crop, 1.0), same.detected, same.crop, 0.5, 1)
    assert choose([same, again], embed)[2] == 1
    assert asked == [1]


def test_a_short_visit_does_not_hide_the_one_who_speaks() -> None:
    visit = [_seen(BOB, 2.0, quality=0.99)]
    _, identity, people = choose([_seen(ADA, t) for t in (0.0, 1.0, 3.0, 4.0)] + visit, _embed)
    assert round(float(identity[0])) == ADA, "the better picture is of the visitor, but it is not who is there"
    assert people == 2


def test_time_in_a_picture_that_stands_still_counts() -> None:
    _, identity, _ = choose([_seen(ADA, 0.0, weight=4), _seen(BOB, 4.0)], _embed)
    assert round(float(identity[0])) == ADA
    with pytest.raises(ItemError, match="one after the other"):
        choose([_seen(ADA, 0.0, weight=2), _seen(BOB, 4.0)], _embed)


def test_two_who_share_the_picture_are_refused() -> None:
    with pytest.raises(ItemError, match="two people in the picture"):
        choose([_seen(ADA, 0.0), _seen(BOB, 0.0), _seen(ADA, 1.0), _seen(BOB, 1.0)], _embed)


def test_a_passer_by_is_too_small_to_matter() -> None:
    _, identity, people = choose(
        [_seen(ADA, 0.0), _seen(BOB, 0.0, side=50), _seen(ADA, 1.0), _seen(BOB, 1.0, side=50)], _embed
    )
    assert (round(float(identity[0])), people) == (ADA, 1)


def test_an_unclear_face_proves_nothing() -> None:
    assert choose([_seen(ADA, 0.0), _seen(BOB, 1.0, quality=0.1)], _embed)[2] == 1


def test_nobody() -> None:
    with pytest.raises(ItemError, match="no face found"):
        choose([], _embed)


def test_clusters_follow_chains_of_small_steps() -> None:
    vectors = np.array([[0.0], [0.5], [5.0], [1.0], [5.4]])
    assert cluster(vectors, distance=0.6) == [0, 0, 1, 0, 1]
    assert cluster(vectors, distance=0.45) == [0, 1, 2, 3, 2]
