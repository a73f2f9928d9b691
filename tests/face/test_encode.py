from __future__ import annotations

import cv2
import numpy as np
import pytest

from ds2f.demo import samples
from ds2f.errors import ItemError
from ds2f.face.align import canonical_crop, coverage, inside
from ds2f.face.encode import FaceEncoder, enlarged
from ds2f.io.media import decode
from ds2f.types import DLIB, DetectedFace, Frame
from helpers import detected, grey_ramp, landmarks


@pytest.fixture(scope="module")
def encoder() -> FaceEncoder:
    return FaceEncoder()


def test_no_face_in_the_picture(encoder: FaceEncoder) -> None:
    with pytest.raises(ItemError, match="no face found"):
        encoder.encode_frames([Frame(image, float(k)) for k, image in enumerate(grey_ramp(3, (120, 160)))])
    with pytest.raises(ItemError, match="no face found"):
        encoder.encode_frames([])
    with pytest.raises(ItemError, match="no face found"):
        encoder.encode(grey_ramp(1, (60, 80))[0])


class _Finds:
    """Stands in for the detector: always finds the same faces."""

    name = licence = "made up"

    def __init__(self, *faces: DetectedFace) -> None:
        self.faces = list(faces)

    def detect(self, image: np.ndarray) -> list[DetectedFace]:
        return self.faces


class _Embeds:
    """Stands in for the embedder: every face it sees is `apart` from the one before."""

    name = licence = "made up"
    dim = 128

    def __init__(self, apart: float) -> None:
        self.apart = apart
        self.calls = 0

    def embed(self, images: list[np.ndarray], faces: list[DetectedFace]) -> np.ndarray:
        vectors = np.zeros((len(images), self.dim), np.float32)
        vectors[:, 0] = self.apart * (self.calls + np.arange(len(images)))
        self.calls += 1
        return vectors


def _made_up(apart: float, *faces: DetectedFace) -> FaceEncoder:
    encoder = FaceEncoder(loaded={DLIB: _Embeds(apart)})
    encoder.detector = _Finds(*faces)
    return encoder


