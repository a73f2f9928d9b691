"""What the prior learns from: pairs of a voice and a face of the same person; its task; its job."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ds2f.config import Train
from ds2f.dataset import Dataset
from ds2f.dataset.speakers import speakers_of
from ds2f.dataset.vectors import Zeros
from ds2f.diffusion.flow import flow_loss, sample_time
from ds2f.diffusion.noise import normal, uniform
from ds2f.models.conditioning import Condition
from ds2f.models.linear import BLOCK, Products, choose_alpha
from ds2f.models.prior import Prior, PriorConfig
from ds2f.models.store import pick_device
from ds2f.training.genders import GenderAxis, Speakers, fit_map, load_speakers
from ds2f.training.packed import FileZeros
from ds2f.training.pairs import PairData, blocks, folds, heard, load_pairs
from ds2f.training.processes import own_device
from ds2f.training.start import Job, make_options, place_of
from ds2f.types import Progress

FOLDS = 10
WIDEST = 1e4  # λ that is stored: where people are copies of each other it has no end, and float16 has
CPU = torch.device("cpu")  # where the pairs stay: they are short
DROP_VOICE = 0.1  # of the rows
NOISE_ON_MEAN = 0.3  # of its spread, added in training: with few pairs the network must not memorise voices


def job(database: Path, runs: Path, settings: Train, sample: bool = False, progress: Progress | None = None) -> Job:
    """See `jobs.make_job`. The ridge map and the whitening are fitted here; the flow is what is trained.

    database: whose pairs of voices and faces are learnt from.
    runs: its prior/ is for checkpoints.
    settings: the voices, [train] people, device, seed and prior_….
    sample, progress: make no difference, as pairs are soon read.
    Raises UserError for what cannot work, such as too few pairs.
    """
    device = own_device(pick_device(settings.device))
    total = settings.prior_steps * settings.prior_batch
    options = make_options(runs / "prior", settings, device, settings.prior_batch, total, settings.prior_lr)
    options = replace(options, fitted=True)  # linear map and whitening, in which the flow moves
    with Dataset(database) as dataset:
        zeros = FileZeros(place_of(settings, runs))
        pairs = load_pairs(dataset, "train", settings.voices, zeros=zeros)
        held_out = load_pairs(dataset, "val", settings.voices, at_least=1, zeros=zeros).sample()
        speakers = load_speakers(dataset, "train", settings.voices, zeros)
        fingerprint, seconds = dataset.fingerprint(), dataset.clip_seconds(settings.voices[0])
        people = speakers_of(dataset, "train")
    pairs = pairs.alike() if settings.people == "alike" else pairs
    torch.manual_seed(settings.seed)
    config = PriorConfig(
        pairs.dims, pairs.identity.shape[1], settings.prior_width, settings.prior_depth, clip_seconds=seconds
    )
    task = PriorTask(Prior(config), pairs, held_out, device, speakers)
    heard_alone = len(speakers.gender) if task.axis is not None else 0
    return Job(
        task, options, fingerprint, lambda model: (model, {"voices_without_face": heard_alone, "people": people})
    )


class PriorTask:
    """See `loop.Task`: fits the linear map and the whitening at once, leaves the flow to the loop."""

    def __init__(
        self,
        model: Prior,
        train: PairData,
        validation: PairData,
        device: torch.device,
        speakers: Speakers | None = None,
    ) -> None:
        """Fits the linear map and the whitening. axis: what speakers of known gender added to them, None for nothing.

        model: a new one, whose buffers are filled.
        train, validation: pairs.
        device: where the flow learns.
        speakers: voices without a face whose speaker's gender is known, None for none.
        """
        self.model, self.device = model, device
        mean, whitening = self._fit_linear(train, speakers)
        self.size, self.train = len(train), replace(train, voices={})  # what the map was fitted to is let go
        self.mean, self.target = torch.from_numpy(mean), _whitened(train.identity, whitening, train.zeros, mean)
        self.spread = self.mean.std(0)
        self.faces = None
        if train.faces is not None:
            self.faces, self.mean_white = (
                _whitened(vectors, whitening, train.zeros) for vectors in (train.faces.identity, mean)
            )
        heard = torch.from_numpy(validation.heard(model.inputs))
        held_out = torch.cat([model.predict_mean(voices) for voices in heard.split(BLOCK)])
        self.held_out = held_out, _whitened(validation.identity, whitening, validation.zeros, held_out.numpy())
        model.to(device)

    def _fit_linear(self, train: PairData, speakers: Speakers | None) -> tuple[np.ndarray, np.ndarray]:
        """Fill the model's buffers; returns what the map predicts for people it has not seen, and the whitening."""
        model, faces = self.model, train.sample()
        model.inputs.fit(train.voices)
        self.axis: GenderAxis | None = None
        voice = train.heard(model.inputs)
        alpha = choose_alpha(voice, train.identity, train.person)
        pairs = Products.of(voice, train.identity)
        if speakers is not None:
            voices = heard(speakers.voices, model.inputs, train.zeros)
            self.axis = GenderAxis.of(faces.identity, faces.looks.genders, voices, speakers.gender)
        linear = fit_map(pairs, alpha, self.axis)
        mean = out_of_fold(voice, train.identity, train.person, alpha, zeros=train.zeros, axis=self.axis)
        residual = np.subtract(faces.identity, mean, out=train.zeros(mean.shape, np.float32))
        whitening, colouring, spread = whiten(residual, mean)
        tensors = {
            "voice_mean": linear.voice_mean,
            "identity_mean": linear.identity_mean,
            "linear": linear.weight,
            "whitening": whitening,
            "colouring": colouring,
            "spread": spread,
        }
        for name, value in tensors.items():
            getattr(model, name).copy_(torch.from_numpy(np.asarray(value, np.float32)))
        model.conditioning.set_statistics("mean", torch.from_numpy(mean))
        return mean, whitening

    def loss(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        mean = self.mean[rows]
        noisy = mean + NOISE_ON_MEAN * self.spread * normal(generator, *mean.shape, to=CPU)
        given = uniform(generator, len(rows), to=CPU) >= DROP_VOICE
        return self._losses(self.model, Condition(noisy, given), self._targets(rows, generator), generator)

    def _targets(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """(k, di) whitened residuals, of any face of a person whose voices go with any."""
        if self.faces is None:
            return self.target[rows]
        faces = self.train.draw(rows, generator)
        return torch.where(faces[:, None] < 0, self.target[rows], self.faces[faces] - self.mean_white[rows])

    def _losses(self, model: nn.Module, mean: Condition, target: Tensor, noise: torch.Generator) -> Tensor:
        mean, x = Condition(mean.value.to(self.device), mean.given.to(self.device)), target.to(self.device)
        t = sample_time(len(x), noise).to(self.device)
        epsilon = normal(noise, *x.shape, to=self.device)
        return flow_loss(lambda z, t: model(z, t, mean), x, t, epsilon).mean()

    @torch.no_grad()
    def validate(self, ema: nn.Module) -> float:
        """Mean loss on the validation pairs, eight draws of time and noise each, fixed."""
        (mean, target), noise = self.held_out, torch.Generator().manual_seed(1)
        parts = (torch.arange(8 * len(mean)) % len(mean)).split(BLOCK)
        losses = [len(rows) * float(self._losses(ema, Condition.of(mean[rows]), target[rows], noise)) for rows in parts]
        return sum(losses) / (8 * len(mean))

    def preview(self, ema: nn.Module, path: Path) -> None:
        """Identity vectors have no picture."""


def _whitened(values: np.ndarray, whitening: np.ndarray, zeros: Zeros, mean: np.ndarray | None = None) -> Tensor:
    """(n, di) float32: values, less their means where these are given, in whitened coordinates."""
    white = zeros(values.shape, np.float32)
    for part in blocks(len(values)):
        white[part] = (values[part] if mean is None else values[part] - mean[part]) @ whitening
    return torch.from_numpy(white)


def out_of_fold(
    voice: np.ndarray,
    identity: np.ndarray,
    person: np.ndarray,
    alpha: float,
    seed: int = 0,
    zeros: Zeros = np.zeros,
    axis: GenderAxis | None = None,
) -> np.ndarray:
    """Linear predictions for people whose voices and faces the map has not been fitted to: (n, di).

    voice: (n, dv).
    identity: (n, di).
    person: (n,) int, whose row it is.
    alpha: shrinkage of the map, one number that everybody has chosen.
    seed: of the folds.
    zeros: makes the array.
    axis: what speakers of known gender add to the map, None for none. The direction itself, the difference of two
        means over all faces, is that of everybody.
    """
    fold = folds(person, FOLDS, seed)
    predicted = zeros(identity.shape, np.float32)
    everybody = Products.of(voice, identity)
    for k in range(FOLDS):
        held_out = np.flatnonzero(fold == k)
        if len(held_out):
            others = everybody - Products.of(voice, identity, everybody.origin, held_out)
            fitted = fit_map(others, alpha, axis)
            for rows in np.split(held_out, range(BLOCK, len(held_out), BLOCK)):
                predicted[rows] = fitted.predict(voice[rows])
    return predicted


def whiten(
    residual: np.ndarray, expected: np.ndarray, floor: float = 0.05
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Matrices W, C and variances λ with

        residual @ W ~ (0, I),   expected @ W ~ (·, diag λ),   W C = I,   λ falling, WIDEST at most

    principal axes of the residual over their standard deviations, turned to the principal axes that the expectations
    have there: the two are diagonal at once, as in linear discriminant analysis (Fukunaga 1990, Introduction to
    Statistical Pattern Recognition, 2.3).

    residual, expected: (n, di), what voices let one expect of people and how they differ from it.
    floor: of the largest standard deviation; smaller ones are raised to it, so that noise is not blown up.
    """
    values, vectors = np.linalg.eigh(_covariance(residual))
    std = np.sqrt(np.maximum(values, 0))
    std = np.maximum(std, floor * std.max())
    apart, axes = np.linalg.eigh((vectors / std).T @ _covariance(expected) @ (vectors / std))
    apart, axes = apart[::-1].clip(0, WIDEST), axes[:, ::-1]
    return vectors / std @ axes, axes.T @ (vectors * std).T, apart


def _covariance(values: np.ndarray) -> np.ndarray:
    """(n, d) to (d, d) float64, n at least 2."""
    mean, count = values.mean(0, dtype=np.float64), len(values)
    parts = (values[start : start + BLOCK] - mean for start in range(0, count, BLOCK))
    return np.asarray(sum(part.T @ part for part in parts) / (count - 1))
