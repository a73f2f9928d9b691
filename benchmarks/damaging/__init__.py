"""Damaged files for `damage.py`: what is done to good ones, and the formats in which they are good at first."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from ds2f.io.media import decode

# Boxes of an MP4 (ISO/IEC 14496-12) by what they say.
TIMES = (b"mvhd", b"mdhd", b"stts", b"ctts", b"elst")
SIZES = (b"tkhd", b"avc1", b"avcC")
PLACES = (b"stsz", b"stsc", b"stco", b"esds", b"stsd", b"moov", b"trak", b"hdlr")

Damage = Callable[[Sequence[Path], Path, random.Random], None]


# ── damages: each writes one file ─────────────────────────────────────────────────────────────────────────────


def _bytes(change: Callable[[bytearray, random.Random], bytes | bytearray]) -> Damage:
    """A damage that changes the bytes of one clip."""

    def damage(clips: Sequence[Path], target: Path, rng: random.Random) -> None:
        target.write_bytes(change(bytearray(rng.choice(clips).read_bytes()), rng))

    return damage


def _flip(data: bytearray, rng: random.Random, end: int | None = None) -> bytearray:
    for _ in range(rng.choice((1, 10, 100, 1000))):
        data[rng.randrange(end or len(data))] ^= 1 << rng.randrange(8)
    return data


def _hole(data: bytearray, rng: random.Random) -> bytearray:
    start = rng.randrange(len(data))
    end = min(len(data), start + rng.randrange(1, len(data) // 2))
    data[start:end] = bytes(end - start)
    return data


def _scramble(boxes: Sequence[bytes]) -> Callable[[bytearray, random.Random], bytearray]:
    """Random, zero or highest values in some boxes of the given kinds, wherever they occur."""

    def change(data: bytearray, rng: random.Random) -> bytearray:
        for box in boxes:
            start = data.find(box)
            while start >= 0 and rng.random() < 0.7:
                at = start + 4 + rng.randrange(20)
                count = min(rng.choice((1, 2, 4)), len(data) - at)
                data[at : at + count] = rng.choice((bytes(count), b"\xff" * count, rng.randbytes(count)))
                start = data.find(box, start + 4)
        return data

    return change


def _text(data: bytearray, rng: random.Random) -> bytes:
    """What lies under a video's name when a download went wrong, and lists that a player would follow elsewhere."""
    letters = (
        "Dear Sir or Madam\n" * 50,
        "<!doctype html><title>403 Forbidden</title>",
        "#EXTM3U\n#EXTINF:5,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile 'person-1.mp4'\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    )
    return rng.choice(letters).encode()


def _swapped_sound(clips: Sequence[Path], target: Path, rng: random.Random) -> None:
    """The picture of one clip with the sound of another, which may be missing, late, or alone."""
    late, parts = rng.choice((0, 0, 30)), rng.choice(("both", "both", "video", "audio"))
    first, second = rng.choice(clips), rng.choice(clips)
    with av.open(str(first)) as one, av.open(str(second)) as other, av.open(str(target), "w") as out:
        wanted: list[tuple[InputContainer, VideoStream | AudioStream]] = []
        if parts != "audio":
            wanted.append((one, one.streams.video[0]))
        if parts != "video":
            wanted.append((other, other.streams.audio[0]))
        copies = [out.add_stream_from_template(stream) for _, stream in wanted]  # all before the first packet
        for (container, stream), copy in zip(wanted, copies, strict=True):
            for packet in container.demux(stream):
                if packet.dts is None or packet.pts is None:
                    continue
                shift = round(late / packet.time_base) if stream.type == "audio" else 0
                packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, copy
                out.mux(packet)


def _huge(clips: Sequence[Path], target: Path, rng: random.Random) -> None:
    """A real picture, some thousand pixels wide and high."""
    height, width = rng.choice(((8000, 9000), (64, 60_000), (4000, 4000)))
    with av.open(str(target), "w", format="avi") as out:
        stream = out.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
        frame = av.VideoFrame(width, height, "yuvj420p")
        for plane in frame.planes:
            plane.update(bytes([128]) * plane.buffer_size)
        frame.pts = 0
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)


DAMAGES: dict[str, tuple[str, Damage]] = {  # name: (suffix, what is done)
    "cut": (".mp4", _bytes(lambda data, rng: data[: rng.randrange(1, len(data))])),
    "truncated header": (".mp4", _bytes(lambda data, rng: data[: rng.randrange(1, 200)])),
    "beginning lost": (".mp4", _bytes(lambda data, rng: data[rng.randrange(1, len(data)) :])),
    "flipped bits": (".mp4", _bytes(_flip)),
    "flipped bits at the start": (".mp4", _bytes(lambda data, rng: _flip(data, rng, 8000))),
    "hole of zeros": (".mp4", _bytes(_hole)),
    "broken timestamps": (".mp4", _bytes(_scramble(TIMES))),
    "false dimensions": (".mp4", _bytes(_scramble(SIZES))),
    "broken tables": (".mp4", _bytes(_scramble(PLACES))),
    "huge dimensions": (".avi", _huge),
    "wrong suffix": (".mpg", _bytes(lambda data, rng: data)),
    "swapped sound": (".mp4", _swapped_sound),
    "two in one": (".mp4", _bytes(lambda data, rng: data + data)),
    "zero bytes": (".mkv", _bytes(lambda data, rng: b"")),
    "only zeros": (".mp4", _bytes(lambda data, rng: bytes(len(data)))),
    "garbage": (".webm", _bytes(lambda data, rng: rng.randbytes(len(data)))),
    "text": (".mp4", _bytes(_text)),
}


# ── formats: the samples once more ───────────────────────────────────────────────────────────────────────────

