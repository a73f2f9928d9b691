from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ds2f.config import Audio
from ds2f.errors import ItemError, UserError
from ds2f.types import SAMPLE_RATE
from ds2f.voice.activity import WINDOW, VoiceActivity
from ds2f.voice.encode import VoiceEncoder
from helpers import grey_ramp, tone, write_audio, write_video

AUDIO = Audio(min_speech=0.1)


class _Counts:
    """A speaker encoder that says how long its clip is, and how much of it is there only once."""

    name, licence, dim = "counts", "ours", 2

    def embed(self, clips: np.ndarray) -> np.ndarray:
        return np.array([[clip.size, np.unique(clip).size] for clip in clips], np.float32)


@pytest.fixture(autouse=True)
def _all_is_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VoiceActivity, "probabilities", lambda _, audio: np.ones(audio.size // WINDOW, np.float32))


def _ramp(seconds: float) -> np.ndarray:
    """No two samples of any 2 s of it are equal, so a loop shows."""
    return np.linspace(-0.99, 0.99, round(seconds * SAMPLE_RATE), dtype=np.float32)


def _encoder(audio: Audio = AUDIO, clip_seconds: float | None = None) -> VoiceEncoder:
    return VoiceEncoder(audio, clip_seconds, ["counts"], loaded={"counts": _Counts()})


@pytest.mark.parametrize(("audio", "clip_seconds"), [(AUDIO, 30.0), (replace(AUDIO, clip_seconds=[30.0]), None)])
def test_a_long_clip_is_not_looped_while_there_is_more_to_hear(audio: Audio, clip_seconds: float | None) -> None:
    encoder = _encoder(audio, clip_seconds)
    sound = np.random.default_rng(0).uniform(-1, 1, 40 * SAMPLE_RATE).astype(np.float32)
    speech = encoder.speech(sound)
    (clip,), _ = encoder.embed("counts", [speech], 30.0)
    assert (clip.repeats, clip.speech_seconds) == (1.0, 30.0)
    whole = np.round(sound[: 30 * SAMPLE_RATE] * 32768) / np.float32(32768)
    np.testing.assert_allclose(clip.audio, np.clip(whole, -1, 1), atol=1 / 32768)
    assert encoder.encode((sound, SAMPLE_RATE)).voices["counts"][0] == 30 * SAMPLE_RATE


def test_a_file_its_bytes_and_its_samples_are_heard_alike(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "ramp.wav", _ramp(2.0))
    speeches = [
        _encoder().encode(recording).speech.audio
        for recording in (path, str(path), path.read_bytes(), (_ramp(2.0), SAMPLE_RATE))
    ]
    for speech in speeches[:3]:
        np.testing.assert_array_equal(speech, speeches[0])
    np.testing.assert_allclose(speeches[3], speeches[0], atol=3 / 32768)


@pytest.mark.parametrize("seconds", [0.1, 0.2, 0.28])
def test_too_little_sound_is_a_sentence_whatever_counts_as_enough_speech(seconds: float) -> None:
    with pytest.raises(ItemError, match=rf"only {seconds:.2f} s of sound; at least 0.29 s are needed") as caught:
        _encoder(replace(AUDIO, min_speech=0.01)).encode((tone(seconds), SAMPLE_RATE))
    assert caught.value.stage == "speech"


@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000])
def test_a_few_samples_are_a_sentence_too(rate: int, tmp_path: Path) -> None:
    for count in (1, 2, 17, 64):
        soundfile.write(tmp_path / "short.wav", np.full(count, 0.5, np.float32), rate)
        for recording in (tmp_path / "short.wav", (np.full(count, 0.5, np.float32), rate)):
            with pytest.raises(ItemError, match=r"silence|no speech found|of sound|sound track is empty") as caught:
                _encoder(replace(AUDIO, min_speech=0.0)).encode(recording)
            assert caught.value.stage in ("audio", "speech")


def test_just_enough_sound_is_heard() -> None:
    assert _encoder().encode((tone(0.29), SAMPLE_RATE)).speech.audio.size == 9 * WINDOW


def test_a_tuple_of_recordings_is_a_sentence() -> None:
    with pytest.raises(ItemError, match="give several recordings as a list"):
        _encoder().encode(("a.wav", "b.wav", "c.wav"))  # type: ignore[arg-type]


def test_what_has_no_sound_says_so(tmp_path: Path) -> None:
    for recording, reason in (
        (write_video(tmp_path / "mute.mp4", grey_ramp(5)), "a video without sound"),
        ((np.zeros(0, np.float32), SAMPLE_RATE), "the sound track is empty"),
    ):
        with pytest.raises(ItemError, match=reason) as caught:
            _encoder().encode(recording)
        assert caught.value.stage == "audio"


def test_an_encoder_that_nobody_described_is_refused_by_name() -> None:
    with pytest.raises(UserError, match=r"hears ecapa; say where it lies in \[audio\] encoders"):
        VoiceEncoder(AUDIO, names=["ecapa"]).encode((tone(1.0), SAMPLE_RATE))


def test_python_says_which_recording_of_many_it_was(tmp_path: Path) -> None:
    with pytest.raises(ItemError) as caught:
        _encoder().encode(tmp_path / "none.wav")
    assert caught.value.__notes__ == [f"The recording is {tmp_path / 'none.wav'}."]
