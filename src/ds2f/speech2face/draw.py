"""From wishes to conditions, and from conditions to pictures: how the decoder p(image | conditions) is sampled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ds2f.diffusion import plain
from ds2f.diffusion.conditions import Condition
from ds2f.diffusion.flow import Predict
from ds2f.diffusion.guidance import UNGUIDED, Guidance, guided
from ds2f.diffusion.noise import normal_by_seed
from ds2f.diffusion.samplers import SAMPLERS, Sampler, euler
from ds2f.errors import UserError
from ds2f.models.decoder import Decoder, DecoderConfig, asked, one_hot, voice_condition
from ds2f.models.graphs import Graph
from ds2f.models.pixels import from_uint8, to_uint8
from ds2f.speech2face.patch_artifacts import remove_patch_artifacts
from ds2f.speech2face.settings import SamplingSettings, fits_fast_decoder, guidance_of
from ds2f.types import ETHNICITIES, Progress, Wish

BATCH = 16  # faces through the decoder at once; limits memory
GRAPHS = {"identity"}  # a decoder graph's inputs besides the conditions shared by all pictures
Callback = Callable[[int, np.ndarray], None]
"""Called after every step with its number, counted from 1 over all batches, and the pictures of the batch as they look
so far, at the decoder's size: (up to BATCH, size, size, 3) uint8 RGB. An exception it raises stops the drawing."""


def heard_by(decoder: DecoderConfig, encoders: Iterable[str]) -> list[str]:
    """Those of the given speaker encoders whose voices are a condition of the decoder. Raises UserError if none is."""
    offered = list(encoders)
    found = [name for name in offered if voice_condition(name) in decoder.conditions]
    if not found:
        raise UserError(
            f"The decoder cannot be conditioned on voices by {' or '.join(offered)}; it knows {_known(decoder)}. "
            "Add its encoder to [audio] encoders of ds2f.toml, or leave out `direct`."
        )
    return found


def conditions_of(
    decoder: DecoderConfig,
    wish: Wish,
    identities: np.ndarray | None,
    voices: Mapping[str, np.ndarray],
    guides: Tensor | None,
    count: int,
) -> dict[str, Tensor]:
    """The decoder's conditions for n pictures: {condition: (n, ...)}, on the CPU.

    decoder: configuration of the decoder that will draw.
    wish: its looks and its language, the same for all pictures.
    identities: (n, identity_dim), or None for nobody in particular.
    voices: {speaker encoder: (n, d)}, for a decoder conditioned on voices directly.
    guides: (n or 1, 3, size, size) in normalised pixels, or None.
    count: n.
    Raises UserError for a condition that the decoder was not trained on.
    """
    given = {name: torch.full((1, 1), value) for name, value in asked(decoder).items()}
    if identities is not None:
        given["identity"] = _tensor(identities)
    given |= {voice_condition(name): _tensor(vectors) for name, vectors in voices.items()}
    for name, value in _looks(wish).items():
        # With an identity, the prior has already accounted for the looks; a decoder conditioned on them gets them too.
        if name in decoder.conditions or identities is None:
            given[name] = value
    if wish.language is not None:
        given["language"] = _language(decoder, wish.language)
    if guides is not None:
        given["guide"] = guides
    for name in given:
        if name not in decoder.conditions and not (name == "guide" and decoder.guide):
            raise UserError(
                f"The decoder cannot be conditioned on {name}; it knows {_known(decoder)}. "
                "Train one that can with: ds2f train decoder"
            )
    return {name: value.expand(count, *value.shape[1:]) for name, value in given.items()}


def _known(decoder: DecoderConfig) -> str:
    return ", ".join(sorted([*decoder.conditions, *(["guide"] if decoder.guide else [])]))


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.asarray(values, np.float32))


def _looks(wish: Wish) -> dict[str, Tensor]:
    """{condition: (1, d)}, see `models.decoder.ALL_CONDITIONS`."""
    looks = {}
    if wish.age is not None:
        looks["age"] = torch.tensor([[float(wish.age)]])
    if wish.gender is not None:
        looks["gender"] = torch.tensor([[float(wish.gender == "female")]])
    if wish.ethnicity is not None:
        looks["ethnicity"] = torch.eye(5)[ETHNICITIES.index(wish.ethnicity)][None]
    return looks


def _language(decoder: DecoderConfig, code: str) -> Tensor:
    if decoder.languages and code not in decoder.languages:
        raise UserError(f"The decoder knows the languages {', '.join(decoder.languages)}, not {code!r}.")
    return torch.tensor([one_hot(decoder.languages, code)])


def normalised(decoder: Decoder, pictures: np.ndarray) -> Tensor:
    """(n, size, size, 3) uint8 RGB to (n, 3, size, size) in the decoder's normalised pixels, on the CPU."""
    return decoder.normalise(from_uint8(pictures).to(decoder.image_mean.device)).cpu()


