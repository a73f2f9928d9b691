"""Speech as it is stored: as many samples as went in, at their places, and as Opus in half the space."""

from __future__ import annotations

import numpy as np
import pytest

from ds2f.io.speech import decode, encode, encode_opus, kind_of
from ds2f.types import SAMPLE_RATE
from helpers import noise, tone


@pytest.mark.parametrize("samples", [1, 160, 961, 16_000, 51_234])
@pytest.mark.parametrize("kind", ["flac", "opus"])
def test_what_comes_back_has_the_length_of_what_went_in(samples: int, kind: str) -> None:
    data = encode(noise(4.0)[:samples], kind)
    assert kind_of(data) == kind
    assert decode(data).shape == (samples,)
    assert decode(data).dtype == np.float32


def test_opus_is_small_the_same_every_time_and_not_displaced() -> None:
    swell = np.linspace(0, 1, 4 * SAMPLE_RATE, dtype=np.float32)
    audio = swell * (tone(4.0) + tone(4.0, 1234.0)) + noise(4.0, 0.01)
    data = encode_opus(audio)
    assert data == encode_opus(audio)
    assert len(data) < 0.65 * len(encode(audio, "flac"))
    back = decode(data)
    error = back - audio
    assert np.square(error).sum() < 0.003 * np.square(audio).sum(), "25 dB: one sample beside its place gives 5"
    assert np.abs(error[:160]).max() < 0.05
    assert np.abs(error[-160:]).max() < 0.2
