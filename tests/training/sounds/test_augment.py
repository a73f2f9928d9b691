"""What happens to speech before an encoder hears it: loudness of noise, rooms, speeds, and the published folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from ds2f.errors import UserError
from ds2f.training.sounds import folders, made_up
from ds2f.training.sounds.augment import SPEEDS, Augment, faster, mixed, spoken
from ds2f.training.sounds.speech import InMemory
from helpers import noise, tone

SPEECH = tone(1.0, 300) * np.repeat([1, 0, 1, 1], 4_000).astype(np.float32)
OTHERS = InMemory([np.round(32768 * noise(1.0, 0.1, seed)).astype(np.int16) for seed in range(4)])


def recorded(root: Path) -> tuple[Path, Path]:
    """MUSAN and RIRS_NOISES with a sound of each kind: noise that is a hum of 1 kHz, and a room with one echo."""
    hum, echo = tone(2.0, 1000, 0.1), np.zeros((4_000, 2), np.float32)
    echo[100], echo[1_100] = 0.5, 0.25
    for kind in folders.MUSAN:
        (root / "musan" / kind / "some").mkdir(parents=True)
        soundfile.write(root / "musan" / kind / "some" / f"{kind}-0001.wav", hum, 16_000)
    for part in folders.ROOMS:
        (root / "rirs" / part).mkdir(parents=True)
        soundfile.write(root / "rirs" / part / "room-1.wav", echo, 16_000)
        soundfile.write(root / "rirs" / part / "noise-1.wav", hum, 16_000)
    return root / "musan", root / "rirs"


def test_noise_is_as_loud_as_it_should_be() -> None:
    for snr in (0.0, 10.0):
        beside = mixed(SPEECH, noise(1.0, 3.0), snr) - SPEECH
        assert 20 * np.log10(SPEECH.std() / beside.std()) == pytest.approx(snr, abs=0.01)


@pytest.mark.parametrize("make", [made_up.noise, made_up.hum, made_up.music])
def test_what_is_made_up_is_sound_and_follows_from_the_seed(make: object) -> None:
    first, again, other = (make(8_000, np.random.default_rng(seed)) for seed in (1, 1, 2))  # type: ignore[operator]
    assert first.shape == (8_000,)
    assert np.isfinite(first).all()
    assert first.std() > 0
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_a_made_up_room_begins_with_the_direct_sound_and_dies_away() -> None:
    for seed in range(5):
        response = made_up.room(np.random.default_rng(seed))
        assert response[0] == 1.0
        early, late = np.array_split(np.square(response[200:]), 2)
        assert late.sum() < early.sum()


def test_speed_moves_pitch_and_keeps_the_length() -> None:
    for speed in SPEEDS:
        found = faster(tone(spoken(16_000, speed) / 16_000, 500), speed, 16_000)
        assert found.shape == (16_000,)
        assert np.abs(np.fft.rfft(found)).argmax() == pytest.approx(500 * speed, abs=1)


def test_recorded_noise_and_rooms_are_read_from_their_folders(tmp_path: Path) -> None:
    musan, rooms = recorded(tmp_path)
    assert {kind: len(files) for kind, files in folders.musan(musan).items()} == dict.fromkeys(folders.MUSAN, 1)
    (room, _) = folders.rooms(rooms)
    response = folders.response(room, np.random.default_rng(0))
    assert (response[0], response[1_000]) == (1.0, pytest.approx(0.5, abs=1e-3))
    piece = folders.piece(folders.musan(musan)["noise"][0], 40_000, np.random.default_rng(0))
    assert piece.shape == (40_000,)
    assert np.abs(np.fft.rfft(piece[:16_000])).argmax() == pytest.approx(1000, abs=1)


def test_every_kind_of_augmentation_happens_and_follows_from_the_seed(tmp_path: Path) -> None:
    musan, rooms = recorded(tmp_path)
    for augment in (Augment(1.0, 0.3, OTHERS, 4), Augment(1.0, 0.0, OTHERS, 4, str(musan), str(rooms))):
        heard = [augment(SPEECH, np.random.default_rng(seed)) for seed in range(12)]
        for sound, seed in zip(heard, range(12), strict=True):
            assert sound.dtype == np.float32
            assert sound.shape == SPEECH.shape
            assert 0.01 < np.abs(sound).max() <= 1
            assert not np.allclose(sound, SPEECH)
            if seed < 3:
                np.testing.assert_array_equal(augment(SPEECH, np.random.default_rng(seed)), sound)
    unchanged = Augment(0.0, 0.0, OTHERS, 4)(SPEECH, np.random.default_rng(0))
    np.testing.assert_array_equal(unchanged, SPEECH)


def test_folders_without_their_sounds_are_refused(tmp_path: Path) -> None:
    musan, rooms = recorded(tmp_path)
    with pytest.raises(UserError, match=r"voice_noises = .* has no noise/\*.wav below it"):
        folders.musan(rooms)
    with pytest.raises(UserError, match=r"voice_rooms = .* has neither simulated_rirs"):
        folders.rooms(musan)
    broken = musan / "noise" / "some" / "noise-0001.wav"
    broken.write_bytes(b"RIFF")
    with pytest.raises(UserError, match="cannot be read"):
        folders.piece(broken, 100, np.random.default_rng(0))


def test_low_rates_are_as_frequent_as_high_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("ds2f.training.sounds.augment.through", lambda sound, codec: asked.append(codec) or sound)
    everything = Augment(0.0, 1.0, OTHERS, 4)
    for seed in range(2_000):
        everything(SPEECH, np.random.default_rng(seed))
    rates = np.array([int(codec.removeprefix("opus")) for codec in asked if codec.startswith("opus")])
    assert rates.min() == 6
    assert rates.max() == 24
    assert np.mean(rates < 12) == pytest.approx(0.5, abs=0.07)
    assert asked.count("telephone") / len(asked) == pytest.approx(0.4, abs=0.05)
