from __future__ import annotations

import struct
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from ds2f.errors import ItemError
from ds2f.io import speech
from ds2f.io.images import decode_image, encode_webp, read_image
from ds2f.io.media import decode
from ds2f.types import SAMPLE_RATE, Source
from helpers import (
    AUDIO_CODECS,
    VIDEO_CODECS,
    grey_ramp,
    noise,
    picture,
    tone,
    write_audio,
    write_audio_with_cover,
    write_video,
)


def test_one_pass_gives_sound_and_spread_frames(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", grey_ramp(20), tone(4.0), fps=5)
    media = decode(path, frames=4)
    assert media.has_audio
    assert media.has_video
    assert media.audio.dtype == np.float32
    assert abs(media.audio.size - 4 * SAMPLE_RATE) < 0.1 * SAMPLE_RATE
    assert media.duration == pytest.approx(4.0, abs=0.15)
    assert (media.width, media.height, media.fps) == (64, 48, 5.0)
    times = [frame.time for frame in media.frames]
    assert times == pytest.approx([0.5, 1.5, 2.5, 3.5], abs=0.25)
    # The brightness of the ramp says that these are really the frames of those times.
    levels = [frame.image.mean() for frame in media.frames]
    assert levels == pytest.approx([20 + 200 * t * 5 / 19 for t in times], abs=6)
    assert media.frames[0].image.shape == (48, 64, 3)
    assert media.frames[0].image.dtype == np.uint8


def test_sound_keeps_pitch_and_loudness(tmp_path: Path) -> None:
    audio = decode(write_audio(tmp_path / "a.wav", tone(1.0, 440.0, 0.5)), frames=0).audio
    spectrum = np.abs(np.fft.rfft(audio))
    assert np.argmax(spectrum) * SAMPLE_RATE / audio.size == pytest.approx(440, abs=3)
    assert np.abs(audio).max() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("suffix", sorted(AUDIO_CODECS))
def test_sound_only_containers(tmp_path: Path, suffix: str) -> None:
    media = decode(write_audio(tmp_path / f"a{suffix}", tone(2.0)))
    assert media.has_audio
    assert not media.has_video
    assert media.frames == ()
    assert media.audio.size == pytest.approx(2 * SAMPLE_RATE, abs=0.15 * SAMPLE_RATE)
    assert np.sqrt(np.mean(media.audio**2)) > 0.1


@pytest.mark.parametrize("suffix", sorted(VIDEO_CODECS))
def test_video_containers(tmp_path: Path, suffix: str) -> None:
    media = decode(write_video(tmp_path / f"a{suffix}", grey_ramp(10), tone(2.0)), frames=3)
    assert len(media.frames) == 3
    assert media.audio.size == pytest.approx(2 * SAMPLE_RATE, abs=0.15 * SAMPLE_RATE)


def test_no_frames_wanted_leaves_the_picture_alone(tmp_path: Path) -> None:
    media = decode(write_video(tmp_path / "a.mp4", grey_ramp(5), tone(1.0)), frames=0)
    assert media.has_video
    assert media.frames == ()
    assert media.audio.size > 0


def test_video_without_sound(tmp_path: Path) -> None:
    media = decode(write_video(tmp_path / "a.mp4", grey_ramp(10)))
    assert not media.has_audio
    assert media.audio.size == 0
    assert len(media.frames) == 5
    nothing = decode(write_video(tmp_path / "b.mp4", grey_ramp(10)), frames=0)
    assert (nothing.has_audio, nothing.has_video, nothing.audio.size) == (False, True, 0)


@pytest.mark.parametrize("suffix", sorted(VIDEO_CODECS))
def test_of_a_long_recording_some_sound_is_decoded_and_frames_of_all_of_it(tmp_path: Path, suffix: str) -> None:
    path = write_video(tmp_path / f"a{suffix}", grey_ramp(60), tone(12.0))
    media = decode(path, frames=3, max_seconds=2.0)
    assert media.audio.size == 2 * SAMPLE_RATE
    assert media.duration == pytest.approx(12.0, abs=0.2)
    times = [frame.time for frame in media.frames]
    assert times == pytest.approx([2.0, 6.0, 10.0], abs=1.0)
    assert [f.image.mean() for f in media.frames] == pytest.approx([20 + 200 * t * 5 / 59 for t in times], abs=6)
    # A single frame is found again by its time, also where it is sought.
    again = decode(path, [times[1]], max_seconds=times[1] + 1.0, sound=False)
    np.testing.assert_array_equal(again.frames[0].image, media.frames[1].image)


@pytest.mark.parametrize("suffix", sorted({**AUDIO_CODECS, **VIDEO_CODECS}))
def test_sound_from_a_later_place(tmp_path: Path, suffix: str) -> None:
    rising = np.concatenate([tone(1.0, 200.0 + 100 * k) for k in range(10)])
    write = write_audio if suffix in AUDIO_CODECS else lambda p, a: write_video(p, grey_ramp(50), a)
    later = decode(write(tmp_path / f"a{suffix}", rising), 0, 2.0, start=6.0).audio
    assert later.size == 2 * SAMPLE_RATE
    spectrum = np.abs(np.fft.rfft(later[1000:15000]))
    assert np.argmax(spectrum) * SAMPLE_RATE / 14000 == pytest.approx(800, abs=5)


def test_sound_that_outlasts_the_picture_keeps_the_last_frame(tmp_path: Path) -> None:
    media = decode(write_video(tmp_path / "a.mp4", grey_ramp(5), tone(6.0)), frames=3)
    assert media.audio.size > 5 * SAMPLE_RATE
    assert 1 <= len(media.frames) <= 3


def test_cover_art_is_not_a_video(tmp_path: Path) -> None:
    media = decode(write_audio_with_cover(tmp_path / "a.m4a", tone(1.0)))
    assert not media.has_video
    assert media.frames == ()
    assert media.audio.size > 0.9 * SAMPLE_RATE


def test_lying_video_is_turned_upright(tmp_path: Path) -> None:
    lying = np.zeros((48, 64, 3), np.uint8)
    lying[:, 32:] = 255  # the right half is bright
    upright = decode(write_video(tmp_path / "a.mp4", [lying] * 5, rotation=90), frames=1).frames[0].image
    assert upright.shape == (64, 48, 3)
    # Turned a quarter counter-clockwise, the right side becomes the top.
    assert upright[:24].mean() > 200
    assert upright[40:].mean() < 50


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "zero bytes"), (b"this is a letter, not a film\n" * 50, "not a media file")]
)
def test_what_is_not_media_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(ItemError, match=words) as caught:
        decode(path)
    assert caught.value.stage == "open"


