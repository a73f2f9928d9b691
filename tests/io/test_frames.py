"""Pictures as a player shows them: square pixels, upright, in their own colours, without combs."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace

from ds2f.errors import ItemError
from ds2f.io.frames import Picker, picture, square
from ds2f.io.media import decode
from helpers import grey_ramp, write_video
from made_up_media import Film, write, yuv

SKIN = (201, 62, 41)
MATRICES = {
    "bt709": (0.2126, 0.0722),
    "smpte170m": (0.299, 0.114),
    "bt2020nc": (0.2627, 0.0593),
    "smpte240m": (0.212, 0.087),
}
"""(Kr, Kb) of Y = Kr R + (1 - Kr - Kb) G + Kb B; ITU-R BT.709, BT.601, BT.2020, SMPTE 240M."""


def coded(rgb: tuple[int, int, int], matrix: str, full: bool) -> tuple[int, int, int]:
    """(Y, Cb, Cr), 8 bit, of limited or full range."""
    kr, kb = MATRICES[matrix]
    r, g, b = (value / 255 for value in rgb)
    y = kr * r + (1 - kr - kb) * g + kb * b
    cb, cr = (b - y) / (2 - 2 * kb), (r - y) / (2 - 2 * kr)
    scale, foot, chroma = (255, 0, 255) if full else (219, 16, 224)
    return round(foot + scale * y), round(128 + chroma * cb), round(128 + chroma * cr)


def first(path: Path) -> np.ndarray:
    return decode(path, 1, sound=False).frames[0].image


def x264(path: Path, frames: list[np.ndarray] | list[av.VideoFrame], pixels: str = "yuv420p", **params: str) -> Path:
    text = ":".join(f"{name}={value}" for name, value in {"qp": "1", **params}.items())
    return write(path, Film(frames, pixels=pixels, options={"preset": "ultrafast", "x264-params": text}))


# ── colours ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("matrix", "full"), itertools.product(MATRICES, (False, True)))
def test_colours_by_the_stream_s_own_matrix_and_range(tmp_path: Path, matrix: str, full: bool) -> None:
    for size in ((48, 64), (720, 1280)):
        tags = {"colormatrix": matrix, "fullrange": "on" if full else "off"}
        path = x264(tmp_path / "a.mp4", [yuv(coded(SKIN, matrix, full), size)] * 2, **tags)
        assert np.abs(first(path).mean((0, 1)) - SKIN).max() < 3.5, size


@pytest.mark.parametrize(
    ("size", "matrix"),
    [
        ((480, 640), "smpte170m"),
        ((576, 720), "smpte170m"),
        ((720, 1280), "bt709"),
        ((720, 960), "bt709"),
        ((1280, 720), "bt709"),
        ((536, 1280), "bt709"),
    ],
)
def test_untagged_colours_as_players_guess_them(tmp_path: Path, size: tuple[int, int], matrix: str) -> None:
    path = x264(tmp_path / "a.mkv", [yuv(coded(SKIN, matrix, False), size)] * 2)
    assert np.abs(first(path).mean((0, 1)) - SKIN).max() < 3.5


def test_motion_jpeg_is_of_full_range(tmp_path: Path) -> None:
    path = write(tmp_path / "a.avi", Film([np.full((48, 64, 3), SKIN, np.uint8)] * 2, "mjpeg", pixels="yuvj420p"))
    assert np.abs(first(path).mean((0, 1)) - SKIN).max() < 4


def pq(nits: float) -> float:
    """SMPTE ST 2084: light in cd/m² to a signal in [0, 1]."""
    y = (nits / 10_000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * y) / (1 + 2392 / 128 * y)) ** (2523 / 32)


def ten_bits(level: float) -> av.VideoFrame:
    """A flat grey frame, yuv420p10le of limited range; level in [0, 1]."""
    frame = av.VideoFrame(64, 48, "yuv420p10le")
    for index, plane in enumerate(frame.planes):
        value = round(64 + 876 * level) if index == 0 else 512
        plane.update(np.full(plane.buffer_size // 2, value, np.uint16).tobytes())
    return frame


@pytest.mark.parametrize("nits", [1, 10, 50, 100, 150])
def test_hdr_faces_keep_the_brightness_of_sdr(tmp_path: Path, nits: float) -> None:
    """PQ: reference white of 203 cd/m² (ITU-R BT.2408) is the white of SDR, shown with a gamma of 2.4 (BT.1886)."""
    tags = {"colorprim": "bt2020", "transfer": "smpte2084", "colormatrix": "bt2020nc"}
    path = x264(tmp_path / "a.mp4", [ten_bits(pq(nits))] * 2, "yuv420p10le", **tags)
    assert first(path).mean() == pytest.approx(255 * (nits / 203) ** (1 / 2.4), abs=4)


def test_hdr_whites_are_white_and_hlg_is_read(tmp_path: Path) -> None:
    tags = {"colorprim": "bt2020", "transfer": "smpte2084", "colormatrix": "bt2020nc"}
    assert first(x264(tmp_path / "a.mp4", [ten_bits(pq(1000))] * 2, "yuv420p10le", **tags)).mean() > 250
    tags["transfer"] = "arib-std-b67"
    grey = first(x264(tmp_path / "b.mp4", [ten_bits(0.38)] * 2, "yuv420p10le", **tags))
    assert grey.mean() == pytest.approx(109, abs=6)  # 18 % grey of BT.2408 is 26 cd/m²: 255 (26 / 203)^(1/2.4)
    assert first(x264(tmp_path / "c.mp4", [ten_bits(0.75)] * 2, "yuv420p10le", **tags)).mean() > 245  # its white


# ── shape ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("size", "sar", "shown"),
    [
        ((576, 720), "16/11", (576, 1047)),  # PAL, 16:9
        ((480, 720), "8/9", (540, 720)),  # NTSC, 4:3: 720x480 of 8:9 is 640x480, here with no column lost
        ((108, 144), "4/3", (108, 192)),  # HDV
        ((48, 64), "2/1", (48, 128)),
        ((48, 64), "1/2", (96, 64)),
        ((48, 64), "1/1", (48, 64)),
    ],
)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_pixels_are_made_square(
    tmp_path: Path, suffix: str, size: tuple[int, int], sar: str, shown: tuple[int, int]
) -> None:
    path = x264(tmp_path / f"a{suffix}", [np.full((*size, 3), 128, np.uint8)] * 30, sar=sar)
    media = decode(path, 1)
    assert (media.height, media.width) == shown
    assert media.frames[0].image.shape == (*shown, 3)


def test_a_disc_is_round(tmp_path: Path) -> None:
    """A circle squeezed to half its width is one again."""
    y, x = np.mgrid[:96, :96]
    squeezed = np.where((((x - 47.5) * 2) ** 2 + (y - 47.5) ** 2 < 40**2)[..., None], 255, 0).astype(np.uint8)
    disc = first(x264(tmp_path / "a.mp4", [np.repeat(squeezed, 3, 2)] * 2, sar="2/1"))[..., 1] > 128
    rows, columns = np.flatnonzero(disc.any(1)), np.flatnonzero(disc.any(0))
    assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=3)


def test_absurd_shapes_are_damage() -> None:
    assert square(64, 48, Fraction(1, 1000)) == (64, 48)
    assert square(64, 48, Fraction(0)) == (64, 48)
    assert square(64, 48, None) == (64, 48)
    with pytest.raises(ItemError, match="too large"):
        picture(yuv((128, 128, 128), (8_000, 8_000)), Fraction(2))


CORNERS = np.zeros((48, 64, 3), np.uint8)
CORNERS[:24, :32], CORNERS[:24, 32:], CORNERS[24:, :32], CORNERS[24:, 32:] = 60, 120, 180, 240


@pytest.mark.parametrize(("turn", "hflip", "vflip"), itertools.product((0, 90, 180, 270), (False, True), (False, True)))
def test_turned_and_mirrored_as_the_file_says(tmp_path: Path, turn: int, hflip: bool, vflip: bool) -> None:
    """All eight ways in which a picture can lie, as phones and front cameras store it."""
    film = Film([CORNERS] * 2, setup=lambda s: s.set_display_rotation(turn, hflip=hflip, vflip=vflip))
    image = first(write(tmp_path / "a.mp4", film))
    expected = np.rot90(CORNERS, turn // 90)[:: -1 if vflip else 1, :: -1 if hflip else 1]  # first turned
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).mean() < 5


# ── time in pictures ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("codec", "suffix"), [("libx264", ".mp4"), ("mpeg2video", ".mpg")])
def test_interlaced_video_has_no_combs(tmp_path: Path, codec: str, suffix: str) -> None:
    """Two fields of different times: a bar that has moved half the picture in between."""
    woven = np.full((96, 128, 3), 16, np.uint8)
    woven[0::2, :64] = 235
    woven[1::2, 64:] = 235
    options = (
        {"x264-params": "tff=1:qp=1"} if codec == "libx264" else {"flags": "+ildct+ilme", "qmin": "1", "qmax": "2"}
    )
    image = first(write(tmp_path / f"a{suffix}", Film([woven] * 3, codec, options=options)))[..., 1].astype(int)
    assert image.shape == (96, 128)
    assert np.abs(np.diff(image[4:-4, 8:56], axis=0)).mean() < 4  # combed: 219
    assert abs(image[:, 8:56].mean() - image[:, 72:120].mean()) > 180  # one field, and not a mixture


def test_progressive_video_keeps_all_its_lines(tmp_path: Path) -> None:
    lines = np.zeros((96, 128, 3), np.uint8)
    lines[::2] = 200
    image = first(x264(tmp_path / "a.mp4", [lines] * 2))[..., 1].astype(int)
    assert np.abs(np.diff(image, axis=0)).mean() > 150


def test_the_picture_s_size_is_that_which_is_seen(tmp_path: Path) -> None:
    media = decode(write_video(tmp_path / "a.mp4", grey_ramp(5), rotation=90), 1)
    assert (media.width, media.height) == (48, 64)


def test_frames_of_several_sizes_and_colours_are_converted_each_as_if_alone() -> None:
    """One reformatter serves all frames that are kept, and a recording may change on the way."""
    picker = Picker([0.0, 1.0, 2.0, 3.0])
    frames = [yuv((90, 60, 200), size) for size in ((64, 48), (32, 64), (64, 48))]
    frames[2].colorspace = Colorspace.ITU709
    for time, frame in enumerate((*frames, frames[1])):
        picker.offer(frame, float(time))
    for kept, frame in zip(picker.finish(), (*frames, frames[1]), strict=True):
        np.testing.assert_array_equal(kept.image, picture(frame))


def test_frames_without_times_of_a_stream_without_a_rate() -> None:
    picker = Picker([0.0, 0.06], fps=0.0)
    for _ in range(4):
        picker.offer(yuv((128, 128, 128)), None)
    assert [frame.time for frame in picker.finish()] == [0.0, 0.08]
