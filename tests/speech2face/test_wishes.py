"""What somebody asks of a face: a guide is the same picture however it is given, and a seed is any whole number."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ds2f.errors import UserError
from ds2f.speech2face.wishes import Picture, as_json, make_wish, seeds_from

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
GREY, ALPHA = PIXELS[..., 0], PIXELS[..., 1]
TURNED = Image.Exif()
TURNED[0x0112] = 6  # to be shown turned to the right
RIGHT = np.rot90(PIXELS, -1)
OVER_WHITE = (PIXELS.astype(float) * ALPHA[..., None] + 255.0 * (255 - ALPHA[..., None])) / 255


def seen(guide: Picture) -> np.ndarray:
    found = make_wish(guide=guide).guide
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("kind", "picture", "how", "right"),
    [
        ("PNG", Image.fromarray(PIXELS), {}, PIXELS),
        ("PNG", Image.fromarray(PIXELS), {"exif": TURNED}, RIGHT),
        ("TIFF", Image.fromarray(PIXELS), {"exif": TURNED}, RIGHT),
        ("WEBP", Image.fromarray(PIXELS), {"exif": TURNED, "lossless": True}, RIGHT),
        ("JPEG", Image.fromarray(PIXELS), {"exif": TURNED, "quality": 100, "subsampling": 0}, RIGHT),
        ("AVIF", Image.fromarray(PIXELS), {"exif": TURNED, "quality": 100, "subsampling": "4:4:4"}, RIGHT),
        ("PNG", Image.fromarray(np.dstack([PIXELS, ALPHA])), {}, OVER_WHITE),
        ("TIFF", Image.fromarray(np.dstack([PIXELS, ALPHA])), {}, OVER_WHITE),
        ("PNG", Image.fromarray(GREY), {}, GREY[..., None]),
        ("PNG", Image.fromarray(GREY.astype(np.uint16) * 257), {}, GREY[..., None]),
        ("TIFF", Image.fromarray(PIXELS).convert("CMYK"), {}, None),
        ("GIF", Image.fromarray(PIXELS).quantize(256), {}, None),
    ],
)
def test_a_file_its_bytes_and_a_pil_image_of_it_are_the_same_guide(
    kind: str, picture: Image.Image, how: dict[str, Any], right: np.ndarray | None, tmp_path: Path
) -> None:
    path = tmp_path / f"guide.{kind.lower()}"
    picture.save(path, format=kind, **how)
    found = seen(path)
    assert found.dtype == np.uint8
    if right is not None:
        assert np.abs(found - np.broadcast_to(right, found.shape).astype(float)).max() <= (
            12 if kind in ("JPEG", "AVIF") else 1
        )
    np.testing.assert_array_equal(seen(str(path)), found)
    np.testing.assert_array_equal(seen(path.read_bytes()), found)
    with Image.open(path) as opened:
        np.testing.assert_array_equal(seen(opened), found)
    with Image.open(io.BytesIO(path.read_bytes())) as opened:
        opened.load()
        np.testing.assert_array_equal(seen(opened), found)


def test_arrays_of_every_kind_are_the_same_guide() -> None:
    colours = [
        PIXELS,
        PIXELS.astype(np.uint16) * 257,
        PIXELS / 255,
        np.float32(PIXELS / 255),
        np.asfortranarray(PIXELS),
    ]
    for array in colours:
        np.testing.assert_array_equal(seen(array), PIXELS)
    for array in (GREY, GREY[..., None], GREY / 255, np.repeat(GREY[..., None], 3, 2)):
        np.testing.assert_array_equal(seen(array), np.repeat(GREY[..., None], 3, 2))
    over = seen(np.dstack([PIXELS, ALPHA]))
    assert np.abs(over - OVER_WHITE).max() <= 1
    np.testing.assert_array_equal(seen(Image.fromarray(np.dstack([PIXELS, ALPHA]))), over)
    for wrong in (
        np.zeros(8),
        np.zeros((0, 4, 3), np.uint8),
        PIXELS / 1.0,
        np.full((4, 4), np.nan),
        np.zeros((4, 4, 5)),
    ):
        with pytest.raises(UserError, match="The guide picture cannot be used"):
            make_wish(guide=wrong)


def test_an_age_is_a_number_that_can_be_recorded() -> None:
    for age in (30, 30.0, np.int64(30), np.float32(30)):
        assert json.dumps(as_json(make_wish(age=age))) == '{"age": 30.0}'
    for wrong in (True, 101, -1, math.nan, "30"):
        with pytest.raises(UserError, match="cannot be wished for; give years from 0 to 100"):
            make_wish(age=wrong)  # type: ignore[arg-type]


def test_seeds_are_whole_numbers_of_any_size() -> None:
    assert seeds_from(-1, 3) == [-1, 0, 1]
    assert seeds_from(np.int64(10), 1) == [10]
    assert seeds_from(10**40, 2) == [10**40, 10**40 + 1]
    with pytest.raises(UserError, match=r"The seed 0\.5 is not a whole number"):
        seeds_from(0.5, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(1, 1), (40, 30)])
def test_a_guide_of_one_colour_shows_nothing(size: tuple[int, int]) -> None:
    with pytest.raises(UserError, match=f"shows nothing, {size[1]} x {size[0]} pixels of one colour"):
        make_wish(guide=np.full((*size, 3), 90, np.uint8))
