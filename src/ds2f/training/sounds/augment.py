"""Augments speech as if it had been recorded elsewhere: in a room, with noise, music or other people, through a
telephone or a codec. Follows Kaldi's recipe for VoxCeleb (Snyder et al., ICASSP 2018), with codecs in addition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from scipy.signal import fftconvolve, resample_poly

from ds2f.io.codecs import through
from ds2f.io.sound import scaled
from ds2f.training.sounds import folders, made_up
from ds2f.training.sounds.speech import Speech

SNR = {"noise": (0.0, 15.0), "music": (5.0, 15.0), "babble": (8.0, 20.0)}  # dB, minimum and maximum
TALKERS = (3, 7)  # people in a babble, minimum and maximum
SPEEDS = (1.0, 0.9, 1.1)  # each counts as another speaker: pitch and tract change (Yamamoto et al., Interspeech 2019)
CODECS = {"telephone": 0.4, "opus": 0.4, "aac": 0.2}  # relative frequencies
RATES = {"opus": (6, 24), "aac": (8, 32)}  # kb/s, minimum and maximum, 6 to 12 as often as 12 to 24


class Augment:
    """Augments pieces of speech. What is done, and how strongly, depends on a generator; any thread may call it."""

    def __init__(
        self,
        share: float,
        codecs: float,
        others: Speech,
        count: int,
        noises: str = "",
        rooms: str = "",
    ) -> None:
        """Raises UserError for folders that contain no sounds.

        share: of the pieces that get a room, noise, music or babble.
        codecs: share that goes through a telephone or a codec afterwards.
        others: recordings for babble, if there is no MUSAN.
        count: number of these.
        noises: folder of MUSAN, empty: synthetic noise.
        rooms: folder of RIRS_NOISES, empty: synthetic rooms.
        """
        self.share, self.codecs, self.others, self.count = share, codecs, others, count
        self.recorded = folders.musan(Path(noises)) if noises else {}
        self.rooms = folders.rooms(Path(rooms)) if rooms else []

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """audio: (samples,) float32 at 16 kHz; returns the same, possibly augmented."""
        heard = audio
        if rng.random() < self.share:
            kind = rng.choice(["room", "noise", "music", "babble", "both"])
            if kind in ("room", "both"):
                heard = self._in_a_room(heard, rng)
            if kind != "room":
                sort = str(kind) if kind != "both" else "noise"
                heard = mixed(heard, self._beside(sort, heard.size, rng), rng.uniform(*SNR[sort]))
        if rng.random() < self.codecs:
            codec = str(rng.choice(list(CODECS), p=list(CODECS.values())))
            heard = through(scaled(heard.astype(np.float32)), codec + _rate(codec, rng))
        return scaled(heard.astype(np.float32))

    def _in_a_room(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        response = folders.response(_one_of(self.rooms, rng), rng) if self.rooms else made_up.room(rng)
        heard: np.ndarray = fftconvolve(audio, response)[: audio.size]
        return heard * (audio.std() / (heard.std() + 1e-9))

    def _beside(self, kind: str, samples: int, rng: np.random.Generator) -> np.ndarray:
        if kind == "babble":
            files, count = self.recorded.get("speech", []), rng.integers(*TALKERS, endpoint=True)
            voices = [
                folders.piece(_one_of(files, rng), samples, rng)
                if files
                else self.others.crop(int(rng.integers(self.count)), samples, rng.random())
                for _ in range(count)
            ]
            return np.sum([voice / (voice.std() + 1e-9) for voice in voices], axis=0)
        if kind in self.recorded:
            return folders.piece(_one_of(self.recorded[kind], rng), samples, rng)
        make: Callable[[int, np.random.Generator], np.ndarray] = {"noise": made_up.noise, "music": made_up.music}[kind]
        return make(samples, rng)


def mixed(audio: np.ndarray, noise: np.ndarray, snr: float) -> np.ndarray:
    """audio plus noise whose power is lower by `snr` dB: (samples,) each."""
    return audio + noise * (audio.std() / (noise.std() + 1e-9) * 10 ** (-snr / 20))


def faster(audio: np.ndarray, speed: float, samples: int) -> np.ndarray:
    """audio at 0.9, 1 or 1.1 times its speed, including pitch, `samples` of it; pass `spoken(samples, speed)` of
    them."""
    if speed == 1.0:
        return audio[:samples]
    played: np.ndarray = resample_poly(audio, 10, round(10 * speed))
    return np.resize(played, samples).astype(np.float32)


def spoken(samples: int, speed: float) -> int:
    """How many samples, played at a speed, become `samples`."""
    return int(np.ceil(samples * speed))


def _rate(codec: str, rng: np.random.Generator) -> str:
    """kb/s, log-uniform: the lower the rate, the more a step matters. Empty for a telephone."""
    if codec not in RATES:
        return ""
    low, high = RATES[codec]
    return str(round(low * (high / low) ** rng.random()))


def _one_of(files: Sequence[Path], rng: np.random.Generator) -> Path:
    return files[int(rng.integers(len(files)))]
