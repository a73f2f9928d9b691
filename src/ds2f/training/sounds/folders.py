"""Recorded noise and rooms, in the folders as published.

MUSAN       musan/noise, music, speech/.../*.wav                   Snyder et al. 2015, arXiv:1510.08484, openslr.org/17
RIRS_NOISES simulated_rirs/..., real_rirs_isotropic_noises/*.wav   Ko et al., ICASSP 2017, openslr.org/28
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from ds2f.errors import UserError
from ds2f.io.sound import to_sample_rate
from ds2f.types import SAMPLE_RATE

MUSAN = ("noise", "music", "speech")
ROOMS = ("simulated_rirs", "real_rirs_isotropic_noises")
LONGEST = 1.0  # seconds of an impulse response that are used


def musan(folder: Path) -> dict[str, list[Path]]:
    """{noise, music, speech: its sounds}. Raises UserError for a folder that lacks one of these."""
    found = {kind: sorted((folder / kind).rglob("*.wav")) for kind in MUSAN}
    missing = [kind for kind, files in found.items() if not files]
    if missing:
        raise UserError(
            f"[train] voice_noises = {folder} has no {missing[0]}/*.wav below it; name the folder of MUSAN "
            "(openslr.org/17), or leave it empty for made-up noise."
        )
    return found


def rooms(folder: Path) -> list[Path]:
    """Room impulse responses, without the noises among them. Raises UserError for a folder without any."""
    found = sorted(file for part in ROOMS for file in (folder / part).rglob("*.wav") if "noise" not in file.name)
    if not found:
        raise UserError(
            f"[train] voice_rooms = {folder} has neither simulated_rirs nor real_rirs_isotropic_noises with *.wav "
            "below it; name the folder of RIRS_NOISES (openslr.org/28), or leave it empty for made-up rooms."
        )
    return found


def piece(file: Path, samples: int, rng: np.random.Generator) -> np.ndarray:
    """(samples,) float32 from a random position in a sound, looped if it is shorter; the first of several channels."""
    with _opened(file) as sound:
        wanted = -(-samples * sound.samplerate // SAMPLE_RATE)
        sound.seek(int(rng.random() * max(1, len(sound) - wanted + 1)))
        read = sound.read(wanted, dtype="float32", always_2d=True)[:, 0]
        return np.resize(to_sample_rate(read, sound.samplerate), samples)


def response(file: Path, rng: np.random.Generator) -> np.ndarray:
    """A room impulse response, starting with the direct sound, which is scaled to one; from a random one of several
    microphones."""
    with _opened(file) as sound:
        read = sound.read(dtype="float32", always_2d=True)
        heard = to_sample_rate(np.ascontiguousarray(read[:, rng.integers(read.shape[1])]), sound.samplerate)
    direct = int(np.abs(heard).argmax())
    heard = heard[direct : direct + round(LONGEST * SAMPLE_RATE)]
    return heard / (np.abs(heard[0]) + 1e-9)


def _opened(file: Path) -> soundfile.SoundFile:
    try:
        return soundfile.SoundFile(file)
    except (soundfile.SoundFileError, OSError) as error:
        raise UserError(f"{file} cannot be read ({error}); remove it, or get it again.") from None
