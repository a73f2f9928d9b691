"""Log mel energies as the two families of speaker encoders compute them, in torch: batched, on any device.

kaldi  Kaldi's `compute-fbank-feats` (Povey et al., ASRU 2011): for WeSpeaker, 3D-Speaker and x-vectors
stft   torchaudio's MelSpectrogram with HTK's scale: for voxceleb_trainer (Chung et al. 2020, arXiv:2003.11982)

A model's JSON states the family, bands, window, scale and normalisation, so that its input at inference equals that in
training.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from ds2f.models import mel
from ds2f.models.mel import LENGTH, POINTS, STEP
from ds2f.types import SAMPLE_RATE


@dataclass(frozen=True)
class Features:
    """family: see above.

    bins: bands, from the lowest frequency to 8 kHz.
    window: povey is a Hann window to the power of 0.85.
    scale: factor for samples in [-1, 1]; Kaldi's own files contain 16-bit integers.
    preemphasis: a, in x[i] − a x[i − 1]; for Kaldi within each window, otherwise over the whole clip.
    normalise: subtract each band's mean over the clip, and ("instance") also scale its standard deviation to one.
    """

    family: Literal["kaldi", "stft"] = "kaldi"
    bins: int = 80
    window: Literal["povey", "hamming"] = "povey"
    scale: float = 1.0
    preemphasis: float = 0.97
    normalise: Literal["mean", "instance"] = "mean"


class LogMel(nn.Module):
    """(n, samples) float32 in [-1, 1] at 16 kHz to (n, frames, bins). Raises ValueError for less than 25 ms."""

    window: Tensor
    bank: Tensor

    def __init__(self, features: Features) -> None:
        super().__init__()
        self.features = features
        self.register_buffer("window", _window(features), persistent=False)
        self.register_buffer("bank", torch.from_numpy(self._bank()), persistent=False)

    def _bank(self) -> np.ndarray:
        return mel.bank(self.features.bins) if self.kaldi else _htk_bank(self.features.bins)

    @property
    def kaldi(self) -> bool:
        return self.features.family == "kaldi"

    def forward(self, audio: Tensor) -> Tensor:
        if audio.shape[1] < LENGTH:
            raise ValueError(f"a clip of {audio.shape[1]} samples is shorter than one window of {LENGTH}")
        with torch.autocast(audio.device.type, enabled=False):  # bfloat16 cannot resolve energies
            audio = audio.float() * self.features.scale
            power = self._kaldi_power(audio) if self.kaldi else self._stft_power(audio)
            energy = power @ self.bank
            log = (energy.clamp_min(torch.finfo(torch.float32).eps) if self.kaldi else energy + 1e-6).log()
            return _normalised(log, self.features.normalise)

    def _kaldi_power(self, audio: Tensor) -> Tensor:
        """Complete windows only; the mean is subtracted from each, and its first sample also stands for the one
        before."""
        frames = audio.unfold(1, LENGTH, STEP)
        frames = frames - frames.mean(2, keepdim=True)
        before = torch.cat([frames[..., :1], frames[..., :-1]], 2)
        frames = (frames - self.features.preemphasis * before) * self.window
        return torch.fft.rfft(frames, POINTS).abs().square()[..., : POINTS // 2]

    def _stft_power(self, audio: Tensor) -> Tensor:
        """Windows centred at every tenth millisecond, with the clip mirrored at its ends."""
        if self.features.preemphasis:
            before = torch.cat([audio[:, 1:2], audio[:, :-1]], 1)
            audio = audio - self.features.preemphasis * before
        spectrum = torch.stft(audio, POINTS, STEP, LENGTH, self.window, center=True, return_complex=True)
        return spectrum.abs().square().transpose(1, 2)


def _normalised(log: Tensor, how: str) -> Tensor:
    centred = log - log.mean(1, keepdim=True)
    if how == "mean":
        return centred
    return centred * torch.rsqrt(centred.square().mean(1, keepdim=True) + 1e-5)


def _window(features: Features) -> Tensor:
    if features.family == "stft" and features.window == "hamming":
        return torch.hamming_window(LENGTH, periodic=True)
    return torch.from_numpy(mel.window(features.window)).float()


def _htk_bank(bins: int) -> np.ndarray:
    """(257, bins): triangles between points on the scale 2595 log10(1 + f / 700), linear in frequency."""
    top = 2595 * math.log10(1 + SAMPLE_RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, bins + 2) / 2595) - 1)
    return mel.triangles(np.linspace(0, SAMPLE_RATE / 2, POINTS // 2 + 1), edges)
