"""FaceSampler: what a prior and a decoder draw together, for voices already embedded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ds2f.errors import UserError
from ds2f.io import watermark
from ds2f.io.credentials import Signer, Signing, signer_of
from ds2f.io.extras import installed, optional
from ds2f.models import store
from ds2f.models.attributes import AttributeHead
from ds2f.models.decoder import Decoder
from ds2f.models.graphs import Graph, graph_of
from ds2f.models.prior import Prior
from ds2f.models.super_resolution import SuperResolution
from ds2f.speech2face import draw, imagine, restore, wishes
from ds2f.speech2face.draw import BATCH, Callback
from ds2f.speech2face.face import GeneratedFace, made
from ds2f.speech2face.finish import Sharpen, finished
from ds2f.speech2face.quick import FAST, IDENTITY, PRIOR, attributes_of, by_graph, imagined
from ds2f.speech2face.settings import DEFAULT, SamplingSettings, fits_fast_decoder
from ds2f.types import NO_WISH, Progress, Wish

if TYPE_CHECKING:
    from ds2f.face.encode import FaceEncoder


class FaceSampler:
    """Identities for voices, pictures for identities, faces for voices. `Speech2Face` adds the encoding of
    recordings."""

    def __init__(
        self,
        prior: Prior,
        decoder: Decoder,
        folder: Path,
        device: torch.device,
        drawing: store.Drawing | None = None,
        signing: Signing = Signing(),
    ) -> None:
        """Take a loaded prior and decoder.

        prior, decoder: the two models; both are moved to the device.
        folder: where the prior is stored.
        device: where everything is computed.
        drawing: where the decoder is stored, and whether super-resolution follows. None: in `folder`, without it.
        signing: who signs the pictures, see `io.credentials.Signing`.
        Raises UserError for a prior and a decoder with different identity embeddings.
        """
        if prior.config.identity_dim != decoder.config.conditions["identity"]:
            raise UserError(
                f"In {folder} the prior has {prior.config.identity_dim}-d identities, the decoder "
                f"{decoder.config.conditions['identity']}-d ones; they don't belong together. "
                "Train a prior on the decoder's data: ds2f train prior"
            )
        self.prior, self.decoder = prior.to(device), decoder.to(device)
        self.folder, self.device = folder, device
        self.drawing = drawing or store.Drawing(decoder.config.size, folder)
        self.signing = signing

    @property
    def size(self) -> int:
        """Pixels of a generated face."""
        return self.drawing.size

    @cached_property
    def fast_decoder(self) -> Decoder | None:
        """Draws in few steps; None if the model has none that was distilled from this decoder."""
        fast = store.load_fast_decoder(self.drawing.folder)
        return None if fast is None else fast.to(self.device)

    @cached_property
    def _sharpen(self) -> Sharpen | None:
        """Super-resolution; None if it does not follow the decoder."""
        if not self.drawing.super_resolution:
            return None
        graph = self._graph_in(self.drawing.folder, store.SUPER_RESOLUTION)
        if graph is not None:  # whatever precision is asked for: this graph computes in float32
            return by_graph(graph)
        return by_network(store.load_super_resolution(self.drawing.folder).to(self.device))

    @cached_property
    def signer(self) -> Signer | None:
        """Signs the pictures; None if they are not signed. Raises UserError for a certificate that cannot be used."""
        return signer_of(self.signing)

    @cached_property
    def _graph(self) -> Graph | None:
        """The graph of the fast decoder."""
        return self._graph_in(self.drawing.folder, FAST)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.size} px, model {self.fingerprint}, {self.device})"

    @cached_property
    def _prior_graph(self) -> Graph | None:
        return self._graph_in(self.folder, PRIOR) if self.prior.config.identity_dim == IDENTITY else None

    def _graph_in(self, folder: Path, kind: str) -> Graph | None:
        """The graph of a model, if it has one and everything is computed on the CPU."""
        found = graph_of(folder, kind) if self.device.type == "cpu" and installed("onnxruntime") else None
        return None if found is None else Graph(found)

    @cached_property
    def fingerprint(self) -> str:
        """Short hash of the weights."""
        return store.fingerprint(self.folder, self.drawing)

    @cached_property
    def face_encoder(self) -> FaceEncoder:
        """Encodes guide pictures. Raises UserError if the extra `faces` is not installed."""
        optional("cv2", "faces", "A guide picture")
        from ds2f.face.encode import FaceEncoder

        return FaceEncoder(device=str(self.device))

    @cached_property
    def _attributes(self) -> AttributeHead:
        return store.load_attributes(attributes_of(self.folder)).to(self.device)

    def decoder_voices(self, encoders: Iterable[str]) -> list[str]:
        """Those of the given speaker encoders that the decoder is conditioned on directly, for
        `SamplingSettings.direct`.

        Raises UserError if there are none.
        """
        return draw.heard_by(self.decoder.config, encoders)

    def voice_conditions(self, voices: np.ndarray) -> dict[str, np.ndarray]:
        """The part of the prior's input, (n, d) as `voice_inputs` gives it, that is also a condition of the decoder:
        {speaker encoder: (n, d)}. Raises UserError if there is none."""
        split = self.prior.inputs.split(torch.from_numpy(voices).to(self.device))
        names = self.decoder_voices(name for name, c in split.items() if c.given.all())
        return {name: split[name].value.cpu().numpy() for name in names}

    def sample_identities(
        self,
        voices: np.ndarray,
        seeds: Sequence[int],
        temperature: float,
        wish: Wish = NO_WISH,
        voice_guidance: float = 1.0,
    ) -> np.ndarray:
        """Sample one identity from the prior for each of n voices: (n, identity_dim) float32.

        voices: (n, d), as `voice_inputs` gives them.
        seeds: n whole numbers.
        temperature: in [0, 1]: 0 the most likely person, 1 all of the prior's variety.
        wish: an age, a gender or an ethnicity steers sampling towards people who match it.
        voice_guidance: how far to go in the direction of the voice, see `imagine.sample_identities`; 1 = as expected.
        """
        return imagine.sample_identities(self.prior, voices, seeds, temperature, voice_guidance, self._wished(wish))

    def _wished(self, wish: Wish) -> imagine.Wished | None:
        return imagine.Wished(self._attributes, wish) if wish.looks else None

    def identities_to_draw(
        self, voices: np.ndarray, seeds: Sequence[int], settings: SamplingSettings, wish: Wish = NO_WISH
    ) -> np.ndarray:
        """As `sample_identities`, but for seeds that are shown together, see `diffusion.plain.typical_first`; on a CPU
        one at a time, and by the same graph as `quick` if there is one.

        Rounding depends on what else is in a batch, and a decoder that computes in integers amplifies it. This way a
        voice and a seed give the same face alone or among others, on the page or from the shell.
        """
        heat, weight = settings.temperature, settings.voice_guidance
        graph = None if wish.looks or settings.precision != "auto" else self._prior_graph

        def sample(voices: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
            if graph is not None:
                return imagined(graph, voices, seeds, heat, weight, together=True)
            wished = self._wished(wish)
            return imagine.sample_identities(self.prior, voices, seeds, heat, weight, wished, together=True)

        if self.device.type != "cpu":
            return sample(voices, seeds)
        rows = zip(np.asarray(voices, np.float32)[:, None], seeds, strict=True)
        return np.concatenate([sample(voice, [seed]) for voice, seed in rows])

    def sample_images(
        self,
        identities: np.ndarray | None,
        seeds: Sequence[int],
        settings: SamplingSettings = DEFAULT,
        progress: Progress | None = None,
        wish: Wish = NO_WISH,
        voice_conditions: Mapping[str, np.ndarray] | None = None,
        callback: Callback | None = None,
        guides: np.ndarray | None = None,
    ) -> np.ndarray:
        """Draw pictures of n people with the decoder, and super-resolution if it follows: (n, size, size, 3) uint8 RGB,
        with the watermark.

        identities: (n, identity_dim), or None for nobody in particular.
        seeds: n whole numbers.
        settings: steps, guidance, noise and sampler.
        progress: called with (sampler steps done, total) over all batches.
        wish: looks, language and a guide picture, the same for all.
        voice_conditions: {speaker encoder: (n, d)}, for a decoder conditioned on voices directly.
        callback: called after every step with the pictures as they look so far, see `draw.Callback`.
        guides: (n, s, s, 3) uint8 RGB, canonical crops of the decoder's size, one to complete for each face, instead of
            one wished for all.
        Raises UserError for a condition that the decoder was not trained on.
        """
        show = callback
        if callback is not None and settings.watermark:
            show = lambda step, so_far: callback(step, watermark.mark_all(so_far))  # noqa: E731
        given = self._given(identities, len(seeds), wish, voice_conditions, guides)
        drawn = self._drawn(given, seeds, settings, progress, show)
        images = finished(drawn, seeds, self.drawing, self._sharpen)
        return watermark.mark_all(images) if settings.watermark else images

    def _given(
        self,
        identities: np.ndarray | None,
        count: int,
        wish: Wish,
        voice_conditions: Mapping[str, np.ndarray] | None = None,
        guides: np.ndarray | None = None,
    ) -> dict[str, torch.Tensor]:
        """The decoder's conditions for `count` pictures, see `draw.conditions_of`."""
        if guides is None and wish.guide is not None:
            guides = self.face_encoder.align(wish.guide, self.decoder.config.size)[None]
        pixels = None if guides is None else draw.normalised(self.decoder, guides)
        return draw.conditions_of(self.decoder.config, wish, identities, voice_conditions or {}, pixels, count)

    def _drawn(
        self,
        conditions: Mapping[str, torch.Tensor],
        seeds: Sequence[int],
        settings: SamplingSettings,
        progress: Progress | None = None,
        callback: Callback | None = None,
    ) -> np.ndarray:
        """Pictures of the decoder's size, (n, s, s, 3) uint8 RGB, without the watermark."""
        fast, graph = (self.fast_decoder, self._graph) if fits_fast_decoder(settings) else (None, None)
        way = draw.sampling_plan(settings, self.decoder, fast, graph if settings.precision == "auto" else None)
        return draw.sample_images(way, conditions, seeds, progress, callback)

    def sample_faces(
        self,
        voices: np.ndarray,
        seeds: Sequence[int],
        settings: SamplingSettings = DEFAULT,
        progress: Progress | None = None,
        wish: Wish = NO_WISH,
        callback: Callback | None = None,
        guides: np.ndarray | None = None,
        voice_conditions: Mapping[str, np.ndarray] | None = None,
    ) -> list[GeneratedFace]:
        """A face for each of n voices.

        voices: (n, d), as `embed_voice` gives each.
        seeds: n whole numbers.
        settings, progress, wish, callback, guides: see `sample_images`.
        voice_conditions: the decoder's own voice inputs if `settings.direct`: {speaker encoder: (n, d)} for those in
            `decoder_voices`. None: those of the prior.
        """
        identities = self.identities_to_draw(voices, seeds, settings, wish)
        if settings.direct:
            whom, heard = None, voice_conditions or self.voice_conditions(voices)
        else:
            whom, heard = identities, None
            if wish.guide is not None or guides is not None:
                whom = identities = self._follow_guides(identities, settings, wish, guides)
        images = self.sample_images(whom, seeds, settings, progress, wish, heard, callback, guides=guides)
        return made(images, identities, seeds, self.details(settings, wish), self.signer)

    def _follow_guides(
        self, identities: np.ndarray, settings: SamplingSettings, wish: Wish, guides: np.ndarray | None
    ) -> np.ndarray:
        """Identities suggested by voices, (n, 128), moved towards the people whom the guides show, see `restore`."""
        if self.prior.config.face_encoder != "dlib":
            return identities  # guides cannot be embedded in another space
        count = 1 if guides is None else len(guides)
        given = self._given(None, count, Wish(guide=wish.guide), guides=guides)

        def complete(seed: int) -> np.ndarray:
            return self._drawn(given, [seed] * count, settings)  # these are never shown

        return restore.follow_guides(
            identities, complete, self.face_encoder.embed_crops, self.prior.colouring.cpu().numpy()
        )

    def sample_unconditional(
        self, count: int, seed: int = 0, settings: SamplingSettings = DEFAULT
    ) -> list[GeneratedFace]:
        """Faces of nobody in particular, without a voice: identities sampled from the prior's distribution of all
        people."""
        voices = np.repeat(self.prior.voice_mean.cpu().numpy()[None], count, 0)
        seeds = wishes.seeds_from(seed, count)
        identities = self.sample_identities(voices, seeds, temperature=1.0, voice_guidance=0.0)
        images = self.sample_images(identities, seeds, settings)
        return made(images, identities, seeds, self.details(settings), self.signer)

    def steps(self, settings: SamplingSettings = DEFAULT, faces: int = 1) -> int:
        """How many steps, as `draw.Callback` counts them, a number of faces takes."""
        way = draw.sampling_plan(settings, self.decoder, self.fast_decoder if fits_fast_decoder(settings) else None)
        return way.steps * -(-faces // BATCH)

    def details(self, settings: SamplingSettings, wish: Wish = NO_WISH) -> dict[str, Any]:
        """What, besides the voice and the seed, determines a face: model, settings and wishes."""
        fast = fits_fast_decoder(settings) and self.fast_decoder is not None
        marked = settings.watermark and self.size >= watermark.MIN_SIDE
        said = {"model": self.fingerprint, **asdict(settings), "fast": fast, "watermark": marked}
        return {**said, **wishes.as_json(wish)}


def by_network(network: SuperResolution) -> Sharpen:
    """Super-resolution by PyTorch, on the network's device."""
    device = network.leave.weight.device

    @torch.no_grad()
    def sharpen(picture: np.ndarray, noise: np.ndarray) -> np.ndarray:
        given = (torch.from_numpy(array).to(device) for array in (picture, noise))
        made: np.ndarray = network(*given).float().cpu().numpy()
        return made

    return sharpen
