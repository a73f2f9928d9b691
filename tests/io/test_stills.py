"""A still picture is seen as a viewer shows it, whatever its format and however it is handed over."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from ds2f.errors import ItemError
from ds2f.io.images import IMAGE_SUFFIXES, MAX_PIXELS, decode_image, read_image, to_rgb
from ds2f.types import Source

RED, GREEN, BLUE, GREY = (220, 30, 30), (30, 200, 30), (30, 30, 220), (128, 128, 128)
TOLERANCE = {"JPEG": 12, "AVIF": 12, "WEBP": 12, "GIF": 4}  # of the lossy ones, of 255


def corners() -> np.ndarray:
    """32 x 48, every quarter another colour: red, green; blue, grey."""
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[:16, :24], picture[:16, 24:], picture[16:, :24], picture[16:, 24:] = RED, GREEN, BLUE, GREY
    return picture


def encoded(picture: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    lossy = {"quality": 95} if form in ("JPEG", "AVIF", "WEBP") else {}
    picture.save(buffer, form, **{**lossy, **options})
    return buffer.getvalue()


def close(seen: np.ndarray, wanted: np.ndarray, form: str = "PNG") -> None:
    assert seen.shape == wanted.shape
    assert seen.dtype == np.uint8
    inner = np.abs(seen.astype(int) - wanted)[4::8, 4::8]  # not at the edges, where colours are thinned
    assert inner.max() <= TOLERANCE.get(form, 1)


# What a viewer has to do to a stored picture, by EXIF orientation (JEITA CP-3451, 4.6.4 A).
STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p),
    7: lambda p: np.rot90(p, 2).transpose(1, 0, 2),
    8: lambda p: np.rot90(p, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_orientation_is_obeyed_in_every_format(form: str, orientation: int) -> None:
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](corners())))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(stored, form, exif=exif)
    close(decode_image(data), corners(), form)
    with Image.open(io.BytesIO(data)) as opened:
        np.testing.assert_array_equal(to_rgb(opened), decode_image(data))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP", "JPEG2000", "PPM"])
def test_files_bytes_tars_arrays_and_pil_images_give_the_same(form: str, tmp_path: Path) -> None:
    data = encoded(Image.fromarray(corners()), form)
    (tmp_path / "a.picture").write_bytes(data)
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(tmp_path / "a.picture", "a.picture")
        member = tar.getmembers()[0]
    with tarfile.open(tmp_path / "a.tar") as tar:
        member = tar.getmembers()[0]
    seen = decode_image(data)
    close(seen, corners(), form)
    with Image.open(io.BytesIO(data)) as opened:
        np.testing.assert_array_equal(to_rgb(opened), seen)
    np.testing.assert_array_equal(to_rgb(seen), seen)
    np.testing.assert_array_equal(read_image(Source(tmp_path / "a.picture")), seen)
    np.testing.assert_array_equal(read_image(Source(tmp_path / "a.tar", member.offset_data, member.size)), seen)


def test_every_suffix_that_ingest_takes_can_be_read(tmp_path: Path) -> None:
    Image.init()
    for suffix in IMAGE_SUFFIXES:
        grey = suffix == ".pgm"
        Image.fromarray(corners()).convert("L" if grey else "RGB").save(tmp_path / f"a{suffix}")
        assert read_image(Source(tmp_path / f"a{suffix}")).shape == (32, 48, 3), suffix


def test_sixteen_bits_become_eight_and_not_white() -> None:
    ramp = np.linspace(0, 65535, 64).astype(np.uint16)[None].repeat(8, 0)
    wanted = np.rint(ramp / 257.0)[..., None].repeat(3, 2)
    for data in (encoded(Image.fromarray(ramp), "PNG"), encoded(Image.fromarray(ramp), "TIFF")):
        assert np.abs(decode_image(data) - wanted).max() <= 1
    np.testing.assert_array_equal(to_rgb(Image.fromarray(ramp)), wanted)
    np.testing.assert_array_equal(to_rgb(Image.fromarray(ramp.astype(np.int32))), wanted)  # PIL's mode I
    np.testing.assert_array_equal(to_rgb(ramp), wanted)
    np.testing.assert_array_equal(to_rgb(ramp[..., None].repeat(3, 2)), wanted)
    import cv2

    ok, coloured = cv2.imencode(".png", ramp[..., None].repeat(3, 2))
    assert ok
    assert np.abs(decode_image(bytes(coloured)) - wanted).max() <= 1


def test_grey_pictures_have_three_equal_channels() -> None:
    grey = corners()[..., 0]
    for picture in (grey, grey[..., None], Image.fromarray(grey), grey / 255.0, (grey / 255.0).astype(np.float32)):
        np.testing.assert_array_equal(to_rgb(picture), grey[..., None].repeat(3, 2))
    bits = Image.fromarray(grey > 100)
    np.testing.assert_array_equal(
        decode_image(encoded(bits, "PNG")), np.uint8(255) * (grey > 100)[..., None].repeat(3, 2)
    )


def test_what_is_transparent_lies_over_white() -> None:
    rgba = np.dstack([corners(), np.full((32, 48), 255, np.uint8)])
    rgba[:16, :, 3], rgba[16:, :24, 3] = 0, 51  # a fifth of blue
    wanted = corners()
    wanted[:16] = 255
    wanted[16:, :24] = np.rint(0.2 * np.array(BLUE) + 0.8 * 255)
    picture = Image.fromarray(rgba)
    for seen in (to_rgb(rgba), to_rgb(picture), *(decode_image(encoded(picture, f)) for f in ("PNG", "TIFF"))):
        np.testing.assert_array_equal(seen, wanted)
    for form in ("WEBP", "AVIF"):
        close(decode_image(encoded(picture, form)), wanted, form)
    grey = np.dstack([np.full((4, 4), 100, np.uint8), np.zeros((4, 4), np.uint8)])
    assert to_rgb(grey).min() == 255
    assert decode_image(encoded(Image.fromarray(grey, "LA"), "PNG")).min() == 255


def test_palettes_and_their_transparent_colour() -> None:
    palette = Image.fromarray(corners()).quantize(8)
    for form in ("PNG", "GIF", "BMP"):
        close(decode_image(encoded(palette, form)), corners(), "GIF")
    clear = palette.getpixel((0, 0))  # red
    for form in ("PNG", "GIF"):
        seen = decode_image(encoded(palette, form, transparency=clear))
        assert (seen[:16, :24] == 255).all()
        close(seen[16:], corners()[16:], "GIF")


def test_of_an_animation_the_first_picture_is_taken() -> None:
    frames = [Image.fromarray(corners()), Image.new("RGB", (48, 32), "white")]
    for form in ("GIF", "WEBP", "PNG"):
        data = encoded(frames[0], form, save_all=True, append_images=frames[1:], duration=100)
        close(decode_image(data), corners(), "JPEG")


def test_inks_are_not_inverted() -> None:
    """JPEG of Adobe stores CMYK the wrong way round."""
    inks = Image.fromarray(corners()).convert("CMYK")
    for form in ("JPEG", "TIFF"):
        close(decode_image(encoded(inks, form)), np.array(inks.convert("RGB")), "JPEG")
    close(to_rgb(inks), corners())


def test_colours_of_a_profile_become_srgb() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = Image.fromarray(corners())
    np.testing.assert_array_equal(decode_image(encoded(plain, "PNG", icc_profile=lab)), corners())
    np.testing.assert_array_equal(decode_image(encoded(plain, "PNG", icc_profile=b"no profile")), corners())
    swapped = encoded(plain, "PNG", icc_profile=_swapped_primaries())
    close(decode_image(swapped)[:16, :24], np.full((16, 24, 3), (30, 30, 220), np.uint8), "JPEG")


def _swapped_primaries() -> bytes:
    """The profile of sRGB with red and blue changed for one another, and another name."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    table = 132
    tags = {bytes(data[table + 12 * i : table + 12 * i + 4]): table + 12 * i for i in range(data[131])}
    red, blue = tags[b"rXYZ"], tags[b"bXYZ"]
    data[red : red + 4], data[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(data).replace("sRGB".encode("utf-16-be"), "xRGB".encode("utf-16-be"))


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (np.zeros((4, 4, 5), np.uint8), "not uint8"),
        (np.zeros(4, np.uint8), "not uint8"),
        (np.zeros((0, 4, 3), np.uint8), "not uint8"),
        (np.zeros((4, 4, 3), np.int64), "not int64"),
        (np.full((4, 4, 3), 2.0), "between 0 and 1"),
        (np.full((4, 4, 3), np.nan), "between 0 and 1"),
        (np.broadcast_to(np.uint8(0), (MAX_PIXELS, 2, 3)), "too large"),
        (Image.fromarray(np.full((4, 4), 70_000, np.int32)), "32 bits"),
    ],
)
def test_what_is_no_picture_is_refused(picture: np.ndarray | Image.Image, reason: str) -> None:
    with pytest.raises(ItemError, match=reason) as refused:
        to_rgb(picture)
    assert refused.value.stage == "open"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP", "JPEG2000", "PPM"])
