"""One decoding pass over a recording: 16 kHz mono audio and a few frames spread over it (PyAV, bundled FFmpeg).

Seeking to each frame was measured to be five times slower than reading the file once, with any library. So the file is
read once, every packet is decoded, and only the requested frames are converted to RGB. Only recordings longer than
`max_seconds` are sought in: decoding two hours for five frames would be wasteful.

Times are counted from the start of the presentation, as players show them, unless `Choice.alone` is set.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import av
import av.error
import numpy as np
from av.container import InputContainer

from ds2f._renamed import old_names
from ds2f.errors import ItemError
from ds2f.io import ogg
from ds2f.io.formats import CONTAINERS, name_of
from ds2f.io.frames import Picker
from ds2f.io.images import MAX_PIXELS
from ds2f.io.parts import Stored, reading
from ds2f.io.reading import Pass, doubtful, measured_length, origin, read, seek_frames, stated_length
from ds2f.io.sound import Track, is_silent, resample, scaled
from ds2f.io.streams import Choice, Taken, take
from ds2f.types import SAMPLE_RATE, Media, Source

__all__ = ["decode", "resample", "sound_of"]  # docs/reference.md names resample here

av.logging.set_level(av.logging.PANIC)  # FFmpeg's own log; what matters is raised as an exception

SEEK_FROM = 60.0  # seconds: single frames after this are sought
OFF = 0.1  # seconds by which a stated length may be wrong before the measured one is used
MOST_READ = 10_000  # frames that are all decoded where key frames are rare, as in recorded calls
MOST_FPS = 240.0  # a higher rate is a time base, not a rate, as browsers write it
ALL = Choice()


@dataclass(frozen=True)
class _Wanted:
    """What is requested from a recording; see `decode`."""

    source: Stored
    frames: int | tuple[float, ...]
    seconds: float
    sound: bool
    start: float
    choice: Choice

    @property
    def whole(self) -> bool:
        """Whether it begins at the start and is spread over the whole recording, so that the length matters."""
        return isinstance(self.frames, int) and not self.start

    def times(self, length: float) -> list[float]:
        """The times of the requested frames, in a recording of that length."""
        if isinstance(self.frames, int):
            return [(k + 0.5) / self.frames * length for k in range(self.frames)]
        return list(self.frames)

    def sought(self, length: float | None) -> bool:
        """Whether the frames are too far apart to decode everything between them."""
        if isinstance(self.frames, int):
            return length is not None and length > self.seconds
        return bool(self.frames) and self.frames[-1] > SEEK_FROM


def decode(
    source: Stored,
    frames: int | Sequence[float] = 5,
    max_seconds: float = 60.0,
    sound: bool = True,
    start: float = 0.0,
    choice: Choice = ALL,
) -> Media:
    """Decode `max_seconds` of the sound of a recording, and frames from all of it.

    source: a path, a member of a tar, or the bytes of a file.
    frames: how many to keep, spread evenly over the recording, or the requested times in seconds, ascending; with 0 or
    none, the picture is not decoded.
    max_seconds: of sound.
    sound: whether to decode it.
    start: where to start, in seconds.
    choice: of streams and channels.
    Raises ItemError(stage="open") if the file is missing, empty, or not media; "audio" or "face" if it does not contain
    what `choice` names.
    """
    wanted = _Wanted(source, frames if isinstance(frames, int) else tuple(frames), max_seconds, sound, start, choice)
    try:
        parts = ogg.links(source)
        return _decode(wanted) if len(parts) == 1 else _decode_chain(wanted, parts)
    except av.error.MemoryError:
        raise ItemError("open", "not a media file, or damaged (absurd sizes in it)") from None
    except (av.error.FFmpegError, ValueError) as error:
        raise ItemError("open", _refusal(source, error)) from None
    except FileNotFoundError:
        raise ItemError("open", "the file does not exist; check the path") from None
    except PermissionError:
        raise ItemError("open", "the file cannot be read (permission denied)") from None
    except IsADirectoryError:
        raise ItemError("open", "this is a folder, not a file") from None
    except OSError as error:
        raise ItemError("open", f"the file cannot be read ({_reason(error)})") from None


@contextmanager
def _open(source: Stored) -> Iterator[InputContainer]:
    with reading(source) as file:  # checked here, because FFmpeg also reports missing permission for damaged files
        if not file.read(1):
            raise ItemError("open", "the file is empty (zero bytes)")
        file.seek(0)
        path = source.path if isinstance(source, Source) and source.offset is None else source
        # Absolute, because FFmpeg takes "talk: part 1.wav" for a URL with the protocol "talk".
        media = str(path.absolute()) if isinstance(path, Path) else file
        with av.open(media, "r", metadata_errors="replace", options={"format_whitelist": CONTAINERS}) as container:
            yield container


def _decode(wanted: _Wanted, length: float | None = None) -> Media:
    """length: seconds of the recording, None: as stated."""
    again = length is not None
    with _open(wanted.source) as container:
        taken = take(container, wanted.choice)
        if taken.sound is None and taken.picture is None and len(container.streams) and not taken.troubles:
            raise ValueError("it contains no supported codec")
        sound = taken.sound if wanted.sound else None
        view = taken.picture if wanted.frames else None
        length = length or stated_length(container)
        if not again and wanted.whole and doubtful(container, length, wanted.seconds):
            return _decode(wanted, measured_length(container) or wanted.seconds)
        media = _media_of(container, taken, length or 0.0)
        sought = view is not None and wanted.sought(length)
        times = wanted.times(length or wanted.seconds) if view is not None else []
        track = Track(wanted.start, wanted.seconds, wanted.choice.channel)
        picker = Picker(times, view.sample_aspect_ratio if view is not None else None, media.fps)
        start = origin(container, sound if wanted.choice.alone else None)
        found = read(container, sound, None if sought else view, track, picker, start)
    if not again and wanted.whole and not found.whole and length and found.sound_end > length + OFF:
        with _open(wanted.source) as container:  # continues after its stated end
            return _decode(wanted, measured_length(container) or found.sound_end)
    if sought:
        found.trouble = _seek(wanted, picker) or found.trouble
        if wanted.whole and length and _missed(picker, length * media.fps):
            with suppress(av.error.FFmpegError, ItemError):  # on failure, keep what was found, and its errors
                picker.kept = [*_decode(replace(wanted, sound=False, seconds=length), length).frames]
    media = _filled(media, track, picker, found)
    nothing = not media.audio.size and not media.frames
    if nothing and found.trouble is not None and not (found.whole or media.troubles):
        raise found.trouble  # it breaks off before anything could be read
    if sound is not None and is_silent(media.audio):
        media = _with_other_sound(wanted, media, taken.more_sounds)
    if view is not None and not sought and found.pictures <= 1:
        media = _with_other_picture(wanted, media, taken)
    elif view is not None and not again and isinstance(wanted.frames, int) and _ill_spread(times, picker, found):
        longer = _decode(replace(wanted, sound=False), found.picture_end)
        media = replace(media, frames=longer.frames)
    return media


def _media_of(container: InputContainer, taken: Taken, length: float) -> Media:
    """What is known about a recording before any of it is decoded."""
    picture = taken.picture
    if picture is not None and picture.width * picture.height > MAX_PIXELS:
        raise ItemError("open", f"the picture is {picture.width}x{picture.height}, too large to be a video")
    return Media(
        audio=np.zeros(0, np.float32),
        frames=(),
        duration=length,
        width=0,
        height=0,
        fps=float(picture.average_rate or 0) if picture is not None else 0.0,
        has_audio=taken.sound is not None,
        has_video=picture is not None,
        audio_stream=None if taken.sound is None else taken.sound.index,
        video_stream=None if picture is None else picture.index,
        troubles=taken.troubles,
    )


def _filled(media: Media, track: Track, picker: Picker, found: Pass) -> Media:
    """Adds what was decoded."""
    troubles = dict(media.troubles)
    audio = media.audio
    try:
        audio = track.finish()
        frames = picker.finish()
    except ItemError as error:
        found.trouble = error
        frames = tuple(picker.kept)
    if isinstance(found.trouble, ItemError):
        troubles.setdefault(found.trouble.stage, found.trouble.reason)
    if found.trouble is not None and not audio.size and found.sounds:
        troubles.setdefault("audio", "none of its sound can be decoded")
    end = max(found.sound_end, found.picture_end)
    whole = found.whole and (found.pictures > 0 or not media.has_video)
    wrong = media.duration == 0.0 or end > media.duration + OFF or (whole and end < media.duration - OFF)
    fps = media.fps
    if found.whole and found.picture_end > 0 and found.pictures > 1 and not 0 < fps <= MOST_FPS:
        fps = found.pictures / found.picture_end
    height, width = frames[0].image.shape[:2] if frames else (0, 0)
    return replace(
        media,
        audio=audio,
        frames=frames,
        duration=end if wrong else media.duration,
        width=width,
        height=height,
        fps=fps,
        channels=track.how,
        troubles=troubles,
    )


def _ill_spread(times: Sequence[float], picker: Picker, found: Pass) -> bool:
    """Whether the picture is so much shorter or longer than stated that the frames are spread wrongly."""
    if not found.whole or found.pictures <= len(times):
        return False
    step = times[0] * 2
    return found.picture_end < times[-1] or found.picture_end > times[-1] + 1.5 * step


def _missed(picker: Picker, frames: float) -> bool:
    """Whether a recording with so many frames must be read instead of sought in: seeking fails, or key frames are so
    far apart that one was found for several times."""
    times = [frame.time for frame in picker.kept]
    return not times or (len(set(times)) < len(times) and frames < MOST_READ)


def _with_other_sound(wanted: _Wanted, media: Media, numbers: Sequence[int]) -> Media:
    """Replaces an empty sound track by the first of some others that contains sound."""
    for number in numbers:
        try:
            other = _decode(replace(wanted, frames=0, choice=replace(wanted.choice, audio=number)))
        except (av.error.FFmpegError, ItemError):
            continue
        if not is_silent(other.audio):
            return replace(media, audio=other.audio, audio_stream=other.audio_stream, channels=other.channels)
    return media


def _with_other_picture(wanted: _Wanted, media: Media, taken: Taken) -> Media:
    """Replaces a single picture by the first of some other picture tracks that moves; or removes the picture if it is
    the cover of a sound."""
    for number in taken.more_pictures:
        try:
            other = _decode(replace(wanted, sound=False, choice=replace(wanted.choice, video=number)))
        except (av.error.FFmpegError, ItemError):
            continue
        if len({frame.time for frame in other.frames}) > 1:
            return replace(other, audio=media.audio, has_audio=media.has_audio, audio_stream=media.audio_stream,
                           channels=media.channels)  # fmt: skip
    if taken.still and media.has_audio:
        return replace(media, frames=(), width=0, height=0, fps=0.0, has_video=False, video_stream=None)
    return media


def _seek(wanted: _Wanted, picker: Picker) -> Exception | None:
    """Give `picker` frames from the whole of a long recording. Returns the error, if any."""
    with _open(wanted.source) as container:
        view = take(container, wanted.choice).picture
        assert view is not None
        return seek_frames(container, view, picker, exact=not isinstance(wanted.frames, int))


def _decode_chain(wanted: _Wanted, parts: Sequence[Stored]) -> Media:
    """Concatenated Ogg files: the sound of all, one after the other, and the frames of the first that has any."""
    media: Media | None = None
    at, pieces = 0.0, []
    for part in parts:
        start = max(0.0, wanted.start - at)
        seconds = wanted.start + wanted.seconds - at - start
        frames = wanted.frames if media is None or not media.has_video else 0
        sound = wanted.sound and seconds > 0
        try:
            found = _decode(replace(wanted, source=part, frames=frames, start=start, seconds=seconds, sound=sound))
        except (av.error.FFmpegError, ItemError):
            if media is None:
                raise
            break  # keep what precedes the damage
        to_the_end = 0 < found.audio.size < round(seconds * SAMPLE_RATE)
        at += start + found.audio.size / SAMPLE_RATE if to_the_end else found.duration
        pieces.append(found.audio)
        media = found if media is None or (found.has_video and not media.has_video) else media
    assert media is not None
    return replace(media, audio=scaled(np.concatenate(pieces)), duration=at, has_audio=True)


def sound_of(media: Media) -> np.ndarray:
    """The sound of a recording. Raises ItemError(stage="audio") with the reason if there is none."""
    if "audio" in media.troubles:
        raise ItemError("audio", media.troubles["audio"])
    if not media.has_audio:
        raise ItemError("audio", "a video without sound" if media.has_video else "there is no sound in it")
    return media.audio


def _refusal(source: Stored, error: Exception) -> str:
    with reading(source) as file:
        name = name_of(file.read(1024), error)
    return f"not a media file that ds2f reads: {name}" if name else f"not a media file, or damaged ({_reason(error)})"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


if not TYPE_CHECKING:
    __getattr__ = old_names(__name__)
