"""Reads the packets of an open recording, from its start or from a position in it, into sound and frames; and its
timeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import av
import av.error
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Stream
from av.video.stream import VideoStream

from ds2f.errors import ItemError
from ds2f.io.frames import SAME_TIME, Picker
from ds2f.io.sound import Track

RUN_UP = 1.0  # seconds decoded before a position that was sought: decoders need them to settle
RUN_ON = 600  # frames decoded after a key frame at most, to get nearer to a time that need not be exact
JUMP = (-0.1, 10.0)  # seconds between packets: outside these, FFmpeg also assumes a clock reset
TS_DISCONT = 0x0200  # AVFMT_TS_DISCONT: formats in which timestamps may jump
STAMPED = frozenset(
    [
        "mov",
        "matroska",
        "webm",
        "avi",
        "mpeg",
        "mpegts",
        "asf",
        "flv",
        "nut",
        "ogg",
        "rm",
        "mxf",
        "gxf",
        "wtv",
        "nsv",
        "ivf",
    ]
)
"""Formats that store a timestamp for each packet. In others FFmpeg counts at the rate of the first packet."""
LEAST_RATE = 8_000  # bits per second: with less data, a broadcast is shorter than it seems
GUESSED = frozenset({"aac", "loas", "mp3", "ac3", "eac3", "dts"})
"""Formats of bare frames: FFmpeg estimates the length from the rate of the first."""
LATE_START = 1.0  # seconds: from this start time on, a Matroska file's length may count from 0 or from the start
LONGEST = 1e7  # seconds, four months; a longer stated length is damage


@dataclass
class Pass:
    """What one pass has found.

    sound_end, picture_end: seconds, 0: there was none; sounds, pictures: number of packets; whole: whether it reached
    the end of the file; trouble: the last error; everything before it is kept.
    """

    sound_end: float = 0.0
    picture_end: float = 0.0
    pictures: int = 0
    sounds: int = 0
    whole: bool = False
    trouble: Exception | None = None


def origin(container: InputContainer, sound: AudioStream | None = None) -> float:
    """Seconds on the file's own clock at which its presentation, or one of its sounds, starts."""
    if sound is not None and sound.start_time is not None and sound.time_base is not None:
        return float(sound.start_time * sound.time_base)
    return (container.start_time or 0) / av.time_base


def stated_length(container: InputContainer) -> float | None:
    """Seconds, as stated by the file or estimated from its size; None if unknown."""
    length = (container.duration or 0) / av.time_base
    return length if 0 < length < LONGEST else None


def doubtful(container: InputContainer, length: float | None, short: float) -> bool:
    """Whether a stated length is unreliable: it is missing, as in browser recordings; a clock that was set back
    half-way has made it enormous; its origin is unknown; or it is estimated and longer than `short`, in seconds."""
    names, size = set(container.format.name.split(",")), container.size * 8
    if length is None or ("matroska" in names and origin(container) > LATE_START):
        return True
    if names & GUESSED and length > short:
        return True
    return bool(container.format.flags & TS_DISCONT) and 0 < size < LEAST_RATE * length


def measured_length(container: InputContainer) -> float | None:
    """Seconds to the end of the last packet. Nothing is decoded, but the whole file is read."""
    end = start = origin(container)
    counted = dict.fromkeys(range(len(container.streams)), start)  # of bare frames without timestamps
    with suppress(av.error.FFmpegError):  # what precedes damage still counts
        for packet in _packets(container, list(container.streams)):
            if packet.time_base and packet.size:
                at = counted[packet.stream_index] if packet.pts is None else float(packet.pts * packet.time_base)
                counted[packet.stream_index] = at + float((packet.duration or 0) * packet.time_base)
                end = max(end, counted[packet.stream_index])
    return end - start or None


def read(
    container: InputContainer,
    sound: AudioStream | None,
    view: VideoStream | None,
    track: Track,
    picker: Picker,
    start: float,
) -> Pass:
    """Read until `track` and `picker` have what they need, or to the end. Errors in packets are part of the result.

    container: opened, not read yet.
    sound, view: streams of it; None: not requested.
    track: receives the sound, and determines from where on and how much.
    picker: receives the frames, and determines which.
    start: seconds on the file's own clock from which times are counted.
    """
    found = Pass()
    wanted = [stream for stream in (sound, view) if stream is not None]
    if not wanted:
        return found
    for stream in container.streams:
        if stream not in wanted:
            stream.discard = Discard.all  # the demuxer skips it
    if view is not None:
        view.thread_type = "NONE"  # parallelism is over files, not within one
    if track.start > RUN_UP and view is None:
        _seek(container, track.start - RUN_UP + start)
    track.stamped = not STAMPED.isdisjoint(container.format.name.split(","))
    packets = _packets(container, wanted)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError as error:
            found.trouble = error
            _drain(sound, view, track, picker, start)
            break
        if packet is None:
            found.whole = True
            break
        try:
            if packet.stream is view:
                _take_picture(packet, picker, found, start)
            else:
                found.sounds += bool(packet.size)
                _take_sound(packet, track, start)
        except (av.error.FFmpegError, ItemError) as error:
            found.trouble = error  # one damaged packet; whether enough is left is decided at the end
        if (sound is None or track.full) and (view is None or picker.done):
            break
    found.sound_end = track.now
    return found