COMMON = (
    _bytes(lambda data, rng: data[: rng.randrange(1, len(data))]),
    _bytes(lambda data, rng: data[rng.randrange(1, len(data)) :]),
    _bytes(_flip),
    _bytes(lambda data, rng: _flip(data, rng, min(len(data), 4000))),
    _bytes(_hole),
    _bytes(lambda data, rng: data + data[rng.randrange(len(data)) :]),
)


@dataclass(frozen=True)
class Format:
    """video: codec, empty: sound alone; sound: codec; rate: Hz; container: as FFmpeg calls it, empty: by the suffix;
    options: of the picture's encoder; channels: of the sound."""

    suffix: str
    video: str = ""
    sound: str = "pcm_s16le"
    rate: int = 16_000
    container: str = ""
    pixels: str = "yuv420p"
    options: dict[str, str] = field(default_factory=dict)
    layout: str = "mono"


FAST = {"preset": "ultrafast"}
FORMATS = (
    Format(".mkv", "libx264", "libopus", 48_000, options=FAST),
    Format(".webm", "libvpx", "libopus", 48_000, options={"deadline": "realtime", "cpu-used": "8"}),
    Format(".mov", "libx264", "alac", options=FAST | {"x264-params": "sar=4/3"}),
    Format(".ts", "libx264", "aac", options=FAST | {"x264-params": "tff=1"}),
    Format(".m4v", "libx264", "aac", container="mp4", pixels="yuv420p10le", layout="5.1",
           options=FAST | {"x264-params": "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"}),
    Format(".mpg", "mpeg2video", "mp2", 48_000, options={"flags": "+ildct+ilme"}),
    Format(".avi", "mpeg4", "libmp3lame"),
    Format(".flv", "flv1", "libmp3lame", 44_100),
    Format(".3gp", "mpeg4", "libopencore_amrnb", 8_000),
    Format(".mxf", "mpeg2video", "pcm_s16le", 48_000),
    Format(".asf", "msmpeg4v3", "mp3"),
    Format(".wav"),
    Format(".flac", sound="flac", layout="stereo"),
    Format(".mp3", sound="libmp3lame"),
    Format(".m4a", sound="aac", layout="7.1"),
    Format(".opus", sound="libopus", rate=48_000),
    Format(".aac", sound="aac", container="adts"),
    Format(".wv", sound="wavpack"),
    Format(".tta", sound="tta"),
    Format(".voc", container="voc"),
    Format(".w64"),
    Format(".caf"),
    Format(".au", sound="pcm_mulaw"),
    Format(".aiff", sound="pcm_s16be"),
    Format(".amr", sound="libopencore_amrnb", rate=8_000),
    Format(".sph"),
)  # fmt: skip


def convert(clip: Path, target: Path, form: Format) -> Path:
    """A clip in another format."""
    if form.suffix == ".sph":
        sound = (decode(clip, 0).audio * 32767).astype("<i2")
        fields = f"sample_count -i {sound.size}\nsample_rate -i 16000\nchannel_count -i 1\nsample_n_bytes -i 2\n"
        fields += "sample_byte_format -s2 01\nsample_coding -s3 pcm\nend_head\n"
        target.write_bytes(f"NIST_1A\n   1024\n{fields}".encode().ljust(1024) + sound.tobytes())
        return target
    # Typed as Any: what PyAV gives depends on the name of the codec.
    with av.open(str(clip)) as source, av.open(str(target), "w", format=form.container or None) as out:
        picture_in = source.streams.video[0]
        if form.video:  # first, as MXF wants it
            picture_out: Any = out.add_stream(form.video, rate=25, options=form.options)
            picture_out.width, picture_out.height = picture_in.width, picture_in.height
            picture_out.pix_fmt = form.pixels
        sound_out: Any = out.add_stream(form.sound, rate=form.rate, layout=form.layout)
        context = sound_out.codec_context
        context.open(strict=False)
        resampler = av.AudioResampler(context.format, form.layout, form.rate, context.frame_size or 1024)
        for number, frame in enumerate(source.decode(video=0) if form.video else ()):
            frame = frame.reformat(format=form.pixels)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            frame.pict_type = 0
            out.mux(picture_out.encode(frame))
        if form.video:
            out.mux(picture_out.encode(None))
            source.seek(0)
        for heard in source.decode(audio=0):
            for piece in resampler.resample(heard):
                out.mux(sound_out.encode(piece))
        for piece in resampler.resample(None):
            out.mux(sound_out.encode(piece))
        out.mux(sound_out.encode(None))
    return target


def make_formats(clips: Sequence[Path], folder: Path) -> dict[str, list[Path]]:
    """{name of a format: three clips in it}, and Ogg files laid end to end."""
    folder.mkdir(parents=True)
    made = {
        form.suffix[1:]: [convert(clip, folder / f"{clip.stem}{form.suffix}", form) for clip in clips[:3]]
        for form in FORMATS
    }
    joined = folder / "joined.ogg"
    joined.write_bytes(b"".join(path.read_bytes() for path in made["opus"]))
    return made | {"joined ogg": [joined]}


def make_files(
    clips: Sequence[Path],
    folder: Path,
    count: int,
    seed: int = 0,
    formats: Mapping[str, Sequence[Path]] | None = None,
) -> None:
    """`count` damaged files, the damages and formats by turns, each in a folder of its name."""
    formats = formats or {}
    names = [*DAMAGES, *formats]
    for number in range(count):
        name = names[number % len(names)]
        rng = random.Random(f"{seed}:{number}")
        if name in DAMAGES:
            (suffix, damage), good = DAMAGES[name], clips
        else:
            good, damage = formats[name], rng.choice(COMMON)
            suffix = good[0].suffix
        target = folder / name / f"{number:05d}{suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        damage(good, target, rng)
