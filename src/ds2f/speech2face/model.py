"""Speech2Face: load once, then voices in, faces out. Shared by the Python API, the command line and the web page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TypedDict, Unpack, overload

import numpy as np
import torch

from ds2f._renamed import old_methods
from ds2f.config import Audio
from ds2f.diffusion.conditions import Condition
from ds2f.io.credentials import Signing
from ds2f.models import folders, store
from ds2f.models.decoder import Decoder
from ds2f.models.prior import Prior
from ds2f.models.voices import given
from ds2f.speech2face import hub, wishes
from ds2f.speech2face.batch import Refused, batched
from ds2f.speech2face.describe import PEOPLE, Describer, VoiceDescription
from ds2f.speech2face.draw import Callback
from ds2f.speech2face.face import Faces, FacesOfVoices
from ds2f.speech2face.sampler import FaceSampler
from ds2f.speech2face.settings import DEFAULT, SamplingSettings, check
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
    callback: Callback | None


@old_methods
class Speech2Face(FaceSampler):
    """A prior and a decoder, ready to use: voices in, faces out.

        model = Speech2Face.from_pretrained()
        faces = model("talk.wav", count=4, seed=0)
        print(model.describe("talk.wav"))

    The same seed gives the same face on the same machine. All methods are thread-safe; nothing is printed.
    """

    def __init__(
        self,
        prior: Prior,
        decoder: Decoder,
        folder: Path,
        device: torch.device,
        audio: Audio = Audio(),
        drawing: folders.Drawing | None = None,
        signing: Signing = Signing(),
    ) -> None:
        """Take a loaded prior and decoder; see `from_pretrained` for loading a model by name.

        prior, decoder: the two models; both are moved to the device.
        folder: where the prior is stored.
        device: where everything is computed.
        audio: what counts as enough speech.
        drawing: where the decoder is stored, and whether super-resolution follows. None: in `folder`, without it.
        signing: who signs the pictures, see `io.credentials.Signing`.
        Raises UserError for a prior and a decoder with different identity embeddings.
        """
        super().__init__(prior, decoder, folder, device, drawing, signing)
        exact = replace(audio, precision="float32")  # so that a voice and a seed give one face on every processor
        self.voice_encoder = VoiceEncoder(exact, prior.config.clip_seconds, list(prior.config.voices))

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path | None = None,
        revision: str | None = None,
        device: str | torch.device | None = None,
        audio: Audio = Audio(),
        size: int | None = None,
        signing: Signing = Signing(),
    ) -> Speech2Face:
        """Load a model.

        name_or_path: a folder, or an id on the Hub such as "owner/name", see `ds2f.speech2face.hub.resolve`. None: the
            model that ships with the package.
        revision: commit, tag or branch on the Hub.
        device: as PyTorch names it. None: CUDA, MPS or CPU, in that order of availability.
        audio: what counts as enough speech.
        size: pixels of a face, one of the sizes that the model draws. None: its default.
        signing: who signs the pictures; by default this installation, if the extra `c2pa` is installed.
        Raises UserError if the model cannot be found or used.
        """
        folder = folders.shipped() if name_or_path is None else hub.resolve(name_or_path, revision)
        chosen = store.pick_device(str(device or "auto"))
        prior, drawing = store.load_prior(folder), folders.drawing_of_size(folder, size)
        return cls(prior, store.load_decoder(drawing.folder), folder, chosen, audio, drawing, signing)

    def save_pretrained(self, folder: str | Path, metrics: Path | None = None) -> None:
        """Write the model, with a card, as a folder that `from_pretrained` reads; see `ds2f.speech2face.hub.save`."""
        hub.save(self.folder, Path(folder), metrics)

    def push_to_hub(
        self, repo: str, metrics: Path | None = None, revision: str | None = None, public: bool = False
    ) -> str:
        """Upload the model to the Hub; see `ds2f.speech2face.hub.push`. Returns the URL of the commit."""
        return hub.push(self.folder, repo, metrics, revision, public)

    @overload
    def __call__(self, voice: Recording, count: int = ..., seed: int = ..., **asked: Unpack[Asked]) -> Faces: ...

    @overload
    def __call__(
        self, voice: list[Recording], count: int = ..., seed: int = ..., **asked: Unpack[Asked]
    ) -> FacesOfVoices: ...

    def __call__(
        self,
        voice: Recording | list[Recording],
        count: int = 4,
        seed: int = 0,
        *,
        steps: int | None = None,
        gender: str | None = None,
        age: float | None = None,
        ethnicity: str | None = None,
        language: str | None = None,
        guide: wishes.Picture | None = None,
        guidance: float | Mapping[str, float] | None = None,
        settings: SamplingSettings = DEFAULT,
        callback: Callback | None = None,
    ) -> Faces | FacesOfVoices:
        """Faces that could belong to a voice; for a list of voices, a list of faces for each. Notebooks show both.

        voice: a path, the bytes of a file, or (samples, rate in Hz).
        count: faces per voice, with the seeds seed, seed + 1, ...: multiples of 4 draw the most typical person for
            the voice, the three after each others who may have it, see `diffusion.plain.typical_first`.
        seed: any whole number.
        steps, guidance: override those in `settings`.
        gender: "male" or "female".
        age: years, from 0 to 100.
        ethnicity: one of types.ETHNICITIES; never inferred from the voice, only a wish.
        language: ISO 639-1 code of the language spoken, for a decoder conditioned on it.
        guide: a blurred, pixelated or small picture to complete.
        settings: all other sampling settings.
        callback: callback(step, pictures) is called after each step, see `draw.Callback`.
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
            return FacesOfVoices()
        direct = self.decoder_voices(self.voice_encoder.known) if settings.direct else []
        names = list(dict.fromkeys([*self.prior.config.voices, *direct]))
        heard = [self.voice_encoder.encode(one, names) for one in many]
        encoded = [one.voices for one in heard]
        conditions = {name: np.repeat([one[name] for one in encoded], count, 0) for name in direct}
        voices = np.repeat(self.voice_inputs(encoded), count, 0)
        faces = self.sample_faces(
            voices, seeds * len(many), settings, wish=wish, callback=callback, voice_conditions=conditions
        )
        groups = FacesOfVoices(Faces(faces[start : start + count]) for start in range(0, len(faces), count))
        for group, one in zip(groups, heard, strict=True):
            group.part = one.speech.part
        return groups if isinstance(voice, list) else groups[0]

    def batch(
        self,
        recordings: Iterable[Recording],
        count: int = 4,
        seed: int = 0,
        progress: bool = True,
        refused: Refused | None = None,
        **asked: Unpack[Asked],
    ) -> Iterator[Faces]:
        """Yield the faces of one recording after another, in order: the same as one call each, but faster.

        recordings, progress, refused: see `batch.batched`.
        count, seed: faces per recording, with the seeds seed, seed + 1, ...
        asked: everything else that a call takes.
        Raises ItemError and UserError as a call does.
        """
        return batched(lambda some: self(some, count, seed, **asked), recordings, count, progress, refused)

    def encode_voice(self, recording: Recording) -> EncodedVoice:
        """The speech in a recording, audio or video, and its speaker embeddings. Raises ItemError, see
        `VoiceEncoder.encode`."""
        return self.voice_encoder.encode(recording)

    def embed_voice(self, recording: Recording) -> np.ndarray:
        """The voice alone, as the prior takes it: (d,) float32; with a single encoder, the speaker embedding."""
        return self.voice_inputs([self.encode_voice(recording).voices])[0]

    @torch.no_grad()
    def voice_inputs(self, encoded: Sequence[Mapping[str, np.ndarray | None]]) -> np.ndarray:
        """n times {speaker encoder or "acoustics": (d,) or None} to (n, d) float32, as the prior takes them."""
        by_name = {name: [one[name] for one in encoded] for name in self.prior.config.voices}
        known = {name: given(vectors) for name, vectors in by_name.items() if any(v is not None for v in vectors)}
        inputs = {name: Condition(c.value.to(self.device), c.given.to(self.device)) for name, c in known.items()}
        return self.prior.inputs(inputs).cpu().numpy()

    def describe(self, recording: Recording | EncodedVoice) -> VoiceDescription:
        """Pitch and rate, and distributions of age and gender; see `ds2f.speech2face.describe`.

        Raises ItemError if the recording cannot be used.
        """
        encoded = recording if isinstance(recording, EncodedVoice) else self.encode_voice(recording)
        return self._describer.describe(encoded.speech, self.voice_inputs([encoded.voices])[0])

    @cached_property
    def _describer(self) -> Describer:
        average = (self.prior.voice_mean.cpu().numpy(), self.prior.identity_mean.cpu().numpy())
        return Describer(self._people, self._judge, average)

    def _people(self, voice: np.ndarray) -> np.ndarray:
        """See `describe.Imagine`."""
        return self.sample_identities(np.repeat(voice[None], PEOPLE, 0), range(PEOPLE), temperature=1.0)

    @torch.no_grad()
    def _judge(self, identities: np.ndarray) -> dict[str, np.ndarray]:
        """See `describe.Judge`."""
        found = self._attributes.probabilities(torch.from_numpy(identities).to(self.device))
        return {name: probability.cpu().numpy() for name, probability in found.items()}
