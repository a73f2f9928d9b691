"""Which stream is taken: what a player would show and play."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from av.stream import Disposition

from ds2f.errors import ItemError
from ds2f.io.media import ALL, decode, sound_of
from ds2f.io.streams import Choice
from ds2f.types import SAMPLE_RATE
from helpers import grey_ramp, silence, tone
from made_up_media import Film, Sound, write

NONE = Disposition(0)
RAMP = Film(grey_ramp(10), fps=5, flags=Disposition.default)


def pitch(path: Path, choice: Choice = ALL) -> int:
    """Of what is heard, to a hundred hertz: it says which track that was."""
    audio = sound_of(decode(path, 0, choice=choice))
    return round(float(np.argmax(np.abs(np.fft.rfft(audio))) * SAMPLE_RATE / audio.size), -2)


def track(hertz: int, flags: Disposition = NONE, title: str = "", suffix: str = ".mkv") -> Sound:
    codec = "aac" if suffix in (".mp4", ".ts") else "flac"
    return Sound(tone(2.0, hertz), codec, flags=flags, metadata={"title": title} if title else {})


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_the_sound_flagged_default(tmp_path: Path, suffix: str) -> None:
    tracks = [track(300, suffix=suffix), track(500, Disposition.default, suffix=suffix), track(700, suffix=suffix)]
    assert pitch(write(tmp_path / f"a{suffix}", RAMP, *tracks)) == 500
    assert pitch(write(tmp_path / f"b{suffix}", RAMP, *tracks[::2])) == 300  # none is: the first


@pytest.mark.parametrize(
    ("flag", "suffix"),
    [
        ("comment", ".mkv"),
        ("visual_impaired", ".mkv"),
        ("visual_impaired", ".ts"),
        ("hearing_impaired", ".mkv"),
        ("clean_effects", ".ts"),
        ("descriptions", ".mp4"),
        ("karaoke", ".nut"),
    ],
)
def test_not_what_goes_beside_the_recording(tmp_path: Path, flag: str, suffix: str) -> None:
    aside = track(300, Disposition[flag] | Disposition.default, suffix=suffix)
    path = write(tmp_path / f"a{suffix}", aside, track(500, suffix=suffix))
    assert pitch(path) == 500
    assert decode(path, 0).audio_stream == 1


def test_a_title_says_it_too(tmp_path: Path) -> None:
    both = Disposition.default
    path = write(tmp_path / "a.mkv", RAMP, track(300, both, "Director's commentary"), track(500, both, "English"))
    assert pitch(path) == 500


def test_an_original_goes_before_its_dub(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", track(300, Disposition.dub), track(500, Disposition.original))
    assert pitch(path) == 500


def test_an_empty_track_when_another_has_sound(tmp_path: Path) -> None:
    mute = Sound(silence(2.0), "flac", flags=Disposition.default)
    assert pitch(write(tmp_path / "a.mkv", RAMP, mute, track(500))) == 500
    none = Sound(silence(0.0), flags=Disposition.default)
    assert pitch(write(tmp_path / "b.mkv", RAMP, none, track(500))) == 500
    aside = track(700, Disposition.comment)  # does not stand in for silence
    assert not sound_of(decode(write(tmp_path / "c.mkv", RAMP, mute, aside))).any()


def test_a_choice_is_obeyed_and_what_was_taken_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", RAMP, track(300, Disposition.default), track(500), track(700))
    assert [pitch(path, Choice(audio=n)) for n in (1, 2, 3)] == [300, 500, 700]
    media = decode(path, choice=Choice(audio=3))
    assert (media.video_stream, media.audio_stream, media.channels) == (0, 3, "1 of 1")
    missing = decode(path, choice=Choice(audio=4))
    with pytest.raises(ItemError, match="sound track 4 is asked for, and the file has 3") as caught:
        sound_of(missing)
    assert caught.value.stage == "audio"
    assert len(missing.frames) == 5  # the picture is not the worse for it
    unseen = decode(path, choice=Choice(video=2))
    assert unseen.troubles == {"face": "picture track 2 is asked for, and the file has 1"}
    assert unseen.audio.size == 2 * SAMPLE_RATE


# ── pictures ─────────────────────────────────────────────────────────────────────────────────────────────────


COVER = [np.full((64, 64, 3), 255, np.uint8)]


@pytest.mark.parametrize(
    "flags", [Disposition.attached_pic, Disposition.timed_thumbnails, Disposition.still_image, NONE]
)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_never_a_cover(tmp_path: Path, suffix: str, flags: Disposition) -> None:
    """Flagged or not, before the film or after it, as JPEG or PNG."""
    for codec, pixels in (("mjpeg", "yuvj420p"), ("png", "rgb24"))[: 1 if suffix == ".mkv" else 2]:
        cover = Film(COVER, codec, fps=1, pixels=pixels, flags=flags | Disposition.default)
        for order in ((cover, RAMP), (RAMP, cover)):
            media = decode(write(tmp_path / f"a{suffix}", *order, track(300, suffix=suffix)), 4)
            assert (media.width, media.height) == (64, 48)
            assert len({frame.time for frame in media.frames}) == 4
        alone = decode(write(tmp_path / f"b{suffix}", cover, track(300, suffix=suffix)), 4)
        assert (alone.has_video, alone.frames, alone.video_stream) == (False, (), None)
        assert alone.audio.size == pytest.approx(2 * SAMPLE_RATE, abs=1100)


def test_the_picture_that_moves(tmp_path: Path) -> None:
    """A title card beside the film, both H.264, as some cameras and editors leave behind."""
    card = Film(COVER, fps=5, flags=Disposition.default)
    media = decode(write(tmp_path / "a.mkv", card, RAMP, track(300)), 4)
    assert (media.video_stream, media.width) == (1, 64)
    assert len({frame.time for frame in media.frames}) == 4


def test_motion_jpeg_is_a_video(tmp_path: Path) -> None:
    film = Film(grey_ramp(10), "mjpeg", 5, "yuvj420p")
    media = decode(write(tmp_path / "a.avi", film, Sound(tone(2.0))), 4)
    assert media.has_video
    assert len({frame.time for frame in media.frames}) == 4


def test_the_picture_flagged_default_and_a_chosen_one(tmp_path: Path) -> None:
    white = Film([np.full((64, 64, 3), 255, np.uint8)] * 10, fps=5, flags=NONE)
    path = write(tmp_path / "a.mkv", white, RAMP, track(300))
    assert decode(path).width == 64
    assert decode(path).video_stream == 1
    assert decode(path, choice=Choice(video=1)).frames[0].image.mean() > 250