def _textured(seed: int) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (12, 24, 3), dtype=np.uint8)
    return cv2.resize(small, (240, 120), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize(("apart", "refused"), [(1.0, True), (0.2, False)])
def test_two_people_beside_each_other(apart: float, refused: bool) -> None:
    left = detected()
    right = DetectedFace((140, 20, 60, 80), left.landmarks + np.array([120, 0], np.float32), 1.0)
    encoder = _made_up(apart, left, right)
    if refused:
        with pytest.raises(ItemError, match="two people in the picture"):
            encoder.encode_frames([Frame(_textured(0), 0.0)])
    else:  # a mirror or a screen shows the same person
        assert encoder.encode_frames([Frame(_textured(0), 0.0)]).face.time == 0.0


class _FindsInLarger:
    """Finds a face only in pictures that got margins."""

    name = licence = "made up"

    def detect(self, image: np.ndarray) -> list[DetectedFace]:
        return [detected(landmarks(scale=4.0, shift=(150.0, 150.0)))] if len(image) > 256 else []


def test_what_margins_add_to_a_tight_picture_is_not_covered_by_it() -> None:
    encoder = _made_up(0.0)
    encoder.detector = _FindsInLarger()
    picture = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    found = encoder.encode(picture).face
    assert found.detected.landmarks[0, 0] < 256, "in pixels of the picture"
    assert found.coverage == pytest.approx(coverage(picture, found.detected.landmarks))
    assert found.coverage < 0.9


@pytest.mark.parametrize(("apart", "refused"), [(1.0, True), (0.2, False)])
def test_a_cut_to_somebody_else(apart: float, refused: bool) -> None:
    encoder = _made_up(apart, detected())
    frames = [Frame(_textured(1), 0.0), Frame(_textured(2), 1.0)]
    if refused:
        with pytest.raises(ItemError, match="one after the other"):
            encoder.encode_frames(frames)
    else:
        assert encoder.encode_frames(frames).face.identity.shape == (128,)


def test_a_face_that_is_too_small() -> None:
    tiny = DetectedFace((20, 20, 12, 16), detected().landmarks * np.float32(0.2), 1.0)  # eyes 8 px apart
    with pytest.raises(ItemError, match="too small"):
        _made_up(0.0, tiny).encode_frames([Frame(_textured(0), 0.0)])


def test_a_face_of_a_small_still_is_placed_in_the_picture_and_in_its_enlargement() -> None:
    picture = _textured(3)[:120, :128]
    face = detected()  # as found in the enlargement, twice as large
    encoded = _made_up(0.0, face).encode(picture)
    assert encoded.image.shape == enlarged(picture).shape == (240, 256, 3)
    assert encoded.place is face
    assert encoded.face.detected.box == tuple(round(v / 2) for v in face.box)
    np.testing.assert_allclose(encoded.face.detected.landmarks, face.landmarks / 2)
    assert encoded.face.box_webp is None


@pytest.mark.parametrize("turns", range(4))
def test_a_picture_that_is_not_upright_gives_no_face(encoder: FaceEncoder, turns: int) -> None:
    """The detector takes three in eight for upright ones; one of them passes, as a stricter rule would refuse some that
    are upright."""
    reasons = []
    for path in sorted(samples().glob("*.mp4")):
        try:
            encoder.encode(np.ascontiguousarray(np.rot90(decode(path, frames=1).frames[0].image, turns)))
        except ItemError as error:
            reasons.append(error.reason)
    assert len(reasons) in ((7, 8) if turns else (0,))
    told = {0: set(), 2: {"the picture is upside down"}}.get(turns, {"the picture lies on its side"})
    assert set(reasons) - {"no face found"} == told


def test_in_a_crop_is_seen_whom_dlib_sees_in_the_frame(encoder: FaceEncoder) -> None:
    crops, true = [], []
    for path in sorted(samples().glob("*.mp4"))[:4]:
        frame = decode(path).frames[0].image
        face = encoder.detect(frame)[0]
        crops.append(canonical_crop(frame, face.landmarks, 128))
        true.append(encoder.embed(DLIB, [frame], [face])[0])
    seen = encoder.embed_crops(np.stack(crops))
    apart = np.linalg.norm(seen[:, None] - np.stack(true), axis=2)
    assert (apart.argmin(1) == np.arange(4)).all()
    assert np.diagonal(apart).max() < 0.35


def test_a_guide_is_aligned_by_the_face_in_it(encoder: FaceEncoder) -> None:
    frame = decode(samples() / "person-1.mp4", frames=1).frames[0].image
    crop = canonical_crop(frame, encoder.detect(frame)[0].landmarks, 128)
    shifted = np.roll(np.pad(frame, ((40, 200), (200, 40), (0, 0)), mode="edge"), 7, 0)
    guides = {"frame": shifted, "crop": crop, "faceless": np.full((50, 90, 3), 128, np.uint8)}
    seen = {name: encoder.align(guide, 64).astype(int) for name, guide in guides.items()}
    assert {guide.shape for guide in seen.values()} == {(64, 64, 3)}
    assert np.abs(seen["frame"] - seen["crop"]).mean() < 7
    assert np.abs(seen["faceless"] - seen["crop"]).mean() > 25
    assert (seen["faceless"] == 128).all(), "taken as it is"


def test_a_face_in_a_tiny_picture_is_looked_for_in_its_enlargement(encoder: FaceEncoder) -> None:
    """In 24 px the detector finds nothing; a head cut out by hand becomes the canonical crop, as well as may be."""
    frame = decode(samples() / "person-1.mp4", frames=1).frames[0].image
    face = encoder.detect(frame)[0]
    wanted = canonical_crop(frame, face.landmarks, 64).astype(int)
    x, y, w, h = face.box
    side = round(1.5 * h)
    padded = cv2.copyMakeBorder(frame, side, side, side, side, cv2.BORDER_REPLICATE)
    top, left = side + y - h // 10, side + x - w // 10
    tiny = cv2.resize(padded[top : top + side, left : left + side], (24, 24), interpolation=cv2.INTER_AREA)
    assert encoder.detect(tiny) == []
    as_it_is = cv2.resize(tiny, (64, 64), interpolation=cv2.INTER_CUBIC).astype(int)
    aligned = encoder.align(tiny, 64).astype(int)
    assert np.abs(aligned - wanted).mean() < 0.6 * np.abs(as_it_is - wanted).mean()


def test_where_no_detector_finds_a_face_in_a_tiny_picture_eigenfaces_say_where_it_lies(encoder: FaceEncoder) -> None:
    frame = decode(samples() / "person-1.mp4", frames=1).frames[0].image
    landmarks = encoder.detect(frame)[0].landmarks
    half = 1.4 * np.linalg.norm(landmarks[1] - landmarks[0])
    left, top = np.round(landmarks.mean(0) - np.array([0.75, 1.2]) * half).astype(int)
    side = round(2 * half)
    tiny = cv2.resize(frame[top : top + side, left : left + side], (8, 8), interpolation=cv2.INTER_AREA)
    large = enlarged(tiny)
    assert encoder.detect(large) == []
    there = (landmarks - (left, top)) * len(large) / side
    wanted, seen = canonical_crop(large, there, 64).astype(int), inside(large, there, 64) == 1
    as_it_is = cv2.resize(tiny, (64, 64), interpolation=cv2.INTER_CUBIC).astype(int)
    aligned = encoder.align(tiny, 64).astype(int)
    assert np.abs(aligned - wanted)[seen].mean() < 0.6 * np.abs(as_it_is - wanted)[seen].mean()


def test_a_handful_of_blocks_is_taken_as_it_lies(encoder: FaceEncoder) -> None:
    blocks = np.random.default_rng(0).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    as_it_is = cv2.resize(enlarged(blocks), (64, 64), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(encoder.align(blocks, 64), as_it_is)


@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (3, 2)])
def test_a_guide_that_is_not_square_is_cut_and_not_squeezed(encoder: FaceEncoder, shape: tuple[int, int]) -> None:
    """A portrait whose face lies as in a crop but for the ratio of its sides, and one in which no face is found."""
    frame = decode(samples() / "person-2.mp4", frames=1).frames[0].image
    landmarks = encoder.detect(frame)[0].landmarks
    high, wide = (round(240 * part / max(shape)) for part in shape)
    left, top = np.round(landmarks.mean(0) - (wide / 2, 0.56 * high)).astype(int).clip(0)
    portrait = frame[top : top + high, left : left + wide]
    ratios = []
    for picture in (portrait, encoder.align(portrait, 256)):
        points = encoder.detect(enlarged(picture))[0].landmarks
        ratios.append(np.linalg.norm(points[1] - points[0]) / abs((points[3:] - points[:2])[:, 1].mean()))
    assert ratios[1] == pytest.approx(ratios[0], rel=0.06)
    nobody = np.zeros((30 * shape[0], 30 * shape[1], 3), np.uint8)
    side = min(nobody.shape[:2])
    y, x = ((extent - side) // 2 for extent in nobody.shape[:2])
    nobody[y : y + side, x : x + side] = 255
    assert (encoder.align(nobody, 32) == 255).all()


@pytest.mark.parametrize("shape", [(1, 2000), (2600, 2)])
def test_a_line_is_a_picture_without_a_face(encoder: FaceEncoder, shape: tuple[int, int]) -> None:
    assert encoder.detect(np.random.default_rng(0).integers(0, 255, (*shape, 3), dtype=np.uint8)) == []