@dataclass(frozen=True)
class SamplingPlan:
    """How noise becomes a picture. noise: scale of the sampler's initial noise; light: see
    `plain.damp_low_frequencies`; graph: computes what the decoder would, for the conditions `GRAPHS` and those that all
    pictures share."""

    decoder: Decoder
    sampler: Sampler
    steps: int
    guidance: Guidance
    noise: float
    light: float
    graph: Graph | None = None


def sampling_plan(
    settings: SamplingSettings, decoder: Decoder, fast: Decoder | None, graph: Graph | None = None
) -> SamplingPlan:
    """How to draw with these settings. fast: the fast decoder distilled from `decoder`, which draws if the settings are
    those it was trained for; graph: that of the fast decoder."""
    if fast is None or not fits_fast_decoder(settings):
        sampler = SAMPLERS[settings.sampler]
        weights, noise = guidance_of(settings), settings.noise * decoder.config.noise
        return SamplingPlan(decoder, sampler, settings.steps, weights, noise, settings.light)
    noise = settings.noise * fast.config.noise
    return SamplingPlan(fast, euler, fast.config.few_steps, Guidance(1.0), noise, settings.light, graph)


@torch.no_grad()
def sample_images(
    plan: SamplingPlan,
    conditions: Mapping[str, Tensor],
    seeds: Sequence[int],
    progress: Progress | None = None,
    callback: Callback | None = None,
) -> np.ndarray:
    """Pictures for n seeds: (n, size, size, 3) uint8 RGB.

    plan: how they are drawn.
    conditions: {name: (n, ...)}, see `conditions_of`.
    seeds: n whole numbers.
    progress: called with (sampler steps done, total), over all batches.
    callback: see `Callback`.
    """
    decoder, images = plan.decoder, []
    size, device = decoder.config.size, decoder.image_mean.device
    firsts = range(0, len(seeds), BATCH)
    for number, first in enumerate(firsts):
        rows = slice(first, first + BATCH)
        given = {name: Condition.of(value[rows].contiguous().to(device)) for name, value in conditions.items()}
        sampler = plan.sampler
        if plan.graph is not None and given.keys() - set(UNGUIDED) == GRAPHS:
            sampler = _plain_euler
            predict = _by_graph(plan.graph, given["identity"].value)
            noise = plain.normal_by_seed(seeds[rows], 3, size, size, stream=1)
        else:
            predict = guided(decoder, given, plan.guidance)
            noise = normal_by_seed(seeds[rows], 3, size, size, stream=1, to=torch.device("cpu")).numpy()
        start = plan.noise * torch.from_numpy(plain.damp_low_frequencies(noise, plan.light)).to(device)
        told = _Told(predict, number * plan.steps, len(firsts) * plan.steps, progress)
        if callback is not None:
            told.show = lambda step, x: callback(step, _pictures(decoder, x))
        images.append(_pictures(decoder, sampler(told.predict, start, plan.steps, told.stepped)))
    return np.concatenate(images)


def _pictures(decoder: Decoder, x: Tensor) -> np.ndarray:
    """The decoder's predictions, (n, 3, size, size), to (n, size, size, 3) uint8 RGB."""
    return remove_patch_artifacts(to_uint8(decoder.denormalise(x)), decoder.config.patch)


def _by_graph(graph: Graph, identity: Tensor) -> Predict:
    """A predictor of whole, uncropped faces of the given identities, (n, d). It computes one at a time: a CPU is no
    faster with a batch, and rounding depends on what is in the batch."""

    def predict(z: Tensor, t: Tensor) -> Tensor:
        given = {"z": z.numpy(), "t": t.numpy(), "identity": identity.numpy()}
        rows = (graph(**{name: value[i : i + 1] for name, value in given.items()})[0] for i in range(len(z)))
        return torch.from_numpy(np.concatenate(list(rows)))

    return predict


def _plain_euler(predict: Predict, noise: Tensor, steps: int, progress: Progress | None = None) -> Tensor:
    """Euler's method in NumPy: bit for bit what `quick` computes."""

    def of_arrays(z: np.ndarray, t: np.ndarray) -> np.ndarray:
        return predict(torch.from_numpy(z), torch.from_numpy(t)).numpy()

    return torch.from_numpy(plain.euler(of_arrays, noise.numpy(), steps, progress))


class _Told:
    """A predictor that remembers its last prediction of the clean picture, to report it after each step."""

    def __init__(self, predict: Predict, before: int, total: int, progress: Progress | None) -> None:
        self.predicted: Tensor | None = None
        self.show: Callable[[int, Tensor], None] | None = None
        self._predict, self._before, self._total, self._progress = predict, before, total, progress

    def predict(self, z: Tensor, t: Tensor) -> Tensor:
        self.predicted = self._predict(z, t)
        return self.predicted

    def stepped(self, done: int, _: int, note: str = "", /) -> None:
        if self.show is not None and self.predicted is not None and done:
            self.show(self._before + done, self.predicted)
        if self._progress is not None:
            self._progress(self._before + done, self._total)
