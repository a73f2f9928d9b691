"""Which frames of a video are kept, and how they become pictures: upright, square pixels, RGB as a player shows it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, cast

import av
import av.error
import av.filter
import numpy as np
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as SideType
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from ds2f.errors import ItemError
from ds2f.io.colour import is_wide, to_sdr
from ds2f.io.images import MAX_PIXELS
from ds2f.types import Frame

UNTAGGED = 2  # ISO/IEC 23091-2: "unspecified", of matrices, primaries and transfers alike
HD_WIDTH, SD_HEIGHT = 1280, 576  # players assume BT.709 for larger, untagged video, and BT.601 otherwise
ASPECTS = (Fraction(1, 8), Fraction(8))  # of a pixel; anything else is damage
SAME_TIME = 1e-6  # seconds
ONE_THREAD: dict[str, Any] = {"threads": 1} if int(av.__version__.partition(".")[0]) >= 17 else {}
"""Threads for converting a frame: starting them takes longer than converting most frames. Before PyAV 17 there was
one."""


class Picker:
    """Keeps the first frame at or after each requested time, or the last one seen if the file ends early."""

    def __init__(self, times: Sequence[float], aspect: Fraction | None = None, fps: float = 25.0) -> None:
        """times: seconds, ascending. aspect: of a pixel, width / height, None if the file does not state it. fps: for
        counting frames without a timestamp."""
        self.times = list(times)
        self.aspect, self.fps = aspect, fps or 25.0
        self.kept: list[Frame] = []
        self._seen = 0
        self._last: tuple[av.VideoFrame, float] | None = None
        self._reformatter = VideoReformatter()

    @property
    def done(self) -> bool:
        return len(self.kept) >= len(self.times)

    def offer(self, frame: av.VideoFrame, time: float | None) -> None:
        if self.done:
            return
        time = self._seen / self.fps if time is None else time
        self._seen += 1
        self._last = frame, time
        if time >= self.times[len(self.kept)] - SAME_TIME:
            self.keep(frame, time)

    def finish(self) -> tuple[Frame, ...]:
        if self._last is not None and not self.done:
            self.keep(*self._last)
        return tuple(self.kept)

    def keep(self, frame: av.VideoFrame, time: float) -> None:
        self.kept.append(Frame(picture(frame, self.aspect, self._reformatter), time))


def picture(
    frame: av.VideoFrame, aspect: Fraction | None = None, reformatter: VideoReformatter | None = None
) -> np.ndarray:
    """A decoded frame as (height, width, 3) uint8 RGB: one field of an interlaced frame, with square pixels, colours
    converted by its own matrix and range, HDR converted to SDR, rotated and mirrored as the file states.

    frame: as decoded.
    aspect: of a pixel, width / height.
    reformatter: PyAV's, which is faster if it has converted a frame of this kind before; None: a new one.
    Raises ItemError(stage="face") if it would be too large, or its colour coding is not supported.
    """
    width, height = square(frame.width, frame.height, aspect)
    if width * height > MAX_PIXELS:
        raise ItemError("face", f"the picture is {width}x{height}, too large to be a video")
    matrix = display_matrix(frame)
    return upright(_rgb(frame, width, height, reformatter or VideoReformatter()), matrix)


def square(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """The size with square pixels: one side grows, as in players, so that nothing is lost."""
    if not aspect or not ASPECTS[0] <= aspect <= ASPECTS[1]:
        return width, height
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


def _rgb(frame: av.VideoFrame, width: int, height: int, reformatter: VideoReformatter) -> np.ndarray:
    space = frame.colorspace
    if space == UNTAGGED:
        space = Colorspace.ITU709 if frame.width >= HD_WIDTH or frame.height > SD_HEIGHT else Colorspace.ITU601
    wide = is_wide(frame.color_trc, frame.color_primaries)
    source = _one_field(frame) if frame.interlaced_frame else frame
    resized = (source.width, source.height) != (width, height)
    try:
        rgb = reformatter.reformat(
            source,
            width,
            height,
            "rgb48le" if wide else "rgb24",
            src_colorspace=space,
            interpolation=Interpolation.BICUBIC if resized else None,
            **ONE_THREAD,
        ).to_ndarray()
    except (av.error.FFmpegError, ValueError):
        raise ItemError("face", "the colour coding of its pictures is not supported") from None
    return to_sdr(rgb, frame.color_trc, frame.color_primaries) if wide else rgb


def _one_field(frame: av.VideoFrame) -> av.VideoFrame:
    """The first field of an interlaced frame: its two fields are from different times, and a moving face in both shows
    combing."""
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or Fraction(1, 25)
    )
    split, sink = graph.add("separatefields"), graph.add("buffersink")
    source.link_to(split)
    split.link_to(sink)
    graph.configure()
    graph.push(frame)
    field = graph.pull()
    assert isinstance(field, av.VideoFrame)
    return field


def display_matrix(frame: av.VideoFrame) -> np.ndarray:
    """How stored axes map to the screen: (2, 2) of -1, 0, 1; (column, row) on the screen = (column, row) @ it."""
    data = next((d for d in cast(Iterable[SideData], frame.side_data) if d.type == SideType.DISPLAYMATRIX), None)
    if data is None:
        return np.eye(2, dtype=int)
    a, b, _, c, d, *_ = np.frombuffer(bytes(data), np.int32).astype(np.int64)
    if abs(a) + abs(d) >= abs(b) + abs(c):  # to the nearest quarter turn, as players without a graphics card do
        return np.array([[-1 if a < 0 else 1, 0], [0, -1 if d < 0 else 1]])
    return np.array([[0, -1 if b < 0 else 1], [-1 if c < 0 else 1, 0]])


def upright(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(height, width, 3), rotated and mirrored by a `display_matrix`."""
    if matrix[0, 0] == 0:
        image = image.transpose(1, 0, 2)
        flip_rows, flip_columns = matrix[0, 1] < 0, matrix[1, 0] < 0
    else:
        flip_rows, flip_columns = matrix[1, 1] < 0, matrix[0, 0] < 0
    return np.ascontiguousarray(image[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1])
