"""Which streams of a file are used: those that a player would show and play, unless the user chooses others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

Stream = TypeVar("Stream", AudioStream, VideoStream)

# Sound that accompanies the recording: commentaries, audio description, karaoke, effects alone.
ASIDE = (
    Disposition.comment
    | Disposition.lyrics
    | Disposition.karaoke
    | Disposition.hearing_impaired
    | Disposition.visual_impaired
    | Disposition.clean_effects
    | Disposition.non_diegetic
    | Disposition.descriptions
    | Disposition.dependent
)
ASIDE_TITLES = ("commentary", "audio description", "descriptive", "karaoke")  # if the flag is not set
STILL = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
STILL_CODECS = frozenset({"mjpeg", "png", "gif", "bmp", "webp", "tiff", "jpeg2000", "jpegls", "ppm", "targa"})


@dataclass(frozen=True)
class Choice:
    """What to use from recordings, each counted from 1; 0: as a player would, and all channels.

    audio, video: which of a file's sound and picture streams; channel: which channel of its sound.
    alone: times are counted from the first sound instead of the start of the presentation, as in a WAV made from it.
    """

    audio: int = 0
    video: int = 0
    channel: int = 0
    alone: bool = False


@dataclass(frozen=True)
class Taken:
    """sound, picture: the streams used, None if there is none that can be.

    more_sounds, more_pictures: numbers, as in `Choice`, of those to try if the chosen one is empty; a commentary does
    not replace silence.
    still: whether the picture is in a still-picture codec, like a cover without a flag.
    troubles: {stage: reason} if what was chosen does not exist.
    """

    sound: AudioStream | None
    picture: VideoStream | None
    more_sounds: tuple[int, ...] = ()
    more_pictures: tuple[int, ...] = ()
    still: bool = False
    troubles: dict[str, str] = field(default_factory=dict)


def take(container: InputContainer, choice: Choice) -> Taken:
    """The sound and the picture that a player would use, or that were chosen.

    Sound: streams flagged default first, commentaries and descriptions last, going by flag or title. Pictures: moving
    ones before stills, then those flagged default; never covers and thumbnails.
    """
    all_sounds, all_pictures = container.streams.audio, container.streams.video
    troubles: dict[str, str] = {}
    # A damaged stream may have an unknown codec; PyAV then provides no codec_context.
    sounds = [(n, s) for n, s in enumerate(all_sounds, 1) if s.codec_context]
    pictures = [(n, s) for n, s in enumerate(all_pictures, 1) if s.codec_context and not _is(s, STILL)]
    sounds.sort(key=lambda s: (aside(s[1]), not _is(s[1], Disposition.default), _is(s[1], Disposition.dub)))
    pictures.sort(key=lambda s: (s[1].frames == 1, maybe_still(s[1]), not _is(s[1], Disposition.default)))
    if sounds:  # a still next to sound is its cover
        pictures = [(n, s) for n, s in pictures if not (s.frames == 1 and maybe_still(s))]
    if choice.audio:
        sounds = _chosen(all_sounds, choice.audio, "audio", "sound track", troubles)
    if choice.video:
        pictures = _chosen(all_pictures, choice.video, "face", "picture track", troubles)
    return Taken(
        sound=sounds[0][1] if sounds else None,
        picture=pictures[0][1] if pictures else None,
        more_sounds=tuple(n for n, s in sounds[1:] if aside(s) == aside(sounds[0][1])),
        more_pictures=tuple(n for n, _ in pictures[1:]),
        still=bool(pictures) and maybe_still(pictures[0][1]),
        troubles=troubles,
    )


def aside(stream: AudioStream) -> bool:
    """Whether it accompanies the recording rather than being it: a commentary, a description, ..."""
    title = stream.metadata.get("title", stream.metadata.get("handler_name", "")).lower()
    return _is(stream, ASIDE) or any(word in title for word in ASIDE_TITLES)


def maybe_still(stream: VideoStream) -> bool:
    """Whether it is in a still-picture codec, like a cover without a flag."""
    return stream.codec_context.name in STILL_CODECS


def _is(stream: AudioStream | VideoStream, flags: Disposition) -> bool:
    return bool(stream.disposition & flags)


def _chosen(
    streams: Sequence[Stream], number: int, stage: str, what: str, troubles: dict[str, str]
) -> list[tuple[int, Stream]]:
    if number > len(streams):
        troubles[stage] = f"{what} {number} is asked for, and the file has {len(streams)}"
    elif not streams[number - 1].codec_context:
        troubles[stage] = f"{what} {number} is asked for, and its codec is not read"
    else:
        return [(number, streams[number - 1])]
    return []
