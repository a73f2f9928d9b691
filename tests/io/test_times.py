"""Times are those of a player: counted from the start of the presentation, sound and picture in step."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest

from ds2f.io.media import decode
from ds2f.io.streams import Choice
from ds2f.types import SAMPLE_RATE, Media
from helpers import grey_ramp, noise, tone
from made_up_media import Film, Sound, write

FPS = 25
FLASH = 2.0  # seconds: when the picture is white for a fifth of a second, and a tone is heard
WRAP = 2**33 / 90_000  # seconds after which the clock of MPEG streams starts anew
CODECS = {
    ".mp4": ("libx264", "aac", 48_000),
    ".mov": ("libx264", "pcm_s16le", 48_000),
    ".mkv": ("libx264", "libmp3lame", 48_000),
    ".webm": ("libvpx", "libopus", 48_000),
    ".avi": ("mpeg4", "pcm_s16le", 48_000),
    ".ts": ("libx264", "aac", 48_000),
    ".mpg": ("mpeg2video", "mp2", 48_000),
    ".flv": ("libx264", "aac", 44_100),
    ".mxf": ("mpeg2video", "pcm_s16le", 48_000),
}


def flash(suffix: str, seconds: float = 4.0, late: float = 0.0) -> tuple[Film, Sound]:
    """late: seconds that both are stamped late."""
    video, audio, rate = CODECS[suffix]
    frames = [
        np.full((48, 64, 3), 255 if FLASH <= k / FPS < FLASH + 0.2 else 0, np.uint8) for k in range(int(FPS * seconds))
    ]
    time = np.arange(int(rate * seconds)) / rate
    sound = 0.5 * np.sin(2 * np.pi * 1000 * time) * ((time >= FLASH) & (time < FLASH + 0.2))
    options = {"bf": "0"} if suffix == ".avi" else {}
    return Film(frames, video, FPS, options=options, late=late), Sound(sound, audio, rate, late=late)


def seen_and_heard(path: Path) -> tuple[float, float, Media]:
    media = decode(path, [k / FPS for k in range(4 * FPS)])
    white = next(frame.time for frame in media.frames if frame.image.mean() > 128)
    loud = int(np.argmax(np.abs(media.audio) > 0.1)) / SAMPLE_RATE
    return white, loud, media


@pytest.mark.parametrize("suffix", sorted(CODECS))
def test_flash_and_tone_at_their_time(tmp_path: Path, suffix: str) -> None:
    white, loud, media = seen_and_heard(write(tmp_path / f"a{suffix}", *flash(suffix)))
    # Where a container cannot say how long its encoder takes to start, players are late by that, too.
    late = {".flv": 0.05, ".avi": 0.05, ".mpg": 0.05, ".ts": 0.05}.get(suffix, 0.0)
    assert white == pytest.approx(FLASH, abs=0.021 + late)
    assert loud == pytest.approx(FLASH, abs=0.021 + late)
    assert white == pytest.approx(loud, abs=0.03)
    assert media.duration == pytest.approx(4.0, abs=0.041 + late)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".mpg", ".flv", ".webm"])
def test_stamps_that_begin_minutes_in(tmp_path: Path, suffix: str) -> None:
    white, loud, media = seen_and_heard(write(tmp_path / f"a{suffix}", *flash(suffix, late=600.0)))
    assert white == pytest.approx(FLASH, abs=0.07)
    assert white == pytest.approx(loud, abs=0.03)
    assert media.duration == pytest.approx(4.0, abs=0.1)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".ts", ".flv"])
def test_frames_and_sound_of_stamps_that_begin_minutes_in(tmp_path: Path, suffix: str) -> None:
    """Also where less is heard at a time than the stamps suggest, and frames are sought."""
    path = write(tmp_path / f"a{suffix}", *flash(suffix, late=600.0))
    media = decode(path, 4, max_seconds=60.0)
    assert [frame.time for frame in media.frames] == pytest.approx([0.5, 1.5, 2.5, 3.5], abs=0.12)
    assert media.duration == pytest.approx(4.0, abs=0.1)
    assert decode(path, 0, max_seconds=60.0).duration == pytest.approx(4.0, abs=0.1)


@pytest.mark.parametrize("before", [0.5, 1.0, 2.5, 3.9])
def test_the_clock_of_a_broadcast_starts_anew(tmp_path: Path, before: float) -> None:
    white, loud, media = seen_and_heard(write(tmp_path / "a.ts", *flash(".ts", late=WRAP - before - 1.4)))
    assert white == pytest.approx(FLASH, abs=0.05)
    assert white == pytest.approx(loud, abs=0.03)
    assert media.duration == pytest.approx(4.0, abs=0.1)


def test_broadcasts_joined_in_the_middle(tmp_path: Path) -> None:
    """Two recordings of a stick laid end to end: the clock jumps back by ten minutes, or on by twenty hours."""
    ends = [write(tmp_path / f"{late}.ts", *flash(".ts", late=late)).read_bytes() for late in (0, 600, 72_000)]
    for first, second in ((1, 0), (0, 2), (2, 1)):
        path = tmp_path / "joined.ts"
        path.write_bytes(ends[first] + ends[second])
        media = decode(path, [k / FPS for k in range(8 * FPS)])
        assert media.audio.size == pytest.approx(8 * SAMPLE_RATE, abs=0.15 * SAMPLE_RATE)
        white = [frame.time for frame in media.frames if frame.image.mean() > 128]
        assert white[0] == pytest.approx(2.0, abs=0.05)
        assert white[-1] == pytest.approx(6.2, abs=0.15)
        spread = [frame.time for frame in decode(path, 4).frames]
        assert spread == pytest.approx([1, 3, 5, 7], abs=0.15)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".mov", ".flv"])
@pytest.mark.parametrize("late", ["sound", "picture"])
def test_one_starts_later_than_the_other(tmp_path: Path, suffix: str, late: str) -> None:
    film, sound = flash(suffix)
    (sound if late == "sound" else film).late = 0.5
    white, loud, media = seen_and_heard(write(tmp_path / f"a{suffix}", film, sound))
    difference = loud - white
    assert difference == pytest.approx(0.5 if late == "sound" else -0.5, abs=0.03)
    assert min(white, loud) == pytest.approx(FLASH, abs=0.07)
    assert media.duration == pytest.approx(4.5, abs=0.1)


@pytest.mark.parametrize("late", [0.0, 0.5])
@pytest.mark.parametrize("suffix", sorted(CODECS))
def test_sound_alone_is_timed_as_in_a_wav_made_from_it(tmp_path: Path, suffix: str, late: float) -> None:
    """A WAV holds one decoded frame after the other, whenever the first of them was heard."""
    film, sound = flash(suffix)
    sound.late = late
    path = write(tmp_path / f"a{suffix}", film, sound)
    with av.open(str(path)) as container:
        frames = [f.to_ndarray().reshape(f.samples, -1)[:, 0] for f in container.decode(audio=0)]
    samples = np.concatenate(frames).astype(np.float32)
    in_wav = int(np.argmax(np.abs(samples) > 0.2 * np.abs(samples).max())) / sound.rate
    for start in (0.0, in_wav - 0.3):
        audio = decode(path, 0, start=start, choice=Choice(alone=True)).audio
        loud = start + int(np.argmax(np.abs(audio) > 0.1)) / SAMPLE_RATE
        assert loud == pytest.approx(in_wav, abs=0.021)


def test_what_an_edit_list_cuts_off_is_not_there(tmp_path: Path) -> None:
    """A phone's trim: the first second lies in the file, and no player shows it."""
    film, sound = flash(".mov")
    film.late = sound.late = -1.0
    film.options = {"g": "250"}
    path = write(tmp_path / "a.mov", film, sound, options={"avoid_negative_ts": "disabled", "use_editlist": "1"})
    white, loud, media = seen_and_heard(path)
    assert white == pytest.approx(FLASH - 1.0, abs=0.041)
    assert loud == pytest.approx(FLASH - 1.0, abs=0.021)
    assert media.duration == pytest.approx(3.0, abs=0.041)
    alone = decode(path, 0, choice=Choice(alone=True)).audio
    assert int(np.argmax(np.abs(alone) > 0.1)) / SAMPLE_RATE == pytest.approx(loud, abs=0.001)


