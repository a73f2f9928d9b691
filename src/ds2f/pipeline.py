"""Speech2Face: load once, then voices in, faces out. What the Python API, the command line and the web page share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from ds2f.config import Audio
from ds2f.diffusion.flow import Predict
from ds2f.diffusion.guidance import Guidance, guided, steered
from ds2f.diffusion.samplers import SAMPLERS, heun
from ds2f.errors import ItemError, UserError
from ds2f.face.align import canonical_crop, template
from ds2f.face.mtcnn import MTCNN
from ds2f.media import decode
from ds2f.models import store
from ds2f.models.attributes import AttributeHead
from ds2f.models.conditioning import Condition, Conditions
from ds2f.models.decoder import Decoder
from ds2f.models.prior import Prior
from ds2f.pictures import to_uint8
from ds2f.types import ETHNICITIES, NO_WISH, GeneratedFace, Wish
from ds2f.voice.activity import VoiceActivity, cut, find_speech
from ds2f.voice.base import embed_one
from ds2f.voice.resemblyzer import Resemblyzer

PRIOR_STEPS = 16  # of Heun's method; the prior is tiny, more changes nothing visible
WISH_STRENGTH = 4.0  # of a wished age, gender or ethnicity against the voice; 1 is Bayes' rule
ALIGNED = 0.08  # of a picture's side: landmarks no farther from the template are in place
BATCH = 16  # faces through the decoder at once; bounds memory


@dataclass(frozen=True)
class Settings:
    """How faces are drawn.

    steps: sampler steps; guidance: one weight for all conditions, 1 = none, or {condition: weight}, where "voice"
    means what carries it; voice_guidance: how far the identity goes the way the voice points, see `identities`;
    temperature in [0, 1]: 0 the most typical person for the voice, 1 the whole variety of the prior; noise in [0, 1]:
    scale of the noise that the decoder starts from, below 1 calmer and more typical pictures; direct: let the decoder
    hear the voice itself, and leave the prior out; sampler: of `diffusion.samplers.SAMPLERS`. Four steps of "multistep"
    are enough for a first look.
    """

    steps: int = 10
    guidance: float | Mapping[str, float] = 2.0
    voice_guidance: float = 3.0
    temperature: float = 0.4
    noise: float = 0.85
    direct: bool = False
    sampler: str = "multistep"


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

    @cached_property
    def _detector(self) -> MTCNN:
        return MTCNN()

    @cached_property
    def _attributes(self) -> AttributeHead:
        own = (self.folder / "attributes.json").exists()
        return store.load_attributes(self.folder if own else store.shipped()).to(self.device)

    @torch.no_grad()
    def identities(
        self,
        voices: np.ndarray,
        seeds: Sequence[int],
        temperature: float,
        wish: Wish = NO_WISH,
        voice_guidance: float = 1.0,
    ) -> np.ndarray:
        """Draw one identity for each voice: (n, 256) and n seeds to (n, 128) float32.

        What a voice lets one expect, m(voice), lies near the average person m̄, as one voice fits many faces. Guidance
        goes on the way that the voice points, as classifier-free guidance does, and draws from around

            m̄ + w (m(voice) − m̄),   w = voice_guidance; 1 = the expectation itself

        temperature scales the noise that the prior's flow starts from; a wished age, gender or ethnicity bends the flow
        towards people who look so, see `diffusion.guidance.steered`.
        """
        mean = self.prior.predict_mean(torch.from_numpy(np.asarray(voices, np.float32)).to(self.device))
        condition = Condition.of(mean)
        centre = self.prior.identity_mean + voice_guidance * (mean - self.prior.identity_mean)
        noise = _noise(seeds, (mean.shape[1],), self.device, stream=0)
        predict: Predict = lambda z, t: self.prior(z, t, condition)  # noqa: E731
        if wish.looks:
            colouring, head = self.prior.colouring, self._attributes
            predict = steered(predict, lambda x: head.log_likelihood(centre + x @ colouring, wish), WISH_STRENGTH)
        residual = heun(predict, temperature * noise, PRIOR_STEPS)
        return (centre + residual @ self.prior.colouring).cpu().numpy()

    @torch.no_grad()
    def draw(
        self,
        identities: np.ndarray | None,
        seeds: Sequence[int],
        settings: Settings = Settings(),
        progress: Callable[[int, int], None] | None = None,
        wish: Wish = NO_WISH,
        voices: np.ndarray | None = None,
    ) -> np.ndarray:
        """Faces for n seeds: (n, size, size, 3) uint8 RGB.

        identities: (n, 128), or None for nobody in particular; voices: (n, 256), for a decoder that hears them.
        progress: called as (sampler steps done, in all) over all batches.
        Raises UserError if the decoder cannot be told what is wished.
        """
        images = []
        batches = range(0, len(seeds), BATCH)
        total = len(batches) * settings.steps
        given = {"identity": identities, "voice": voices}
        for number, start in enumerate(batches):
            chosen = seeds[start : start + BATCH]
            rows = {n: v[start : start + BATCH] for n, v in given.items() if v is not None}
            conditions = self._conditions(rows, len(chosen), wish)
            noise = settings.noise * _noise(chosen, (3, self.size, self.size), self.device, stream=1)
            base = number * settings.steps
            report = (lambda done, _, base=base: progress(base + done, total)) if progress else None
            predict = guided(self.decoder, conditions, _guidance(settings))
            sample = SAMPLERS[settings.sampler](predict, noise, settings.steps, report)
            images.append(to_uint8(self.decoder.denormalise(sample)))
        return np.concatenate(images)

    def _conditions(self, rows: Mapping[str, np.ndarray], n: int, wish: Wish) -> Conditions:
        """What the decoder is told. rows: vectors by condition, (n, d); the wish is the same for all rows."""
        told = {"coverage": torch.ones(n, 1)}
        told |= {name: torch.from_numpy(np.asarray(value, np.float32)) for name, value in rows.items()}
        known = {*self.decoder.config.conditions, *(["guide"] if self.decoder.config.guide else [])}
        looks = {
            "age": None if wish.age is None else torch.tensor([wish.age]),
            "gender": None if wish.gender is None else torch.tensor([float(wish.gender == "female")]),
            "ethnicity": None if wish.ethnicity is None else torch.eye(5)[ETHNICITIES.index(wish.ethnicity)],
        }
        for name, value in looks.items():
            # With an identity the prior has seen to the looks already; a decoder that knows them hears them as well.
            if value is not None and (name in known or "identity" not in rows):
                told[name] = value.repeat(n, 1)
        if wish.guide is not None:
            told["guide"] = self._guide(wish.guide).repeat(n, 1, 1, 1)
            if wish.guide_level is not None:
                told["guide_level"] = torch.tensor([[wish.guide_level, 0.0]]).repeat(n, 1)
        for name in told:
            if name not in known:
                raise UserError(
                    f"The decoder in {self.folder} cannot be told {name.replace('_', ' ')}; it knows "
                    f"{', '.join(sorted(known))}. Train one that can with: ds2f train decoder"
                )
        return {name: Condition.of(value.to(self.device)) for name, value in told.items()}

    def _guide(self, picture: np.ndarray) -> Tensor:
        """(height, width, 3) uint8 RGB to (1, 3, size, size) in the decoder's pixels."""
        picture = self._aligned(picture)
        shrinks = min(picture.shape[:2]) > self.size
        resized = cv2.resize(picture, (self.size,) * 2, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        pixels = torch.from_numpy(resized).permute(2, 0, 1)[None].float() / 127.5 - 1
        return self.decoder.normalise(pixels.to(self.device)).cpu()

    def _aligned(self, picture: np.ndarray) -> np.ndarray:
        """The canonical crop of the face in a picture. Where no face is found, as in most that are blurred, or where it
        lies as it should already, the picture is taken to be that crop."""
        faces = self._detector.detect(picture)
        if not faces:
            return picture
        height, width = picture.shape[:2]
        off = faces[0].landmarks / (width, height) - template(1)
        return picture if np.abs(off).max() < ALIGNED else canonical_crop(picture, faces[0].landmarks, self.size)

    def generate(
        self,
        voice: np.ndarray,
        count: int = 4,
        seed: int = 0,
        settings: Settings = Settings(),
        progress: Callable[[int, int], None] | None = None,
        wish: Wish = NO_WISH,
    ) -> list[GeneratedFace]:
        """Faces that could belong to a voice, (256,): `count` of them, with seeds seed, seed + 1, ..."""
        seeds = [seed + i for i in range(count)]
        voices = np.repeat(voice[None], count, 0)
        identities = self.identities(voices, seeds, settings.temperature, wish, settings.voice_guidance)
        if settings.direct:
            images = self.draw(None, seeds, settings, progress, wish, voices)
        else:
            images = self.draw(identities, seeds, settings, progress, wish)
        return [GeneratedFace(*row) for row in zip(images, identities, seeds, strict=True)]

    def imagine(self, count: int, seed: int = 0, settings: Settings = Settings()) -> list[GeneratedFace]:
        """Faces of nobody in particular, without a voice: identities drawn from the prior's spread of people."""
        voices = np.repeat(self.prior.voice_mean.cpu().numpy()[None], count, 0)
        seeds = [seed + i for i in range(count)]
        mean = self.identities(voices, seeds, temperature=1.0)
        images = self.draw(mean, seeds, settings)
        return [GeneratedFace(*row) for row in zip(images, mean, seeds, strict=True)]


def _guidance(settings: Settings) -> Guidance:
    if not isinstance(settings.guidance, Mapping):
        return Guidance(settings.guidance)
    weights = dict(settings.guidance)
    if "voice" in weights:
        weights.setdefault("identity", weights["voice"])
    return Guidance(1.0, weights)


def _noise(seeds: Sequence[int], shape: tuple[int, ...], device: torch.device, stream: int) -> Tensor:
    """Gaussian noise, (n, *shape), each row from its own seed: a face does not depend on its neighbours in the
    batch. stream: keeps the noise of the prior and of the decoder apart."""
    rows = [torch.randn(shape, generator=torch.Generator().manual_seed(2 * int(seed) + stream)) for seed in seeds]
    return torch.stack(rows).to(device)
