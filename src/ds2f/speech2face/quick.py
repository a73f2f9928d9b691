"""The default path from a recording to a face or a description, without PyTorch: ONNX graphs, run by ONNX Runtime.

`Speech2Face` in `model` can do all of this and more: wishes, guide pictures, other samplers, other devices. This module
draws what `Speech2Face` draws by default, the same faces up to rounding, in half the time and memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ds2f.config import Audio
from ds2f.diffusion.plain import damp_low_frequencies, euler, normal_by_seed, typical_first_by_seed
from ds2f.io import watermark
from ds2f.io.credentials import Signer, Signing, signer_of
from ds2f.io.extras import installed
from ds2f.models import folders
from ds2f.models.graphs import Graph, graph_of
from ds2f.models.processor import on_cpu
from ds2f.speech2face import wishes
from ds2f.speech2face.describe import PEOPLE, Describer, VoiceDescription
from ds2f.speech2face.face import Faces, made
from ds2f.speech2face.finish import Sharpen, finished
from ds2f.speech2face.patch_artifacts import remove_patch_artifacts
from ds2f.speech2face.settings import SamplingSettings, check, fits_fast_decoder
from ds2f.types import NO_WISH, VOICE, Wish
from ds2f.voice import campplus_graph
from ds2f.voice.encode import Recording, VoiceEncoder

IDENTITY = 128  # dimensions of dlib's identity embedding
PRIOR, DECODER, FAST, ATTRIBUTES = "prior", "decoder", "fast-decoder", "attributes"


def imagined(
    prior: Graph, voices: np.ndarray, seeds: Sequence[int], temperature: float, guidance: float, together: bool = False
) -> np.ndarray:
    """As `imagine.sample_identities`: (n, identity_dim) float32.

    prior: its graph.
    voices: (n, d) float32.
    seeds: n whole numbers.
    temperature, guidance, together: see there.
    """
    draw_noise = typical_first_by_seed if together else normal_by_seed
    (found,) = prior(
        voice=voices,
        noise=draw_noise(seeds, IDENTITY, stream=0),
        temperature=np.array(temperature, np.float32),
        guidance=np.array(guidance, np.float32),
    )
    return found


class QuickDescriber:
    """Encodes a voice and imagines its people: what `Speech2Face` does without drawing."""

    def __init__(self, folder: Path, audio: Audio) -> None:
        """folder: the prior's, with graphs that match their weights, see `can_describe`; audio: what counts as enough
        speech."""
        self.folder = folder
        self._prior: dict[str, Any] = folders.description(folder, PRIOR)["config"]
        voice = campplus_graph.CAMPlusPlusGraph(frames=True)
        self.voice_encoder = VoiceEncoder(audio, self._prior["clip_seconds"], [VOICE], loaded={VOICE: voice})
        self._imagine = Graph(folder / f"{PRIOR}.onnx")

    def describe(self, recording: Recording) -> VoiceDescription:
        """As `Speech2Face.describe`."""
        encoded = self.voice_encoder.encode(recording)
        return self._describer.describe(encoded.speech, encoded.voices[VOICE])

    def _people(self, voice: np.ndarray) -> np.ndarray:
        """See `describe.Imagine`."""
        return imagined(self._imagine, np.repeat(voice[None], PEOPLE, 0), range(PEOPLE), temperature=1.0, guidance=1.0)

    @cached_property
    def _describer(self) -> Describer:
        head = Graph(attributes_of(self.folder) / f"{ATTRIBUTES}.onnx")
        average = folders.tensors(self.folder / f"{PRIOR}.safetensors", "voice_mean", "identity_mean")
        return Describer(
            self._people,
            lambda identities: dict(zip(("age", "gender"), head(identity=identities), strict=False)),
            (average[0], average[1]),
        )


class QuickSpeech2Face(QuickDescriber):
    """As `Speech2Face`, limited to what `speech2face.files.from_files` needs."""

    def __init__(self, folder: Path, drawing: folders.Drawing, audio: Audio, signing: Signing = Signing()) -> None:
        """folder: the prior's; drawing: the decoder and its size; audio: what counts as enough speech; signing: who
        signs the pictures.

        Both folders need graphs that match their weights, see `can_draw`.
        """
        super().__init__(folder, audio)
        self.drawing, self.size, self.signing = drawing, drawing.size, signing
        self._decoder: dict[str, Any] = folders.description(drawing.folder, FAST)["config"]
        self._draw = Graph(drawing.folder / f"{FAST}.onnx")
        self._sharpen: Sharpen | None = None
        if drawing.super_resolution:
            self._sharpen = by_graph(Graph(drawing.folder / f"{folders.SUPER_RESOLUTION}.onnx"))

    def __call__(
        self,
        voice: Recording,
        count: int = 4,
        seed: int = 0,
        *,
        settings: SamplingSettings = SamplingSettings(),
        **wished: Any,
    ) -> Faces:
        """Faces for one recording.

        voice, count, seed, settings: see `Speech2Face.__call__`.
        wished: its other arguments, which must all be None.
        Raises ItemError for a voice that cannot be used, TypeError for a wish.
        """
        if asked := [name for name, wish in wished.items() if wish is not None]:
            raise TypeError(f"{type(self).__name__} takes no wishes, such as {asked[0]}; Speech2Face does")
        check(settings, count)
        seeds = wishes.seeds_from(seed, count)
        encoded = self.voice_encoder.encode(voice)
        heard = encoded.voices[VOICE][None]
        heat, weight = settings.temperature, settings.voice_guidance
        each = (imagined(self._imagine, heard, [one], heat, weight, together=True) for one in seeds)
        identities = np.concatenate(list(each))
        drawn = [self._picture(one, number, settings) for one, number in zip(identities, seeds, strict=True)]
        images = finished(np.stack(drawn), seeds, self.drawing, self._sharpen)
        images = watermark.mark_all(images) if settings.watermark else images
        faces = Faces(made(images, identities, seeds, self.details(settings), self.signer))
        faces.part = encoded.speech.part
        return faces

    @cached_property
    def signer(self) -> Signer | None:
        """As `Speech2Face.signer`."""
        return signer_of(self.signing)

    @cached_property
    def fingerprint(self) -> str:
        """As `Speech2Face.fingerprint`."""
        return folders.fingerprint(self.folder, self.drawing)

    def details(self, settings: SamplingSettings, wish: Wish = NO_WISH) -> dict[str, Any]:
        """As `Speech2Face.details`."""
        marked = settings.watermark and self.size >= watermark.MIN_SIDE
        said = {"model": self.fingerprint, **asdict(settings), "fast": True, "watermark": marked}
        return said | wishes.as_json(wish)

    def _picture(self, identity: np.ndarray, seed: int, settings: SamplingSettings) -> np.ndarray:
        """The decoder's picture, uint8 RGB. Drawn one at a time, because rounding depends on what else is in a
        batch."""
        size = self._decoder["size"]
        noise = damp_low_frequencies(normal_by_seed([seed], 3, size, size, stream=1), settings.light)
        start = settings.noise * self._decoder["noise"] * noise

        def predict(z: np.ndarray, t: np.ndarray) -> np.ndarray:
            return self._draw(z=z, t=t, identity=identity[None])[0]

        z = euler(predict, start.astype(np.float32), self._decoder["few_steps"])[0]
        pixels = (z * self._colours[1] + self._colours[0]).clip(-1, 1)
        picture = ((pixels.transpose(1, 2, 0) + 1) * 127.5).round().astype(np.uint8)
        return remove_patch_artifacts(picture[None], self._decoder["patch"])[0]

    @cached_property
    def _colours(self) -> tuple[np.ndarray, np.ndarray]:
        """The mean face, (3, size, size), and the standard deviation around it."""
        mean, spread = folders.tensors(self.drawing.folder / f"{DECODER}.safetensors", "image_mean", "image_std")
        return mean, spread


def by_graph(super_resolution: Graph) -> Sharpen:
    """Super-resolution by its graph."""
    return lambda picture, noise: super_resolution(picture=picture, noise=noise)[0]


def attributes_of(folder: Path) -> Path:
    """Folder of the attribute head that a model uses: its own, or the one that ships with ds2f."""
    return folder if (folder / f"{ATTRIBUTES}.json").exists() else folders.shipped()


def can_describe(folder: Path, device: str) -> bool:
    """Whether `QuickDescriber` can describe voices by the model of a folder on a device, as named by the user."""
    return _can_imagine(folder, device) and graph_of(attributes_of(folder), ATTRIBUTES) is not None


def _can_imagine(folder: Path, device: str) -> bool:
    if not (on_cpu(device) and installed("onnxruntime") and campplus_graph.usable()):
        return False
    prior = folders.description(folder, PRIOR)["config"]
    known = list(prior.get("voices", ())) == [VOICE] and prior["identity_dim"] == IDENTITY
    return known and graph_of(folder, PRIOR) is not None


def can_draw(folder: Path, drawing: folders.Drawing, settings: SamplingSettings, wish: Wish, device: str) -> bool:
    """Whether this module can draw what is asked for: no wish, the fast decoder, a CPU, and graphs of the model.

    folder: the model's.
    drawing: the decoder and its size.
    settings: how to draw.
    wish: what is asked for besides the voice.
    device: as named by the user.
    """
    at = drawing.folder
    asked = not wish.anything and fits_fast_decoder(settings) and not settings.direct and settings.precision == "auto"
    if not (asked and _can_imagine(folder, device) and (at / f"{FAST}.json").is_file()):
        return False
    if folders.description(at, FAST)["card"].get("teacher") != folders.digest(at, DECODER):
        return False
    return all(
        graph_of(at, kind) is not None
        for kind in (FAST, *([folders.SUPER_RESOLUTION] if drawing.super_resolution else []))
    )
