"""Sound as it really comes: channels, levels, rates, formats, and what breaks off."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ds2f.errors import ItemError
from ds2f.io.media import decode, sound_of
from ds2f.io.parts import part_of
from ds2f.io.sound import mix, resample
from ds2f.io.streams import Choice
from ds2f.types import SAMPLE_RATE, Source
from helpers import noise, silence, tone
from made_up_media import Sound, sphere, wav, write

LEVEL = 0.3  # of `tone`


def loudness(audio: np.ndarray) -> float:
    """Of a sine, its amplitude."""
    return float(np.sqrt(2 * np.mean(np.square(audio[1000:-1000]))))


def pitch(audio: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(audio))) * SAMPLE_RATE / audio.size)


# ── channels ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_equal_channels_are_as_loud_as_one(tmp_path: Path) -> None:
    one = tone(1.0)
    for count, layout in ((2, "stereo"), (3, "2.1"), (6, "5.1"), (8, "7.1")):
        spec = Sound(np.stack([one] * count), "flac", layout=layout)
        media = decode(write(tmp_path / "a.flac", spec), 0)
        assert loudness(media.audio) == pytest.approx(LEVEL, rel=0.01), layout
        assert media.channels == f"mean of {count}"
    assert loudness(resample(np.stack([one] * 6, 1), SAMPLE_RATE)) == pytest.approx(LEVEL, rel=0.01)


@pytest.mark.parametrize(
    ("codec", "suffix"), [("aac", ".m4a"), ("alac", ".m4a"), ("libopus", ".opus"), ("wavpack", ".wv")]
)
def test_eight_channels_in_planes_of_their_own(tmp_path: Path, codec: str, suffix: str) -> None:
    """As cinemas and broadcasts have them: planes are read one by one."""
    rate = 48_000 if codec == "libopus" else SAMPLE_RATE
    sound = np.stack([np.repeat(tone(1.0), rate // SAMPLE_RATE)] * 8)
    layout = "7.1(wide)" if codec == "alac" else "7.1"
    media = decode(write(tmp_path / f"a{suffix}", Sound(sound, codec, rate, layout)), 0)
    assert loudness(media.audio) == pytest.approx(LEVEL, rel=0.1)
    assert media.channels == "mean of 8"


def test_whole_numbers_of_64_bits(tmp_path: Path) -> None:
    media = decode(write(tmp_path / "a.wav", Sound(np.stack([tone(1.0)] * 2), "pcm_s64le")), 0)
    np.testing.assert_allclose(media.audio, tone(1.0), atol=1e-6)


def test_two_channels_at_full_scale_are_not_clipped(tmp_path: Path) -> None:
    full = tone(1.0, loudness=0.99)
    audio = decode(write(tmp_path / "a.wav", Sound(np.stack([full, full]))), 0).audio
    assert np.abs(audio - full).max() < 1e-3


def test_channels_that_cancel_each_other_are_not_silence(tmp_path: Path) -> None:
    voice = noise(1.0)
    for pair in ((voice, -voice), (voice, -0.9 * voice)):
        media = decode(write(tmp_path / "a.flac", Sound(np.stack(pair), "flac")), 0)
        assert media.channels == "1 of 2"
        assert np.abs(media.audio - voice).max() < 1e-3
        assert np.abs(resample(np.stack(pair, 1), SAMPLE_RATE) - voice).max() < 1e-6


def test_a_voice_in_one_channel_of_many_keeps_its_loudness(tmp_path: Path) -> None:
    voice, hiss = tone(1.0), noise(1.0, 0.001)
    left = decode(write(tmp_path / "a.wav", Sound(np.stack([voice, hiss]))), 0)
    assert left.channels == "1 of 2"
    assert loudness(left.audio) == pytest.approx(LEVEL, rel=0.01)
    channels = [hiss, hiss, voice, hiss, hiss, hiss]
    centre = decode(write(tmp_path / "b.wav", Sound(np.stack(channels), layout="5.1")), 0)
    assert centre.channels == "3 of 6"


@pytest.mark.parametrize("layout", ["5.1", "7.1"])
def test_a_voice_where_the_format_has_its_bass(tmp_path: Path, layout: str) -> None:
    """The fourth microphone of an array in FLAC, whose other inputs were not in use."""
    count = {"5.1": 6, "7.1": 8}[layout]
    channels = [tone(1.0) if number == 3 else silence(1.0) for number in range(count)]
    media = decode(write(tmp_path / "a.flac", Sound(np.stack(channels), "flac", layout=layout)), 0)
    assert media.channels == f"4 of {count}"
    assert loudness(media.audio) == pytest.approx(LEVEL, rel=0.01)


def test_bass_and_surround_weigh_as_in_a_player() -> None:
    names = ("FL", "FR", "FC", "LFE", "BL", "BR")
    one = noise(1.0)
    channels = np.stack([one if name in ("FC", "FL") else np.zeros_like(one) for name in names])
    mixed, how = mix(np.concatenate([channels[:3] + one, channels[3:4], channels[4:] + one]), names)
    total = 1 + 2 * 2**-0.5 + 2 * 0.5
    assert how == "mean of 6"
    np.testing.assert_allclose(mixed, one * (2 + 2**-0.5 * 3 + 1) / total, rtol=1e-5, atol=1e-6)
    rumble = 100 * one
    quiet, _ = mix(np.stack([one, one, one, rumble, one, one]), names)
    np.testing.assert_allclose(quiet, one, rtol=1e-4, atol=1e-6)


def test_a_call_is_heard_by_channel(tmp_path: Path) -> None:
    call = write(tmp_path / "a.wav", Sound(np.stack([tone(1.0, 200), tone(1.0, 700)])))
    for channel, hertz in ((1, 200), (2, 700)):
        media = decode(call, 0, choice=Choice(channel=channel))
        assert pitch(media.audio) == pytest.approx(hertz, abs=2)
        assert media.channels == f"{channel} of 2"
    with pytest.raises(ItemError, match="channel 3 was asked for, but there are 2") as caught:
        sound_of(decode(call, 0, choice=Choice(channel=3)))
    assert caught.value.stage == "audio"


def test_thirty_channels_without_names(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(np.tile((tone(0.5) * 32767).astype(np.int16)[:, None], (1, 30))))
    assert loudness(decode(path, 0).audio) == pytest.approx(LEVEL, rel=0.01)


# ── levels and kinds of numbers ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("gain", [4.0, 32768.0])
def test_floats_beyond_full_scale_are_scaled_and_not_clipped(tmp_path: Path, gain: float) -> None:
    loud = gain * tone(1.0, loudness=1.0)
    path = tmp_path / "a.wav"
    path.write_bytes(wav(loud))
    for audio in (decode(path, 0).audio, resample(loud, SAMPLE_RATE), decode(path.read_bytes(), 0).audio):
        np.testing.assert_allclose(audio, tone(1.0, loudness=1.0), atol=1e-4)


def test_what_is_no_number_becomes_silence(tmp_path: Path) -> None:
    broken = tone(1.0)
    broken[[10, 20, 30]] = np.nan, np.inf, 1e30
    (tmp_path / "a.wav").write_bytes(wav(broken))
    for audio in (decode(tmp_path / "a.wav", 0).audio, resample(broken, SAMPLE_RATE)):
        assert (audio[[10, 20, 30]] == 0).all()
        assert loudness(audio) == pytest.approx(LEVEL, rel=0.01)


SUBTYPES = ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM"]


@pytest.mark.parametrize("subtype", [*SUBTYPES, "GSM610"])
def test_kinds_of_wav_agree_with_libsndfile(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(1.0), SAMPLE_RATE, subtype=subtype)
    expected, _ = soundfile.read(path, dtype="float32")
    audio = decode(path, 0).audio
    assert abs(audio.size - expected.size) <= 320
    size = min(audio.size, expected.size)
    assert np.abs(audio[:size] - expected[:size]).max() < (0.1 if subtype == "GSM610" else 5e-3)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_rates_keep_pitch_length_and_place(tmp_path: Path, rate: int) -> None:
    click = np.zeros(rate, np.float32)
    click[rate // 2 : rate // 2 + rate // 100] = 0.5
    path = tmp_path / "a.wav"
    path.write_bytes(wav(click, rate))
    for audio in (decode(path, 0).audio, resample(click, rate)):
        assert audio.size == pytest.approx(SAMPLE_RATE, abs=8)
        assert np.argmax(audio > 0.25) == pytest.approx(SAMPLE_RATE / 2, abs=4)
    np.testing.assert_array_equal(decode(path, 0).audio, resample(click, rate))


def test_arrays_that_are_no_sound_are_refused() -> None:
    wrong = [
        (np.zeros((2, 16_000)), 16_000),
        (np.zeros(10, complex), 16_000),
        (np.array(1.0), 16_000),
    ]
    for samples, rate in wrong:
        with pytest.raises(ItemError, match="sound must be numbers"):
            resample(samples, rate)
    with pytest.raises(ItemError, match="a sampling rate of 10 Hz cannot be right; 1000 to 768000 Hz can"):
        resample(np.zeros(10), 10)
    with pytest.raises(ItemError, match="give several recordings as a list"):
        resample("a.wav", "b.wav")  # type: ignore[arg-type]  # a tuple of them
    with pytest.raises(ItemError, match="int64 has no known full scale"):  # it was taken for silence
        resample([0, 10_000, -10_000, 0] * 4_000, 16_000)


# ── streams that change, and files that break off ────────────────────────────────────────────────────────────


def _link(folder: Path, name: str, audio: np.ndarray, codec: str, rate: int) -> bytes:
    return write(folder / name, Sound(audio, codec, rate=rate), format="ogg").read_bytes()


@pytest.mark.parametrize("codec", ["libopus", "flac"])
def test_joined_ogg_files_are_read_to_the_end(tmp_path: Path, codec: str) -> None:
    """Voice messages laid end to end, mono, stereo and mono again, each at a rate of its own."""
    rates = (48_000, 48_000, 48_000) if codec == "libopus" else (16_000, 44_100, 22_050)
    parts = []
    for number, rate in enumerate(rates):
        time = np.arange(rate) / rate
        sound = LEVEL * np.sin(2 * np.pi * (300 + 200 * number) * time)
        parts.append(_link(tmp_path, f"{number}.ogg", np.stack([sound] * (1 + number % 2)), codec, rate))
    path = tmp_path / "joined.ogg"
    path.write_bytes(b"".join(parts))
    for source in (path, path.read_bytes(), part_of(path, 0, path.stat().st_size)):
        media = decode(source, 0)
        assert media.duration == pytest.approx(3.0, abs=0.05)
        assert media.audio.size == pytest.approx(3 * SAMPLE_RATE, abs=0.05 * SAMPLE_RATE)
        for number in range(3):
            middle = media.audio[int((number + 0.2) * SAMPLE_RATE) : int((number + 0.8) * SAMPLE_RATE)]
            assert pitch(middle) == pytest.approx(300 + 200 * number, abs=5)
            assert loudness(middle) == pytest.approx(LEVEL, rel=0.05)
    assert pitch(decode(path, 0, 0.8, start=2.1).audio) == pytest.approx(700, abs=5)
    assert decode(path, 0, 1.5).audio.size == 1.5 * SAMPLE_RATE


def test_the_second_of_joined_files_is_damaged(tmp_path: Path) -> None:
    first = _link(tmp_path, "a.ogg", tone(1.0), "flac", SAMPLE_RATE)
    second = _link(tmp_path, "b.ogg", np.stack([tone(1.0)] * 2), "flac", SAMPLE_RATE)
    path = tmp_path / "joined.ogg"
    path.write_bytes(first + second[:60] + bytes(200))
    assert decode(path, 0).audio.size == pytest.approx(SAMPLE_RATE, abs=200)


def test_a_stream_that_changes_its_rate_and_channels_goes_on(tmp_path: Path) -> None:
    """Broadcasts do between programme and advertisement: ADTS says of each frame what it is."""
    whole = b""
    for number, rate in enumerate((16_000, 48_000)):
        time = np.arange(2 * rate) / rate
        sound = LEVEL * np.sin(2 * np.pi * (400 + 300 * number) * time)
        whole += write(
            tmp_path / f"{number}.aac", Sound(np.stack([sound] * (1 + number)), "aac", rate), format="adts"
        ).read_bytes()
    path = tmp_path / "a.aac"
    path.write_bytes(whole)
    audio = decode(path, 0).audio
    assert audio.size == pytest.approx(4 * SAMPLE_RATE, abs=0.25 * SAMPLE_RATE)
    assert pitch(audio[8_000:24_000]) == pytest.approx(400, abs=3)
    assert pitch(audio[44_000:60_000]) == pytest.approx(700, abs=3)
    assert loudness(audio[44_000:60_000]) == pytest.approx(LEVEL, rel=0.1)


@pytest.mark.parametrize("suffix", [".flac", ".mp3", ".aac", ".ogg", ".wav"])
def test_what_comes_before_damage_is_kept(tmp_path: Path, suffix: str) -> None:
    codec, rate, form = {
        ".flac": ("flac", SAMPLE_RATE, None),
        ".mp3": ("libmp3lame", SAMPLE_RATE, None),
        ".aac": ("aac", SAMPLE_RATE, "adts"),
        ".ogg": ("libopus", 48_000, None),
        ".wav": ("pcm_s16le", SAMPLE_RATE, None),
    }[suffix]
    sound = tone(4.0) if rate == SAMPLE_RATE else np.repeat(tone(4.0), 3)
    data = write(tmp_path / f"a{suffix}", Sound(sound, codec, rate), format=form).read_bytes()
    spoilt = bytearray(data[: len(data) * 3 // 4])
    spoilt[len(spoilt) * 5 // 6 :] = np.random.default_rng(0).bytes(len(spoilt) - len(spoilt) * 5 // 6)
    path = tmp_path / f"b{suffix}"
    path.write_bytes(spoilt)
    audio = decode(path, 0).audio
    assert audio.size > 1.9 * SAMPLE_RATE
    assert loudness(audio[4_000:30_000]) == pytest.approx(LEVEL, rel=0.1)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_wav_that_states_no_size_is_read_to_its_end(tmp_path: Path, size: int) -> None:
    """As recorders write it that cannot go back: arecord, FFmpeg into a pipe, telephone servers."""
    path = tmp_path / "a.wav"
    path.write_bytes(wav((tone(2.0) * 32767).astype(np.int16), size=size))
    media = decode(path, 0)
    assert (media.audio.size, media.duration) == (2 * SAMPLE_RATE, pytest.approx(2.0, abs=0.02))


# ── formats of speech people ─────────────────────────────────────────────────────────────────────────────────


def test_nist_sphere_as_timit_has_it(tmp_path: Path) -> None:
    samples = (tone(1.0) * 32767).astype(np.int16)
    path = tmp_path / "SA1.WAV"
    path.write_bytes(sphere(samples))
    np.testing.assert_allclose(decode(path, 0).audio, samples / 32768, atol=1e-6)
    expected, rate = soundfile.read(io.BytesIO(path.read_bytes()), dtype="float32")
    assert rate == SAMPLE_RATE
    np.testing.assert_array_equal(decode(path.read_bytes(), 0).audio, expected)


def test_sphere_in_a_coding_that_is_not_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.sph"
    path.write_bytes(sphere(np.zeros(4000, np.int16), coding="pcm,embedded-wavpack-v1"))
    with pytest.raises(ItemError, match="NIST SPHERE, coded as pcm,embedded-wavpack-v1: unpack it with sph2pipe"):
        decode(path, 0)


FORMATS = {  # by FFmpeg's name of the format: codec
    "voc": "pcm_u8",
    "wv": "wavpack",
    "tta": "tta",
    "w64": "pcm_s16le",
    "caf": "pcm_s16be",
    "au": "pcm_s16be",
    "aiff": "pcm_s16be",
    "amr": "libopencore_amrnb",
    "mp2": "mp2",
    "ac3": "ac3",
    "matroska": "pcm_s24le",
    "g722": "g722",
    "ircam": "pcm_s16le",
    "sox": "pcm_s32le",
    "latm": "aac",
    "3gp": "libopencore_amrnb",
    "mpegts": "mp2",
    "nut": "flac",
    "rm": "ac3",
}


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_formats_of_sound(tmp_path: Path, form: str) -> None:
    codec = FORMATS[form]
    rate = {"libopencore_amrnb": 8_000, "libgsm": 8_000, "ac3": 48_000, "mp2": 48_000}.get(codec, SAMPLE_RATE)
    time = np.arange(2 * rate) / rate
    spec = Sound(LEVEL * np.sin(2 * np.pi * 440 * time), codec, rate)
    try:
        path = write(tmp_path / f"a.{form}", spec, format=form)
    except (ValueError, LookupError) as error:
        pytest.skip(f"this PyAV writes no {form} ({error})")
    audio = decode(path, 0).audio
    assert audio.size == pytest.approx(2 * SAMPLE_RATE, abs=0.15 * SAMPLE_RATE)
    assert pitch(audio[4_000:28_000]) == pytest.approx(440, abs=4)
    assert loudness(audio) == pytest.approx(LEVEL, rel=0.2)


SNDFILE = {"AIFF": "PCM_24", "AU": "FLOAT", "CAF": "PCM_16", "W64": "PCM_16", "RF64": "PCM_16", "IRCAM": "PCM_16"} | {
    "PVF": "PCM_16", "AVR": "PCM_16", "VOC": "PCM_16", "NIST": "ULAW", "SVX": "PCM_16", "PAF": "PCM_16"
}  # fmt: skip


@pytest.mark.parametrize("form", sorted(SNDFILE))
def test_formats_that_libsndfile_writes(tmp_path: Path, form: str) -> None:
    path = tmp_path / "a.bin"
    soundfile.write(path, tone(1.0), SAMPLE_RATE, format=form, subtype=SNDFILE[form])
    expected, _ = soundfile.read(path, dtype="float32")
    audio = decode(path, 0).audio
    assert audio.size == expected.size
    assert np.abs(audio - expected).max() < 1e-3


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"#!SILK_V3" + bytes(100), "SILK"),
        (b"\x02#!SILK_V3" + bytes(100), "SILK"),
        (b"#EXTM3U\n#EXTINF:5,\nhttp://127.0.0.1:9/a.ts\n", "a playlist"),
        (b"ffconcat version 1.0\nfile 'a.mp4'\n", "a playlist"),
        (b"<!DOCTYPE html><title>403 Forbidden</title>", "a web page: the download went wrong"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
        (b"1\n00:00:01,000 --> 00:00:02,000\nhello\n\n", "SubRip subtitle"),
        (b"PK\x03\x04" + bytes(100), "ZIP"),
    ],
)
def test_what_is_not_read_is_named(content: bytes, words: str) -> None:
    with pytest.raises(ItemError, match=f"not a media file that ds2f reads: .*{words}"):
        decode(content, 0)


def test_a_recording_inside_a_tar_is_read_where_it_lies(tmp_path: Path) -> None:
    inner = write(tmp_path / "a.flac", Sound(tone(1.0), "flac")).read_bytes()
    outer = tmp_path / "a.tar"
    outer.write_bytes(bytes(512) + inner + bytes(1024))
    audio = decode(Source(outer, 512, len(inner)), 0).audio
    np.testing.assert_array_equal(audio, decode(inner, 0).audio)