def _drain(sound: AudioStream | None, view: VideoStream | None, track: Track, picker: Picker, start: float) -> None:
    """Take what the decoders still hold when a file breaks off."""
    with suppress(av.error.FFmpegError):  # a decoder that fails here holds nothing more
        for heard in sound.decode(None) if sound is not None else ():
            track.add(heard, None if heard.time is None else heard.time - start)
        for shown in view.decode(None) if view is not None and not picker.done else ():
            picker.offer(shown, None if shown.time is None else shown.time - start)


def _take_picture(packet: Packet[VideoStream], picker: Picker, found: Pass, start: float) -> None:
    if packet.size:
        found.pictures += 1
        if packet.pts is not None:
            end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            found.picture_end = max(found.picture_end, end - start)
    if picker.done:
        return  # all we need to know is that it continues
    for frame in packet.decode():
        picker.offer(frame, None if frame.time is None else frame.time - start)


def _take_sound(packet: Packet[AudioStream], track: Track, start: float) -> None:
    if packet.pts is not None and float(packet.pts * packet.time_base) - start < track.start - 2 * RUN_UP:
        return  # a file that cannot be sought in
    for frame in packet.decode():
        track.add(frame, None if frame.time is None else frame.time - start)


def seek_frames(
    container: InputContainer, view: VideoStream, picker: Picker, exact: bool
) -> Exception | None:  # fmt: skip
    """Offer `picker` a frame for each of its times, until one is not found. exact: the first frame at or after it;
    otherwise the nearest that is cheap to reach. Returns the error, if any."""
    start = origin(container)
    spacing = min((b - a for a, b in zip(picker.times, picker.times[1:], strict=False)), default=0.0)
    trouble: Exception | None = None
    for stream in container.streams:
        if stream is not view:
            stream.discard = Discard.all
    for time in picker.times:
        for back in (0.0, 10.0, time):  # seeking may land too late
            try:
                container.seek(round((max(0.0, time - back) + start) * av.time_base))
                found, late = _first(container, view, time, start, 0.0 if exact else spacing / 4)
            except av.error.FFmpegError as error:
                return error
            if found is None or not (exact and late):
                break
        if found is None:
            return trouble
        picker.keep(*found)
    return None


def _first(
    container: InputContainer, view: VideoStream, time: float, start: float, slack: float
) -> tuple[tuple[av.VideoFrame, float] | None, bool]:
    """The first frame at or after `time` - `slack`, or the last one of the next RUN_ON if `slack` allows any; and
    whether even the first one came too late."""
    count, last = 0, None
    for packet in _packets(container, [view]):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            continue
        for frame in frames:
            if frame.time is None:
                continue
            now, count = frame.time - start, count + 1
            last = frame, now
            if now >= time - slack - SAME_TIME or (slack and count >= RUN_ON):
                return last, count == 1 and now > time + SAME_TIME
    return last if slack else None, False


def _seek(container: InputContainer, seconds: float) -> None:
    with suppress(av.error.FFmpegError):  # it is then read from the start
        container.seek(round(seconds * av.time_base))


def _packets(container: InputContainer, streams: Sequence[Stream]) -> Iterator[Packet]:
    packets = container.demux(streams)
    # If further streams appeared on the way, PyAV fails on them at the end of the file.
    with suppress(IndexError):
        yield from _steady(packets) if container.format.flags & TS_DISCONT else packets


def _steady(packets: Iterable[Packet]) -> Iterator[Packet]:
    """Packets of a broadcast, whose clock may be reset at any time, on one continuous clock.

    The rule of FFmpeg's own program (ffmpeg -dts_delta_threshold).
    """
    shift = 0.0
    due: dict[int, float] = {}
    for packet in packets:
        if packet.dts is not None and packet.time_base:
            time = float(packet.dts * packet.time_base) + shift
            jump = time - due.get(packet.stream_index, time)
            if not JUMP[0] <= jump <= JUMP[1]:
                shift, time = shift - jump, time - jump
            due[packet.stream_index] = time + float((packet.duration or 0) * packet.time_base)
            if shift:
                ticks = round(shift / packet.time_base)
                packet.dts += ticks
                packet.pts = None if packet.pts is None else packet.pts + ticks
        yield packet
