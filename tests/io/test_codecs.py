from __future__ import annotations

import numpy as np
import pytest

from ds2f.errors import UserError
from ds2f.io.codecs import check_codec, through
from ds2f.types import SAMPLE_RATE

CODECS = ("telephone", "opus8", "opus32", "aac16")


def speechlike(seconds: float = 2.0) -> np.ndarray:
    """Noise that comes and goes four times a second, most of it low, as that of a voice."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=round(seconds * SAMPLE_RATE))
    low = np.convolve(noise, np.ones(8) / 8, mode="same") + 0.1 * noise
    swell = np.sin(np.pi * 4 * np.arange(noise.size) / SAMPLE_RATE) ** 2
    return (0.2 * low * swell / np.abs(low).std()).clip(-1, 1).astype(np.float32)


def share_above(audio: np.ndarray, hertz: float) -> float:
    power = np.abs(np.fft.rfft(audio)) ** 2
    return float(power[np.fft.rfftfreq(audio.size, 1 / SAMPLE_RATE) > hertz].sum() / power.sum())


@pytest.mark.parametrize("codec", CODECS)
def test_a_codec_changes_sound_but_not_its_length_or_place(codec: str) -> None:
    audio = speechlike()
    before = audio.copy()
    heard = through(audio, codec)
    assert heard.shape == audio.shape
    assert heard.dtype == np.float32
    np.testing.assert_array_equal(audio, before, "what was given is not touched")
    assert not np.allclose(heard, audio, atol=1e-3)
    size = 2 * audio.size
    lags = np.fft.irfft(np.fft.rfft(audio, size).conj() * np.fft.rfft(heard, size))
    lag = int(np.argmax(lags))
    assert min(lag, size - lag) <= 2, "in step to an eighth of a millisecond"
    np.testing.assert_array_equal(through(audio, codec), heard, "the same each time")


def test_a_telephone_passes_its_band_and_no_more() -> None:
    audio = speechlike()
    assert share_above(audio, 4000) > 0.05
    heard = through(audio, "telephone")
    assert share_above(heard, 4000) < 1e-4
    assert 1 - share_above(heard, 200) < 0.01 < 1 - share_above(audio, 200)
    loud = through(np.float32(0.9) * np.sign(audio), "telephone")
    assert np.isfinite(loud).all()


def test_fewer_bits_leave_less_of_it() -> None:
    audio = speechlike()
    left = [np.corrcoef(audio, through(audio, codec))[0, 1] for codec in ("opus6", "opus16", "opus64")]
    assert left[0] < left[1] < left[2]


def test_very_little_sound_and_none() -> None:
    for codec in CODECS:
        assert through(np.zeros(0, np.float32), codec).size == 0
        assert through(speechlike(0.02), codec).size == 320
        assert through(np.ones(1, np.float32), codec).shape == (1,)


@pytest.mark.parametrize(
    ("name", "words"),
    [("fax", "no codec 'fax'"), ("opus", "no codec 'opus'"), ("opus2", "no opus at 2 kb/s"), ("mp348", "'mp348'")],
)
def test_what_is_no_codec_is_refused(name: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        check_codec(name)
    with pytest.raises(UserError, match=words):
        through(speechlike(0.1), name)
