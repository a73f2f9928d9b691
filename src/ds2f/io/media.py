"""One decoding pass over a recording: 16 kHz mono audio and a few frames spread over it (PyAV, bundled FFmpeg).

Seeking to each frame was measured five times slower than reading the file once, whatever the library; so the
file is read once, every packet is decoded, and only the wanted frames are converted to RGB.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import av
import av.error
import numpy as np

from ds2f.errors import ItemError
from ds2f.io.images import IMAGE_SUFFIXES, MAX_PIXELS, decode_image, encode_webp, read_image
from ds2f.types import SAMPLE_RATE, Frame, Media

__all__ = ["IMAGE_SUFFIXES", "decode_image", "encode_webp", "read_image"]  # moved to io.images

av.logging.set_level(av.logging.PANIC)  # FFmpeg's own chatter; what matters arrives as an exception

VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v", ".mpg", ".mpeg"})
AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".mp3", ".m4a", ".ogg", ".opus", ".oga", ".aac"})

# What FFmpeg may take a file for. Its playlists (concat, HLS, SDP) are not here: such a file would have other files, or
# addresses in the network, read in its name.
CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,flv,asf,dv,rm,"
    "wav,w64,flac,mp3,ogg,aac,ac3,aiff,caf,amr,au"
)

MAX_CHANNELS = 16  # of sound given as an array; more is an array the wrong way round


def decode(
    source: Path | bytes, frames: int | Sequence[float] = 5, max_seconds: float = 60.0, sound: bool = True
) -> Media:
    """Decode the first `max_seconds` of a recording, a file or its bytes, in one pass.

    frames: how many to keep, spread evenly over the decoded part, or the times in seconds of those wanted; 0 or
    nothing leaves the picture undecoded. sound: whether the sound is wanted.
    Raises ItemError(stage="open") if the file is missing, empty, or not media.
    """
    try:
        with _open(source) as container:
            return _decode(container, frames, max_seconds, sound)
    except av.error.MemoryError:
        raise ItemError("open", "not a media file, or damaged (absurd sizes in it)") from None
    except (av.error.FFmpegError, ValueError) as error:
        raise ItemError("open", f"not a media file, or damaged ({_reason(error)})") from None
    except FileNotFoundError:
        raise ItemError("open", "the file does not exist; check the path") from None
    except PermissionError:
        raise ItemError("open", "the file cannot be read (permission denied)") from None
    except IsADirectoryError:
        raise ItemError("open", "this is a folder, not a file") from None
    except OSError as error:
        raise ItemError("open", f"the file cannot be read ({_reason(error)})") from None


def _open(source: Path | bytes) -> av.container.InputContainer:
    if isinstance(source, Path):
        with source.open("rb") as file:  # asks here, because FFmpeg refuses permission to damaged files, too
            empty = not file.read(1)
        # Absolute, because FFmpeg takes "talk: part 1.wav" for an address of the protocol "talk".
        media: str | io.BytesIO = str(source.absolute())
    else:
        empty, media = not source, io.BytesIO(source)
    if empty:
        raise ItemError("open", "the file is empty (zero bytes)")
    return av.open(media, "r", metadata_errors="replace", options={"format_whitelist": CONTAINERS})


def resample(samples: np.ndarray, rate: int) -> np.ndarray:
    """Sound of any rate in Hz to (samples,) float32 mono at SAMPLE_RATE.

    samples: (n,) or (n, channels), floats in [-1, 1] or whole numbers of the full range of their type.
    Raises ItemError(stage="audio") for anything else.
    """
    samples = np.asarray(samples)
    if samples.ndim == 2 and 0 < samples.shape[1] <= MAX_CHANNELS:
        samples = samples.mean(1, dtype=np.float64).astype(samples.dtype)
    if samples.ndim != 1 or samples.dtype.kind not in "fiu" or not 1_000 <= rate <= 768_000:
        raise ItemError(
            "audio", f"sound must be numbers, (samples,) or (samples, channels), not {samples.dtype} {samples.shape} "
            f"at {rate} Hz"
        )  # fmt: skip
    if samples.dtype.kind in "iu":
        middle = (np.iinfo(samples.dtype).max + 1.0) / (2 if samples.dtype.kind == "u" else 1)
        samples = samples / middle - (samples.dtype.kind == "u")
    samples = np.nan_to_num(samples.astype(np.float32))
    if rate == SAMPLE_RATE or not samples.size:
        return samples
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), format="flt", layout="mono")
    frame.sample_rate = int(rate)
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    return np.concatenate([f.to_ndarray()[0] for f in (*resampler.resample(frame), *resampler.resample(None))])


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _decode(
    container: av.container.InputContainer, frames: int | Sequence[float], max_seconds: float, sound: bool
) -> Media:
    # A damaged stream may be in a codec that nobody knows; PyAV gives such a one no codec_context.
    audio_stream = next((s for s in container.streams.audio if s.codec_context), None)
    moving = (s for s in container.streams.video if s.codec_context and not s.disposition & 0x400)  # 0x400: cover art
    video_stream = next(moving, None)
    duration = float(container.duration or 0) / av.time_base
    if video_stream is not None and video_stream.width * video_stream.height > MAX_PIXELS:
        raise ItemError("open", f"the picture is {video_stream.width}x{video_stream.height}, too large to be a video")
    sound = sound and audio_stream is not None
    wanted = [s for s in (audio_stream if sound else None, video_stream if frames else None) if s is not None]
    if not wanted:
        return Media(
            np.zeros(0, np.float32),
            (),
            duration,
            0,
            0,
            0.0,
            audio_stream is not None,
            video_stream is not None,
        )

    fps = float(video_stream.average_rate or 0) if video_stream is not None else 0.0
    span = min(duration, max_seconds) if duration > 0 else max_seconds
    times = [(k + 0.5) / frames * span for k in range(frames)] if isinstance(frames, int) else list(frames)
    picker = _FramePicker(times, fps or 25.0)
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    pieces: list[np.ndarray] = []
    samples = 0
    limit = int(max_seconds * SAMPLE_RATE)
    if video_stream is not None:
        video_stream.thread_type = "NONE"  # parallelism is over files, not inside one

    for packet in container.demux(wanted):
        try:
            decoded = packet.decode()
        except av.error.InvalidDataError:
            continue  # one damaged packet; whether enough is left is judged at the end
        for frame in decoded:
            if isinstance(frame, av.VideoFrame):
                picker.offer(frame)
            elif isinstance(frame, av.AudioFrame) and samples < limit:
                for resampled in resampler.resample(frame):
                    pieces.append(resampled.to_ndarray()[0])
                    samples += pieces[-1].size
        if (not sound or samples >= limit) and (video_stream is None or not frames or picker.past(span)):
            break
    if pieces:
        pieces.extend(f.to_ndarray()[0] for f in resampler.resample(None))
    audio = np.concatenate(pieces)[:limit] if pieces else np.zeros(0, np.float32)
    kept = picker.finish()
    height, width = kept[0].image.shape[:2] if kept else (0, 0)
    return Media(
        audio=np.nan_to_num(audio.astype(np.float32)),
        frames=kept,
        duration=max(duration, audio.size / SAMPLE_RATE),
        width=width,
        height=height,
        fps=fps,
        has_audio=audio_stream is not None,
        has_video=video_stream is not None,
    )


class _FramePicker:
    """Keeps the first frame at or after each wanted time, and the last one seen if the file ends early."""

    def __init__(self, times: list[float], fps: float) -> None:
        self.times = times
        self.fps = fps
        self.kept: list[Frame] = []
        self.seen = 0
        self.now = 0.0
        self.last: av.VideoFrame | None = None

    def offer(self, frame: av.VideoFrame) -> None:
        self.now = frame.time if frame.time is not None else self.seen / self.fps
        self.seen += 1
        self.last = frame
        if len(self.kept) < len(self.times) and self.now >= self.times[len(self.kept)]:
            self._keep(frame)

    def past(self, seconds: float) -> bool:
        return len(self.kept) >= len(self.times) or self.now >= seconds

    def finish(self) -> tuple[Frame, ...]:
        if self.last is not None and len(self.kept) < len(self.times):
            self._keep(self.last)
        return tuple(self.kept)

    def _keep(self, frame: av.VideoFrame) -> None:
        image = frame.to_ndarray(format="rgb24")
        quarter_turns = round(getattr(frame, "rotation", 0) / 90) % 4  # phones store upright video lying down
        self.kept.append(Frame(np.ascontiguousarray(np.rot90(image, quarter_turns)), self.now))


def encode_flac(audio: np.ndarray) -> bytes:
    """(samples,) float32 at SAMPLE_RATE to 16-bit FLAC bytes."""
    import soundfile

    buffer = io.BytesIO()
    samples = np.clip(np.round(audio * 32768.0), -32768, 32767).astype(np.int16)
    soundfile.write(buffer, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def decode_flac(data: bytes) -> np.ndarray:
    """Inverse of `encode_flac`: (samples,) float32, what went in rounded to steps of 1/32768."""
    import soundfile

    audio, _ = soundfile.read(io.BytesIO(data), dtype="float32")
    return audio