@pytest.mark.parametrize(
    ("suffix", "codec", "rate", "form"),
    [
        (".m4a", "aac", 44_100, None),
        (".mp3", "libmp3lame", 44_100, None),
        (".opus", "libopus", 48_000, None),
        (".mka", "libopus", 48_000, None),
        (".flac", "flac", 44_100, None),
    ],
)
def test_encoder_delay_and_padding_are_no_sound(
    tmp_path: Path, suffix: str, codec: str, rate: int, form: str | None
) -> None:
    time = np.arange(2 * rate) / rate
    click = (0.5 * np.sin(2 * np.pi * 1000 * time) * ((time >= 1) & (time < 1.02))).astype(np.float32)
    media = decode(write(tmp_path / f"a{suffix}", Sound(click, codec, rate), format=form), 0)
    assert int(np.argmax(np.abs(media.audio) > 0.2)) / SAMPLE_RATE == pytest.approx(1.0, abs=0.004)
    assert media.audio.size / SAMPLE_RATE == pytest.approx(2.0, abs=0.025)
    assert media.duration == pytest.approx(2.0, abs=0.025)


def test_a_gap_in_the_sound_is_silence(tmp_path: Path) -> None:
    """Calls and browsers send nothing while nobody speaks; packets get lost."""
    import av

    whole = write(tmp_path / "a.mka", Sound(tone(4.0), "flac"))
    path = tmp_path / "b.mka"
    with av.open(str(whole)) as source, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None and not 1.0 <= packet.pts * packet.time_base < 2.5:
                packet.stream = stream
                out.mux(packet)
    audio = decode(path, 0).audio
    assert audio.size == pytest.approx(4 * SAMPLE_RATE, abs=400)
    assert np.abs(audio[int(1.4 * SAMPLE_RATE) : int(2.4 * SAMPLE_RATE)]).max() < 1e-3
    assert np.abs(audio[int(2.8 * SAMPLE_RATE) :]).max() > 0.2


