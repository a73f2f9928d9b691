"""Speech that does not stand at the start of a long recording."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from ds2f.config import Audio
from ds2f.errors import ItemError
from ds2f.types import SAMPLE_RATE
from ds2f.voice.activity import WINDOW, VoiceActivity
from ds2f.voice.encode import VoiceEncoder
from ds2f.voice.recording import LATER, Sound, sound_in
from helpers import silence, tone
from made_up_media import Sound as Track
from made_up_media import write

AUDIO = Audio(max_seconds=2.0, clip_seconds=[1.0], min_speech=0.2)


@pytest.fixture(autouse=True)
def _what_sounds_is_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    def loud(_: object, audio: np.ndarray) -> np.ndarray:
        windows = audio[: audio.size // WINDOW * WINDOW].reshape(-1, WINDOW)
        return (np.abs(windows).max(1) > 0.01).astype(np.float32)

    monkeypatch.setattr(VoiceActivity, "probabilities", loud)


def late(before: float, speech: float, after: float = 0.0) -> np.ndarray:
    return np.concatenate([silence(before), tone(speech), silence(after)])


@pytest.mark.parametrize("suffix", [".flac", ".opus", ".mp3", ".m4a", ".mka", ".ts", ""])
def test_speech_after_the_first_part_is_found_at_its_time(tmp_path: Path, suffix: str) -> None:
    sound = late(7.0, 1.5, 3.0)
    recording: object = (sound, SAMPLE_RATE)
    if suffix:
        codec = {".flac": "flac", ".opus": "libopus", ".mp3": "libmp3lame", ".mka": "flac"}.get(suffix, "aac")
        rate = 48_000 if codec == "libopus" else SAMPLE_RATE
        recording = write(tmp_path / f"a{suffix}", Track(np.repeat(sound, rate // SAMPLE_RATE), codec, rate))
    speech = VoiceEncoder(AUDIO).search(sound_in(recording, AUDIO))  # type: ignore[arg-type]
    assert speech.start == pytest.approx(7.0, abs=0.2)  # speech is padded by 0.13 s
    assert speech.seconds > 0.9
    assert speech.part is not None
    assert speech.part.start < 7.0 < speech.part.end
    assert speech.part.length == pytest.approx(11.5, abs=0.2)


def test_a_little_speech_at_the_start_does_not_hide_more_further_on() -> None:
    sound = np.concatenate([late(0.5, 0.4, 3.1), late(0.5, 1.4, 2.0), late(0.0, 2.0)])
    speech = VoiceEncoder(AUDIO).search(sound_in((sound, SAMPLE_RATE), AUDIO))
    assert speech.start == pytest.approx(4.5, abs=0.2)  # the first that is enough for a clip; the rest is not heard
    little = late(0.5, 0.4, 9.0)
    assert VoiceEncoder(AUDIO).search(sound_in((little, SAMPLE_RATE), AUDIO)).seconds == pytest.approx(0.4, abs=0.1)


@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes there")
def test_a_pipe_is_heard_as_the_file_is(tmp_path: Path) -> None:
    file, pipe = write(tmp_path / "a.m4a", Track(late(3.0, 1.5), "aac", SAMPLE_RATE)), tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(file.read_bytes()), daemon=True)
    writer.start()
    piped, filed = (VoiceEncoder(AUDIO).search(sound_in(source, AUDIO)) for source in (pipe, file))
    writer.join()
    np.testing.assert_array_equal(piped.audio, filed.audio)
    assert piped.start == filed.start


def test_a_short_recording_is_heard_whole() -> None:
    sound = late(0.2, 1.5, 0.6)  # 2.3 s, in parts of 2 s
    assert VoiceEncoder(AUDIO).search(sound_in((sound, SAMPLE_RATE), AUDIO)).part is None


def test_what_was_heard_is_said_where_nothing_was_found() -> None:
    encoder = VoiceEncoder(AUDIO)
    with pytest.raises(ItemError) as all_of_it:
        encoder.search(sound_in((silence(15.0), SAMPLE_RATE), AUDIO))
    assert all_of_it.value.reason == "silence: there is no sound in it"
    with pytest.raises(ItemError) as parts:
        encoder.search(sound_in((silence(60.0), SAMPLE_RATE), AUDIO))
    assert parts.value.reason == ("silence: there is no sound in it (heard: 9 parts of 2 s, spread over all of it)")


@pytest.mark.parametrize(("length", "parts"), [(1.0, 1), (2.0, 1), (2.2, 1), (3.0, 2), (18.0, 9), (7200.0, 9)])
def test_parts_cover_a_recording_or_are_spread_over_it(length: float, parts: int) -> None:
    sound = Sound(lambda _: np.zeros(0, np.float32), length, 2.0)
    starts = sound.starts()
    assert (len(starts), starts[0]) == (parts, 0.0)
    assert len(starts) <= LATER + 1
    assert sound.heard_whole == (length <= 18.0)
    steps = np.diff(starts)
    assert (steps[1:] == pytest.approx(steps[1:].mean())) if parts > 2 else True
    assert starts[-1] < length
    if not sound.heard_whole:
        assert starts[-1] == pytest.approx(length - 2.0)