def test_damage_is_refused_or_seen_through_and_nothing_else(form: str) -> None:
    """Of some twenty thousand damaged pictures a few of AVIF raised RuntimeError."""
    whole = encoded(Image.fromarray(corners()), form)
    rng = np.random.default_rng(1)
    for _ in range(60):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), rng.integers(1, 8)):
            data[place] = rng.integers(256)
        with suppress(ItemError):
            assert decode_image(bytes(data)).dtype == np.uint8
    if form == "AVIF":
        with pytest.raises(ItemError, match="damaged"):
            decode_image(whole.replace(b"av01", b"av00"))


def test_bytes_that_cannot_be_read_say_why() -> None:
    whole = encoded(Image.fromarray(corners()), "JPEG")
    rng = np.random.default_rng(0)
    noisy = encoded(Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)), "PNG")
    for data, reason in [
        (b"", "empty"),
        (b"no picture", "not a picture"),
        (whole[: len(whole) // 2], "cut short|damaged"),
        (noisy[: len(noisy) // 2], "cut short"),
        (b"\0\0\0\x18ftypheic" + bytes(64), "HEIC"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(64), "JPEG XL"),
        (b"\xff\x0a" + bytes(64), "JPEG XL"),
        (b"8BPS\0\1" + bytes(64), "Photoshop"),
        (b"v/1\1" + bytes(64), "OpenEXR"),
        (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"<!DOCTYPE html><title>404</title>", "a web page: the download went wrong"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
        (b"\0\0\0\x18ftypisom" + bytes(64), "a video and not a still"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
    ]:
        with pytest.raises(ItemError, match=reason):
            decode_image(data)