# ── no length in the header, or a wrong one ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("suffix", [".webm", ".mkv"])
def test_recordings_of_browsers_state_no_length(tmp_path: Path, suffix: str) -> None:
    form = "webm" if suffix == ".webm" else "matroska"
    codec = "libvpx" if suffix == ".webm" else "libx264"
    spec = Film(grey_ramp(50), codec, 25), Sound(np.repeat(tone(2.0), 3), "libopus", 48_000)
    path = write(tmp_path / f"a{suffix}", *spec, format=form, options={"live": "1"})
    media = decode(path, 4)
    assert media.duration == pytest.approx(2.0, abs=0.05)
    assert [frame.time for frame in media.frames] == pytest.approx([0.25, 0.75, 1.25, 1.75], abs=0.05)
    assert media.fps == pytest.approx(25, abs=1)
    far = decode(path, 4, max_seconds=1.0)  # then frames are sought, by the length that was measured
    assert [frame.time for frame in far.frames] == pytest.approx([0.25, 0.75, 1.25, 1.75], abs=0.2)


def test_frames_are_spread_where_key_frames_are_far_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recorded call has one at its start. Few frames are decoded from there on, then all are read."""
    monkeypatch.setattr("ds2f.io.reading.RUN_ON", 10)
    path = write(tmp_path / "a.mp4", Film(grey_ramp(100), options={"g": "1000"}))
    evenly = pytest.approx([0.5, 1.5, 2.5, 3.5], abs=0.05)
    assert [frame.time for frame in decode(path, 4, max_seconds=1.0).frames] == evenly
    monkeypatch.setattr("ds2f.io.media.MOST_READ", 50)  # too many to read them all
    assert [frame.time for frame in decode(path, 4, max_seconds=1.0).frames] != evenly


@pytest.mark.parametrize("form", ["h264", "mpeg2video", "mpegts"])
def test_bare_pictures_without_times_are_counted(tmp_path: Path, form: str) -> None:
    codec = "mpeg2video" if form == "mpeg2video" else "libx264"
    path = write(tmp_path / "a", Film(grey_ramp(100), codec), format=form)
    for seconds in (60.0, 1.0):  # read, and sought where that is possible
        media = decode(path, 4, max_seconds=seconds)
        assert media.duration == pytest.approx(4.0, abs=0.05)
        assert [frame.time for frame in media.frames] == pytest.approx([0.5, 1.5, 2.5, 3.5], abs=0.3)


LIVE = {"live": "1"}
WITHOUT_A_LENGTH = [
    ("libopus", "webm", LIVE),
    ("libopus", "matroska", LIVE),
    ("aac", "adts", {}),  # FFmpeg guesses, from the size and from how loud it begins
    ("libmp3lame", "mp3", {"write_xing": "0"}),
    ("aac", "mp4", {"movflags": "frag_keyframe+empty_moov"}),
    ("libopus", "ogg", {}),
]


@pytest.mark.parametrize(("codec", "form", "options"), WITHOUT_A_LENGTH, ids=lambda x: x if isinstance(x, str) else "")
@pytest.mark.parametrize("loud", ["start", "end"])
def test_sound_that_states_no_length_is_as_long_as_it_is(
    tmp_path: Path, codec: str, form: str, options: dict[str, str], loud: str
) -> None:
    """Also where only its start is heard: the rest is looked for by its length."""
    sound = np.concatenate([noise(4.0), np.zeros(8 * SAMPLE_RATE, np.float32)])
    kept = np.repeat(sound if loud == "start" else sound[::-1], 3)
    path = write(tmp_path / "a", Sound(kept, codec, 48_000), format=form, options=options)
    media = decode(path, 0, max_seconds=5.0)
    assert media.audio.size == 5 * SAMPLE_RATE
    assert media.duration == pytest.approx(12.0, abs=0.1)


def test_flac_from_a_pipe_is_as_long_as_it_is(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", Sound(np.repeat(noise(6.0), 3), "flac", 48_000))
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # STREAMINFO's 36 bits of how many samples there are: 0, unknown
    data[22:26] = bytes(4)
    path.write_bytes(data)
    assert decode(path, 0, max_seconds=2.0).duration == pytest.approx(6.0, abs=0.01)


@pytest.mark.parametrize("share", [0.45, 0.7])
def test_frames_are_spread_over_what_is_really_there(tmp_path: Path, share: float) -> None:
    """A download that broke off, a file that still grows: the header tells of more."""
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(100)]
    whole = write(tmp_path / "a.mkv", Film(frames), Sound(noise(4.0), "flac")).read_bytes()
    path = tmp_path / "b.mkv"
    path.write_bytes(whole[: int(len(whole) * share)])
    media = decode(path, 5)
    times = [frame.time for frame in media.frames]
    assert media.duration == pytest.approx(4 * share, abs=0.4)
    assert times == pytest.approx([(k + 0.5) / 5 * media.duration for k in range(5)], abs=0.1)


def test_sound_that_outlasts_the_picture_leaves_the_frames_spread(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", Film(grey_ramp(50)), Sound(tone(8.0), "flac"))
    times = [frame.time for frame in decode(path, 4).frames]
    assert times == pytest.approx([0.25, 0.75, 1.25, 1.75], abs=0.05)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="compared with FFmpeg's own program, which is not here")
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".mpg", ".webm", ".flv"])
@pytest.mark.parametrize("late", [0.0, 0.5])
def test_sound_lies_where_ffmpeg_puts_it(tmp_path: Path, suffix: str, late: float) -> None:
    """`ffmpeg -i a out.wav` with silence for what is missing, as a player would play it."""
    film, sound = flash(suffix)
    sound.late = late
    path = write(tmp_path / f"a{suffix}", film, sound)
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-af", "aresample=async=1:first_pts=0", "-ar", "16000"]
    command += ["-map", "0:a", "-ac", "1", "-f", "f32le", "-", "-map", "0:v", "-f", "null", "/dev/null"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    expected = np.frombuffer(raw, np.float32)
    audio = decode(path, 0).audio
    assert int(np.argmax(np.abs(audio) > 0.1)) == pytest.approx(int(np.argmax(np.abs(expected) > 0.1)), abs=400)
    assert audio.size == pytest.approx(expected.size, abs=1_600)
