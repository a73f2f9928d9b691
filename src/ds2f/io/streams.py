"""Which of the streams in a file are taken: those that a player would show and play, unless somebody chooses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

Stream = TypeVar("Stream", AudioStream, VideoStream)

# Sound beside the recording itself: commentaries, descriptions for the blind, music to sing to, effects alone.
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
ASIDE_TITLES = ("commentary", "audio description", "descriptive", "karaoke")  # where nobody has set the flag
STILL = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
STILL_CODECS = frozenset({"mjpeg", "png", "gif", "bmp", "webp", "tiff", "jpeg2000", "jpegls", "ppm", "targa"})


@dataclass(frozen=True)
class Choice:
    """What to take from recordings, each counted from 1; 0: as a player would, and of the channels all.

    audio, video: which of the sounds and of the pictures of a file; channel: which channel of its sound.
    """

    audio: int = 0
    video: int = 0
    channel: int = 0


@dataclass(frozen=True)
class Taken:
    """sound, picture: the streams that are taken, None: there is none that can be.

    more_sounds, more_pictures: numbers, as in `Choice`, of those to try where the taken one is empty; a commentary does
        not stand in for silence.
    still: whether the picture is in a codec of stills, as a cover is that nobody has flagged.
    troubles: {stage: reason} where what was chosen is not there.
    """

    sound: AudioStream | None
    picture: VideoStream | None
    more_sounds: tuple[int, ...] = ()
    more_pictures: tuple[int, ...] = ()
    still: bool = False
    troubles: dict[str, str] = field(default_factory=dict)


def take(container: InputContainer, choice: Choice) -> Taken:
    """The sound and the picture that a player would take, or that are chosen.

    Sound: flagged default before others, commentaries and descriptions last, as the flag or the title says. Pictures:
    moving ones before stills, then flagged default before others; covers and thumbnails never.
    """
    all_sounds, all_pictures = container.streams.audio, container.streams.video
    troubles: dict[str, str] = {}
    # A damaged stream may be in a codec that nobody knows; PyAV gives such a one no codec_context.
    sounds = [(n, s) for n, s in enumerate(all_sounds, 1) if s.codec_context]
    pictures = [(n, s) for n, s in enumerate(all_pictures, 1) if s.codec_context and not _is(s, STILL)]
    sounds.sort(key=lambda s: (aside(s[1]), not _is(s[1], Disposition.default), _is(s[1], Disposition.dub)))
    pictures.sort(key=lambda s: (s[1].frames == 1, maybe_still(s[1]), not _is(s[1], Disposition.default)))
    if sounds:  # a picture that stands beside sound is its cover
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
    """Whether it goes beside the recording rather than being it: a commentary, a description, ..."""
    title = stream.metadata.get("title", stream.metadata.get("handler_name", "")).lower()
    return _is(stream, ASIDE) or any(word in title for word in ASIDE_TITLES)


def maybe_still(stream: VideoStream) -> bool:
    """Whether it is in a codec of still pictures, as a cover is that nobody has flagged."""
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
