"""Speech2Face: load once, then voices in, faces out. What the Python API, the command line and the web page share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ds2f.config import Audio
from ds2f.diffusion.flow import Predict
from ds2f.diffusion.guidance import Guidance, guided, steered
from ds2f.diffusion.samplers import SAMPLERS, euler, heun
from ds2f.errors import UserError
from ds2f.face.dlib_resnet import network_file
from ds2f.face.dlib_torch import DlibTorch, load_dlib
from ds2f.face.guide import GuideAligner
from ds2f.io.images import from_uint8, to_uint8
from ds2f.models import store
from ds2f.models.attributes import AttributeHead, Distributions
from ds2f.models.conditioning import Condition, Conditions
from ds2f.models.decoder import Decoder, one_hot, voice_condition
from ds2f.models.prior import Prior
from ds2f.models.voices import given
from ds2f.speech2face import completion, describe, hub, wishes
from ds2f.speech2face.settings import Settings, check, guidance_of, taught
from ds2f.types import ETHNICITIES, NO_WISH, GeneratedFace, Wish
from ds2f.voice.encode import EncodedVoice, Recording, VoiceEncoder

PRIOR_STEPS = 16  # of Heun's method; the prior is tiny, more changes nothing visible
WISH_STRENGTH = 4.0  # of a wished age, gender or ethnicity against the voice; 1 is Bayes' rule
Preview = Callable[[np.ndarray], None]
BATCH = 16  # faces through the decoder at once; bounds memory


class Speech2Face:
    """A prior and a decoder, ready to use: voices in, faces out.

        model = Speech2Face.from_pretrained()
        faces = model("talk.wav", count=4, seed=0)
        print(model.describe("talk.wav"))

    The same seed gives the same face on the same machine. Any thread may call any method; nothing is printed.
    """

    def __init__(
        self, prior: Prior, decoder: Decoder, folder: Path, device: torch.device, audio: Audio = Audio(),
        decoder_folder: Path | None = None,
    ) -> None:  # fmt: skip
        """decoder_folder: where the decoder lies, if not in `folder`."""
        if prior.config.identity_dim != decoder.config.conditions["identity"]:
            raise UserError(
                f"In {folder} the prior speaks of {prior.config.identity_dim}-d identities, the decoder of "
                f"{decoder.config.conditions['identity']}-d ones; they were not made for each other."
            )
        self.prior, self.decoder = prior.to(device), decoder.to(device)
        self.folder, self.device = folder, device
        self.decoder_folder = decoder_folder or folder
        self._guides = GuideAligner()
        self.listener = VoiceEncoder(audio, prior.config.clip_seconds, list(prior.config.voices))

    @classmethod
    def from_pretrained(
        cls, name_or_path: str | Path | None = None, revision: str | None = None,
        device: str | torch.device | None = None, audio: Audio = Audio(), size: int | None = None,
    ) -> Speech2Face:  # fmt: skip
        """Load a model.

        name_or_path: a folder, or an id on the Hub such as "owner/name", see `ds2f.speech2face.hub.resolve`; None = the
        model that ships with the package. revision: commit, tag or branch on the Hub. device: None = CUDA, MPS or CPU,
        what there is. audio: what counts as enough speech. size: pixels of a face, for a model with decoders of several
        sizes; None = that of its main one. Raises UserError if the model cannot be had or used.
        """
        folder = store.shipped() if name_or_path is None else hub.resolve(name_or_path, revision)
        chosen = store.pick_device(str(device or "auto"))
        drawing = store.decoder_of_size(folder, size)
        return cls(store.load_prior(folder), store.load_decoder(drawing), folder, chosen, audio, drawing)

    def save_pretrained(self, folder: str | Path, metrics: Path | None = None) -> None:
        """Write the model as a folder that `from_pretrained` reads, with a card; see `ds2f.speech2face.hub.save`."""
        hub.save(self.folder, Path(folder), metrics)

    def push_to_hub(
        self, repo: str, metrics: Path | None = None, revision: str | None = None, public: bool = False
    ) -> str:
        """Upload the model to the Hub; see `ds2f.speech2face.hub.push`. Returns its address."""
        return hub.push(self.folder, repo, metrics, revision, public)

    @overload
    def __call__(
        self, voice: Recording, count: int = ..., seed: int = ..., steps: int | None = ...,
        gender: str | None = ..., age: float | None = ..., ethnicity: str | None = ..., language: str | None = ...,
        guide: wishes.Picture | None = ..., guidance: float | Mapping[str, float] | None = ...,
        settings: Settings = ...,
    ) -> list[GeneratedFace]: ...  # fmt: skip

    @overload
    def __call__(
        self, voice: list[Recording], count: int = ..., seed: int = ..., steps: int | None = ...,
        gender: str | None = ..., age: float | None = ..., ethnicity: str | None = ..., language: str | None = ...,
        guide: wishes.Picture | None = ..., guidance: float | Mapping[str, float] | None = ...,
        settings: Settings = ...,
    ) -> list[list[GeneratedFace]]: ...  # fmt: skip

    def __call__(
        self, voice: Recording | list[Recording], count: int = 4, seed: int = 0, steps: int | None = None,
        gender: str | None = None, age: float | None = None, ethnicity: str | None = None, language: str | None = None,
        guide: wishes.Picture | None = None, guidance: float | Mapping[str, float] | None = None,
        settings: Settings = Settings(),
    ) -> list[GeneratedFace] | list[list[GeneratedFace]]:  # fmt: skip
        """Faces that could belong to a voice; for a list of voices, a list of faces for each.

        voice: a path, the bytes of a file, or (samples, rate in Hz). count: faces per voice, with the seeds seed, seed
        + 1, ...; gender: "male" or "female"; age: years; ethnicity: of types.ETHNICITIES, never heard, only wished
        for; language: ISO 639-1 code, for a decoder that knows it; guide: a blurred, pixelated or small picture to
        complete; steps, guidance: as in `Settings`, whose place they take.
        Raises ItemError for a voice that cannot be used, UserError for a wish that cannot be fulfilled.
        """
        wish = wishes.make_wish(age, gender, ethnicity, guide, language)
        settings = replace(
            settings,
            steps=settings.steps if steps is None else steps,
            guidance=settings.guidance if guidance is None else guidance,
        )
        check(settings, count)
        many = voice if isinstance(voice, list) else [voice]
        if not many:
            return []
        told_by = self.told_by(self.listener.known) if settings.direct else []
        names = list(dict.fromkeys([*self.prior.config.voices, *told_by]))
        heard = [self.listener.encode(one, names) for one in many]
        told = {name: np.repeat([one.voices[name] for one in heard], count, 0) for name in told_by}
        voices = np.repeat(self.voices([one.voices for one in heard]), count, 0)
        seeds = [seed + i for i in range(count)] * len(many)
        faces = self.generate(voices, seeds, settings, wish=wish, told=told)
        groups = [faces[start : start + count] for start in range(0, len(faces), count)]
        return groups if isinstance(voice, list) else groups[0]

    @property
    def size(self) -> int:
        """Pixels of a generated face."""
        return self.decoder.config.size

    @cached_property
    def fast_decoder(self) -> Decoder | None:
        """Draws in few steps; None if the model has none that this decoder taught."""
        fast = store.load_fast_decoder(self.decoder_folder)
        return None if fast is None else fast.to(self.device)

    @cached_property
    def fingerprint(self) -> str:
        """Short hash of the weights."""
        return store.fingerprint(self.folder, self.decoder_folder)

    def hear(self, recording: Recording) -> EncodedVoice:
        """The speech in a recording, sound or video, and its speaker. Raises ItemError, see `VoiceEncoder.encode`."""
        return self.listener.encode(recording)

    def listen(self, recording: Recording) -> np.ndarray:
        """The voice alone, as the prior hears it: (d,) float32, with one encoder the speaker embedding."""
        return self.voices([self.hear(recording).voices])[0]

    def told_by(self, names: Iterable[str]) -> list[str]:
        """Those of some speaker encoders that the decoder itself hears, for `Settings.direct`.

        Raises UserError if there are none.
        """
        offered = list(names)
        found = [name for name in offered if voice_condition(name) in self.decoder.config.conditions]
        if not found:
            known = ", ".join(sorted(self.decoder.config.conditions))
            raise UserError(
                f"The decoder in {self.decoder_folder} cannot be told voices described by {' or '.join(offered)}; it "
                f"knows {known}. Have its encoder in [audio] encoders of ds2f.toml, or leave `direct` out."
            )
        return found

    def told(self, voices: np.ndarray) -> dict[str, np.ndarray]:
        """What the prior hears, (n, d) as `voices` gives it, as far as the decoder can be told it: {speaker encoder:
        (n, d)}. Raises UserError if that is nothing."""
        split = self.prior.inputs.split(torch.from_numpy(voices).to(self.device))
        names = self.told_by(name for name, c in split.items() if c.given.all())
        return {name: split[name].value.cpu().numpy() for name in names}

    @torch.no_grad()
    def voices(self, heard: Sequence[Mapping[str, np.ndarray | None]]) -> np.ndarray:
        """n times {speaker encoder or "acoustics": (d,) or None} to (n, d) float32, as the prior hears them."""
        by_name = {name: [one[name] for one in heard] for name in self.prior.config.voices}
        told = {name: given(said) for name, said in by_name.items() if any(v is not None for v in said)}
        found = {name: Condition(c.value.to(self.device), c.given.to(self.device)) for name, c in told.items()}
        return self.prior.inputs(found).cpu().numpy()

    def describe(self, recording: Recording | EncodedVoice) -> describe.VoiceDescription:
        """Pitch and rate, age and gender as distributions, and how sure; see `ds2f.speech2face.describe`.

        Raises ItemError if the recording cannot be used.
        """
        heard = recording if isinstance(recording, EncodedVoice) else self.hear(recording)
        people = self._people(self.voices([heard.voices])[0])
        average = self.prior.identity_mean.cpu().numpy()
        return describe.describe(heard.speech, self._judge(people), self._unheard, people, average)

    @cached_property
    def _unheard(self) -> Distributions:
        """What is believed of a speaker before anything is heard."""
        return self._judge(self._people(self.prior.voice_mean.cpu().numpy()))

    def _people(self, voice: np.ndarray) -> np.ndarray:
        """Many identities that a voice, (d,), might have: (PEOPLE, 128)."""
        seeds = range(describe.PEOPLE)
        return self.identities(np.repeat(voice[None], len(seeds), 0), seeds, temperature=1.0)

    @torch.no_grad()
    def _judge(self, identities: np.ndarray) -> Distributions:
        told = self._attributes.probabilities(torch.from_numpy(identities).to(self.device))
        return {name: probability.cpu() for name, probability in told.items()}

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
        """Draw one identity for each voice: (n, d) and n seeds to (n, 128) float32.

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
        voices: Mapping[str, np.ndarray] | None = None,
        preview: Preview | None = None,
        guides: np.ndarray | None = None,
    ) -> np.ndarray:
        """Faces for n seeds: (n, size, size, 3) uint8 RGB.

        identities: (n, 128), or None for nobody in particular; voices: {speaker encoder: (n, d)}, for a decoder that
        hears them; guides: (n, size, size, 3) uint8 RGB, a canonical crop to complete for each face, instead of one
        wished for all.
        progress: called as (sampler steps done, in all) over all batches. preview: called at every step with the
        pictures as they look so far, those of one batch, (up to BATCH, size, size, 3) uint8 RGB.
        Raises UserError if the decoder cannot be told what is wished.
        """
        images = []
        batches = range(0, len(seeds), BATCH)
        fast = self.fast_decoder if taught(settings) else None
        decoder, steps, sampler, guidance = (
            (self.decoder, settings.steps, SAMPLERS[settings.sampler], guidance_of(settings))
            if fast is None
            else (fast, fast.config.few_steps, euler, Guidance(1.0))
        )
        total = len(batches) * steps
        given = {"identity": identities, "guide": None if guides is None else self._normalised(guides)}
        given |= {voice_condition(name): vectors for name, vectors in (voices or {}).items()}
        for number, start in enumerate(batches):
            chosen = seeds[start : start + BATCH]
            rows = {n: v[start : start + BATCH] for n, v in given.items() if v is not None}
            conditions = self._conditions(rows, len(chosen), wish)
            noise = _noise(chosen, (3, self.size, self.size), self.device, stream=1)
            noise *= settings.noise * decoder.config.noise
            base = number * steps
            report = (lambda done, _, base=base: progress(base + done, total)) if progress else None
            predict = guided(decoder, conditions, guidance)
            if preview:
                predict = _shown(predict, decoder, preview)
            images.append(to_uint8(decoder.denormalise(sampler(predict, noise, steps, report))))
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
        if wish.language is not None:
            looks["language"] = self._language(wish.language)
        for name, value in looks.items():
            # With an identity the prior has seen to the looks already; a decoder that knows them hears them as well.
            if value is not None and (name in known or "identity" not in rows or name == "language"):
                told[name] = value.repeat(n, 1)
        if wish.guide is not None:
            told["guide"] = self._guide(wish.guide).repeat(n, 1, 1, 1)
            if wish.guide_level is not None:
                told["guide_level"] = torch.tensor([[wish.guide_level, 0.0]]).repeat(n, 1)
        for name in told:
            if name not in known:
                raise UserError(
                    f"The decoder in {self.decoder_folder} cannot be told {name.replace('_', ' ')}; it knows "
                    f"{', '.join(sorted(known))}. Train one that can with: ds2f train decoder"
                )
        return {name: Condition.of(value.to(self.device)) for name, value in told.items()}

    def _language(self, code: str) -> Tensor:
        languages = self.decoder.config.languages
        if languages and code not in languages:
            raise UserError(
                f"The decoder in {self.decoder_folder} knows the languages {', '.join(languages)}, not {code!r}."
            )
        return torch.tensor(one_hot(languages, code))

    def _guide(self, picture: np.ndarray) -> Tensor:
        """(height, width, 3) uint8 RGB to (1, 3, size, size) in the decoder's pixels."""
        picture = self._guides.align(picture, self.size)
        shrinks = min(picture.shape[:2]) > self.size
        resized = cv2.resize(picture, (self.size,) * 2, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        return torch.from_numpy(self._normalised(resized[None]))

    def _normalised(self, pictures: np.ndarray) -> np.ndarray:
        """(n, size, size, 3) uint8 RGB to (n, 3, size, size) float32, as the decoder sees them."""
        return self.decoder.normalise(from_uint8(pictures).to(self.device)).cpu().numpy()

    def generate(
        self,
        voices: np.ndarray,
        seeds: Sequence[int],
        settings: Settings = Settings(),
        progress: Callable[[int, int], None] | None = None,
        wish: Wish = NO_WISH,
        preview: Preview | None = None,
        guides: np.ndarray | None = None,
        told: Mapping[str, np.ndarray] | None = None,
    ) -> list[GeneratedFace]:
        """A face for each of n voices, (n, d) as `listen` gives them, with its seed. guides: see `draw`; told: what
        the decoder itself hears if `settings.direct` says so, {speaker encoder: (n, d)} of `told_by`; without it, what
        the prior hears."""
        identities = self.identities(voices, seeds, settings.temperature, wish, settings.voice_guidance)
        if settings.direct:
            heard = told or self.told(voices)
            images = self.draw(None, seeds, settings, progress, wish, heard, preview, guides=guides)
        else:
            if wish.guide is not None or guides is not None:
                identities = self._as_shown(identities, settings, wish, guides)
            images = self.draw(identities, seeds, settings, progress, wish, None, preview, guides=guides)
        return self.faces(images, identities, seeds, settings, wish)

    def _as_shown(
        self, identities: np.ndarray, settings: Settings, wish: Wish, guides: np.ndarray | None
    ) -> np.ndarray:
        """Identities that voices suggest, (n, d), moved towards whom the guides show, see `completion.weigh`."""
        if self.prior.config.face_encoder != "dlib":
            return identities  # nothing here sees faces in another space
        alone = Wish(guide=wish.guide, guide_level=wish.guide_level)
        faces = 1 if guides is None else len(guides)
        completed = [self.draw(None, [s] * faces, settings, wish=alone, guides=guides) for s in completion.GUESSES]
        shown = np.stack([completion.identities_of(pictures, self._dlib) for pictures in completed])
        return completion.weigh(identities, shown, self.prior.colouring.cpu().numpy())

    @cached_property
    def _dlib(self) -> DlibTorch:
        return load_dlib(network_file()).to(self.device)

    def imagine(self, count: int, seed: int = 0, settings: Settings = Settings()) -> list[GeneratedFace]:
        """Faces of nobody in particular, without a voice: identities drawn from the prior's spread of people."""
        voices = np.repeat(self.prior.voice_mean.cpu().numpy()[None], count, 0)
        seeds = [seed + i for i in range(count)]
        identities = self.identities(voices, seeds, temperature=1.0)
        return self.faces(self.draw(identities, seeds, settings), identities, seeds, settings)

    def faces(
        self, images: np.ndarray, identities: np.ndarray, seeds: Sequence[int], settings: Settings, wish: Wish = NO_WISH
    ) -> list[GeneratedFace]:
        """What was drawn, with what it was drawn from."""
        details = self.details(settings, wish)
        rows = zip(images, identities, seeds, strict=True)
        return [GeneratedFace(Image.fromarray(image), identity, seed, details) for image, identity, seed in rows]

    def details(self, settings: Settings, wish: Wish = NO_WISH) -> dict[str, Any]:
        """What, besides the voice and the seed, a face comes from: model, settings and wishes."""
        fast = taught(settings) and self.fast_decoder is not None
        return {"model": self.fingerprint, **asdict(settings), "fast": fast, **wishes.as_json(wish)}


def _shown(predict: Predict, decoder: Decoder, preview: Preview) -> Predict:
    """The same predictor, which shows every prediction of the clean picture as it is made."""

    def predicting(z: Tensor, t: Tensor) -> Tensor:
        x = predict(z, t)
        preview(to_uint8(decoder.denormalise(x)))
        return x

    return predicting


def _noise(seeds: Sequence[int], shape: tuple[int, ...], device: torch.device, stream: int) -> Tensor:
    """Gaussian noise, (n, *shape), each row from its own seed: a face does not depend on its neighbours in the
    batch. stream: keeps the noise of the prior and of the decoder apart."""
    rows = [torch.randn(shape, generator=torch.Generator().manual_seed(2 * int(seed) + stream)) for seed in seeds]
    return torch.stack(rows).to(device)