def test_truncated_mp4_is_refused(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.mp4", grey_ramp(20), noise(4.0)).read_bytes()
    path = tmp_path / "b.mp4"
    path.write_bytes(whole[: len(whole) // 2])  # the index lies at the end of an MP4
    with pytest.raises(ItemError, match="damaged"):
        decode(path)


def test_a_playlist_is_not_followed(tmp_path: Path) -> None:
    write_video(tmp_path / "secret.mp4", grey_ramp(5), tone(1.0))
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile 'secret.mp4'\n")
    with pytest.raises(ItemError, match="not a media file"):
        decode(tmp_path / "list.mp4")


def test_a_stream_in_an_unknown_codec_is_no_stream(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", grey_ramp(5), tone(1.0))
    path.write_bytes(path.read_bytes().replace(b"avc1", b"xyz1"))
    media = decode(path)
    assert (media.has_video, media.frames) == (False, ())
    assert media.audio.size == pytest.approx(SAMPLE_RATE, abs=0.15 * SAMPLE_RATE)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_audio(tmp_path / "a.wav", tone(1.0))

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "open", refuse)  # chmod would not stop a test that runs as root
    with pytest.raises(ItemError, match="permission denied"):
        decode(path)


def test_truncated_mkv_gives_what_is_there(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.mkv", [*grey_ramp(40)], noise(8.0)).read_bytes()
    path = tmp_path / "b.mkv"
    path.write_bytes(whole[: len(whole) // 2])
    media = decode(path, frames=2)
    assert 0 < media.audio.size < 8 * SAMPLE_RATE
    assert media.frames


@pytest.mark.parametrize(
    "name", ["talk: part 1.wav", "http:talk.wav", "-talk.wav", "talk%03d.wav", "sprich, Käthe!.wav"]
)
def test_odd_names_are_only_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    write_audio(tmp_path / "a.wav", tone(1.0)).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert decode(Path(name)).audio.size == SAMPLE_RATE


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ItemError, match="does not exist"):
        decode(tmp_path / "none.mp4")
    with pytest.raises(ItemError) as caught:
        decode(tmp_path)
    assert caught.value.stage == "open"


def test_flac_and_webp_round_trip() -> None:
    audio = noise(0.5)
    assert np.abs(speech.decode(speech.encode_flac(audio)) - audio).max() < 1e-4
    image = np.full((32, 32, 3), (200, 100, 50), np.uint8)
    again = decode_image(encode_webp(image))
    assert again.shape == image.shape
    assert np.abs(again.astype(int) - image).max() < 10  # RGB in, RGB out


def test_pictures_from_file_and_tar(tmp_path: Path) -> None:
    data = picture(tmp_path / "a.png")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(tmp_path / "a.png", "a.png")
        offset = archive.getmember("a.png")
    with tarfile.open(tmp_path / "a.tar") as archive:
        offset = archive.getmember("a.png")
    inside = read_image(Source(tmp_path / "a.tar", offset.offset_data, len(data)))
    np.testing.assert_array_equal(inside, read_image(Source(tmp_path / "a.png")))


def test_damaged_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ItemError, match="cannot be read"):
        read_image(Source(tmp_path / "none.png"))
    with pytest.raises(ItemError, match="zero bytes"):
        decode_image(b"")
    with pytest.raises(ItemError, match="not a picture"):
        decode_image(b"no picture at all")


@pytest.mark.parametrize(("side", "words"), [(9_000, "9000x9000, too large"), (60_000, "far too large")])
def test_a_picture_that_states_a_huge_size_is_refused_undecoded(tmp_path: Path, side: int, words: str) -> None:
    data = bytearray(picture(tmp_path / "a.png"))
    data[16:24] = struct.pack(">II", side, side)  # of the header
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    with pytest.raises(ItemError, match=words):
        decode_image(bytes(data))
