"""Speech2Face: load once, then voices in, faces out. What the Python API, the command line and the web page share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict, Unpack, overload

import numpy as np
import torch

from ds2f._renamed import old_methods
from ds2f.config import Audio
from ds2f.diffusion.conditions import Condition
from ds2f.errors import UserError
from ds2f.face.encode import FaceEncoder
from ds2f.models import store
from ds2f.models.attributes import AttributeHead
from ds2f.models.decoder import Decoder
from ds2f.models.prior import Prior
from ds2f.models.voices import given
from ds2f.speech2face import draw, hub, imagine, restore, wishes
from ds2f.speech2face.describe import Describer, VoiceDescription
from ds2f.speech2face.draw import Preview
from ds2f.speech2face.face import GeneratedFace, made
from ds2f.speech2face.settings import DEFAULT, SamplingSettings, check, taught
from ds2f.types import NO_WISH, Progress, Wish
from ds2f.voice.encode import EncodedVoice, Recording, VoiceEncoder


class Asked(TypedDict, total=False):
    """What `Speech2Face.__call__` takes besides voice, count and seed; explained there."""

    steps: int | None
    gender: str | None
    age: float | None
    ethnicity: str | None
    language: str | None
    guide: wishes.Picture | None
    guidance: float | Mapping[str, float] | None
    settings: SamplingSettings


@old_methods
class Speech2Face:
    """A prior and a decoder, ready to use: voices in, faces out.

        model = Speech2Face.from_pretrained()
        faces = model("talk.wav", count=4, seed=0)
        print(model.describe("talk.wav"))

    The same seed gives the same face on the same machine. Any thread may call any method; nothing is printed.
    """

    def __init__(
        self,
        prior: Prior,
        decoder: Decoder,
        folder: Path,
        device: torch.device,
        audio: Audio = Audio(),
        decoder_folder: Path | None = None,
    ) -> None:
        """
        prior, decoder: the two parts; both are moved to the device.
        folder: where the prior lies.
        device: of all that is computed.
        audio: what counts as enough speech.
        decoder_folder: where the decoder lies, if elsewhere.
        Raises UserError for a prior and a decoder that speak of different identities.
        """
        if prior.config.identity_dim != decoder.config.conditions["identity"]:
            raise UserError(
                f"In {folder} the prior speaks of {prior.config.identity_dim}-d identities, the decoder of "
                f"{decoder.config.conditions['identity']}-d ones; they were not made for each other."
            )
        self.prior, self.decoder = prior.to(device), decoder.to(device)
        self.folder, self.device = folder, device
        self.decoder_folder = decoder_folder or folder
        self.voice_encoder = VoiceEncoder(audio, prior.config.clip_seconds, list(prior.config.voices))
        self.face_encoder = FaceEncoder(device=str(device))

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path | None = None,
        revision: str | None = None,
        device: str | torch.device | None = None,
        audio: Audio = Audio(),
        size: int | None = None,
    ) -> Speech2Face:
        """Load a model.

        name_or_path: a folder, or an id on the Hub such as "owner/name", see `ds2f.speech2face.hub.resolve`. None: the
            model that ships with the package.
        revision: commit, tag or branch on the Hub.
        device: as PyTorch names it. None: CUDA, MPS or CPU, what there is.
        audio: what counts as enough speech.
        size: pixels of a face, for a model with decoders of several sizes. None: that of its main one.
        Raises UserError if the model cannot be had or used.
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
        self, voice: Recording, count: int = ..., seed: int = ..., **asked: Unpack[Asked]
    ) -> list[GeneratedFace]: ...

    @overload
    def __call__(
        self, voice: list[Recording], count: int = ..., seed: int = ..., **asked: Unpack[Asked]
    ) -> list[list[GeneratedFace]]: ...

    def __call__(
        self,
        voice: Recording | list[Recording],
        count: int = 4,
        seed: int = 0,
        steps: int | None = None,
        gender: str | None = None,
        age: float | None = None,
        ethnicity: str | None = None,
        language: str | None = None,
        guide: wishes.Picture | None = None,
        guidance: float | Mapping[str, float] | None = None,
        settings: SamplingSettings = DEFAULT,
    ) -> list[GeneratedFace] | list[list[GeneratedFace]]:
        """Faces that could belong to a voice; for a list of voices, a list of faces for each.

        voice: a path, the bytes of a file, or (samples, rate in Hz).
        count: faces per voice, with the seeds seed, seed + 1, ...
        seed: any whole number.
        steps, guidance: as in `SamplingSettings`, whose place they take.
        gender: "male" or "female".
        age: years, from 0 to 100.
        ethnicity: of types.ETHNICITIES, never heard, only wished for.
        language: ISO 639-1 code of what is spoken, for a decoder that knows it.
        guide: a blurred, pixelated or small picture to complete.
        settings: all other dials.
        Raises ItemError for a voice that cannot be used, UserError for a wish that cannot be fulfilled.
        """
        wish = wishes.make_wish(age, gender, ethnicity, guide, language)
        settings = replace(
            settings,
            steps=settings.steps if steps is None else steps,
            guidance=settings.guidance if guidance is None else guidance,
        )
        check(settings, count)
        seeds = wishes.seeds_from(seed, count)
        many = voice if isinstance(voice, list) else [voice]
        if not many:
            return []
        direct = self.decoder_voices(self.voice_encoder.known) if settings.direct else []
        names = list(dict.fromkeys([*self.prior.config.voices, *direct]))
        encoded = [self.voice_encoder.encode(one, names).voices for one in many]
        conditions = {name: np.repeat([one[name] for one in encoded], count, 0) for name in direct}
        voices = np.repeat(self.voice_inputs(encoded), count, 0)
        faces = self.sample_faces(voices, seeds * len(many), settings, wish=wish, voice_conditions=conditions)
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

    def encode_voice(self, recording: Recording) -> EncodedVoice:
        """The speech in a recording, sound or video, and its speaker. Raises ItemError, see `VoiceEncoder.encode`."""
        return self.voice_encoder.encode(recording)

    def embed_voice(self, recording: Recording) -> np.ndarray:
        """The voice alone, as the prior hears it: (d,) float32, with one encoder the speaker embedding."""
        return self.voice_inputs([self.encode_voice(recording).voices])[0]

    @torch.no_grad()
    def voice_inputs(self, encoded: Sequence[Mapping[str, np.ndarray | None]]) -> np.ndarray:
        """n times {speaker encoder or "acoustics": (d,) or None} to (n, d) float32, as the prior hears them."""
        by_name = {name: [one[name] for one in encoded] for name in self.prior.config.voices}
        known = {name: given(vectors) for name, vectors in by_name.items() if any(v is not None for v in vectors)}
        inputs = {name: Condition(c.value.to(self.device), c.given.to(self.device)) for name, c in known.items()}
        return self.prior.inputs(inputs).cpu().numpy()

    def decoder_voices(self, encoders: Iterable[str]) -> list[str]:
        """Those of some speaker encoders that the decoder itself hears, for `SamplingSettings.direct`.

        Raises UserError if there are none.
        """
        return draw.heard_by(self.decoder.config, encoders)

    def voice_conditions(self, voices: np.ndarray) -> dict[str, np.ndarray]:
        """What the prior hears, (n, d) as `voice_inputs` gives it, as far as it is a condition of the decoder: {speaker
        encoder: (n, d)}. Raises UserError if nothing is."""
        split = self.prior.inputs.split(torch.from_numpy(voices).to(self.device))
        names = self.decoder_voices(name for name, c in split.items() if c.given.all())
        return {name: split[name].value.cpu().numpy() for name in names}

    def describe(self, recording: Recording | EncodedVoice) -> VoiceDescription:
        """Pitch and rate, age and gender as distributions, and how sure; see `ds2f.speech2face.describe`.

        Raises ItemError if the recording cannot be used.
        """
        encoded = recording if isinstance(recording, EncodedVoice) else self.encode_voice(recording)
        return self._describer.describe(encoded.speech, self.voice_inputs([encoded.voices])[0])

    @cached_property
    def _describer(self) -> Describer:
        return Describer(self.prior, self._attributes)

    @cached_property
    def _attributes(self) -> AttributeHead:
        own = (self.folder / "attributes.json").exists()
        return store.load_attributes(self.folder if own else store.shipped()).to(self.device)

    def sample_identities(
        self,
        voices: np.ndarray,
        seeds: Sequence[int],
        temperature: float,
        wish: Wish = NO_WISH,
        voice_guidance: float = 1.0,
    ) -> np.ndarray:
        """Draw one identity for each of n voices from the prior: (n, identity_dim) float32.

        voices: (n, d), as `voice_inputs` gives them.
        seeds: n whole numbers.
        temperature: in [0, 1]: 0 the likeliest person, 1 the prior's whole variety.
        wish: an age, a gender or an ethnicity bends the draw towards people who look so.
        voice_guidance: how far to go the way the voice points, see `imagine.sample_identities`; 1 = as expected.
        """
        likely = (lambda x: self._attributes.log_likelihood(x, wish)) if wish.looks else None
        return imagine.sample_identities(self.prior, voices, seeds, temperature, voice_guidance, likely)

    def sample_images(
        self,
        identities: np.ndarray | None,
        seeds: Sequence[int],
        settings: SamplingSettings = DEFAULT,
        progress: Progress | None = None,
        wish: Wish = NO_WISH,
        voice_conditions: Mapping[str, np.ndarray] | None = None,
        preview: Preview | None = None,
        guides: np.ndarray | None = None,
    ) -> np.ndarray:
        """Draw pictures of n people with the decoder: (n, size, size, 3) uint8 RGB.

        identities: (n, identity_dim), or None for nobody in particular.
        seeds: n whole numbers.
        settings: steps, guidance, noise and sampler.
        progress: called as (sampler steps done, in all) over all batches.
        wish: looks, language and a guide picture, the same for all.
        voice_conditions: {speaker encoder: (n, d)}, for a decoder that hears them itself.
        preview: called at every step with the pictures as they look so far, see `draw.Preview`.
        guides: (n, size, size, 3) uint8 RGB, a canonical crop to complete for each face, instead of one wished for all.
        Raises UserError for a condition that the decoder was not trained on.
        """
        if guides is None and wish.guide is not None:
            guides = self.face_encoder.align(wish.guide, self.size)[None]
        pixels = None if guides is None else draw.normalised(self.decoder, guides)
        heard = voice_conditions or {}
        conditions = draw.conditions_of(self.decoder.config, wish, identities, heard, pixels, len(seeds))
        way = draw.way_of(settings, self.decoder, self.fast_decoder if taught(settings) else None)
        return draw.sample_images(way, conditions, seeds, progress, preview)

    def sample_faces(
        self,
        voices: np.ndarray,
        seeds: Sequence[int],
        settings: SamplingSettings = DEFAULT,
        progress: Progress | None = None,
        wish: Wish = NO_WISH,
        preview: Preview | None = None,
        guides: np.ndarray | None = None,
        voice_conditions: Mapping[str, np.ndarray] | None = None,
    ) -> list[GeneratedFace]:
        """A face for each of n voices.

        voices: (n, d), as `embed_voice` gives each.
        seeds: n whole numbers.
        settings, progress, wish, preview, guides: see `sample_images`.
        voice_conditions: what the decoder itself hears if `settings.direct` says so, {speaker encoder: (n, d)} of
            `decoder_voices`. None: what the prior hears.
        """
        identities = self.sample_identities(voices, seeds, settings.temperature, wish, settings.voice_guidance)
        if settings.direct:
            shown, heard = None, voice_conditions or self.voice_conditions(voices)
        else:
            shown, heard = identities, None
            if wish.guide is not None or guides is not None:
                shown = identities = self._follow_guides(identities, settings, wish, guides)
        images = self.sample_images(shown, seeds, settings, progress, wish, heard, preview, guides=guides)
        return made(images, identities, seeds, self.details(settings, wish))

    def _follow_guides(
        self, identities: np.ndarray, settings: SamplingSettings, wish: Wish, guides: np.ndarray | None
    ) -> np.ndarray:
        """Identities that voices suggest, (n, 128), moved towards whom the guides show, see `restore`."""
        if self.prior.config.face_encoder != "dlib":
            return identities  # nothing here sees faces in another space
        alone, count = Wish(guide=wish.guide), 1 if guides is None else len(guides)

        def complete(seed: int) -> np.ndarray:
            return self.sample_images(None, [seed] * count, settings, wish=alone, guides=guides)

        return restore.follow_guides(
            identities, complete, self.face_encoder.embed_crops, self.prior.colouring.cpu().numpy()
        )

    def sample_unconditional(
        self, count: int, seed: int = 0, settings: SamplingSettings = DEFAULT
    ) -> list[GeneratedFace]:
        """Faces of nobody in particular, without a voice: identities drawn from the prior's spread of people."""
        voices = np.repeat(self.prior.voice_mean.cpu().numpy()[None], count, 0)
        seeds = wishes.seeds_from(seed, count)
        identities = self.sample_identities(voices, seeds, temperature=1.0)
        images = self.sample_images(identities, seeds, settings)
        return made(images, identities, seeds, self.details(settings))

    def details(self, settings: SamplingSettings, wish: Wish = NO_WISH) -> dict[str, Any]:
        """What, besides the voice and the seed, a face comes from: model, settings and wishes."""
        fast = taught(settings) and self.fast_decoder is not None
        return {"model": self.fingerprint, **asdict(settings), "fast": fast, **wishes.as_json(wish)}
