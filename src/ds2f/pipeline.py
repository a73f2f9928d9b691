"""Speech2Face: load once, then voices in, faces out. What the Python API, the command line and the web page share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ds2f.config import Audio
from ds2f.diffusion.guidance import guided
from ds2f.diffusion.samplers import heun
from ds2f.errors import ItemError, UserError
from ds2f.media import decode
from ds2f.models import store
from ds2f.models.conditioning import Condition
from ds2f.models.decoder import Decoder
from ds2f.models.prior import Prior
from ds2f.pictures import to_uint8
from ds2f.types import GeneratedFace
from ds2f.voice.activity import VoiceActivity, cut, find_speech
from ds2f.voice.base import embed_one
from ds2f.voice.resemblyzer import Resemblyzer

PRIOR_STEPS = 16  # of Heun's method; the prior is tiny, more changes nothing visible
BATCH = 16  # faces through the decoder at once; bounds memory


@dataclass(frozen=True)
class Settings:
    """How faces are drawn.

    steps: sampler steps; guidance: weight of the identity, 1 = none; temperature in [0, 1]: 0 the most typical
    person for the voice, 1 the whole variety of the prior; noise in [0, 1]: scale of the noise that the decoder
    starts from, below 1 calmer and more typical pictures.
    """

    steps: int = 12
    guidance: float = 2.0
    temperature: float = 0.7
    noise: float = 0.85


class Speech2Face:
    """A prior and a decoder, ready to use. All methods are deterministic in their seeds on one machine."""

    def __init__(self, prior: Prior, decoder: Decoder, folder: Path, device: torch.device) -> None:
        if prior.config.identity_dim != decoder.config.conditions["identity"]:
            raise UserError(
                f"In {folder} the prior speaks of {prior.config.identity_dim}-d identities, the decoder of "
                f"{decoder.config.conditions['identity']}-d ones; they were not made for each other."
            )
        self.prior, self.decoder = prior.to(device), decoder.to(device)
        self.folder, self.device = folder, device

    @classmethod
    def load(cls, folder: Path | None = None, device: str = "auto") -> Speech2Face:
        """The model in `folder`, or the one that ships with the package. Raises UserError if it cannot be used."""
        folder = folder or store.shipped()
        return cls(store.load_prior(folder), store.load_decoder(folder), folder, store.pick_device(device))

    @property
    def size(self) -> int:
        """Pixels of a generated face."""
        return self.decoder.config.size

    @cached_property
    def fingerprint(self) -> str:
        """Short hash of the weights."""
        return store.fingerprint(self.folder)

    @cached_property
    def _listener(self) -> tuple[VoiceActivity, Resemblyzer]:
        return VoiceActivity(), Resemblyzer()

    def listen(self, path: Path, audio: Audio | None = None) -> np.ndarray:
        """A recording, sound or video, to its speaker embedding, (256,) float32.

        Raises ItemError if the file is missing, damaged, silent, or holds too little speech.
        """
        audio = audio or Audio()
        media = decode(path, frames=0, max_seconds=audio.max_seconds)
        if not media.has_audio:
            raise ItemError("audio", "a video without sound" if media.has_video else "there is no sound in it")
        activity, encoder = self._listener
        probability = activity.probabilities(media.audio)
        speech = find_speech(media.audio, probability, audio.min_speech)
        return embed_one(encoder, cut(speech, self.prior.config.clip_seconds).audio)

    @torch.no_grad()
    def identities(self, voices: np.ndarray, seeds: Sequence[int], temperature: float) -> np.ndarray:
        """Draw one identity for each voice: (n, 256) and n seeds to (n, 128) float32.

        temperature scales the noise that the prior's flow starts from.
        """
        mean = self.prior.predict_mean(torch.from_numpy(np.asarray(voices, np.float32)).to(self.device))
        condition = Condition.of(mean)
        noise = _noise(seeds, (mean.shape[1],), self.device, stream=0)
        residual = heun(lambda z, t: self.prior(z, t, condition), temperature * noise, PRIOR_STEPS)
        return (mean + residual @ self.prior.colouring).cpu().numpy()

    @torch.no_grad()
    def draw(
        self,
        identities: np.ndarray | None,
        seeds: Sequence[int],
        settings: Settings = Settings(),
        progress: Callable[[int, int], None] | None = None,
    ) -> np.ndarray:
        """Identity vectors, (n, 128), or None for no condition, and n seeds to faces: (n, size, size, 3) uint8 RGB.

        progress: called as (sampler steps done, in all) over all batches.
        """
        images = []
        batches = range(0, len(seeds), BATCH)
        total = len(batches) * settings.steps
        for number, start in enumerate(batches):
            chosen = seeds[start : start + BATCH]
            conditions = {"coverage": Condition.of(torch.ones(len(chosen), 1, device=self.device))}
            if identities is not None:
                rows = torch.from_numpy(np.asarray(identities[start : start + BATCH], np.float32))
                conditions["identity"] = Condition.of(rows.to(self.device))
            noise = settings.noise * _noise(chosen, (3, self.size, self.size), self.device, stream=1)
            base = number * settings.steps
            report = (lambda done, _, base=base: progress(base + done, total)) if progress else None
            sample = heun(guided(self.decoder, conditions, settings.guidance), noise, settings.steps, report)
            images.append(to_uint8(self.decoder.denormalise(sample)))
        return np.concatenate(images)

    def generate(
        self,
        voice: np.ndarray,
        count: int = 4,
        seed: int = 0,
        settings: Settings = Settings(),
        progress: Callable[[int, int], None] | None = None,
    ) -> list[GeneratedFace]:
        """Faces that could belong to a voice, (256,): `count` of them, with seeds seed, seed + 1, ..."""
        seeds = [seed + i for i in range(count)]
        identities = self.identities(np.repeat(voice[None], count, 0), seeds, settings.temperature)
        images = self.draw(identities, seeds, settings, progress)
        return [GeneratedFace(*row) for row in zip(images, identities, seeds, strict=True)]

    def imagine(self, count: int, seed: int = 0, settings: Settings = Settings()) -> list[GeneratedFace]:
        """Faces of nobody in particular, without a voice: identities drawn from the prior's spread of people."""
        voices = np.repeat(self.prior.voice_mean.cpu().numpy()[None], count, 0)
        seeds = [seed + i for i in range(count)]
        mean = self.identities(voices, seeds, temperature=1.0)
        images = self.draw(mean, seeds, settings)
        return [GeneratedFace(*row) for row in zip(images, mean, seeds, strict=True)]


def _noise(seeds: Sequence[int], shape: tuple[int, ...], device: torch.device, stream: int) -> Tensor:
    """Gaussian noise, (n, *shape), each row from its own seed: a face does not depend on its neighbours in the
    batch. stream: keeps the noise of the prior and of the decoder apart."""
    rows = [torch.randn(shape, generator=torch.Generator().manual_seed(2 * int(seed) + stream)) for seed in seeds]
    return torch.stack(rows).to(device)
