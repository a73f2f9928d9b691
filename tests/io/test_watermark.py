"""The watermark is found after what happens to pictures, is not found where it is not, and changes little."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from ds2f.demo import samples
from ds2f.io import watermark, watermark_search
from ds2f.io.images import decode_image
from ds2f.io.media import decode


@pytest.fixture(scope="module")
def faces() -> list[np.ndarray]:
    """The eight synthetic people, 128 px."""
    frames = [decode(clip, frames=1, sound=False).frames[0].image for clip in sorted(samples().glob("*.mp4"))]
    return [_scaled(frame, 128) for frame in frames]


def _scaled(picture: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC))


def _encoded(picture: np.ndarray, kind: str, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind, quality=quality)
    return decode_image(buffer.getvalue())


def _screenshot(picture: np.ndarray) -> np.ndarray:
    page = np.full((420, 500, 3), 240, np.uint8)
    page[40:42] = page[380:382] = 90
    page[80:287, 150:357] = _scaled(picture, 207)
    return page


ATTACKS = {
    "JPEG 75": lambda picture: _encoded(picture, "JPEG", 75),
    "WebP 80": lambda picture: _encoded(picture, "WEBP", 80),
    "half and back": lambda picture: _scaled(_scaled(picture, 64), 128),
    "cut": lambda picture: picture[6:-6, 6:-6],
    "cut and back to its size": lambda picture: _scaled(picture[6:-6, 6:-6], 128),
    "mirrored and darker": lambda picture: (picture[:, ::-1] * 0.8).astype(np.uint8),
    "screenshot": lambda picture: _encoded(_screenshot(picture), "JPEG", 85),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_it_is_found_after(attack: str, faces: list[np.ndarray]) -> None:
    for face in faces[:2]:
        assert watermark_search.find(ATTACKS[attack](watermark.mark(face))).found


def test_every_face_gets_as_much_as_it_needs_and_no_more(faces: list[np.ndarray]) -> None:
    for face in faces[2:]:
        marked = watermark.mark(face)
        assert marked.dtype == np.uint8
        strength = np.sqrt(np.mean(((marked - face.astype(float)) @ watermark.LUMA) ** 2))
        assert watermark.STRENGTHS[0] - 0.2 < strength < watermark.STRENGTHS[1] + 0.2
        reached = watermark.similarity_in_place(marked)
        assert reached >= watermark.TARGETS[0] or strength > watermark.STRENGTHS[1] - 0.3
        assert np.array_equal(watermark.mark(face), marked), "the same every time"
        assert np.array_equal(watermark.mark(marked), marked) or reached < watermark.TARGETS[0], "there already"


def test_what_is_not_marked_is_not_found(faces: list[np.ndarray]) -> None:
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (96, 128, 3), dtype=np.uint8)
    even, tiny, thin = np.full((200, 200, 3), 128, np.uint8), noise[:3, :3], noise[:1]
    for picture in (*faces[2:4], noise, even, tiny, thin):
        trace = watermark_search.find(picture)
        assert not trace.found
        assert trace.chance > 1e-3


def test_small_pictures_are_left_as_they_are() -> None:
    picture = np.zeros((16, 16, 3), np.uint8)
    assert watermark.mark(picture) is picture


def test_other_sizes_and_shapes_hold_it(faces: list[np.ndarray]) -> None:
    assert watermark_search.find(watermark.mark(_scaled(faces[0], 64))).found
    assert watermark_search.find(watermark.mark(_scaled(faces[1], 301)[:, :251])).found


def test_a_stronger_likeness_is_less_by_chance() -> None:
    for null in watermark_search.NULLS:
        chances = [watermark_search.chance_of(similarity, null) for similarity in np.linspace(0, 0.4, 50)]
        assert chances == sorted(chances, reverse=True)
        assert chances[0] == 1
        assert chances[-1] == watermark_search.SURE
